//! The plan of a sample: label, anchor and the inputs of each of its views.

use std::ops::Range;

use super::class::Labels;
use super::latent::Draw;
use super::random::Stream;
use crate::error::{Error, Kind, Result};
use crate::recipe::{Encoding, Epochs, Group, LatentKind, LatentOp, Recipe, Role, Span, Views};

/// Plans samples. Cheap to clone, free of state: any index, any order, any thread.
#[derive(Debug, Clone)]
pub struct Sampler {
    epochs: Epochs,
    /// Generator images a sample.
    rows: usize,
    /// The row that each view is made from, all groups after each other.
    row_of_view: Vec<usize>,
    inputs: Vec<Input>,
    labels: Option<Labels>,
}

#[derive(Debug, Clone)]
struct Input {
    name: String,
    /// Elements of one row.
    elements: usize,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Latent { anchor: Draw, moves: Vec<Moves> },
    OneHot,
    Index,
    Noise(Draw),
    Fixed(Vec<f32>),
}

/// How one group moves an input.
#[derive(Debug, Clone)]
struct Moves {
    /// The rows of a sample that are the group's.
    rows: Range<usize>,
    ops: Vec<Op>,
}

#[derive(Debug, Clone)]
enum Op {
    Gaussian { std: Span, amount: Stream, noise: Draw },
}

/// The values of one generator input for all rows of a block.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// `[rows, elements]`, row by row.
    Float(Vec<f32>),
    /// `[rows]`: class labels.
    Integer(Vec<i64>),
}

/// What one generator call is fed: rows are samples × [`Sampler::rows`], those of a sample together.
#[derive(Debug, Clone, Default)]
pub struct BlockInputs {
    /// Samples × rows of a sample.
    pub rows: usize,
    /// One for each generator input, in the order of the sampler's inputs.
    pub columns: Vec<Column>,
    /// The label of each sample; empty if the generator has no classes.
    pub labels: Vec<i64>,
}

/// Everything that is drawn for one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The sample's index.
    pub index: u64,
    /// Its class, if the generator has classes.
    pub label: Option<u32>,
    /// Each generator input.
    pub inputs: Vec<PlannedInput>,
}

/// One input of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedInput {
    /// Its name in the ONNX file.
    pub name: String,
    /// The vector before any latent op, for latent inputs.
    pub anchor: Option<Vec<f32>>,
    /// What the generator is fed for each view; labels of integer inputs as floats.
    pub views: Vec<Vec<f32>>,
}

impl Sampler {
    /// A sampler for a recipe whose inputs have all been given a role, and the shape of one row of
    /// each input, in the same order.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if a role does not fit the size of its input.
    pub fn new(recipe: &Recipe, shapes: &[Vec<usize>]) -> Result<Self> {
        assert_eq!(recipe.generator.inputs.len(), shapes.len(), "one shape for each input");
        let seed = recipe.seed;
        let mut labels = None;
        let mut inputs = Vec::new();
        for ((name, role), shape) in recipe.generator.inputs.iter().zip(shapes) {
            let elements: usize = shape.iter().product();
            let misfit = |what: String| {
                Error::new(Kind::Recipe, format!("input `{name}` takes {elements} values, {what}"))
                    .at(format!("generator.inputs.{name}"))
            };
            let source = match role {
                Role::Latent(distribution) => Source::Latent {
                    anchor: Draw::new(seed, &format!("latent {name}"), *distribution),
                    moves: moves(recipe, name),
                },
                Role::Noise(distribution) => {
                    Source::Noise(Draw::new(seed, &format!("noise {name}"), *distribution))
                }
                Role::Class(class) => {
                    if labels.is_some() {
                        return Err(misfit("but another input is the class already".into()));
                    }
                    labels = Some(Labels::new(seed, &format!("class {name}"), class));
                    match class.encoding {
                        Encoding::OneHot if elements != class.classes as usize => {
                            return Err(misfit(format!("not {} classes", class.classes)));
                        }
                        Encoding::OneHot => Source::OneHot,
                        Encoding::Index if elements != 1 => {
                            return Err(misfit("and a class index is one".into())
                                .help("use encoding = \"one-hot\""));
                        }
                        Encoding::Index => Source::Index,
                    }
                }
                #[allow(clippy::cast_possible_truncation)]
                Role::Truncation(value) => Source::Fixed(vec![*value as f32; elements]),
                Role::Constant(values) => match values[..] {
                    #[allow(clippy::cast_possible_truncation)]
                    [value] => Source::Fixed(vec![value as f32; elements]),
                    #[allow(clippy::cast_possible_truncation)]
                    _ if values.len() == elements => {
                        Source::Fixed(values.iter().map(|v| *v as f32).collect())
                    }
                    _ => return Err(misfit(format!("but the recipe gives {}", values.len()))),
                },
            };
            inputs.push(Input { name: name.clone(), elements, source });
        }
        let views = &recipe.views;
        let (rows, row_of_view) = (views.rows() as usize, rows_of_views(views));
        Ok(Self { epochs: views.epochs, rows, row_of_view, inputs, labels })
    }

