//! What is set in the latent of every sample, along known directions: `[[edit]]`.
//!
//! An edit changes no single view but what a dataset *is*: an attribute is taken out of it, fixed,
//! or drawn from another distribution than the generator's. All edits of an input are made at once.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::inputs::weights_of;
use super::inside;
use super::latent_op::{MAX_AMOUNT, names, quoted};
use super::read::{Field, Table};
use super::types::name_in;
use super::views::Span;
use super::write::{number, numbers, quote};
use crate::error::Result;

/// Edits a recipe may have at most.
const MAX_EDITS: usize = 64;
/// Values that a choice may be made among.
const MAX_CHOICES: usize = 65_536;

/// One table of `[[edit]]`: coordinates of the latent along some directions, set for every sample.
///
/// The coordinate of a latent along a direction is its inner product with the unit vector of the
/// direction. It is set by the least change of the latent that does so and leaves those of `keep`
/// alone: the conditional manipulation of Shen et al. (2020).
#[derive(Debug, Clone, PartialEq)]
pub struct LatentEdit {
    /// A walk file, relative to the recipe's folder, which it does not leave.
    pub file: PathBuf,
    /// The names of linear directions in the file; empty means all.
    pub directions: Vec<String>,
    /// What the coordinates along them are set to.
    pub kind: EditKind,
    /// Directions of the file whose coordinates stay as they are.
    pub keep: Vec<String>,
    /// When it is done. Default [`EditAt::Views`].
    pub at: EditAt,
    /// The generator input that it changes; empty leaves the choice to the file.
    pub inputs: Vec<String>,
}

/// What the coordinates along the directions of an edit are set to.
#[derive(Debug, Clone, PartialEq)]
pub enum EditKind {
    /// 0: the latent is projected onto what is orthogonal to the directions.
    Remove,
    /// The same value for every sample.
    Fix {
        /// In units of the latent.
        value: f64,
    },
    /// A value that is drawn once for each sample and direction, and shared by all views.
    Draw(Target),
}

/// The distribution that coordinates are drawn from.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Evenly from an interval.
    Uniform(Span),
    /// Normal.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation, at least 0.
        std: f64,
    },
    /// One of some values.
    Choice {
        /// The values, at least one.
        values: Vec<f64>,
        /// How often each is drawn, in proportion; empty means all alike.
        weights: Vec<f64>,
    },
}

/// When an edit is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EditAt {
    /// After all latent operations: every image has it.
    Views,
    /// Before them: views move away from it.
    Anchor,
}

