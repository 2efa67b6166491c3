//! Edits: coordinates of a latent that are set, all those of one input at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::class::Table;
use super::drawn::PlannedEdit;
use super::dual::{LEAST, duals};
use super::geometry::dot;
use super::latent::Draw;
use super::moves::{Move, Moves, Setting, Target};
use super::normal;
use super::place::{Amount, Place, space};
use super::random::Stream;
use super::redraws::Redraws;
use super::steer::choose_input;
use super::walk::{Walk, WalkFile};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::recipe::{EditAt, EditKind, LatentEdit, Role, Span, Target as Wanted};

/// Coordinates that may be set or kept in one input: far more than attributes have names.
const MAX_COORDINATES: usize = 256;

/// What is set in one input at one time: `z ← z + Σ (value - dᵀz) w`, with d of length 1 and its
/// dual w. The least change that sets all these coordinates and keeps those that are to be kept.
#[derive(Debug, Clone)]
pub(super) struct Edits {
    pub target: Target,
    coordinates: Vec<Coordinate>,
}

/// The anchors of a latent input: drawn, and then edited where the recipe says so.
#[derive(Debug, Clone)]
pub(super) struct Anchor {
    draw: Draw,
    edits: Option<Arc<Edits>>,
}

#[derive(Debug, Clone)]
struct Coordinate {
    /// The table of the recipe that it is from.
    edit: usize,
    name: String,
    /// Of length 1.
    direction: Vec<f32>,
    dual: Vec<f64>,
    value: Value,
}

/// What a coordinate is set to.
#[derive(Debug, Clone)]
enum Value {
    /// A fixed value, or a uniform one.
    Span(Amount),
    Normal {
        mean: f64,
        std: f64,
        stream: Stream,
    },
    Choice {
        values: Vec<f32>,
        table: Table,
        stream: Stream,
    },
}

/// A direction of a file, with the words that errors call it by.
struct Named {
    edit: usize,
    name: String,
    key: &'static str,
    direction: Vec<f32>,
}

/// What the edits of one input ask for.
#[derive(Default)]
struct Asked {
    set: Vec<(Named, Value)>,
    keep: Vec<Named>,
}

impl Named {
    fn words(&self) -> String {
        let Self { edit, name, key, .. } = self;
        format!("`{name}` ({}.{key})", LatentEdit::key(*edit))
    }
}

