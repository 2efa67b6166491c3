//! Latent ops, ready to be carried out on the rows of a block.
//!
//! Every draw has a stream of its own, named by group, op and input, and is taken at a [`Place`]:
//! sample, epoch and view. So views can be made in any order, and no two of them share a word.

use std::ops::Range;

use super::block::Column;
use super::class::Labels;
use super::drawn::Drawn;
use super::edit::Anchor;
use super::geometry::{lerp, slerp, turn};
use super::latent::Draw;
use super::place::{Amount, Place, Scratch, space};
use super::pool::Pool;
use super::random::Stream;
use super::resample::Resample;
use super::steer::Steer;
use super::walk::Walks;
use crate::error::{Error, Kind, Result};
use crate::recipe::{Distribution, LatentKind, LatentPath, Recipe, Role, Truncate};

/// What all views of one group have done to their latents.
#[derive(Debug, Clone)]
pub(super) struct Moves {
    /// Views of the group, moved or not.
    pub views: usize,
    /// The rows of a sample that are the group's.
    pub rows: Range<usize>,
    pub pool: Option<Pool>,
    pub ops: Vec<Move>,
}

/// One latent op.
#[derive(Debug, Clone)]
pub(super) enum Move {
    Gaussian { std: Amount, targets: Vec<(Target, Draw)> },
    Angular { degrees: Amount, targets: Vec<(Target, Draw)> },
    Limit { limit: Amount, targets: Vec<Target> },
    Psi { psi: Amount, targets: Vec<Target> },
    Interpolate(Interpolate),
    Steer(Steer),
    Resample(Resample),
}

/// Part of the way to the anchor of another sample.
#[derive(Debug, Clone)]
pub(super) struct Interpolate {
    t: Amount,
    path: LatentPath,
    /// The other sample.
    other: Stream,
    /// Each input with its anchors.
    targets: Vec<(Target, Anchor)>,
    /// The one-hot class, if it goes along.
    class: Option<Target>,
}

/// A generator input that an op changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Its number.
    pub input: usize,
    /// Elements of one generator row.
    pub elements: usize,
    /// Elements of one row of an `[L, D]` latent: D. All of them in any other shape.
    pub row: usize,
}

/// What ops are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub recipe: &'a Recipe,
    /// The shape of one generator row of each input.
    pub shapes: &'a [Vec<usize>],
    pub walks: &'a Walks,
}

impl Target {
    pub fn new(input: usize, shape: &[usize]) -> Self {
        let elements = shape.iter().product();
        // A dimension of 1, as in the [Z, 1, 1] of convolutional generators, makes no rows.
        let dims: Vec<usize> = shape.iter().copied().filter(|n| *n != 1).collect();
        let row = if let [_, d] = dims[..] { d } else { elements };
        Self { input, elements, row }
    }

    /// The values of this input in a row of the block.
    pub fn of_row<'c>(&self, columns: &'c mut [Column], row: usize) -> &'c mut [f32] {
        let Column::Float(values) = &mut columns[self.input] else {
            unreachable!("only classes are integers");
        };
        &mut values[row * self.elements..][..self.elements]
    }
}

