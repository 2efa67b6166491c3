//! The plan of a sample: label, anchor and the inputs of each of its views.

use super::class::Labels;
use super::latent::Draw;
use crate::error::{Error, Kind, Result};
use crate::recipe::{Encoding, LatentOp, Recipe, Role};

/// Plans samples. Cheap to clone, free of state: any index, any order, any thread.
#[derive(Debug, Clone)]
pub struct Sampler {
    views: u32,
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
    Latent { anchor: Draw, ops: Vec<Op> },
    OneHot,
    Index,
    Noise(Draw),
    Fixed(Vec<f32>),
}

#[derive(Debug, Clone)]
enum Op {
    Gaussian { std: f32, noise: Draw },
}

/// The values of one generator input for all rows of a block.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// `[rows, elements]`, row by row.
    Float(Vec<f32>),
    /// `[rows]`: class labels.
    Integer(Vec<i64>),
}

/// What one generator call is fed: rows are samples × views, views of a sample together.
#[derive(Debug, Clone, Default)]
pub struct BlockInputs {
    /// Samples × views.
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
    /// A sampler for a recipe whose inputs have all been given a role, and the elements that one
    /// row of each input has, in the same order.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if a role does not fit the size of its input.
    pub fn new(recipe: &Recipe, elements: &[usize]) -> Result<Self> {
        assert_eq!(recipe.generator.inputs.len(), elements.len(), "one size for each input");
        let seed = recipe.seed;
        let mut labels = None;
        let mut inputs = Vec::new();
        for ((name, role), &elements) in recipe.generator.inputs.iter().zip(elements) {
            let misfit = |what: String| {
                Error::new(Kind::Recipe, format!("input `{name}` takes {elements} values, {what}"))
                    .at(format!("generator.inputs.{name}"))
            };
            let source = match role {
                Role::Latent(distribution) => Source::Latent {
                    anchor: Draw::new(seed, &format!("latent {name}"), *distribution),
                    ops: latent_ops(recipe, name),
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
        Ok(Self { views: recipe.views.count, inputs, labels })
    }

    /// Views a sample has.
    #[must_use]
    pub fn views(&self) -> u32 {
        self.views
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

    /// Fills `block` with the inputs of `samples` consecutive samples from `first` on.
    ///
    /// Reuses what `block` holds, so that a block that comes round again allocates nothing.
    pub fn fill(&self, first: u64, samples: u32, block: &mut BlockInputs) {
        let rows = samples as usize * self.views as usize;
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
        let views = self.views as usize;
        for (input, column) in self.inputs.iter().zip(&mut block.columns) {
            if let Source::Index = input.source {
                let repeat = |label: &i64| std::iter::repeat_n(*label, views);
                *column = Column::Integer(block.labels.iter().flat_map(repeat).collect());
                continue;
            }
            let Column::Float(values) = column else {
                unreachable!("an input keeps its kind");
            };
            values.resize(rows * input.elements, 0.0);
            let sample_len = views * input.elements;
            for (index, sample) in (first..).zip(values.chunks_exact_mut(sample_len.max(1))) {
                let label = block.labels.get(usize::try_from(index - first).unwrap_or(usize::MAX));
                input.fill_sample(index, label.copied(), sample);
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

    /// Everything that is drawn for sample `index`.
    #[must_use]
    pub fn plan(&self, index: u64) -> Plan {
        let mut block = BlockInputs::default();
        self.fill(index, 1, &mut block);
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
            views: match column {
                Column::Float(values) => {
                    values.chunks(input.elements.max(1)).map(<[f32]>::to_vec).collect()
                }
                #[allow(clippy::cast_precision_loss)]
                Column::Integer(values) => values.iter().map(|v| vec![*v as f32]).collect(),
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
    /// Fills all views of one sample: `[V, elements]`.
    fn fill_sample(&self, index: u64, label: Option<i64>, views: &mut [f32]) {
        let (first, others) = views.split_at_mut(self.elements);
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
        if let Source::Latent { ops, .. } = &self.source {
            for (view, latent) in (0..).zip(views.chunks_exact_mut(self.elements.max(1))) {
                for op in ops {
                    op.apply(index, view, latent);
                }
            }
        }
    }
}

impl Op {
    fn apply(&self, index: u64, view: u32, latent: &mut [f32]) {
        match self {
            Self::Gaussian { std, noise } => {
                let mut buffer = [0.0; 512];
                let mut long = Vec::new();
                let epsilon = match buffer.get_mut(..latent.len()) {
                    Some(short) => short,
                    None => {
                        long.resize(latent.len(), 0.0);
                        &mut long[..]
                    }
                };
                noise.fill(index, view, epsilon);
                for (z, e) in latent.iter_mut().zip(epsilon) {
                    *z += std * *e;
                }
            }
        }
    }
}

fn latent_ops(recipe: &Recipe, input: &str) -> Vec<Op> {
    let normal = crate::recipe::Distribution::Normal { truncation: None };
    let op = |(ordinal, op): (usize, &LatentOp)| match op {
        #[allow(clippy::cast_possible_truncation)]
        LatentOp::Gaussian { std } => Op::Gaussian {
            std: *std as f32,
            noise: Draw::new(recipe.seed, &format!("view op {ordinal} gaussian {input}"), normal),
        },
    };
    recipe.views.latent.iter().enumerate().map(op).collect()
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
        Sampler::new(&Recipe::parse(&text, "r", Path::new(".")).unwrap(), &[4, 3, 2, 1]).unwrap()
    }

    #[test]
    fn a_block_is_the_plans_of_its_samples() {
        let sampler = sampler("count = 2\nlatent = [{ op = \"gaussian\", std = 0.5 }]");
        let mut block = BlockInputs::default();
        for first in [0, 17, u64::from(u32::MAX) - 2, (1 << 62) + 1] {
            sampler.fill(first, 5, &mut block);
            for i in 0..5 {
                let plan = sampler.plan(first + i as u64);
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
        let plan = sampler("count = 3\nlatent = [{ op = \"gaussian\", std = 0.5 }]").plan(9);
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
        let plan = sampler("count = 2").plan(1);
        let z = &plan.inputs[0];
        assert!(z.views.iter().all(|v| v == z.anchor.as_ref().unwrap()));
    }

    #[test]
    fn the_anchor_does_not_depend_on_views() {
        let one = sampler("count = 1").plan(123);
        let two = sampler("count = 2\nlatent = [{ op = \"gaussian\", std = 1.0 }]").plan(123);
        assert_eq!(one.inputs[0].anchor, two.inputs[0].anchor);
        assert_eq!(one.label, two.label);
    }

    #[test]
    fn roles_that_do_not_fit_name_the_input() {
        let text = "[generator]\nmodel = \"g\"\n\
            inputs.y = { role = \"class\", encoding = \"one-hot\", classes = 3 }";
        let recipe = Recipe::parse(text, "r", Path::new(".")).unwrap();
        let error = Sampler::new(&recipe, &[4]).unwrap_err().to_string();
        assert!(error.contains("input `y` takes 4 values, not 3 classes"), "{error}");
    }
}
