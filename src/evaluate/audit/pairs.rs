//! The closest pairs, to look at.

use std::collections::HashSet;
use std::path::Path;

use super::report::Report;
use super::sides::plain;
use crate::error::Result;
use crate::load::{Dataset, Stop};
use crate::view::sheet::{Sheet, Tile, contact_sheet};
use crate::whole_file::write_whole;

/// Columns of pairs.
const COLUMNS: usize = 4;

/// A contact sheet of at most `count` of the closest pairs, in the space with most suspects: the
/// generated image, then the real one that it is nearest to. Each real image is shown once, with the
/// closest that was made of it. `None` if nothing is suspect.
///
/// # Errors
/// Those of making and reading the images.
pub fn pairs_sheet(
    report: &Report,
    [generated, real]: [&Dataset; 2],
    count: usize,
    stop: &Stop,
) -> Result<Option<Sheet>> {
    let generated = plain(generated)?;
    let space = report.spaces.iter().max_by_key(|space| space.copies.suspects);
    let closest = space.map_or(&[][..], |space| &space.copies.closest);
    let tile = |dataset: &Dataset, index: u64| -> Result<Tile> {
        stop.check()?;
        Ok(dataset.get(index)?.images().tile(0, 0))
    };
    let mut shown = HashSet::new();
    let mut pairs = Vec::new();
    for pair in closest.iter().filter(|pair| shown.insert(pair.real)).take(count) {
        let made = tile(&generated, pair.index)?
            .with_caption(format!("sample {}\nrelative {:.3}", pair.index, pair.relative));
        let near = tile(real, pair.real)?
            .with_caption(format!("real {}\ndistance {:.3}", pair.real, pair.distance));
        pairs.push(vec![made, near]);
    }
    match pairs.is_empty() {
        true => Ok(None),
        false => contact_sheet(&pairs, COLUMNS.min(pairs.len())).map(Some),
    }
}

/// Writes such a sheet as a PNG, whole or not at all, unless nothing is suspect; whether it did.
///
/// # Errors
/// As [`pairs_sheet`]; [`Kind::Io`](crate::Kind::Io) naming `path`.
pub fn write_pairs_sheet(
    path: &Path,
    report: &Report,
    datasets: [&Dataset; 2],
    count: usize,
    stop: &Stop,
) -> Result<bool> {
    let sheet = pairs_sheet(report, datasets, count, stop)?;
    if let Some(sheet) = &sheet {
        write_whole(path, &sheet.to_png()?)?;
    }
    Ok(sheet.is_some())
}
