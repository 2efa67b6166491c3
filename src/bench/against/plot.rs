//! A comparison as a picture: images a second, and bytes on disk, as SVG.
//!
//! Both on scales by powers of ten, as contenders differ by hundreds of times. The same comparison
//! gives the same bytes.

use std::fmt::Write as _;

use super::report::{Comparison, Contender};
use super::rival::Origin;
use crate::svg::{FAINT, GRID, INK, close, open, text};

/// Where things are, in pixels: names end and the two panels begin and end.
const NAMES: f64 = 190.0;
const RATES: [f64; 2] = [200.0, 470.0];
const SIZES: [f64; 2] = [580.0, 740.0];
const WIDTH: f64 = 830.0;
const TOP: f64 = 62.0;
/// A line, and a line below it that belongs to it.
const LINE: f64 = 20.0;
const LESSER: f64 = 15.0;
const GAP: f64 = 9.0;

/// One bar.
struct Bar {
    name: String,
    colour: &'static str,
    rate: f64,
    bytes: Option<u64>,
    /// Whether it belongs to the one above.
    lesser: bool,
}

/// Draws a comparison.
#[must_use]
pub fn plot(comparison: &Comparison) -> String {
    let all = std::iter::once(&comparison.live).chain(&comparison.against);
    let bars: Vec<Bar> = all.flat_map(bars).collect();
    #[allow(clippy::cast_precision_loss)]
    let sizes = bars.iter().filter_map(|bar| bar.bytes).map(|bytes| bytes as f64);
    let rates = Scale::of(bars.iter().map(|bar| bar.rate), RATES);
    let sizes = Scale::of(sizes, SIZES);
    let bottom = TOP + bars.iter().map(|bar| bar.height()).sum::<f64>() + GAP;
    let height = bottom + 26.0;

    let mut svg = open(WIDTH, height);
    let title = format!("{}: made now, or read from disk", comparison.live.name);
    text(&mut svg, [12.0, 24.0], &title, "font-size=\"15\" font-weight=\"600\"");
    for (panel, title) in [(RATES, "images a second"), (SIZES, "bytes on disk")] {
        text(&mut svg, [panel[0], TOP - 10.0], title, "font-weight=\"600\"");
    }
    grid(&mut svg, &rates, bottom, "");
    grid(&mut svg, &sizes, bottom, "B");
    let mut top = TOP;
    for bar in &bars {
        top += if bar.lesser { 0.0 } else { GAP };
        draw(&mut svg, bar, top, &rates, &sizes);
        top += if bar.lesser { LESSER } else { LINE };
    }
    close(svg)
}

fn bars(contender: &Contender) -> Vec<Bar> {
    let colour = match contender.origin {
        Origin::Live => "#c2410c",
        Origin::Export => "#64748b",
        Origin::Dataset => "#0f766e",
    };
    let name = match contender.origin {
        Origin::Live => "the stream".to_owned(),
        _ => contender.name.clone(),
    };
    let (rate, bytes) = (contender.speed.images_per_second, contender.bytes_on_disk);
    let mut bars = vec![Bar { name, colour, rate, bytes, lesser: false }];
    for (name, speed) in
        [("shuffled", &contender.shuffled), ("without a copy", &contender.without_copy)]
    {
        if let Some(speed) = speed {
            let (name, rate) = (name.to_owned(), speed.images_per_second);
            bars.push(Bar { name, colour, rate, bytes: None, lesser: true });
        }
    }
    bars
}

impl Bar {
    fn height(&self) -> f64 {
        if self.lesser { LESSER } else { LINE + GAP }
    }
}

/// A scale by powers of ten, and the part of the picture that it is in.
struct Scale {
    /// Logarithms of its ends.
    ends: [f64; 2],
    panel: [f64; 2],
}

impl Scale {
    /// From half the least of `values`, so that its bar has a length, to the largest.
    fn of(values: impl Iterator<Item = f64>, panel: [f64; 2]) -> Self {
        let values: Vec<f64> = values.filter(|v| v.is_finite() && *v > 0.0).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        let ends =
            if values.is_empty() { [0.0, 1.0] } else { [(least / 2.0).log10(), most.log10()] };
        Self { ends, panel }
    }

    fn at(&self, value: f64) -> f64 {
        let [from, to] = self.ends;
        let [left, right] = self.panel;
        let share = ((value.max(f64::MIN_POSITIVE).log10() - from) / (to - from)).clamp(0.0, 1.0);
        left + (right - left) * share
    }

    /// The powers of ten in it.
    #[allow(clippy::cast_possible_truncation, reason = "logarithms of positive numbers")]
    fn powers(&self) -> impl Iterator<Item = f64> {
        let [from, to] = self.ends.map(|end| end.clamp(-30.0, 30.0));
        (from.ceil() as i32..=to.floor() as i32).map(|power| 10_f64.powi(power))
    }
}

fn grid(svg: &mut String, scale: &Scale, bottom: f64, unit: &str) {
    for value in scale.powers() {
        let x = scale.at(value);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{GRID}\"/>"
        );
        let style = format!("font-size=\"10\" text-anchor=\"middle\" fill=\"{FAINT}\"");
        text(svg, [x, bottom + 14.0], &short(value, unit), &style);
    }
}