    /// Generator images a sample takes: one for the anchor, if a view keeps it, and one for each
    /// view that is moved.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The row that each view of a sample is made from: the views of all groups, one group after
    /// the other.
    #[must_use]
    pub fn row_of_view(&self) -> &[usize] {
        &self.row_of_view
    }

    /// Elements of all latent inputs of a view together: Z in `latent [B, V, Z]`.
    #[must_use]
    pub fn latent_len(&self) -> usize {
        self.latent_inputs().map(|(_, input)| input.elements).sum()
    }

    /// The label of sample `index`, or `None` if the generator has no classes.
    #[must_use]
    pub fn label(&self, index: u64) -> Option<u32> {
        self.labels.as_ref().map(|labels| labels.label(index))
    }

    /// Fills `block` with the inputs of `samples` consecutive samples from `first` on, as they are
    /// in `epoch`.
    ///
    /// Reuses what `block` holds, so that a block that comes round again allocates nothing.
    pub fn fill(&self, first: u64, samples: u32, epoch: u64, block: &mut BlockInputs) {
        let epoch = if self.epochs == Epochs::Same { 0 } else { epoch };
        let rows = samples as usize * self.rows;
        block.rows = rows;
        block.labels.clear();
        if let Some(labels) = &self.labels {
            let label = |i| i64::from(labels.label(first + u64::from(i)));
            block.labels.extend((0..samples).map(label));
        }
        block.columns.truncate(self.inputs.len());
        while block.columns.len() < self.inputs.len() {
            block.columns.push(Column::Float(Vec::new()));
        }
        for (input, column) in self.inputs.iter().zip(&mut block.columns) {
            if let Source::Index = input.source {
                let repeat = |label: &i64| std::iter::repeat_n(*label, self.rows);
                *column = Column::Integer(block.labels.iter().flat_map(repeat).collect());
                continue;
            }
            let Column::Float(values) = column else {
                unreachable!("an input keeps its kind");
            };
            values.resize(rows * input.elements, 0.0);
            let sample_len = self.rows * input.elements;
            for (index, sample) in (first..).zip(values.chunks_exact_mut(sample_len.max(1))) {
                let label = block.labels.get(usize::try_from(index - first).unwrap_or(usize::MAX));
                input.fill_sample(index, epoch, label.copied(), sample);
            }
        }
    }

    /// The latents of one row of a filled block, all latent inputs after each other.
    ///
    /// # Panics
    /// If `out` is not [`Sampler::latent_len`] long, or `row` is not in the block.
    pub fn latent_of_row(&self, block: &BlockInputs, row: usize, out: &mut [f32]) {
        let mut rest = out;
        for (ordinal, input) in self.latent_inputs() {
            let Column::Float(values) = &block.columns[ordinal] else {
                unreachable!("latents are floats");
            };
            let (head, tail) = rest.split_at_mut(input.elements);
            head.copy_from_slice(&values[row * input.elements..][..input.elements]);
            rest = tail;
        }
        assert!(rest.is_empty(), "as long as the latents");
    }

