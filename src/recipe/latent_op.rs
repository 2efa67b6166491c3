//! Operations on the latent, which move the content of the image: `views.latent`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::read::{Field, Table};
use super::types::name_in;
use super::views::Span;
use super::write::quote;
use super::{MAX_CLASSES, inside};
use crate::error::Result;

/// The greatest standard deviation, limit, strength or truncation: far beyond any use, and far
/// from where `f32` ends.
pub(super) const MAX_AMOUNT: f64 = 1e6;

/// A change of what the generator is fed, drawn anew for each view.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentOp {
    /// The generator inputs it changes; empty means all latent inputs.
    pub inputs: Vec<String>,
    /// What it does.
    pub kind: LatentKind,
}

/// What a latent op does to the latent `z` of a view.
#[derive(Debug, Clone, PartialEq)]
pub enum LatentKind {
    /// `z + ε`, ε independent normal of this standard deviation: the neighbours of Jahanian et al.
    /// (2022).
    Gaussian {
        /// Standard deviation, at least 0.
        std: Span,
    },
    /// A rotation of each row of `z` by this angle in a random plane that holds it. The norm of
    /// the row is kept.
    Angular {
        /// Degrees, 0 to 180.
        degrees: Span,
    },
    /// The truncation trick: elements within ±`limit`, or the way towards the mean cut to `psi`.
    Truncate(Truncate),
    /// Part of the way to another sample of the dataset.
    Interpolate {
        /// 0 is the anchor, 1 the other sample.
        t: Span,
        /// Along the chord or along the arc. Default slerp.
        path: Path,
        /// Whether a one-hot class is interpolated too (`class = "any"`); otherwise the view keeps
        /// its class (`"same"`, the default).
        classes: bool,
    },
    /// `z + s d` along directions from a safetensors file: linear, or a learned MLP walk (Jahanian,
    /// Chai and Isola, 2020).
    Steer {
        /// Relative to the recipe's folder, which it does not leave.
        file: PathBuf,
        /// Their names in the file; empty means all.
        directions: Vec<String>,
        /// Units along each direction, drawn for each on its own.
        strength: Span,
    },
    /// Draws the inputs anew for this view: noise, an independent latent of the same distribution,
    /// truncation, another class.
    Resample {
        /// Labels that may stand for each other; only for the class. A label in no group stays.
        groups: Vec<Vec<u32>>,
        /// What truncation is drawn from; only for truncation.
        value: Option<Span>,
    },
}

/// How far a latent is truncated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Truncate {
    /// Elements beyond ±this are set to ±this. Greater than 0.
    Limit(Span),
    /// `psi z`: towards the mean 0 of the latent's distribution (Karras et al., 2019). 0 to 1.
    Psi(Span),
}

/// The way between two latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Straight.
    Lerp,
    /// Along the great circle, row by row (Shoemake, 1985); norms in between too.
    Slerp,
}

