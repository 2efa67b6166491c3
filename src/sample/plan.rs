//! The plan of a sample: label, anchor and the inputs of each of its views.

use std::sync::Arc;

use super::block::{BlockInputs, Column};
use super::class::Labels;
use super::drawn::{Plan, PlannedEdit, PlannedInput, PlannedView};
use super::edit::{Anchor, Edits};
use super::latent::Draw;
use super::moves::{Move, Moves, Setting};
use super::place::{Place, Scratch};
use super::redraws::Redraws;
use super::walk::Walks;
use crate::error::{Error, Kind, Result};
use crate::recipe::{EditAt, Encoding, Epochs, Recipe, Role, Views};

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
    /// One for each group; shared by clones, as walks can be large.
    moves: Arc<[Moves]>,
    /// What is set in every row, after it was moved.
    edits: Arc<[Edits]>,
    /// The edits of the recipe, without the values that they set.
    planned: Arc<[PlannedEdit]>,
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
    Latent(Anchor),
    OneHot,
    Index,
    Noise(Draw),
    Fixed(Vec<f32>),
}

impl Sampler {
    /// A sampler for a recipe whose inputs have all been given a role, and the shape of one row of
    /// each input, in the same order. Reads the walk files that it steers and edits by.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if a role does not fit the size of its input, or a latent op or an edit its
    /// inputs; those of [`Walks::read`].
    pub fn new(recipe: &Recipe, shapes: &[Vec<usize>]) -> Result<Self> {
        Self::with_walks(recipe, shapes, &Walks::read(recipe)?)
    }

