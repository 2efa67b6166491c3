//! The `[cache]` table: how often a generated sample is delivered, and what may be kept for that.

use std::fmt::Write as _;

use super::read::{Field, Table};
use super::types::name_in;
use super::write::quote;
use crate::error::Result;

/// Times that a generated sample may be delivered at most.
pub const MAX_ECHO: u32 = 1000;
/// Samples that may be generated at most before one of them comes again.
const MAX_SPREAD: u64 = 1 << 32;
/// Far enough that no step of a usual world has a sample twice; near enough that the images in
/// between fit into memory.
const DEFAULT_SPREAD: u64 = 4096;

/// The `[cache]` table: generated samples are delivered several times (data echoing; Choi, Passos,
/// Shallue and Dahl, 2019). Without it each is delivered once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Bytes of memory for images that are kept to be delivered again. Not part of the identity:
    /// what is not there any more is generated again.
    pub budget: u64,
    /// Bytes of a temporary file for what memory cannot hold. Not part of the identity.
    pub disk: Option<u64>,
    /// How often each generated sample is delivered, 2 to [`MAX_ECHO`].
    pub echo: u32,
    /// What comes again. Default pixels.
    pub echo_at: EchoAt,
    /// Generated samples from one delivery of a sample to its next, rounded up to whole blocks.
    /// Default 4096.
    pub spread: u64,
}

/// What of a sample comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoAt {
    /// The generator's images; pixel operations are drawn anew each time.
    Pixels,
    /// The finished views, byte for byte.
    Views,
}

