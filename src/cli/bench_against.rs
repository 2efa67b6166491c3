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

/// Opens what the user names, before anything is measured.
pub(super) fn named(args: &BenchArgs, dataset: &Dataset) -> Result<Vec<Rival>> {
    let [_, channels, height, width] = dataset.groups()[0].1;
    // Settings are for the recipe.
    let options = || Options { settings: Vec::new(), ..args.execution.options() };
    let open = |path: &PathBuf| Rival::open(path, [channels, height, width], options());
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

/// The comparison for people.
pub(super) fn table(comparison: &Comparison, folder: Option<&Path>) -> String {
    let Comparison { live, against, absent } = comparison;
    let rows: Vec<[String; 9]> = std::iter::once(HEAD.map(str::to_owned))
        .chain(std::iter::once(live).chain(against).flat_map(rows))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEAD.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for one in absent {
        let _ = writeln!(text, "{} is not there: {}", one.name, one.why);
    }
    text + &remarks(comparison, folder)
}

const HEAD: [&str; 9] = [
    "",
    "images/s",
    "× stream",
    "CPU µs/image",
    "first batch",
    "memory",
    "on disk",
    "a sample",
    "generating costs less",
];

/// A line for each order.
fn rows(contender: &Contender) -> Vec<[String; 9]> {
    let none = || "–".to_owned();
    let speed = |speed: &Speed| {
        let work = speed.cpu_microseconds_an_image.map_or_else(none, |work| format!("{work:.2}"));
        let times = speed.ratio_to_live;
        let times = if times < 9.995 { format!("{times:.2}") } else { thousands(times) };
        [thousands(speed.images_per_second), times, work]
    };
    let name = match contender.origin {
        Origin::Live => "the stream".to_owned(),
        _ => contender.name.clone(),
    };
    let [rate, times, work] = speed(&contender.speed);
    let cost = match contender.break_even {
        None => none(),
        Some(BreakEven::Always) => "always".to_owned(),
        Some(BreakEven::Never) => "never".to_owned(),
        Some(BreakEven::BeforeEpoch(epoch)) => format!("before epoch {epoch}"),
    };
    let mut rows = vec![[
        name,
        rate,
        times,
        work,
        format!("{:.1} ms", contender.first_batch_ms),
        contender.memory_bytes.map_or_else(none, bytes),
        contender.bytes_on_disk.map_or_else(none, bytes),
        contender.bytes_a_sample.map_or_else(none, a_sample),
        cost,
    ]];
    for (order, of) in
        [("  shuffled", &contender.shuffled), ("  without a copy", &contender.without_copy)]
    {
        if let Some(of) = of {
            let [rate, times, work] = speed(of);
            let mut row = [const { String::new() }; 9];
            (row[0], row[1], row[2], row[3]) = (order.to_owned(), rate, times, work);
            rows.push(row);
        }
    }
    rows
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes of samples")]
fn a_sample(size: f64) -> String {
    bytes(size.round() as u64)
}

/// What the table does not say of itself.
#[allow(clippy::cast_precision_loss)]
fn remarks(comparison: &Comparison, folder: Option<&Path>) -> String {
    let Comparison { live, against, .. } = comparison;
    let mut text = String::new();
    if let (Some(all), Some(_)) = (live.bytes_on_disk, live.samples_in_generator) {
        let _ = write!(text, "\nmodel and recipe, {}, take as much as", bytes(all));
        let fits = against.iter().filter_map(|one| Some((one, one.samples_in_generator?)));
        let list: Vec<_> =
            fits.map(|(one, n)| format!("{} samples of {}", thousands(n), one.name)).collect();
        let _ = writeln!(text, " {}", list.join("; "));
    }
    let exported = against.iter().filter(|one| one.origin == Origin::Export);
    let samples = exported.clone().find_map(|one| one.samples);
    if let Some(samples) = samples {
        let list: Vec<_> = exported
            .map(|one| match one.store_microseconds_an_image {
                Some(time) => format!("{} {time:.1}", one.name),
                None => format!("{} was there before", one.name),
            })
            .collect();
        let samples = thousands(samples as f64);
        let _ = write!(text, "{samples} samples were exported; µs an image: {}", list.join("; "));
        let _ = match folder {
            Some(folder) => writeln!(text, "; they are in {}", folder.display()),
            None => writeln!(text),
        };
    }
    text
}