    /// As [`Sampler::new`], with walk files that were read before.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if a role does not fit the size of its input, a latent op, an edit or a walk
    /// its inputs, or an edit undoes an op.
    ///
    /// # Panics
    /// If `walks` were not read for this recipe.
    pub fn with_walks(recipe: &Recipe, shapes: &[Vec<usize>], walks: &Walks) -> Result<Self> {
        assert_eq!(recipe.generator.inputs.len(), shapes.len(), "one shape for each input");
        let setting = Setting { recipe, shapes, walks };
        let redraws = Redraws::new(&recipe.exclude);
        let anchors = setting.anchors(&redraws)?;
        let seed = recipe.seed;
        let mut labels = None;
        let mut inputs = Vec::new();
        let roles = recipe.generator.inputs.iter().zip(shapes).zip(&anchors);
        for (((name, role), shape), anchor) in roles {
            let elements: usize = shape.iter().product();
            let misfit = |what: String| {
                Error::new(Kind::Recipe, format!("input `{name}` takes {elements} values, {what}"))
                    .at(format!("generator.inputs.{name}"))
            };
            let source = match role {
                Role::Latent(_) => Source::Latent(anchor.clone().expect("a latent has anchors")),
                Role::Noise(distribution) => {
                    let noise = Draw::new(seed, &format!("noise {name}"), *distribution);
                    Source::Noise(noise.with(&redraws))
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
        let (moves, edits) = (setting.moves(&anchors)?, setting.edits(EditAt::Views)?);
        setting.check_edited(&moves, &edits, &anchors)?;
        let planned = setting.planned_edits()?.into();
        let (moves, edits, epochs) = (moves.into(), edits.into(), views.epochs);
        Ok(Self { epochs, rows, row_of_view, inputs, labels, moves, edits, planned })
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

    /// Whether the generator has classes.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        self.labels.is_some()
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
        self.fill_each(first..first + u64::from(samples), epoch, block);
    }

    /// As [`Sampler::fill`], for samples that need not be consecutive.
    pub fn fill_each(
        &self,
        indices: impl Iterator<Item = u64> + Clone,
        epoch: u64,
        block: &mut BlockInputs,
    ) {
        let epoch = self.shown(epoch);
        let samples = indices.clone().count();
        block.rows = samples * self.rows;
        block.labels.clear();
        if let Some(labels) = &self.labels {
            block.labels.extend(indices.clone().map(|index| i64::from(labels.label(index))));
        }
        block.columns.truncate(self.inputs.len());
        while block.columns.len() < self.inputs.len() {
            block.columns.push(Column::Float(Vec::new()));
        }
        let mut scratch = Scratch::default();
        for (input, column) in self.inputs.iter().zip(&mut block.columns) {
            input.fill(indices.clone(), self.rows, samples, &block.labels, column, &mut scratch);
        }
        let labels = self.labels.as_ref();
        for (sample, index) in indices.enumerate() {
            let row = sample * self.rows;
            for moves in self.moves.iter() {
                moves.apply(index, epoch, row, &mut block.columns, labels, &mut scratch);
            }
            for edits in self.edits.iter() {
                for row in row..row + self.rows {
                    let latent = edits.target.of_row(&mut block.columns, row);
                    edits.apply(index, latent, &mut scratch.change);
                }
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
                Source::Latent(anchor) => {
                    let mut values = vec![0.0; input.elements];
                    anchor.fill(index, &mut values, &mut Vec::new(), &mut Vec::new());
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
            source: index,
            echo: 0,
            label: self.label(index),
            inputs: self.inputs.iter().zip(&block.columns).map(planned).collect(),
            edits: self.planned_edits(index),
            views: self.planned_views(index, epoch),
        }
    }

    /// What each edit of the recipe sets.
    fn planned_edits(&self, index: u64) -> Vec<PlannedEdit> {
        let mut planned = self.planned.to_vec();
        self.edits.iter().for_each(|edits| edits.planned(index, &mut planned));
        for input in &self.inputs {
            if let Source::Latent(anchor) = &input.source {
                anchor.planned(index, &mut planned);
            }
        }
        planned
    }

    /// What was drawn for each view, all groups after each other.
    fn planned_views(&self, index: u64, epoch: u64) -> Vec<PlannedView> {
        let epoch = self.shown(epoch);
        let mut scratch = Scratch::default();
        let mut views = Vec::with_capacity(self.row_of_view.len());
        for (group, moves) in self.moves.iter().enumerate() {
            let unmoved = PlannedView {
                group,
                stored: false,
                neighbour: None,
                latent: Vec::new(),
                pixel: Vec::new(),
            };
            views.resize(views.len() + moves.views - moves.rows.len(), unmoved);
            moves.each_place(index, epoch, &mut scratch, |_, place, _| {
                let drawn = |op: &Move| op.drawn(place, self.labels.as_ref());
                let latent = moves.ops.iter().map(drawn).collect();
                let neighbour = moves.pool.as_ref().map(|_| place.view);
                views.push(PlannedView {
                    group,
                    stored: false,
                    neighbour,
                    latent,
                    pixel: Vec::new(),
                });
            });
        }
        views
    }

    /// The epoch whose views are shown in `epoch`.
    fn shown(&self, epoch: u64) -> u64 {
        if self.epochs == Epochs::Same { 0 } else { epoch }
    }

    fn latent_inputs(&self) -> impl Iterator<Item = (usize, &Input)> {
        self.inputs
            .iter()
            .enumerate()
            .filter(|(_, input)| matches!(input.source, Source::Latent(_)))
    }
}

impl Input {
    /// Fills all rows of a block as they are before any latent op.
    fn fill(
        &self,
        indices: impl Iterator<Item = u64>,
        rows: usize,
        samples: usize,
        labels: &[i64],
        column: &mut Column,
        scratch: &mut Scratch,
    ) {
        if let Source::Index = self.source {
            let repeat = |label: &i64| std::iter::repeat_n(*label, rows);
            let mut values = match std::mem::replace(column, Column::Float(Vec::new())) {
                Column::Integer(values) => values,
                Column::Float(_) => Vec::new(),
            };
            values.clear();
            values.extend(labels.iter().flat_map(repeat));
            *column = Column::Integer(values);
            return;
        }
        let Column::Float(values) = column else {
            unreachable!("an input keeps its kind");
        };
        let sample_len = rows * self.elements;
        values.resize(samples * sample_len, 0.0);
        let samples = values.chunks_exact_mut(sample_len.max(1));
        for (sample, (index, values)) in indices.zip(samples).enumerate() {
            let (row, others) = values.split_at_mut(self.elements);
            self.fill_row(index, labels.get(sample).copied(), row, scratch);
            for other in others.chunks_exact_mut(self.elements.max(1)) {
                other.copy_from_slice(row);
            }
        }
    }

    fn fill_row(&self, index: u64, label: Option<i64>, row: &mut [f32], scratch: &mut Scratch) {
        match &self.source {
            Source::Latent(anchor) => {
                anchor.fill(index, row, &mut scratch.words, &mut scratch.change);
            }
            Source::Noise(draw) => {
                draw.fill(Place::of_anchor(index), row, &mut scratch.words);
            }
            Source::Fixed(values) => row.copy_from_slice(values),
            Source::OneHot => {
                row.fill(0.0);
                let hot = label.and_then(|label| usize::try_from(label).ok());
                if let Some(one) = hot.and_then(|label| row.get_mut(label)) {
                    *one = 1.0;
                }
            }
            Source::Index => unreachable!("written as integers"),
        }
    }
}

/// The row of each view: those that keep the anchor share row 0.
pub(crate) fn rows_of_views(views: &Views) -> Vec<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sampler(views: &str) -> Sampler {
        excluding("[]", views)
    }

    fn excluding(exclude: &str, views: &str) -> Sampler {
        let text = format!(
            "seed = 5\nexclude = {exclude}\n[generator]\nmodel = \"g\"\n\
             inputs.z = {{ role = \"latent\" }}\n\
             inputs.y = {{ role = \"class\", encoding = \"one-hot\", classes = 3 }}\n\
             inputs.n = {{ role = \"noise\" }}\n\
             inputs.psi = {{ role = \"truncation\", value = 0.7 }}\n[views]\n{views}"
        );
        let recipe = Recipe::parse(&text, "r", Path::new(".")).unwrap();
        Sampler::new(&recipe, &[vec![4], vec![3], vec![2], vec![1]]).unwrap()
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
    fn an_excluded_sample_has_another_latent_and_noise_and_its_label() {
        let latents = |exclude: &str, index: u64| {
            let plan = excluding(exclude, "count = 1").plan(index, 0);
            let [z, y, n, psi] = &plan.inputs[..] else { panic!("four inputs") };
            let values = [&z.views[0], &n.views[0]].map(Clone::clone);
            assert_eq!(z.anchor.as_ref(), Some(&z.views[0]));
            (values, plan.label, [&y.views[0], &psi.views[0]].map(Clone::clone))
        };
        let [plain, once, twice] = ["[]", "[9, 4]", "[4, 9, 4]"].map(|exclude| latents(exclude, 4));
        for (a, b) in [(&plain, &once), (&once, &twice), (&plain, &twice)] {
            assert!(a.0[0] != b.0[0] && a.0[1] != b.0[1], "drawn anew");
            assert_eq!((&a.1, &a.2), (&b.1, &b.2), "and nothing else");
        }
        assert_eq!(latents("[]", 5), latents("[9, 4]", 5), "other samples stay");
    }

    #[test]
    fn who_goes_towards_an_excluded_sample_goes_where_it_is_now() {
        let views = "latent = [{ op = \"interpolate\", t = 1, path = \"lerp\" }]";
        let plan = |exclude: &str| excluding(exclude, views).plan(3, 0);
        let crate::sample::Drawn::Interpolate { other, .. } = plan("[]").views[0].latent[0] else {
            panic!("interpolated")
        };
        let exclude = format!("[{other}]");
        let there = excluding(&exclude, "count = 1").plan(other, 0);
        assert_eq!(Some(&plan(&exclude).inputs[0].views[0]), there.inputs[0].anchor.as_ref());
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
