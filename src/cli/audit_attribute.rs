//! `genset audit --attribute`: what edits do to attributes, and what can still be read.

use std::fmt::Write as _;
use std::path::Path;

use super::common::{
    ExecutionArgs, on_interrupt, percent, points, print, print_json, progress, thousands,
};
use crate::error::{Kind, Result};
use crate::evaluate::attribute::{
    AttributeAudit, AttributeOutcome, Distribution, Encoder, ProbeOutcome, Report, Step,
};
use crate::load::read_recipe;

pub(super) fn run(
    recipe: &Path,
    audit: &AttributeAudit,
    encoder: Option<Encoder<'_>>,
    execution: &ExecutionArgs,
    json: bool,
) -> Result<()> {
    let stop = on_interrupt();
    let read = read_recipe(recipe, &execution.engine.settings)?;
    let bar = progress(0, "");
    let mut told = None;
    let report =
        audit.run(&read, encoder, &execution.options(), &stop, &mut |step, done, total| {
            if told.replace(step) != Some(step) {
                bar.reset();
                bar.set_length(total);
                bar.set_message(match step {
                    Step::Images => "images",
                    Step::Probes => "probes",
                });
            }
            bar.set_position(done);
        });
    bar.finish_and_clear();
    let report = report.map_err(|error| match error.kind() {
        Kind::Recipe | Kind::Limit => error.at(recipe.display()),
        _ => error,
    })?;
    if json { print_json(&report) } else { print(&text(&report)) }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let count = |[first, end]: [u64; 2]| format!("{first} to {}", end - 1);
    let _ = writeln!(
        text,
        "{}: {} edit(s)\nprobes learn from samples {}, tell samples {}; [ ]: 95 % interval",
        report.recipe,
        report.edits,
        count(report.learnt),
        count(report.told),
    );
    if !report.apart {
        text.push_str(
            "the directions may have been found on these samples: their files do not say, or \
             --from is before their end\n",
        );
    }
    for attribute in &report.attributes {
        of_attribute(&mut text, attribute);
    }
    for classes in &report.classes {
        let features = classes.features;
        let _ = writeln!(text, "\nclasses, told by probes of unedited images, {features}");
        line(&mut text, "unedited", outcome(&classes.before));
        line(&mut text, "edited", outcome(&classes.after));
        let difference = [classes.difference.linear, classes.difference.knn];
        line(&mut text, "edited - unedited", difference.map(|value| points(&value)));
    }
    text
}

fn of_attribute(text: &mut String, attribute: &AttributeOutcome) {
    let AttributeOutcome { name, formula, before, after, .. } = attribute;
    let _ = writeln!(text, "\n{name}: {formula}");
    let _ = writeln!(
        text,
        "{:18}  {:>7}  {:>8}  {:>20}  {:>8}   5, 25, 50, 75, 95 %",
        "", "images", "mean", "[95 %]", "std"
    );
    for (when, distribution) in [("unedited", before), ("edited", after)] {
        distributed(text, when, distribution);
    }
    let [from, to] = attribute.bars;
    let _ = writeln!(text, "{:18}  {} from {from:.3}", "unedited", bars(before));
    let _ = writeln!(text, "{:18}  {} to {to:.3}", "edited", bars(after));
    let _ = writeln!(
        text,
        "variance within classes left: {:.1} %; on the unedited side of the median: {:.1} %",
        100.0 * attribute.variance_left,
        100.0 * attribute.same_side
    );
    for probed in &attribute.probes {
        let features = probed.features;
        let _ =
            writeln!(text, "{:18}  {:26}nearest neighbours", features, "read by a linear probe");
        line(text, "from unedited", outcome(&probed.before));
        line(text, "from edited", outcome(&probed.after));
    }
    let _ = writeln!(
        text,
        "{}",
        match attribute.removed {
            true => "removed: chance, 50 %, is within the intervals of all probes of edited images",
            false =>
                "not removed: a probe of edited images does better than chance, 50 %, or worse",
        }
    );
}

fn distributed(text: &mut String, when: &str, distribution: &Distribution) {
    let Distribution { images, undefined, mean, interval: [low, high], std, quantiles, .. } =
        distribution;
    let quantiles: Vec<_> = quantiles.iter().map(|value| format!("{value:.3}")).collect();
    let _ = write!(
        text,
        "{when:18}  {:>7}  {mean:>8.4}  {:>20}  {std:>8.4}   {}",
        thousands(*images as f64),
        format!("[{low:.4}, {high:.4}]"),
        quantiles.join(", ")
    );
    let _ = match undefined {
        0 => writeln!(text),
        n => writeln!(text, "   {n} without it"),
    };
}

/// A histogram on one line.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
fn bars(distribution: &Distribution) -> String {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = distribution.histogram.iter().copied().max().unwrap_or(0).max(1);
    let level = |count: &usize| LEVELS[(8.0 * *count as f64 / most as f64).ceil() as usize];
    distribution.histogram.iter().map(level).collect()
}

fn line(text: &mut String, name: &str, [linear, knn]: [String; 2]) {
    let _ = writeln!(text, "{name:18}  {linear:26}{knn}");
}

fn outcome(outcome: &ProbeOutcome) -> [String; 2] {
    [outcome.linear, outcome.knn].map(percent)
}
