//! `genset bench --against`, `--exports`: the stream beside what is read from disk.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::bench::BenchArgs;
use super::common::{bytes, progress, thousands};
use crate::bench::{
    BreakEven, Comparison, Contender, Exports, Origin, Report, Rival, Settings, Speed, compare,
};
use crate::error::{Error, Result};
use crate::load::{Dataset, LoaderBuilder, Options, Stop};

/// Opens what the user names, and finds out what cannot be, before anything is measured.
pub(super) fn named(args: &BenchArgs, dataset: &Dataset) -> Result<Vec<Rival>> {
    if args.exports {
        dataset.generated()?;
    }
    if let Some(folder) = &args.folder {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "make", error))?;
    }
    let image = dataset.forms()[0].form.planes();
    // Settings are for the recipe.
    let options = || Options { settings: Vec::new(), ..args.execution.options() };
    let open = |path: &PathBuf| Rival::open(path, image, options());
    args.against.iter().map(open).collect()
}

/// Writes what is to be written, and measures everything in turn.
pub(super) fn run(
    args: &BenchArgs,
    dataset: &Dataset,
    mut rivals: Vec<Rival>,
    report: &Report,
    settings: &Settings,
    stop: &Stop,
) -> Result<Comparison> {
    let set_up = |builder: LoaderBuilder| args.loader.set_up(builder);
    let mut absent = Vec::new();
    // Gone when it is dropped, also after an error or Ctrl-C.
    let mut temporary = None;
    if args.exports {
        let folder = match &args.folder {
            Some(folder) => folder.as_path(),
            None => temporary.insert(new_folder()?).path(),
        };
        let usual = || Exports::usual(dataset, folder, report.images_per_second);
        let samples = args.samples.unwrap_or_else(usual);
        let exports = Exports { folder: folder.to_path_buf(), samples, stop: stop.clone() };
        let bar = progress(samples, "samples");
        let written = exports.write(dataset, &set_up, &mut |name, progress| {
            bar.set_position(progress.samples);
            bar.set_message(format!("writing {name}"));
        });
        bar.finish_and_clear();
        let (exported, missing) = written?;
        // What was named stands below what was made of the stream.
        rivals.splice(0..0, exported);
        absent = missing;
    }
    let bar = progress(0, "turns");
    let comparison = compare(dataset, &rivals, &set_up, settings, stop, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok(Comparison { absent, ..comparison? })
}

fn new_folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("genset-bench-").tempdir();
    folder.map_err(|error| {
        Error::io(&std::env::temp_dir(), "write to", error).help("name another one: --folder DIR")
    })
}

/// The comparison for people: how fast all are, and what they cost.
pub(super) fn table(comparison: &Comparison, folder: Option<&Path>) -> String {
    let Comparison { live, against, absent, peak_rss_bytes } = comparison;
    let all = || std::iter::once(live).chain(against);
    let mut text = aligned(&HEAD_OF_SPEEDS, all().flat_map(speeds));
    text.push('\n');
    let fits = live.bytes_on_disk.map(|size| format!("samples in {}", bytes(size)));
    let head = ["", "on disk", "a sample", fits.as_deref().unwrap_or_default(), "export, µs/image"];
    let head = [&head[..], &["generating is cheaper"]].concat();
    text += &aligned(&head, all().map(costs));
    text.push('\n');
    for one in absent {
        let _ = writeln!(text, "{} is not there: {}", one.name, one.why);
    }
    let mut exported = against.iter().filter(|one| one.origin == Origin::Export);
    if let Some(samples) = exported.find_map(|one| one.samples) {
        let _ = match folder {
            Some(folder) => {
                writeln!(text, "{} samples were exported to {}", grouped(samples), folder.display())
            }
            None => writeln!(text, "{} samples were exported, and removed", grouped(samples)),
        };
    }
    if let Some(peak) = peak_rss_bytes {
        let _ = writeln!(text, "peak memory of all together: {}", bytes(*peak));
    }
    text
}

/// Lines of cells in columns, names on the left.
fn aligned(head: &[&str], lines: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|&cell| cell.to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(lines).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line: &Vec<String>| line.get(column));
        cells.map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for line in &lines {
        let mut words = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = width(column);
            let _ = match column {
                0 => write!(words, "{cell:<width$}"),
                _ => write!(words, "  {cell:>width$}"),
            };
        }
        let _ = writeln!(text, "{}", words.trim_end());
    }
    text
}

const HEAD_OF_SPEEDS: [&str; 5] = ["", "images/s", "× stream", "CPU, µs/image", "first batch"];

/// What stands where there is nothing to say.
fn nothing() -> String {
    "–".to_owned()
}

fn name(contender: &Contender) -> String {
    match contender.origin {
        Origin::Live => "the stream".to_owned(),
        _ => contender.name.clone(),
    }
}

/// A line for each order.
fn speeds(contender: &Contender) -> Vec<Vec<String>> {
    let line = |name: String, speed: &Speed, first: String| {
        let times = speed.ratio_to_live;
        let times = if times < 9.995 { format!("{times:.2}") } else { thousands(times) };
        let work = speed.cpu_microseconds_an_image;
        let work = work.map_or_else(nothing, |work| format!("{work:.2}"));
        vec![name, thousands(speed.images_per_second), times, work, first]
    };
    let first = format!("{:.1} ms", contender.first_batch_ms);
    let mut lines = vec![line(name(contender), &contender.speed, first)];
    let orders =
        [("  shuffled", &contender.shuffled), ("  without a copy", &contender.without_copy)];
    for (order, speed) in orders {
        lines.extend(speed.iter().map(|speed| line(order.to_owned(), speed, String::new())));
    }
    lines
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes of samples")]
fn costs(contender: &Contender) -> Vec<String> {
    let cheaper = match contender.break_even {
        None => nothing(),
        Some(BreakEven::Always) => "always".to_owned(),
        Some(BreakEven::Never) => "never".to_owned(),
        Some(BreakEven::BeforeEpoch(epoch)) => format!("before epoch {}", grouped(epoch)),
    };
    let store = contender.store_microseconds_an_image;
    vec![
        name(contender),
        contender.bytes_on_disk.map_or_else(nothing, bytes),
        contender.bytes_a_sample.map_or_else(nothing, |size| bytes(size.round() as u64)),
        contender.samples_in_generator.map_or_else(nothing, thousands),
        store.map_or_else(nothing, |store| format!("{store:.1}")),
        cheaper,
    ]
}

#[allow(clippy::cast_precision_loss)]
fn grouped(value: u64) -> String {
    thousands(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_letters_are_in_them() {
        let lines = [vec!["µ".to_owned(), "1".to_owned()], vec!["abc".to_owned(), "–".to_owned()]];
        let text = aligned(&["", "µs"], lines.into_iter());
        assert_eq!(text, "     µs\nµ     1\nabc   –\n");
    }
}
