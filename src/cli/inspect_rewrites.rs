//! `genset inspect --rewrites`: which edits of a generator's graph pay here, and why.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::common::{on_interrupt, print, print_json, progress, thousands};
use crate::bench::{RewriteReport, TriedRewrite, measure_rewrites};
use crate::error::Result;
use crate::generate::execution::{Change, Edit};
use crate::load::{Dataset, Generated, Options};

/// The widest that a list of places may be.
const WIDTH: usize = 34;

pub(super) fn run(recipe: &Path, options: Options, budget: Duration, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let dataset = Dataset::open_with(recipe, options)?;
    let generated = dataset.generated()?;
    let bar = progress(0, "trials");
    let report = measure_rewrites(&dataset, budget, &stop, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let report = report?;
    if json {
        print_json(&json!({ "in_force": generated.rewrites(), "measured": report }))
    } else {
        print(&table(&report, generated))
    }
}

/// Kinds of edits with how many there are: `phases ×3, epilogue`.
pub(super) fn summary(edits: &[Edit]) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for edit in edits {
        match kinds.iter_mut().find(|(name, _)| *name == edit.rewrite.name()) {
            Some((_, count)) => *count += 1,
            None => kinds.push((edit.rewrite.name(), 1)),
        }
    }
    let one = |(name, count): &(&str, usize)| match count {
        1 => (*name).to_owned(),
        n => format!("{name} ×{n}"),
    };
    let kinds: Vec<_> = kinds.iter().map(one).collect();
    if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
}

fn table(report: &RewriteReport, generated: &Generated) -> String {
    let mut text = format!(
        "{} on {}, {} thread(s), {} rows a call\n\n",
        report.model,
        report.providers.join(", "),
        report.threads,
        report.rows
    );
    text += &rows(report);
    let _ = writeln!(text, "\nfastest here  {}", rewrites(&report.taken));
    let _ =
        writeln!(text, "in force      {} ({})", rewrites(generated.rewrites()), origin(generated));
    text
}

/// A line for each that was tried, under a head, and the best of all.
pub(super) fn rows(report: &RewriteReport) -> String {
    let mut text = String::new();
    let exported = thousands(report.exported_images_per_second);
    let _ = writeln!(
        text,
        "{:<WIDTH$} {:>10} {:>7} {:>11}  taken",
        "tried", "images/s", "gain", "difference"
    );
    let _ = writeln!(text, "{:<WIDTH$} {exported:>10}", "as exported");
    for tried in &report.tried {
        if tried.gain == 0.0 {
            let _ = writeln!(
                text,
                "{:<WIDTH$} {:>10} {:>7} {:>11}  no: {}",
                what(tried),
                "-",
                "-",
                "-",
                tried.why
            );
            continue;
        }
        let _ = writeln!(
            text,
            "{:<WIDTH$} {:>10} {:>7} {:>11.1e}  {}: {}",
            what(tried),
            thousands(tried.images_per_second),
            format!("{:.2}×", tried.gain),
            tried.difference,
            if tried.taken { "yes" } else { "no" },
            tried.why,
        );
    }
    let best = thousands(report.images_per_second);
    let _ = writeln!(
        text,
        "{:<WIDTH$} {best:>10} {:>7}",
        "all that was taken",
        format!("{:.2}×", report.gain)
    );
    text
}

fn what(tried: &TriedRewrite) -> String {
    match (&tried.with[..], &tried.without[..]) {
        ([], [one]) => clip(&format!("without {one}")),
        ([], without) => format!("without {}", summary(without)),
        (with, _) => {
            // Constants that a rewrite brings along are not what is tried.
            let own: Vec<_> =
                with.iter().filter(|edit| edit.rewrite != Change::FixedInputs).cloned().collect();
            match if own.is_empty() { with } else { &own } {
                [one] => clip(&one.to_string()),
                many => format!("{} everywhere", summary(many)),
            }
        }
    }
}

/// As `--rewrites` takes it.
fn rewrites(edits: &[Edit]) -> String {
    let edits: Vec<_> = edits.iter().map(ToString::to_string).collect();
    if edits.is_empty() { "none".to_owned() } else { edits.join(",") }
}

fn origin(generated: &Generated) -> &'static str {
    match generated.profile() {
        Some(_) => "by the profile of `genset tune`",
        None => "by rule; `genset tune` stores what is fastest",
    }
}

fn clip(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted() {
        let edit = |text: &str| Edit { rewrite: text.parse().unwrap(), node: "a".into() };
        assert_eq!(summary(&[]), "none");
        let edits = [edit("phases"), edit("epilogue"), edit("phases")];
        assert_eq!(summary(&edits), "phases ×2, epilogue");
        assert_eq!(rewrites(&edits[1..]), "epilogue@a,phases@a");
        assert_eq!(clip(&"x".repeat(40)).chars().count(), WIDTH);
    }
}