impl Setting<'_> {
    /// All groups that move a latent; `anchors` are those of each input.
    pub fn moves(&self, anchors: &[Option<Anchor>]) -> Result<Vec<Moves>> {
        let (views, seed) = (&self.recipe.views, self.recipe.seed);
        let mut next = usize::from(views.show_anchor());
        let mut moves = Vec::new();
        for (number, group) in views.groups.iter().enumerate() {
            let rows = next..next + group.moved() as usize;
            next = rows.end;
            let pool = group.pool.map(|n| Pool::new(n, seed, &format!("view group {number} pool")));
            let ops = (0..group.latent.len())
                .map(|op| self.op(number, op, anchors))
                .collect::<Result<_>>()?;
            moves.push(Moves { views: group.count as usize, rows, pool, ops });
        }
        Ok(moves)
    }

    fn op(&self, group: usize, ordinal: usize, anchors: &[Option<Anchor>]) -> Result<Move> {
        let recipe = self.recipe;
        let key = recipe.views.latent_key(group, ordinal);
        let inputs = recipe.latent_targets(group, ordinal)?;
        let purpose = format!("view group {group} op {ordinal}");
        // The amount is the op's, not an input's: inputs that move together move alike.
        let amount = |span| Amount::new(span, recipe.seed, &format!("{purpose} amount"));
        let target = |input: &usize| Target::new(*input, &self.shapes[*input]);
        let targets = || inputs.iter().map(target).collect();
        let normals = |kind: &str| -> Vec<(Target, Draw)> {
            let normal = Distribution::Normal { truncation: None };
            let draw = |input: &usize| {
                let purpose = format!("{purpose} {kind} {}", recipe.generator.inputs[*input].0);
                (target(input), Draw::new(recipe.seed, &purpose, normal))
            };
            inputs.iter().map(draw).collect()
        };
        Ok(match &recipe.views.groups[group].latent[ordinal].kind {
            LatentKind::Gaussian { std } => {
                Move::Gaussian { std: amount(*std), targets: normals("gaussian") }
            }
            LatentKind::Angular { degrees } => {
                let targets = normals("angular");
                if let Some((target, _)) = targets.iter().find(|(target, _)| target.row < 2) {
                    let name = &recipe.generator.inputs[target.input].0;
                    let message =
                        format!("input `{name}` has rows of one element: no plane to turn in");
                    return Err(Error::new(Kind::Recipe, message).at(format!("{key}.inputs")));
                }
                Move::Angular { degrees: amount(*degrees), targets }
            }
            LatentKind::Truncate(Truncate::Limit(limit)) => {
                Move::Limit { limit: amount(*limit), targets: targets() }
            }
            LatentKind::Truncate(Truncate::Psi(psi)) => {
                Move::Psi { psi: amount(*psi), targets: targets() }
            }
            LatentKind::Interpolate { t, path, classes } => {
                let anchor = |input: &usize| {
                    let anchor = anchors[*input].clone();
                    (target(input), anchor.expect("only latents are interpolated"))
                };
                let is_class = |(_, role): &(_, Role)| matches!(role, Role::Class(_));
                let class = recipe.generator.inputs.iter().position(is_class);
                Move::Interpolate(Interpolate {
                    t: amount(*t),
                    path: *path,
                    other: Stream::new(recipe.seed, &format!("{purpose} other")),
                    targets: inputs.iter().map(anchor).collect(),
                    class: class.filter(|_| *classes).map(|input| target(&input)),
                })
            }
            LatentKind::Steer { file, directions, strength } => {
                let file = self.walks.file(file).expect("read with the recipe");
                let inputs = (inputs, recipe.views.groups[group].latent[ordinal].inputs.is_empty());
                Move::Steer(Steer::new(self, &key, &purpose, inputs, file, directions, *strength)?)
            }
            LatentKind::Resample { groups, value } => {
                Move::Resample(Resample::new(self, &purpose, &inputs, groups, *value))
            }
        })
    }
}

impl Moves {
    /// Draws and moves the group's views of one sample, whose rows begin at `first_row`.
    pub fn apply(
        &self,
        index: u64,
        epoch: u64,
        first_row: usize,
        columns: &mut [Column],
        labels: Option<&Labels>,
        scratch: &mut Scratch,
    ) {
        self.each_place(index, epoch, scratch, |row, place, scratch| {
            for op in &self.ops {
                op.apply(place, first_row + row, columns, labels, scratch);
            }
        });
    }

    /// Each moved row of a sample with the place that its draws are made at.
    pub fn each_place(
        &self,
        index: u64,
        epoch: u64,
        scratch: &mut Scratch,
        mut visit: impl FnMut(usize, Place, &mut Scratch),
    ) {
        let views = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        if let Some(pool) = &self.pool {
            pool.choose(index, epoch, views, scratch);
        }
        for (view, row) in (0..views).zip(self.rows.clone()) {
            let place = match &self.pool {
                Some(_) => Place { index, epoch: 0, view: scratch.neighbours[view as usize] },
                None => Place { index, epoch, view },
            };
            visit(row, place, scratch);
        }
    }
}

