//! The `[views]` table: which images one sample gives.

use std::fmt::Write as _;

use super::MAX_VIEWS;
use super::latent_op::LatentOp;
use super::pixel_op::PixelOp;
use super::read::{Field, Table};
use super::types::name_in;
use super::write::{number, quote};
use crate::error::Result;

/// Groups a recipe may have at most.
const MAX_GROUPS: usize = 64;
/// Neighbours a pool may have at most.
const MAX_POOL: u32 = 1 << 20;

/// The `[views]` table: what one sample gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Views {
    /// What a later epoch shows. Default fresh.
    pub epochs: Epochs,
    /// Groups of views, in the order of delivery; each is one image tensor. A recipe that writes
    /// `count`, `latent` and `pixel` right under `[views]` has one, without a name.
    pub groups: Vec<Group>,
}

/// Views that go through the same operations and are delivered as one tensor, `[B, V, C, H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// A name for people, such as `global`; empty where there is one group only.
    pub name: String,
    /// Images a sample: V. Default 1.
    pub count: u32,
    /// Whether the first view keeps the anchor latent. Default no: all views are moved.
    pub anchor: bool,
    /// The views' latents are drawn, without repetition, from this many fixed neighbours of the
    /// anchor: the finite pools of Jahanian et al. (2022). Default none: endlessly many.
    pub pool: Option<u32>,
    /// What is done to the anchor latent for each view, in this order. Default nothing.
    pub latent: Vec<LatentOp>,
    /// What is done to the image of each view, in this order. Default nothing.
    pub pixel: Vec<PixelOp>,
}

/// What the views of a sample are in a later epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epochs {
    /// View parameters are drawn anew in every epoch; anchors, labels and pools stay.
    Fresh,
    /// Every epoch repeats the first, byte for byte.
    Same,
}

/// A number that is fixed, or drawn uniformly for each sample and view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The least value.
    pub low: f64,
    /// The greatest value; `low` where it is fixed.
    pub high: f64,
}

impl Span {
    /// Always this value.
    #[must_use]
    pub fn fixed(value: f64) -> Self {
        Self { low: value, high: value }
    }

    /// Whether there is nothing to draw.
    #[must_use]
    pub fn is_fixed(self) -> bool {
        self.low.to_bits() == self.high.to_bits()
    }
}

