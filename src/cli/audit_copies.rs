//! `genset audit --against`: whether images are copies, and how various they are.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::audit::AuditArgs;
use super::common::{on_interrupt, print, print_json, progress, thousands};
use crate::error::Result;
use crate::evaluate::audit::{
    Audit, Closer, Manifold, Progress, Report, Share, Space, Step, Subject, write_pairs_sheet,
};
use crate::graph::Model;
use crate::load::Dataset;

/// Pairs on a sheet.
const PAIRS: usize = 40;

pub(super) fn run(
    args: &AuditArgs,
    against: &Path,
    audit: &Audit,
    encoder: Option<&Model>,
    json: bool,
) -> Result<ExitCode> {
    let stop = on_interrupt();
    let options = args.execution.options();
    let generated = args.execution.open(&args.recipe)?;
    let real = real(against, args)?;
    let held_out = args.held_out.as_ref().map(|path| self::real(path, args)).transpose()?;
    let subject =
        Subject { generated: &generated, real: &real, held_out: held_out.as_ref(), encoder };
    let bar = progress(0, "");
    let mut told = None;
    let report = audit.run(&subject, &options, &stop, &mut |now: Progress| {
        let Progress { space, step, done, total } = now;
        if told.replace((space, step)) != Some((space, step)) {
            bar.set_length(total);
            bar.reset();
            bar.set_message(format!("{}: {}", ["pixels", "encoder"][space.min(1)], name(step)));
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report?;
    let written = match &args.sheet {
        Some(path) => write_pairs_sheet(path, &report, [&generated, &real], PAIRS, &stop)?,
        None => false,
    };
    if json {
        print_json(&report)?;
    } else {
        let mut text = text(&report);
        if let Some(path) = &args.sheet {
            let _ = match written {
                true => writeln!(text, "the closest pairs: {}", path.display()),
                false => writeln!(text, "no pair is suspect: {} was not written", path.display()),
            };
        }
        print(&text)?;
    }
    Ok(if report.alarm { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Real images, which the recipe's settings are not for; those of `source` are for both.
fn real(path: &Path, args: &AuditArgs) -> Result<Dataset> {
    let mut options = args.execution.options();
    options.settings.retain(|setting| setting.starts_with("source."));
    Dataset::open_with(path, options)
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Generated => "generated images",
        Step::Real => "real images",
        Step::HeldOut => "held-out images",
        Step::Distances => "distances",
        Step::Variety => "variety",
    }
}

fn text(report: &Report) -> String {
    let count = |images: usize| thousands(images as f64);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} images, against {} of {}, with {} held out{}; [ ]: 95 % interval",
        report.generated.name,
        count(report.generated.images),
        count(report.real.images),
        report.real.name,
        count(report.held_out.images),
        match report.held_out_of_real {
            true => " of them".to_owned(),
            false => format!(": {}", report.held_out.name),
        },
    );
    for space in &report.spaces {
        of_space(&mut text, space);
    }
    if let Some(balance) = &report.balance {
        let _ = writeln!(
            text,
            "\nclasses: {:.2} of {} in effect; χ² {:.1} against the recipe's balance (p = {:.3})",
            balance.effective,
            balance.expected.iter().filter(|share| **share > 0.0).count(),
            balance.chi_square,
            balance.p
        );
    }
    let _ = match report.alarm {
        true => {
            writeln!(text, "\nCOPIES: more images are too close to real ones than chance allows")
        }
        false => writeln!(text, "\nno copies found, at a level of {}", report.level),
    };
    text
}

fn of_space(text: &mut String, space: &Space) {
    let Space { name, dimensions, copies, variety } = space;
    let _ = writeln!(text, "\n{name} ({dimensions} dimensions)");
    let _ = writeln!(
        text,
        "  copies: relative distance to the nearest of {} real images",
        copies.neighbours
    );
    let row = |text: &mut String, name: &str, values: [f64; 5]| {
        let values: Vec<String> = values.iter().map(|value| format!("{value:8.3}")).collect();
        let _ = writeln!(text, "    {name:26}{}", values.join(""));
    };
    let head = ["least", "1 %", "5 %", "25 %", "median"];
    let head: Vec<String> = head.iter().map(|name| format!("{name:>8}")).collect();
    let _ = writeln!(text, "    {:26}{}", "", head.join(""));
    row(text, "generated", copies.generated.relative);
    row(text, "held out", copies.held_out.relative);
    for closer in &copies.closer {
        closer_line(text, closer, "the held-out images");
    }
    let _ = match (copies.alarm, copies.suspects) {
        (false, n) => writeln!(text, "    no alarm; {n} closest to look at"),
        (true, n) => writeln!(text, "    ALARM: {n} suspects, the closest are samples {}", {
            let first: Vec<String> =
                copies.closest.iter().take(8).map(|pair| pair.index.to_string()).collect();
            first.join(", ")
        }),
    };
    let _ = writeln!(text, "  variety: {} images of each", thousands(variety.images as f64));
    let head = ["precision", "recall", "density", "coverage", "Fréchet", "Vendi"];
    let head: Vec<String> = head.iter().map(|name| format!("{name:>11}")).collect();
    let _ = writeln!(text, "    {:12}{}", "", head.join(""));
    for (name, measures) in [("generated", &variety.generated), ("held out", &variety.held_out)] {
        let Manifold { precision, recall, density, coverage } = &measures.manifold;
        let _ = writeln!(
            text,
            "    {name:12}{:>11}{:>11}{density:>11.3}{:>11}{:>11.3}{:>11.1}",
            percent(precision),
            percent(recall),
            percent(coverage),
            measures.frechet_distance,
            measures.vendi_score,
        );
    }
    let duplicates = &variety.duplicates;
    let _ = writeln!(
        text,
        "  duplicates: {} of {} samples are an earlier one to the bit",
        duplicates.exact.count, duplicates.exact.of
    );
    for closer in &duplicates.closer {
        closer_line(text, closer, "real images to each other");
    }
    if duplicates.alarm {
        let _ = writeln!(text, "    ALARM: samples are more alike than real images are");
    }
}

fn closer_line(text: &mut String, closer: &Closer, than: &str) {
    let Closer { quantile, share, p, .. } = closer;
    let [low, high] = share.interval.map(|end| 100.0 * end);
    let _ = writeln!(
        text,
        "    closer than {:>3} % of {than}: {:.2} % [{low:.2}, {high:.2}]  p = {}",
        100.0 * quantile,
        100.0 * share.value,
        if *p < 1e-3 { format!("{p:.0e}") } else { format!("{p:.3}") }
    );
}

fn percent(share: &Share) -> String {
    format!("{:.1} %", 100.0 * share.value)
}