fn draw(svg: &mut String, bar: &Bar, top: f64, rates: &Scale, sizes: &Scale) {
    let (height, size, opacity) = if bar.lesser { (9.0, 10, 0.5) } else { (16.0, 12, 1.0) };
    let base = top + height / 2.0 + 4.0;
    let fill = if bar.lesser { FAINT } else { INK };
    let style = format!("font-size=\"{size}\" fill=\"{fill}\"");
    text(svg, [NAMES, base], &fitting(&bar.name), &format!("{style} text-anchor=\"end\""));
    #[allow(clippy::cast_precision_loss)]
    let bytes = bar.bytes.map(|bytes| bytes as f64);
    for (scale, value, unit) in [(rates, Some(bar.rate), ""), (sizes, bytes, "B")] {
        let Some(value) = value else { continue };
        let (x, end) = (scale.panel[0], scale.at(value));
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height}\" \
             fill=\"{}\" fill-opacity=\"{opacity}\"/>",
            end - x,
            bar.colour
        );
        text(svg, [end + 5.0, base], &short(value, unit), &style);
    }
}

/// Characters of a name that there is room for.
const ROOM: usize = 28;

/// A name, or its end if it is too long: paths differ at their ends.
fn fitting(name: &str) -> String {
    let count = name.chars().count();
    if count <= ROOM {
        return name.to_owned();
    }
    std::iter::once('…').chain(name.chars().skip(count - ROOM + 1)).collect()
}

/// Three digits and a power of a thousand: 41.2 k, 2.10 M, 109 MB.
fn short(value: f64, unit: &str) -> String {
    let (mut scaled, mut powers) = (value, ["", "k", "M", "G", "T", "P", "E"].into_iter());
    let mut power = powers.next().unwrap_or_default();
    // What would be rounded to 1000 has the next power.
    while scaled >= 999.5 {
        let Some(next) = powers.next() else { break };
        (scaled, power) = (scaled / 1e3, next);
    }
    let digits = match scaled {
        _ if scaled.fract() == 0.0 || scaled >= 99.95 => 0,
        _ if scaled >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$} {power}{unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::report::Speed;
    use super::*;

    fn contender(name: &str, origin: Origin, rate: f64, bytes: Option<u64>) -> Contender {
        let speed = Speed {
            images_per_second: rate,
            rounds: vec![rate],
            ratio_to_live: 1.0,
            cpu_microseconds_an_image: None,
        };
        Contender {
            name: name.to_owned(),
            path: None,
            origin,
            samples: Some(1),
            views: 1,
            image: [1, 28, 28],
            shuffled: (origin == Origin::Export).then(|| speed.clone()),
            without_copy: None,
            speed,
            open_ms: None,
            first_batch_ms: 1.0,
            bytes_on_disk: bytes,
            bytes_a_sample: None,
            samples_in_generator: None,
            store_microseconds_an_image: None,
            break_even: None,
        }
    }

    #[test]
    fn every_contender_has_a_bar_for_each_figure_that_it_has() {
        let comparison = Comparison {
            live: contender("digits", Origin::Live, 41_234.0, Some(1_000_000)),
            against: vec![
                contender("safetensors, raw", Origin::Export, 2_100_000.0, Some(109_000_000)),
                contender("photos", Origin::Dataset, 5_000.0, None),
            ],
            absent: vec![],
            peak_rss_bytes: None,
        };
        let svg = plot(&comparison);
        // The background, four rates (one of them shuffled), two sizes.
        assert_eq!(svg.matches("<rect").count(), 1 + 4 + 2, "{svg}");
        for words in ["41.2 k", "2.10 M", "109 MB", "5 k", ">shuffled<", ">10 k<", ">10 MB<"] {
            assert!(svg.contains(words), "{words}: {svg}");
        }
        assert_eq!(svg, plot(&comparison));
    }

    #[test]
    fn hostile_names_stay_text() {
        let name = "</text><script>&\"\u{0}\u{1b}\n";
        let live = contender(name, Origin::Live, f64::NAN, Some(0));
        let svg = plot(&Comparison { live, against: vec![], absent: vec![], peak_rss_bytes: None });
        assert!(!svg.contains("<script>") && !svg.contains('\u{0}') && !svg.contains("NaN,"));
        assert!(svg.contains("&lt;script&gt;&amp;&quot;"), "{svg}");
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, wanted) in [
            (0.5, "0.50"),
            (1.0, "1"),
            (10.0, "10"),
            (41_234.0, "41.2 k"),
            (999_700.0, "1.00 M"),
            (2_100_000.0, "2.10 M"),
            (1e8, "100 M"),
            (109_400_000.0, "109 M"),
        ] {
            assert_eq!(short(value, ""), wanted);
        }
        assert_eq!(short(1e6, "B"), "1 MB");
        assert_eq!(short(12.0, "B"), "12 B");
    }

    #[test]
    fn long_names_are_cut_where_paths_are_alike() {
        let name = fitting(&format!("{}/photos", "long/".repeat(20)));
        assert!(name.chars().count() == ROOM && name.starts_with('…') && name.ends_with("photos"));
    }
}
