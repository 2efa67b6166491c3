//! A run as a picture: the loss over the steps, and what probes said, as SVG.

use std::fmt::Write as _;

use super::record::Line;
use crate::svg::{FAINT, GRID, INK, close, open, text};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
/// Left, right, top and bottom of the field, in pixels.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 660.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 256.0;

const LOSS: &str = "#c2410c";
const PROBE: &str = "#0f766e";

/// A range of values on one side of the field.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// Round numbers around `values`.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if !(low.is_finite() && high.is_finite()) {
            return Self { low: 0.0, high: 1.0 };
        }
        let span = (high - low).max(high.abs() * 1e-3).max(1e-9);
        let step = 10_f64.powf(span.log10().floor()) / 2.0;
        Self { low: (low / step).floor() * step, high: ((high / step).floor() + 1.0) * step }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    fn at(&self, share: f64) -> f64 {
        self.low + share * (self.high - self.low)
    }
}

/// Draws the lines of a record.
#[must_use]
pub fn plot(lines: &[Line]) -> String {
    let last = lines.last().map_or(1, |line| line.step).max(1) as f64;
    let loss = Axis::of(lines.iter().map(|line| line.loss));
    let probes: Vec<(f64, f64)> =
        lines.iter().filter_map(|line| Some((line.step as f64, line.probe?))).collect();
    let probe = Axis::of(probes.iter().map(|(_, value)| *value));
    let x = |step: f64| LEFT + (RIGHT - LEFT) * step / last;
    let y = |share: f64| BOTTOM - (BOTTOM - TOP) * share;

    let mut svg = open(WIDTH, HEIGHT);
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let (down, across) = (y(share), x(share * last));
        let _ = writeln!(svg, "<path d=\"M{LEFT} {down:.1}H{RIGHT}\" stroke=\"{GRID}\"/>");
        label(&mut svg, [LEFT - 8.0, down + 4.0], &number(loss.at(share)), FAINT, "end");
        if !probes.is_empty() {
            let value = format!("{:.1} %", 100.0 * probe.at(share));
            label(&mut svg, [RIGHT + 8.0, down + 4.0], &value, FAINT, "start");
        }
        label(&mut svg, [across, BOTTOM + 18.0], &number((share * last).round()), FAINT, "middle");
    }
    label(&mut svg, [f64::midpoint(LEFT, RIGHT), BOTTOM + 34.0], "steps", INK, "middle");
    label(&mut svg, [LEFT, TOP - 18.0], "loss", LOSS, "start");
    let points = lines.iter().map(|line| (x(line.step as f64), y(loss.share(line.loss))));
    line(&mut svg, points, LOSS, false);
    if !probes.is_empty() {
        label(&mut svg, [RIGHT, TOP - 18.0], "probe accuracy", PROBE, "end");
        let points = probes.iter().map(|(step, value)| (x(*step), y(probe.share(*value))));
        line(&mut svg, points, PROBE, true);
    }
    close(svg)
}

fn line(svg: &mut String, points: impl Iterator<Item = (f64, f64)>, colour: &str, dots: bool) {
    let points: Vec<_> = points.collect();
    let list: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" \
         stroke-linejoin=\"round\"/>",
        list.join(" ")
    );
    for (x, y) in points.iter().filter(|_| dots) {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
}

/// A text in a colour, that begins, ends or has its middle at a place.
fn label(svg: &mut String, place: [f64; 2], content: &str, colour: &str, anchor: &str) {
    text(svg, place, content, &format!("fill=\"{colour}\" text-anchor=\"{anchor}\""));
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_stay_in_the_field() {
        let lines: Vec<Line> = (1..=20)
            .map(|number| Line {
                step: number * 10,
                loss: 5.0 / number as f64,
                gradient_norm: 1.0,
                spread: 0.9,
                learning_rate: 0.1,
                images_per_second: 1.0,
                data_wait: 0.0,
                probe: (number % 10 == 0).then_some(0.9 + number as f64 / 1000.0),
            })
            .collect();
        let svg = plot(&lines);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let curves: Vec<_> =
            document.descendants().filter(|node| node.has_tag_name("polyline")).collect();
        assert_eq!(curves.len(), 2);
        for curve in curves {
            for point in curve.attribute("points").unwrap().split(' ') {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=RIGHT).contains(&x) && (TOP..=BOTTOM).contains(&y), "{point}");
            }
        }
    }
}