    /// Everything that is drawn for sample `index` in `epoch`.
    #[must_use]
    pub fn plan(&self, index: u64, epoch: u64) -> Plan {
        let mut block = BlockInputs::default();
        self.fill(index, 1, epoch, &mut block);
        let rows = |input: &Input, column: &Column| -> Vec<Vec<f32>> {
            match column {
                Column::Float(values) => {
                    values.chunks(input.elements.max(1)).map(<[f32]>::to_vec).collect()
                }
                #[allow(clippy::cast_precision_loss)]
                Column::Integer(values) => values.iter().map(|v| vec![*v as f32]).collect(),
            }
        };
        let planned = |(input, column): (&Input, &Column)| PlannedInput {
            name: input.name.clone(),
            anchor: match &input.source {
                Source::Latent { anchor, .. } => {
                    let mut values = vec![0.0; input.elements];
                    anchor.fill(index, 0, &mut values);
                    Some(values)
                }
                _ => None,
            },
            views: {
                let rows = rows(input, column);
                self.row_of_view.iter().map(|row| rows[*row].clone()).collect()
            },
        };
        Plan {
            index,
            label: self.label(index),
            inputs: self.inputs.iter().zip(&block.columns).map(planned).collect(),
        }
    }

    fn latent_inputs(&self) -> impl Iterator<Item = (usize, &Input)> {
        self.inputs
            .iter()
            .enumerate()
            .filter(|(_, input)| matches!(input.source, Source::Latent { .. }))
    }
}

impl Input {
    /// Fills all rows of one sample: `[rows, elements]`.
    fn fill_sample(&self, index: u64, epoch: u64, label: Option<i64>, rows: &mut [f32]) {
        let (first, others) = rows.split_at_mut(self.elements);
        match &self.source {
            Source::Latent { anchor, .. } => anchor.fill(index, 0, first),
            Source::Noise(noise) => noise.fill(index, 0, first),
            Source::Fixed(values) => first.copy_from_slice(values),
            Source::OneHot => {
                first.fill(0.0);
                let hot = label.and_then(|label| usize::try_from(label).ok());
                if let Some(one) = hot.and_then(|label| first.get_mut(label)) {
                    *one = 1.0;
                }
            }
            Source::Index => unreachable!("written as integers"),
        }
        for other in others.chunks_exact_mut(self.elements.max(1)) {
            other.copy_from_slice(first);
        }
        let Source::Latent { moves, .. } = &self.source else { return };
        for Moves { rows: own, ops } in moves {
            let own = &mut rows[own.start * self.elements..own.end * self.elements];
            for (view, latent) in (0..).zip(own.chunks_exact_mut(self.elements.max(1))) {
                for op in ops {
                    op.apply(index, epoch, view, latent);
                }
            }
        }
    }
}

impl Op {
    fn apply(&self, index: u64, epoch: u64, view: u32, latent: &mut [f32]) {
        match self {
            Self::Gaussian { std, amount, noise } => {
                let std = draw(*std, amount, index, epoch, view);
                let mut buffer = [0.0; 512];
                let mut long = Vec::new();
                let epsilon = match buffer.get_mut(..latent.len()) {
                    Some(short) => short,
                    None => {
                        long.resize(latent.len(), 0.0);
                        &mut long[..]
                    }
                };
                noise.in_epoch(epoch).fill(index, view, epsilon);
                for (z, e) in latent.iter_mut().zip(epsilon) {
                    *z += std * *e;
                }
            }
        }
    }
}

fn moves(recipe: &Recipe, input: &str) -> Vec<Moves> {
    let normal = crate::recipe::Distribution::Normal { truncation: None };
    let mut next = usize::from(recipe.views.show_anchor());
    let of_group = |(number, group): (usize, &Group)| {
        let rows = next..next + group.moved() as usize;
        next = rows.end;
        let op = |(ordinal, op): (usize, &LatentOp)| match &op.kind {
            LatentKind::Gaussian { std } => {
                let purpose = format!("view group {number} op {ordinal} gaussian {input}");
                Op::Gaussian {
                    std: *std,
                    amount: Stream::new(recipe.seed, &format!("{purpose} std")),
                    noise: Draw::new(recipe.seed, &purpose, normal),
                }
            }
            _ => todo!("latent ops"),
        };
        Moves { rows, ops: group.latent.iter().enumerate().map(op).collect() }
    };
    recipe.views.groups.iter().enumerate().map(of_group).collect()
}

/// The row of each view: those that keep the anchor share row 0.
fn rows_of_views(views: &Views) -> Vec<usize> {
    let mut next = usize::from(views.show_anchor());
    let mut rows = Vec::with_capacity(views.count() as usize);
    for group in &views.groups {
        let moved = group.moved() as usize;
        rows.resize(rows.len() + group.count as usize - moved, 0);
        rows.extend(next..next + moved);
        next += moved;
    }
    rows
}