impl Epochs {
    const ALL: [(&'static str, Self); 2] = [("fresh", Self::Fresh), ("same", Self::Same)];
}

impl Span {
    /// A number, or `[low, high]`, of which both ends fit.
    pub(super) fn read(
        field: &Field<'_>,
        wanted: &str,
        fits: impl Fn(f64) -> bool,
    ) -> Result<Self> {
        if !field.is_array() {
            return field.number_where(wanted, fits).map(Self::fixed);
        }
        let [low, high] = field.interval(wanted, fits)?;
        Ok(Self { low, high })
    }

    pub(super) fn to_toml(self) -> String {
        match self.is_fixed() {
            true => number(self.low),
            false => format!("[{}, {}]", number(self.low), number(self.high)),
        }
    }
}

impl Views {
    /// Views of a sample, all groups together.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// Images that the generator makes of a sample. Views that keep the anchor latent share one.
    #[must_use]
    pub fn rows(&self) -> u32 {
        let moved: u32 = self.groups.iter().map(Group::moved).sum();
        u32::from(self.show_anchor()) + moved
    }

    /// Whether any view keeps the anchor latent; then row 0 is the anchor.
    #[must_use]
    pub fn show_anchor(&self) -> bool {
        self.groups.iter().any(|group| group.moved() < group.count)
    }
}

impl Group {
    /// Views of which the latent is moved; they come after those that keep the anchor.
    #[must_use]
    pub fn moved(&self) -> u32 {
        if self.latent.is_empty() { 0 } else { self.count - u32::from(self.anchor) }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self {
            name: String::new(),
            count: 1,
            anchor: false,
            pool: None,
            latent: Vec::new(),
            pixel: Vec::new(),
        }
    }
}

impl Default for Views {
    fn default() -> Self {
        Self { epochs: Epochs::Fresh, groups: vec![Group::default()] }
    }
}

pub(super) fn read(table: Table<'_>) -> Result<Views> {
    let epochs = match table.get("epochs") {
        Some(field) => field.one_of(&Epochs::ALL)?,
        None => Epochs::Fresh,
    };
    let Some(field) = table.get("groups") else {
        let group = group(&table)?;
        table.finish()?;
        return Ok(Views { epochs, groups: vec![group] });
    };
    let groups = field.items()?.iter().map(named_group).collect::<Result<Vec<_>>>()?;
    let known = |at: usize| groups[..at].iter().any(|other| other.name == groups[at].name);
    if groups.is_empty() || groups.len() > MAX_GROUPS {
        let n = groups.len();
        return Err(field.error(format!("must have 1 to {MAX_GROUPS} groups, not {n}")));
    }
    if let Some(at) = (0..groups.len()).find(|at| known(*at)) {
        return Err(field.error(format!("has two groups named \"{}\"", groups[at].name)));
    }
    let views = Views { epochs, groups };
    if views.count() > MAX_VIEWS {
        let n = views.count();
        return Err(field.error(format!("have {n} views together; {MAX_VIEWS} are the most")));
    }
    table.finish()?;
    Ok(views)
}

fn named_group(field: &Field<'_>) -> Result<Group> {
    let table = field.table()?;
    let name = table.require("name", "name = \"global\": what this group is called in a batch")?;
    let text = name.str()?;
    if text.is_empty() {
        return Err(name.error("must not be empty"));
    }
    let group = Group { name: text.to_owned(), ..group(&table)? };
    table.finish()?;
    Ok(group)
}

/// The keys of one group, which may stand right under `[views]`.
fn group(table: &Table<'_>) -> Result<Group> {
    let count = match table.get("count") {
        Some(field) => field.small(1..u64::from(MAX_VIEWS) + 1)?,
        None => 1,
    };
    let anchor = table.get("anchor");
    let pool = table.get("pool");
    let latent = match table.get("latent") {
        Some(field) => field.items()?.iter().map(LatentOp::read).collect::<Result<Vec<_>>>()?,
        None => Vec::new(),
    };
    let nothing = "is for views that are moved in latent space";
    let help = "give views.latent an operation, such as { op = \"gaussian\", std = 0.5 }";
    let anchor = match &anchor {
        Some(field) if field.bool()? && latent.is_empty() => {
            return Err(field.error(nothing).help(help));
        }
        Some(field) => field.bool()?,
        None => false,
    };
    let drawn = count - u32::from(anchor);
    let pool = match &pool {
        Some(field) if latent.is_empty() => return Err(field.error(nothing).help(help)),
        Some(field) => {
            let neighbours = field.small(1..u64::from(MAX_POOL) + 1)?;
            if neighbours < drawn {
                return Err(field
                    .error(format!("has {neighbours} neighbours for {drawn} moved views"))
                    .help("neighbours are drawn without repetition: make pool larger or count smaller"));
            }
            Some(neighbours)
        }
        None => None,
    };
    let pixel = match table.get("pixel") {
        Some(field) => PixelOp::read_list(&field)?,
        None => Vec::new(),
    };
    Ok(Group { name: String::new(), count, anchor, pool, latent, pixel })
}

impl Views {
    /// The lines of the table that say more than its defaults, as `key = value`.
    pub(super) fn to_toml(&self) -> Vec<(&'static str, String)> {
        let mut keys = Vec::new();
        if self.epochs != Epochs::Fresh {
            keys.push(("epochs", quote(name_in(&Epochs::ALL, self.epochs))));
        }
        match &self.groups[..] {
            [one] if one.name.is_empty() => keys.extend(one.to_toml()),
            groups => {
                let mut text = String::from("[\n");
                for group in groups {
                    let _ = write!(text, "    {{ name = {}", quote(&group.name));
                    for (key, value) in group.to_toml() {
                        let _ = write!(text, ", {key} = {value}");
                    }
                    text.push_str(" },\n");
                }
                text.push(']');
                keys.push(("groups", text));
            }
        }
        keys
    }

    /// What is identity: everything but the groups' names.
    pub(super) fn canonical(&self) -> String {
        let mut text = format!("epochs {}\n", name_in(&Epochs::ALL, self.epochs));
        for group in &self.groups {
            let _ = writeln!(text, "views");
            for (key, value) in group.to_toml() {
                let _ = writeln!(text, "{key} {value}");
            }
        }
        text
    }
}

impl Group {
    fn to_toml(&self) -> Vec<(&'static str, String)> {
        let list = |ops: Vec<String>| match &ops[..] {
            [one] => format!("[{one}]"),
            many => format!("[\n    {},\n]", many.join(",\n    ")),
        };
        let mut keys = vec![("count", self.count.to_string())];
        if self.anchor {
            keys.push(("anchor", "true".into()));
        }
        if let Some(pool) = self.pool {
            keys.push(("pool", pool.to_string()));
        }
        if !self.latent.is_empty() {
            keys.push(("latent", list(self.latent.iter().map(LatentOp::to_toml).collect())));
        }
        if !self.pixel.is_empty() {
            keys.push(("pixel", list(self.pixel.iter().map(PixelOp::to_toml).collect())));
        }
        keys
    }
}
