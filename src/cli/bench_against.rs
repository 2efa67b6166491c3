//! `genset bench --against`, `--exports`: the stream beside what is read from disk.

use std::fmt::Write as _;
use std::path::Path;

use indicatif::ProgressBar;

use super::bench::BenchArgs;
use super::common::{bytes, progress, thousands};
use crate::bench::{
    Against, BreakEven, Comparison, Contender, LineUp, Origin, OwnSamples, Report, Settings, Speed,
    Step,
};
use crate::error::Result;
use crate::load::{Dataset, LoaderBuilder, Stop};

/// What the user names.
pub(super) fn named(args: &BenchArgs) -> Against {
    let own = || OwnSamples { folder: args.folder.clone(), samples: args.samples };
    Against {
        paths: args.against.clone(),
        exports: args.exports.then(own),
        plot: args.plot.clone(),
    }
}

/// Writes what is to be written, and measures everything in turn.
pub(super) fn run(
    line_up: LineUp,
    args: &BenchArgs,
    dataset: &Dataset,
    report: &Report,
    settings: &Settings,
    stop: &Stop,
) -> Result<Comparison> {
    let set_up = |builder: LoaderBuilder| args.loader.set_up(builder);
    let rate = report.images_per_second;
    // One after the other: what is written, then turns.
    let mut bar: Option<(&str, ProgressBar)> = None;
    let clear = |bar: Option<(&str, ProgressBar)>| {
        bar.iter().for_each(|(_, bar)| bar.finish_and_clear());
    };
    let compared = line_up.compare(dataset, rate, &set_up, settings, stop, &mut |step| {
        let (unit, done, of) = match step {
            Step::Write { done, of, .. } => ("samples", done, of),
            Step::Measure { done, of } => ("turns", done, of),
        };
        if bar.as_ref().is_some_and(|(shown, _)| *shown != unit) {
            clear(bar.take());
        }
        let (_, bar) = bar.get_or_insert_with(|| (unit, progress(of, unit)));
        bar.set_position(done);
        if let Step::Write { name, .. } = step {
            bar.set_message(format!("writing {name}"));
        }
    });
    clear(bar);
    compared
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