impl Setting<'_> {
    /// What draws the anchors of each input; `None` for those that are no latents.
    pub fn anchors(&self, redraws: &Redraws) -> Result<Vec<Option<Anchor>>> {
        let mut edits = self.edits(EditAt::Anchor)?;
        let anchor = |(input, (name, role)): (usize, &(String, Role))| {
            let Role::Latent(distribution) = role else { return None };
            let draw = Draw::anchor(self.recipe.seed, name, *distribution);
            let draw = draw.with(redraws);
            let own = edits.iter().position(|edits| edits.target.input == input);
            Some(Anchor { draw, edits: own.map(|at| Arc::new(edits.swap_remove(at))) })
        };
        Ok(self.recipe.generator.inputs.iter().enumerate().map(anchor).collect())
    }

    /// The edits that are done at `at`, one for each input that has any.
    pub fn edits(&self, at: EditAt) -> Result<Vec<Edits>> {
        let mut asked: BTreeMap<usize, Asked> = BTreeMap::new();
        for (ordinal, edit) in self.recipe.edits.iter().enumerate() {
            if edit.at == at {
                let input = self.edited_input(ordinal, edit)?;
                self.ask(ordinal, edit, input, asked.entry(input).or_default())?;
            }
        }
        asked.into_iter().map(|(input, asked)| self.solve(input, asked)).collect()
    }

    /// The edits of the recipe, without the values that they set.
    pub fn planned_edits(&self) -> Result<Vec<PlannedEdit>> {
        let planned = |(ordinal, edit): (usize, &LatentEdit)| {
            let input = self.edited_input(ordinal, edit)?;
            let input = self.recipe.generator.inputs[input].0.clone();
            Ok(PlannedEdit { op: edit.kind.name(), input, values: BTreeMap::new() })
        };
        self.recipe.edits.iter().enumerate().map(planned).collect()
    }

    /// The input that an edit changes.
    fn edited_input(&self, ordinal: usize, edit: &LatentEdit) -> Result<usize> {
        let allowed = self.recipe.edit_targets(ordinal)?;
        let file = self.walks.file(&edit.file).expect("read with the recipe");
        let name = |input: usize| self.recipe.generator.inputs[input].0.as_str();
        choose_input(&allowed, edit.inputs.is_empty(), file, name)
            .at(|| file.path().display().to_string())
            .at(|| format!("{}.inputs", LatentEdit::key(ordinal)))
    }

    fn ask(
        &self,
        ordinal: usize,
        edit: &LatentEdit,
        input: usize,
        asked: &mut Asked,
    ) -> Result<()> {
        let file = self.walks.file(&edit.file).expect("read with the recipe");
        let named = |name: &String, key: &'static str| {
            let direction = self
                .direction(file, name, input)
                .at(|| file.path().display().to_string())
                .at(|| format!("{}.{key}", LatentEdit::key(ordinal)))?;
            Ok(Named { edit: ordinal, name: name.clone(), key, direction })
        };
        let all = edit.directions.is_empty();
        let (names, key) = match all {
            true => (file.names(), "file"),
            false => (edit.directions.clone(), "directions"),
        };
        if names.is_empty() {
            return Err(bad("there is no direction in it".into()))
                .at(|| file.path().display().to_string())
                .at(|| format!("{}.{key}", LatentEdit::key(ordinal)));
        }
        for name in &names {
            // By name: what is drawn for one direction does not depend on which others there are.
            let value = Value::new(
                &edit.kind,
                self.recipe.seed,
                &format!("edit {ordinal} coordinate {name}"),
            );
            asked.set.push((named(name, key)?, value));
        }
        for name in &edit.keep {
            let kept = named(name, "keep")?;
            // Two edits may keep the same.
            if asked.keep.iter().all(|other| other.direction != kept.direction) {
                asked.keep.push(kept);
            }
        }
        Ok(())
    }

    /// A linear direction at length 1.
    fn direction(&self, file: &WalkFile, name: &str, input: usize) -> Result<Vec<f32>> {
        let elements = self.shapes[input].iter().product();
        let of = &self.recipe.generator.inputs[input].0;
        let Walk::Linear(direction) = file.walk(name, elements, of)? else {
            return Err(bad(format!("`{name}` is a perceptron, along which nothing can be set"))
                .help("an edit takes linear directions, as `genset directions` finds them"));
        };
        let length = libm::sqrt(dot(&direction, &direction));
        if !(length > 0.0 && length.is_finite()) {
            return Err(bad(format!("direction `{name}` has length {length}")));
        }
        #[allow(clippy::cast_possible_truncation)]
        let unit = direction.iter().map(|x| (f64::from(*x) / length) as f32).collect();
        Ok(unit)
    }

    fn solve(&self, input: usize, Asked { set, keep }: Asked) -> Result<Edits> {
        let named = || set.iter().map(|(named, _)| named).chain(&keep);
        let count = set.len() + keep.len();
        if count > MAX_COORDINATES {
            let message = format!("{count} directions; {MAX_COORDINATES} are the most");
            return Err(Error::new(Kind::Limit, message).at("edit"));
        }
        let directions: Vec<&[f32]> = named().map(|named| &named.direction[..]).collect();
        let duals = duals(directions.into_iter()).map_err(|dependent| {
            let own = named().nth(dependent).expect("one of them");
            let others = named().enumerate().filter(|(at, _)| *at != dependent);
            let others: Vec<_> = others.map(|(_, other)| other.words()).collect();
            let more = if others.len() > 4 { ", …" } else { "" };
            let others = others[..others.len().min(4)].join(", ") + more;
            bad(format!(
                "{} points (nearly) where {others} lead: it cannot be set or kept apart from them",
                own.words()
            ))
            .help("all edits of an input are made at once: leave one of these directions out")
        })?;
        // Those that are kept change nothing: their values are what they are.
        let coordinates = set.into_iter().zip(duals).map(|((named, value), dual)| {
            let Named { edit, name, direction, .. } = named;
            Coordinate { edit, name, direction, dual, value }
        });
        let target = Target::new(input, &self.shapes[input]);
        Ok(Edits { target, coordinates: coordinates.collect() })
    }

    /// Refuses latent ops that edits undo, and edits that latent ops undo: neither is in silence.
    pub fn check_edited(
        &self,
        moves: &[Moves],
        edits: &[Edits],
        anchors: &[Option<Anchor>],
    ) -> Result<()> {
        for (group, moves) in moves.iter().enumerate() {
            for (ordinal, op) in moves.ops.iter().enumerate() {
                let key = || self.recipe.views.latent_key(group, ordinal);
                match op {
                    Move::Steer(steer) => {
                        let own = edits.iter().find(|e| e.target.input == steer.input());
                        let Some(edits) = own else { continue };
                        if let Some(name) = steer
                            .linear()
                            .find_map(|(name, walk)| (edits.leave_of(walk) < LEAST).then_some(name))
                        {
                            let message = format!(
                                "direction `{name}` is taken out again by {}",
                                edits.keys()
                            );
                            return Err(bad(message).at(format!("{}.directions", key())).help(
                                "an edit with at = \"anchor\" is made before views are steered",
                            ));
                        }
                    }
                    Move::Resample(op) => {
                        let drawn = |e: &&Edits| op.inputs().any(|input| input == e.target.input);
                        let mut set = anchors.iter().flatten().filter_map(|a| a.edits.as_deref());
                        if let Some(edits) = set.find(drawn) {
                            let message = format!(
                                "the latent is drawn anew, without what {} set in the anchor",
                                edits.keys()
                            );
                            return Err(bad(message)
                                .at(format!("{}.inputs", key()))
                                .help("an edit with at = \"views\" is made after that"));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Edits {
    /// Sets the coordinates of a latent of sample `index`. Works in `change`.
    pub fn apply(&self, index: u64, latent: &mut [f32], change: &mut Vec<f64>) {
        let change = space(change, latent.len());
        change.fill(0.0);
        for coordinate in &self.coordinates {
            let by = f64::from(coordinate.value.draw(index)) - dot(&coordinate.direction, latent);
            for (change, w) in change.iter_mut().zip(&coordinate.dual) {
                *change += by * w;
            }
        }
        for (z, change) in latent.iter_mut().zip(change) {
            #[allow(clippy::cast_possible_truncation)]
            let set = (f64::from(*z) + *change) as f32;
            *z = set;
        }
    }

    /// The part of a step along `walk` that is there still after the edits: 0 to 1, or more.
    fn leave_of(&self, walk: &[f32]) -> f64 {
        let mut left: Vec<f64> = walk.iter().map(|x| f64::from(*x)).collect();
        for Coordinate { direction, dual, .. } in &self.coordinates {
            let along = dot(direction, walk);
            for (left, w) in left.iter_mut().zip(dual) {
                *left -= along * w;
            }
        }
        let square: f64 = left.iter().map(|x| x * x).sum();
        libm::sqrt(square / dot(walk, walk))
    }

    /// The tables of the recipe that it comes of.
    fn keys(&self) -> String {
        let mut edits: Vec<usize> = self.coordinates.iter().map(|c| c.edit).collect();
        edits.dedup();
        edits.into_iter().map(LatentEdit::key).collect::<Vec<_>>().join(", ")
    }

    /// Adds what is set for sample `index` to the edits of the recipe.
    pub fn planned(&self, index: u64, edits: &mut [PlannedEdit]) {
        for Coordinate { edit, name, value, .. } in &self.coordinates {
            edits[*edit].values.insert(name.clone(), value.draw(index));
        }
    }
}

impl Anchor {
    /// Fills `out` with the anchor of sample `index`. Works in `words` and `change`.
    pub fn fill(&self, index: u64, out: &mut [f32], words: &mut Vec<u32>, change: &mut Vec<f64>) {
        self.draw.fill(Place::of_anchor(index), out, words);
        if let Some(edits) = &self.edits {
            edits.apply(index, out, change);
        }
    }

    /// As [`Edits::planned`].
    pub fn planned(&self, index: u64, edits: &mut [PlannedEdit]) {
        if let Some(own) = &self.edits {
            own.planned(index, edits);
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
impl Value {
    fn new(kind: &EditKind, seed: u64, purpose: &str) -> Self {
        let fixed = |value| Self::Span(Amount::new(Span::fixed(value), seed, purpose));
        match kind {
            EditKind::Remove => fixed(0.0),
            EditKind::Fix { value } => fixed(*value),
            EditKind::Draw(Wanted::Uniform(span)) => Self::Span(Amount::new(*span, seed, purpose)),
            EditKind::Draw(Wanted::Normal { mean, std }) => {
                Self::Normal { mean: *mean, std: *std, stream: Stream::new(seed, purpose) }
            }
            EditKind::Draw(Wanted::Choice { values, weights }) => Self::Choice {
                table: match &weights[..] {
                    [] => Table::weighted(&vec![1.0; values.len()]),
                    weights => Table::weighted(weights),
                },
                values: values.iter().map(|value| *value as f32).collect(),
                stream: Stream::new(seed, purpose),
            },
        }
    }

    /// The value for sample `index`, the same for all its views in all epochs.
    fn draw(&self, index: u64) -> f32 {
        let place = Place::of_anchor(index);
        match self {
            Self::Span(amount) => amount.draw(place),
            Self::Normal { mean, std, stream } => {
                let (mut word, mut deviate) = ([0], [0.0]);
                place.words(stream, &mut word);
                normal::standard(&word, &mut deviate);
                (mean + std * f64::from(deviate[0])) as f32
            }
            Self::Choice { values, table, stream } => {
                values[table.pick(place.word(stream)) as usize]
            }
        }
    }
}

fn bad(message: String) -> Error {
    Error::new(Kind::Recipe, message)
}

#[cfg(test)]
mod tests;