impl Move {
    fn apply(
        &self,
        place: Place,
        row: usize,
        columns: &mut [Column],
        labels: Option<&Labels>,
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Gaussian { std, targets } => {
                let std = std.draw(place);
                for (target, noise) in targets {
                    let epsilon = space(&mut scratch.values, target.elements);
                    noise.fill(place, epsilon, &mut scratch.words);
                    for (z, e) in target.of_row(columns, row).iter_mut().zip(epsilon) {
                        *z += std * *e;
                    }
                }
            }
            Self::Angular { degrees, targets } => {
                let angle = f64::from(degrees.draw(place)) * (std::f64::consts::PI / 180.0);
                for (target, plane) in targets {
                    let aims = space(&mut scratch.values, target.elements);
                    plane.fill(place, aims, &mut scratch.words);
                    let latent = target.of_row(columns, row);
                    let rows = latent.chunks_exact_mut(target.row.max(1));
                    for (z, aim) in rows.zip(aims.chunks_exact_mut(target.row.max(1))) {
                        turn(z, aim, angle);
                    }
                }
            }
            Self::Limit { limit, targets } => {
                let limit = limit.draw(place);
                for target in targets {
                    for z in target.of_row(columns, row) {
                        *z = z.clamp(-limit, limit);
                    }
                }
            }
            Self::Psi { psi, targets } => {
                let psi = psi.draw(place);
                for target in targets {
                    for z in target.of_row(columns, row) {
                        *z *= psi;
                    }
                }
            }
            Self::Interpolate(op) => op.apply(place, row, columns, labels, scratch),
            Self::Steer(op) => op.apply(place, row, columns, scratch),
            Self::Resample(op) => op.apply(place, row, columns, labels, scratch),
        }
    }

    /// What the op draws at `place`.
    pub fn drawn(&self, place: Place, labels: Option<&Labels>) -> Drawn {
        match self {
            Self::Gaussian { std, .. } => Drawn::Gaussian { std: std.draw(place) },
            Self::Angular { degrees, .. } => Drawn::Angular { degrees: degrees.draw(place) },
            Self::Limit { limit, .. } => {
                Drawn::Truncate { limit: Some(limit.draw(place)), psi: None }
            }
            Self::Psi { psi, .. } => Drawn::Truncate { limit: None, psi: Some(psi.draw(place)) },
            Self::Interpolate(op) => {
                let other = op.other(place);
                let label = labels.filter(|_| op.class.is_some()).map(|labels| labels.label(other));
                Drawn::Interpolate { t: op.t.draw(place), other, class: label }
            }
            Self::Steer(op) => op.drawn(place),
            Self::Resample(op) => op.drawn(place, labels),
        }
    }
}

impl Interpolate {
    /// Any sample of the endless stream but this one.
    fn other(&self, place: Place) -> u64 {
        let other = place.word(&self.other) >> 1;
        if other == place.index { other ^ 1 } else { other }
    }

    fn apply(
        &self,
        place: Place,
        row: usize,
        columns: &mut [Column],
        labels: Option<&Labels>,
        scratch: &mut Scratch,
    ) {
        let t = self.t.draw(place);
        let index = self.other(place);
        for (target, anchor) in &self.targets {
            let other = space(&mut scratch.values, target.elements);
            anchor.fill(index, other, &mut scratch.words, &mut scratch.change);
            let latent = target.of_row(columns, row);
            match self.path {
                LatentPath::Lerp => lerp(latent, other, t),
                LatentPath::Slerp => {
                    let rows = latent.chunks_exact_mut(target.row.max(1));
                    for (z, other) in rows.zip(other.chunks_exact_mut(target.row.max(1))) {
                        slerp(z, other, t);
                    }
                }
            }
        }
        if let (Some(target), Some(labels)) = (&self.class, labels) {
            // Weights of classes: they sum to 1 on a straight way only.
            let other = space(&mut scratch.values, target.elements);
            other.fill(0.0);
            other[labels.label(index) as usize] = 1.0;
            lerp(target.of_row(columns, row), other, t);
        }
    }
}

#[cfg(test)]
mod tests;