/// Reads the keys of one op, all but `op` and `inputs`.
type Reader = fn(&Table<'_>) -> Result<LatentKind>;

const OPS: [(&str, Reader); 6] = [
    ("gaussian", gaussian),
    ("angular", angular),
    ("truncate", truncate),
    ("interpolate", interpolate),
    ("steer", steer),
    ("resample", resample),
];
const PATHS: [(&str, Path); 2] = [("lerp", Path::Lerp), ("slerp", Path::Slerp)];
const CLASSES: [(&str, bool); 2] = [("same", false), ("any", true)];

fn gaussian(table: &Table<'_>) -> Result<LatentKind> {
    let help = "std = 0.5: how far neighbours are, in units of the latent";
    let std = within(&table.require("std", help)?, 0.0, MAX_AMOUNT)?;
    Ok(LatentKind::Gaussian { std })
}

fn angular(table: &Table<'_>) -> Result<LatentKind> {
    let help = "degrees = 20: the angle between the anchor and its neighbours";
    let degrees = within(&table.require("degrees", help)?, 0.0, 180.0)?;
    Ok(LatentKind::Angular { degrees })
}

fn truncate(table: &Table<'_>) -> Result<LatentKind> {
    let help = "limit = 2: elements beyond ±2 are set to ±2; or psi = 0.7 in its place";
    let (limit, psi) = (table.get("limit"), table.get("psi"));
    Ok(LatentKind::Truncate(match (limit, psi) {
        (Some(limit), None) => {
            let wanted = format!("greater than 0 and at most {MAX_AMOUNT}");
            let fits = |limit| limit > 0.0 && limit <= MAX_AMOUNT;
            Truncate::Limit(Span::read(&limit, &wanted, fits)?)
        }
        (None, Some(psi)) => Truncate::Psi(within(&psi, 0.0, 1.0)?),
        (Some(_), Some(psi)) => {
            return Err(psi.error("and `limit` are two ways to truncate: give one of them"));
        }
        (None, None) => return table.require("limit", help).map(|_| unreachable!("not there")),
    }))
}

fn interpolate(table: &Table<'_>) -> Result<LatentKind> {
    let help = "t = [0, 0.3]: the share of the way to another sample";
    Ok(LatentKind::Interpolate {
        t: within(&table.require("t", help)?, 0.0, 1.0)?,
        path: table.get("path").map_or(Ok(Path::Slerp), |field| field.one_of(&PATHS))?,
        classes: table.get("class").map_or(Ok(false), |field| field.one_of(&CLASSES))?,
    })
}

fn steer(table: &Table<'_>) -> Result<LatentKind> {
    let file = table.require("file", "file = \"walks.safetensors\", beside the recipe")?;
    let help = "strength = [-1, 1]: units along each direction";
    Ok(LatentKind::Steer {
        file: inside::path(&file, "the walks")?,
        directions: table.get("directions").map_or(Ok(Vec::new()), |field| names(&field))?,
        strength: within(&table.require("strength", help)?, -MAX_AMOUNT, MAX_AMOUNT)?,
    })
}

fn resample(table: &Table<'_>) -> Result<LatentKind> {
    let value = table.get("value").map(|field| within(&field, -MAX_AMOUNT, MAX_AMOUNT));
    Ok(LatentKind::Resample {
        groups: table.get("groups").map_or(Ok(Vec::new()), |field| label_groups(&field))?,
        value: value.transpose()?,
    })
}

/// A number, or an interval, between two that are included.
fn within(field: &Field<'_>, low: f64, high: f64) -> Result<Span> {
    Span::read(field, &format!("from {low} to {high}"), |x| (low..=high).contains(&x))
}

/// A list of different names, at least one.
pub(super) fn names(field: &Field<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for item in field.items()? {
        let name = item.str()?.to_owned();
        if names.contains(&name) {
            return Err(item.error(format!("names \"{name}\" a second time")));
        }
        names.push(name);
    }
    if names.is_empty() {
        return Err(field.error("must name at least one; leave it out for all"));
    }
    Ok(names)
}

/// Lists of labels, of which none stands in two places.
fn label_groups(field: &Field<'_>) -> Result<Vec<Vec<u32>>> {
    let mut groups = Vec::new();
    let mut known = HashSet::new();
    for item in field.items()? {
        let mut group = Vec::new();
        for label in item.items()? {
            let value = label.small(0..u64::from(MAX_CLASSES))?;
            if !known.insert(value) {
                return Err(label.error(format!("names label {value} a second time")));
            }
            group.push(value);
        }
        if group.len() < 2 {
            return Err(item.error("must have two labels or more, to exchange for each other"));
        }
        groups.push(group);
    }
    if groups.is_empty() {
        return Err(field.error("must have at least one group, such as [3, 5, 8]"));
    }
    Ok(groups)
}

impl LatentKind {
    /// Its name in a recipe.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gaussian { .. } => "gaussian",
            Self::Angular { .. } => "angular",
            Self::Truncate(_) => "truncate",
            Self::Interpolate { .. } => "interpolate",
            Self::Steer { .. } => "steer",
            Self::Resample { .. } => "resample",
        }
    }

    /// The keys of the op and their values, all but `op` and `inputs`.
    fn keys(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Gaussian { std } => vec![("std", std.to_toml())],
            Self::Angular { degrees } => vec![("degrees", degrees.to_toml())],
            Self::Truncate(Truncate::Limit(limit)) => vec![("limit", limit.to_toml())],
            Self::Truncate(Truncate::Psi(psi)) => vec![("psi", psi.to_toml())],
            Self::Interpolate { t, path, classes } => vec![
                ("t", t.to_toml()),
                ("path", quote(name_in(&PATHS, *path))),
                ("class", quote(name_in(&CLASSES, *classes))),
            ],
            Self::Steer { file, directions, strength } => {
                let mut keys = vec![("file", quote(&file.to_string_lossy()))];
                if !directions.is_empty() {
                    keys.push(("directions", quoted(directions)));
                }
                keys.push(("strength", strength.to_toml()));
                keys
            }
            Self::Resample { groups, value } => {
                let mut keys = Vec::new();
                if !groups.is_empty() {
                    keys.push(("groups", format!("{groups:?}")));
                }
                keys.extend(value.map(|value| ("value", value.to_toml())));
                keys
            }
        }
    }
}

impl LatentOp {
    pub(super) fn read(field: &Field<'_>) -> Result<Self> {
        let table = field.table()?;
        let kind = table.require("op", "op = \"gaussian\"")?.one_of(&OPS)?(&table)?;
        let inputs = match (table.get("inputs"), &kind) {
            (Some(field), _) => names(&field)?,
            (None, LatentKind::Resample { .. }) => {
                let help = "inputs = [\"noise\"]: the generator inputs to draw anew";
                names(&table.require("inputs", help)?)?
            }
            (None, _) => Vec::new(),
        };
        table.finish()?;
        Ok(Self { inputs, kind })
    }

    /// As an inline table that [`LatentOp::read`] reads back.
    pub(super) fn to_toml(&self) -> String {
        self.table(|_| true)
    }

    /// What is identity: everything but where a file lies.
    pub(super) fn canonical(&self) -> String {
        self.table(|key| key != "file")
    }

    fn table(&self, keep: impl Fn(&str) -> bool) -> String {
        let mut text = format!("{{ op = {}", quote(self.kind.name()));
        if !self.inputs.is_empty() {
            let _ = write!(text, ", inputs = {}", quoted(&self.inputs));
        }
        for (key, value) in self.kind.keys().into_iter().filter(|(key, _)| keep(key)) {
            let _ = write!(text, ", {key} = {value}");
        }
        text + " }"
    }
}

pub(super) fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| quote(name)).collect();
    format!("[{}]", names.join(", "))
}

#[cfg(test)]
mod tests;