/// A number that is fixed, or uniform for this sample, epoch and view.
fn draw(span: Span, stream: &Stream, index: u64, epoch: u64, view: u32) -> f32 {
    let mut word = [0];
    if !span.is_fixed() {
        stream.in_epoch(epoch).fill(index, view, &mut word);
    }
    let u = f64::from(word[0]) / 4_294_967_296.0;
    #[allow(clippy::cast_possible_truncation)]
    let drawn = (span.low + (span.high - span.low) * u) as f32;
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sampler(views: &str) -> Sampler {
        let text = format!(
            "seed = 5\n[generator]\nmodel = \"g\"\n\
             inputs.z = {{ role = \"latent\" }}\n\
             inputs.y = {{ role = \"class\", encoding = \"one-hot\", classes = 3 }}\n\
             inputs.n = {{ role = \"noise\" }}\n\
             inputs.psi = {{ role = \"truncation\", value = 0.7 }}\n[views]\n{views}"
        );
        Sampler::new(
            &Recipe::parse(&text, "r", Path::new(".")).unwrap(),
            &[vec![4], vec![3], vec![2], vec![1]],
        )
        .unwrap()
    }

    #[test]
    fn a_block_is_the_plans_of_its_samples() {
        let sampler = sampler("count = 2\nlatent = [{ op = \"gaussian\", std = 0.5 }]");
        let mut block = BlockInputs::default();
        for first in [0, 17, u64::from(u32::MAX) - 2, (1 << 62) + 1] {
            sampler.fill(first, 5, 0, &mut block);
            for i in 0..5 {
                let plan = sampler.plan(first + i as u64, 0);
                assert_eq!(block.labels[i], i64::from(plan.label.unwrap()));
                for (input, column) in plan.inputs.iter().zip(&block.columns) {
                    let Column::Float(values) = column else { panic!("floats") };
                    let flat = input.views.concat();
                    assert_eq!(&values[i * flat.len()..][..flat.len()], flat, "{}", input.name);
                }
            }
        }
    }

    #[test]
    fn views_move_the_latent_and_share_the_rest() {
        let plan = sampler("count = 3\nlatent = [{ op = \"gaussian\", std = 0.5 }]").plan(9, 0);
        let [z, y, n, psi] = &plan.inputs[..] else { panic!("four inputs") };
        let anchor = z.anchor.as_ref().unwrap();
        assert!(z.views.iter().all(|v| v != anchor) && z.views[0] != z.views[1]);
        for (input, expected) in [(y, None), (n, None), (psi, Some(0.7f32))] {
            assert!(input.views.iter().all(|v| *v == input.views[0]), "{}", input.name);
            assert!(expected.is_none_or(|e| input.views[0] == [e]));
        }
        assert_eq!(y.views[0].iter().sum::<f32>(), 1.0);
        assert_eq!(y.views[0][plan.label.unwrap() as usize], 1.0);
    }

    #[test]
    fn without_latent_ops_every_view_is_the_anchor() {
        let plan = sampler("count = 2").plan(1, 0);
        let z = &plan.inputs[0];
        assert!(z.views.iter().all(|v| v == z.anchor.as_ref().unwrap()));
    }

    #[test]
    fn the_anchor_does_not_depend_on_views() {
        let one = sampler("count = 1").plan(123, 0);
        let two = sampler("count = 2\nlatent = [{ op = \"gaussian\", std = 1.0 }]").plan(123, 0);
        assert_eq!(one.inputs[0].anchor, two.inputs[0].anchor);
        assert_eq!(one.label, two.label);
    }

    #[test]
    fn roles_that_do_not_fit_name_the_input() {
        let text = "[generator]\nmodel = \"g\"\n\
            inputs.y = { role = \"class\", encoding = \"one-hot\", classes = 3 }";
        let recipe = Recipe::parse(text, "r", Path::new(".")).unwrap();
        let error = Sampler::new(&recipe, &[vec![4]]).unwrap_err().to_string();
        assert!(error.contains("input `y` takes 4 values, not 3 classes"), "{error}");
    }
}