impl EchoAt {
    /// Every kind with its name in a recipe.
    pub const ALL: [(&'static str, Self); 2] = [("pixels", Self::Pixels), ("views", Self::Views)];

    /// Its name in a recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

impl Cache {
    /// [`Cache::spread`] in blocks of `block` samples; at least one.
    #[must_use]
    pub fn spread_blocks(&self, block: u32) -> u64 {
        self.spread.div_ceil(block.into()).max(1)
    }

    /// What is identity: the order of delivery, not what is kept for it.
    pub(super) fn canonical(&self, block: u32) -> String {
        let spread = self.spread_blocks(block);
        format!("echo {} at {} spread {spread}\n", self.echo, self.echo_at.name())
    }

    /// The lines of the table, as `key = value`.
    pub(super) fn to_toml(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("budget", quote(&in_units(self.budget)))];
        if let Some(disk) = self.disk {
            keys.push(("disk", quote(&in_units(disk))));
        }
        keys.push(("echo", self.echo.to_string()));
        keys.push(("echo-at", quote(self.echo_at.name())));
        keys.push(("spread", self.spread.to_string()));
        keys
    }
}

pub(super) fn read(table: Table<'_>, block: u32) -> Result<Cache> {
    let help = "budget = \"2 GB\": memory for images that are kept to be delivered again";
    let budget = bytes(&table.require("budget", help)?)?;
    let help = "echo = 4: how often each generated sample is delivered";
    let echo = table.require("echo", help)?;
    let advice = "1 is a recipe without [cache]: each sample is delivered once";
    let cache = Cache {
        budget,
        echo: echo.small(2..u64::from(MAX_ECHO) + 1).map_err(|error| error.help(advice))?,
        disk: table.get("disk").map(|field| bytes(&field)).transpose()?,
        echo_at: match table.get("echo-at") {
            Some(field) => field.one_of(&EchoAt::ALL)?,
            None => EchoAt::Pixels,
        },
        spread: match table.get("spread") {
            Some(field) => spread(&field, block)?,
            None => DEFAULT_SPREAD,
        },
    };
    table.finish()?;
    Ok(cache)
}

fn spread(field: &Field<'_>, block: u32) -> Result<u64> {
    let samples = field.integer(1..MAX_SPREAD + 1)?;
    if samples >= u64::from(block) {
        return Ok(samples);
    }
    Err(field
        .error(format!("must be at least one block, {block} samples, not {samples}"))
        .help("whole blocks come again; make it larger, or generator.block smaller"))
}

/// Units of sizes, largest of each kind first.
const UNITS: [(&str, u64); 9] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A number of bytes as people write it: `"2 GB"`, `"512 MiB"`, `"1.5GB"`.
fn bytes(field: &Field<'_>) -> Result<u64> {
    let wrong = || {
        let mut units = String::new();
        for (unit, _) in UNITS {
            let _ = write!(units, "{}{unit}", if units.is_empty() { "" } else { ", " });
        }
        field
            .error("must be a number and a unit, such as \"2 GB\" or \"512 MiB\"")
            .help(format!("units are {units}"))
    };
    if !field.is_str() {
        return Err(wrong());
    }
    match from_units(field.str()?).ok_or_else(wrong)? {
        0 => Err(field.error("must be more than nothing")),
        size @ 1..=0x0fff_ffff_ffff_ffff => Ok(size),
        _ => Err(field.error("is more than any machine has")),
    }
}

/// Reads a number and a unit; `None` for anything else.
pub(crate) fn from_units(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    let (_, unit) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    // Fractions of a byte are dropped; above 2^53 the last digits are not what a size is about.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    number.parse::<f64>().ok().map(|number| (number * *unit as f64) as u64)
}

/// In the largest unit that needs no fraction; reads back to the same number.
pub(crate) fn in_units(size: u64) -> String {
    let whole = UNITS.iter().filter(|(_, unit)| size.is_multiple_of(*unit));
    let (name, unit) = whole.max_by_key(|(_, unit)| *unit).unwrap_or(&UNITS[UNITS.len() - 1]);
    format!("{} {name}", size / unit)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::recipe::{Notes, Recipe};

    fn parse(cache: &str) -> Result<Recipe> {
        let text = format!("[generator]\nmodel = \"g\"\nblock = 32\n[cache]\n{cache}");
        Recipe::parse(&text, "r.toml", Path::new("."))
    }

    const LEAST: &str = "budget = \"2 GB\"\necho = 4\n";

    #[test]
    fn a_short_table_has_documented_defaults() {
        let cache = parse(LEAST).unwrap().cache.unwrap();
        let echo_at = EchoAt::Pixels;
        let default = Cache { budget: 2_000_000_000, disk: None, echo: 4, echo_at, spread: 4096 };
        assert_eq!(cache, default);
        assert_eq!((cache.spread_blocks(32), cache.spread_blocks(1000)), (128, 5));
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, size) in [
            ("512 MiB", 512 << 20),
            ("1.5GB", 1_500_000_000),
            ("7 kb", 7000),
            ("1 B", 1),
            (" 3  TiB ", 3 << 40),
        ] {
            let cache = parse(&LEAST.replace("2 GB", text)).unwrap().cache.unwrap();
            assert_eq!(cache.budget, size, "{text}");
            assert_eq!(parse(&LEAST.replace("2 GB", &in_units(size))).unwrap().cache, Some(cache));
        }
        assert_eq!(in_units(2_000_000_000), "2 GB");
        assert_eq!(in_units(512 << 20), "512 MiB");
        assert_eq!(in_units(1001), "1001 B");
    }

    #[test]
    fn what_is_written_reads_back_equal() {
        for more in ["", "disk = \"8 GB\"\necho-at = \"views\"\nspread = 33\n"] {
            let recipe = parse(&format!("{LEAST}{more}")).unwrap();
            let written = recipe.to_toml(&Notes::new());
            assert_eq!(Recipe::parse(&written, "r", Path::new(".")).unwrap().cache, recipe.cache);
        }
    }

    #[test]
    fn impossible_settings_name_their_key() {
        for (from, to, expected) in [
            ("echo = 4", "echo = 0", "`cache.echo` must be a whole number from 2 to 1000, not 0"),
            ("echo = 4", "echo = 1", "1 is a recipe without [cache]"),
            ("echo = 4", "echo = 1001", "from 2 to 1000, not 1001"),
            ("echo = 4\n", "", "key `cache.echo` is missing"),
            ("budget = \"2 GB\"\n", "", "key `cache.budget` is missing"),
            ("\"2 GB\"", "2000000", "`cache.budget` must be a number and a unit"),
            ("\"2 GB\"", "\"2 gigs\"", "`cache.budget` must be a number and a unit"),
            ("\"2 GB\"", "\"-2 GB\"", "`cache.budget` must be a number and a unit"),
            ("\"2 GB\"", "\"0 GB\"", "`cache.budget` must be more than nothing"),
            ("\"2 GB\"", "\"99999999 TB\"", "`cache.budget` is more than any machine has"),
            ("echo = 4", "echo = 4\ndisk = \"\"", "`cache.disk` must be a number and a unit"),
            ("echo = 4", "echo = 4\nspread = 31", "`cache.spread` must be at least one block, 32"),
            ("echo = 4", "echo = 4\nspread = 0", "`cache.spread` must be a whole number from 1"),
            ("echo = 4", "echo = 4\necho-at = \"view\"", "did you mean \"views\"?"),
            ("echo = 4", "echo = 4\necho_at = \"views\"", "did you mean `cache.echo-at`?"),
        ] {
            let text = LEAST.replace(from, to);
            assert_ne!(text, LEAST, "{from}");
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.starts_with("r.toml:"), "{to}: {error}");
        }
    }
}