impl EditAt {
    const ALL: [(&'static str, Self); 2] = [("views", Self::Views), ("anchor", Self::Anchor)];
}

/// Reads the keys of one op, all but those that every edit has.
type Reader = fn(&Table<'_>) -> Result<EditKind>;

const OPS: [(&str, Reader); 3] = [("remove", remove), ("fix", fix), ("draw", draw)];

#[allow(clippy::unnecessary_wraps, reason = "one of the readers")]
fn remove(_: &Table<'_>) -> Result<EditKind> {
    Ok(EditKind::Remove)
}

fn fix(table: &Table<'_>) -> Result<EditKind> {
    let help = "value = 0.5: the coordinate along each direction, in units of the latent";
    Ok(EditKind::Fix { value: amount(&table.require("value", help)?)? })
}

fn draw(table: &Table<'_>) -> Result<EditKind> {
    let (uniform, normal, choice) =
        (table.get("uniform"), table.get("normal"), table.get("choice"));
    let help =
        "uniform = [-2, 2]; or normal = { mean = 0, std = 1 }, or choice = [-1, 1] in its place";
    let target = match (uniform, normal, choice) {
        (Some(field), None, None) => {
            let [low, high] = field.interval(&wanted(), fits)?;
            Target::Uniform(Span { low, high })
        }
        (None, Some(field), None) => normal_of(&field)?,
        (None, None, Some(field)) => choice_of(&field, table.get("weights").as_ref())?,
        (None, None, None) => {
            return table.require("uniform", help).map(|_| unreachable!("not there"));
        }
        (first, second, third) => {
            let field = third.or(second).or(first).expect("two are there");
            return Err(field
                .error("stands beside another distribution: give one of uniform, normal, choice"));
        }
    };
    Ok(EditKind::Draw(target))
}

fn normal_of(field: &Field<'_>) -> Result<Target> {
    let table = field.table()?;
    let (mean, std) = (table.get("mean"), table.get("std"));
    let most = format!("from 0 to {MAX_AMOUNT}");
    let target = Target::Normal {
        mean: mean.map_or(Ok(0.0), |field| amount(&field))?,
        std: std.map_or(Ok(1.0), |field| {
            field.number_where(&most, |std| (0.0..=MAX_AMOUNT).contains(&std))
        })?,
    };
    table.finish()?;
    Ok(target)
}

fn choice_of(field: &Field<'_>, weights: Option<&Field<'_>>) -> Result<Target> {
    let values = field.items()?.iter().map(amount).collect::<Result<Vec<_>>>()?;
    if values.is_empty() || values.len() > MAX_CHOICES {
        let n = values.len();
        return Err(field.error(format!("must have 1 to {MAX_CHOICES} values, not {n}")));
    }
    let weights = weights.map(|field| weights_of(field, values.len(), "values")).transpose()?;
    Ok(Target::Choice { values, weights: weights.unwrap_or_default() })
}

fn amount(field: &Field<'_>) -> Result<f64> {
    field.number_where(&wanted(), fits)
}

fn wanted() -> String {
    format!("from -{MAX_AMOUNT} to {MAX_AMOUNT}")
}

fn fits(value: f64) -> bool {
    value.abs() <= MAX_AMOUNT
}

/// The list of edits: `[[edit]]`, or `edit = [{ … }]`.
pub(super) fn read(field: &Field<'_>) -> Result<Vec<LatentEdit>> {
    let tables = field
        .items()
        .map_err(|error| error.help("every edit is a table of a list: [[edit]], not [edit]"))?;
    if tables.len() > MAX_EDITS {
        let n = tables.len();
        return Err(field.error(format!("has {n} edits; {MAX_EDITS} are the most")));
    }
    tables.iter().map(LatentEdit::read).collect()
}

impl LatentEdit {
    fn read(field: &Field<'_>) -> Result<Self> {
        let table = field.table()?;
        let help = "file = \"dirs.safetensors\", as `genset directions` writes it";
        let file = inside::path(&table.require("file", help)?, "the directions")?;
        let help = "op = \"remove\", \"fix\" or \"draw\"";
        let kind = table.require("op", help)?.one_of(&OPS)?(&table)?;
        let listed = |key| table.get(key).map_or(Ok(Vec::new()), |field| names(&field));
        let directions = listed("directions")?;
        let keep = table.get("keep");
        let kept = keep.as_ref().map_or(Ok(Vec::new()), names)?;
        if let (Some(field), Some(name)) = (&keep, kept.iter().find(|n| directions.contains(n))) {
            return Err(field.error(format!("names \"{name}\", which `directions` names too")));
        }
        if let (Some(field), true) = (&keep, directions.is_empty()) {
            return Err(field
                .error("is for an edit that names its directions")
                .help("directions = [\"slant\"]: without it, all of the file are set"));
        }
        let edit = Self {
            file,
            directions,
            kind,
            keep: kept,
            at: table.get("at").map_or(Ok(EditAt::Views), |field| field.one_of(&EditAt::ALL))?,
            inputs: listed("inputs")?,
        };
        table.finish()?;
        Ok(edit)
    }

    /// The path of an edit in the recipe.
    pub(crate) fn key(ordinal: usize) -> String {
        format!("edit[{ordinal}]")
    }

    /// Its keys and their values in TOML, in the order of the documentation.
    pub(super) fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("file", quote(&self.file.to_string_lossy()))];
        let list = |key, names: &[String]| (!names.is_empty()).then(|| (key, quoted(names)));
        keys.extend(list("directions", &self.directions));
        keys.push(("op", quote(self.kind.name())));
        match &self.kind {
            EditKind::Remove => {}
            EditKind::Fix { value } => keys.push(("value", number(*value))),
            EditKind::Draw(Target::Uniform(Span { low, high })) => {
                keys.push(("uniform", numbers(&[*low, *high])));
            }
            EditKind::Draw(Target::Normal { mean, std }) => {
                let (mean, std) = (number(*mean), number(*std));
                keys.push(("normal", format!("{{ mean = {mean}, std = {std} }}")));
            }
            EditKind::Draw(Target::Choice { values, weights }) => {
                keys.push(("choice", numbers(values)));
                if !weights.is_empty() {
                    keys.push(("weights", numbers(weights)));
                }
            }
        }
        keys.extend(list("keep", &self.keep));
        if self.at != EditAt::Views {
            keys.push(("at", quote(name_in(&EditAt::ALL, self.at))));
        }
        keys.extend(list("inputs", &self.inputs));
        keys
    }

    /// What is identity: everything but where the file lies. One line.
    pub(super) fn canonical(&self) -> String {
        let mut text = String::from("edit {");
        for (key, value) in self.keys().into_iter().filter(|(key, _)| *key != "file") {
            let _ = write!(text, " {key} = {value}");
        }
        text + " }\n"
    }
}

impl EditKind {
    /// Its name in a recipe.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Fix { .. } => "fix",
            Self::Draw(_) => "draw",
        }
    }
}

#[cfg(test)]
mod tests;
