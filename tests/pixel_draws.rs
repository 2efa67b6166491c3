//! View parameters have torchvision's distributions.
//!
//! `tests/pixels/torchvision_draws.safetensors` holds what `torchvision.transforms.v2` draws, made
//! by the script beside it. Each parameter is held against ours by the two-sample
//! Kolmogorov–Smirnov test, the order of a colour jitter by chi-square. Seeds are fixed, so a test
//! passes always or never; the last tests show that wrong distributions would not pass.

use genset::recipe::PixelOp;
use genset::sample::{PixelSampler, Step};
use statistics::{Draws, Statistic, assert_equal_in_distribution, distance};

#[path = "pixels/statistics.rs"]
mod statistics;

/// Views that are drawn here for each comparison.
const DRAWS: u64 = 30_000;

/// What one op draws for `DRAWS` views of images of `shape`, as rows of numbers.
fn draw(op: &str, shape: [usize; 3], row: impl Fn(&[Step]) -> Vec<f64>) -> Vec<Vec<f64>> {
    let ops = PixelOp::parse_list(&format!("[{{ {op} }}]")).unwrap();
    let sampler = PixelSampler::of_ops(11, &ops, shape).unwrap();
    let mut steps = Vec::new();
    (0..DRAWS)
        .map(|i| {
            sampler.steps(i / 2, 3, 0, (i % 2) as u32, &mut steps);
            row(&steps)
        })
        .collect()
}

/// Of a box `top, left, height, width`; one that is not there is all zeros.
const BOX: [Statistic; 9] = [
    ("top", |b| b[0]),
    ("left", |b| b[1]),
    ("height", |b| b[2]),
    ("width", |b| b[3]),
    ("area", |b| b[2] * b[3]),
    ("aspect", |b| if b[2] * b[3] > 0.0 { (b[3] / b[2]).ln() } else { 9.0 }),
    ("bottom", |b| b[0] + b[2]),
    ("right", |b| b[1] + b[3]),
    ("diagonal", |b| b[0] + b[1]),
];

fn boxed(steps: &[Step]) -> Vec<f64> {
    let row = match *steps {
        [Step::ResizedCrop { top, left, height, width, .. }] => [top, left, height, width],
        [Step::Erase { top, left, height, width, .. }] => [top, left, height, width],
        [] => [0; 4],
        _ => panic!("{steps:?}"),
    };
    row.map(f64::from).to_vec()
}

#[test]
fn random_resized_crops() {
    let draws = Draws::read();
    for (name, op, shape) in [
        ("crop.default", "size = 32", [3, 64, 48]),
        // Not 28, as a crop of everything at its own size is no step.
        ("crop.simclr", "size = 27, scale = [0.2, 1]", [1, 28, 28]),
        ("crop.narrow", "size = 15, scale = [0.2, 1]", [3, 16, 64]),
    ] {
        let ours = draw(&format!("op = 'random-resized-crop', {op}"), shape, boxed);
        assert_equal_in_distribution(name, &draws.rows(name), &ours, &BOX);
    }
}

#[test]
fn erasures() {
    let draws = Draws::read();
    for (name, op, shape) in [
        ("erase.default", "p = 1", [3, 32, 48]),
        ("erase.large", "p = 1, scale = [0.6, 1]", [3, 24, 24]),
    ] {
        let ours = draw(&format!("op = 'erase', {op}"), shape, boxed);
        assert_equal_in_distribution(name, &draws.rows(name), &ours, &BOX);
    }
}

#[test]
fn random_crops() {
    let ours = draw("op = 'random-crop', size = 32, padding = 4", [3, 32, 40], |steps| {
        let [Step::Crop { top, left, .. }] = steps else { panic!("{steps:?}") };
        // torchvision counts from the padded image's corner.
        vec![f64::from(*top + 4), f64::from(*left + 4)]
    });
    let by: [Statistic; 3] = [("top", |p| p[0]), ("left", |p| p[1]), ("diagonal", |p| p[0] + p[1])];
    assert_equal_in_distribution("place", &Draws::read().rows("place"), &ours, &by);
}

/// Brightness, contrast, saturation, hue; then their order as a number in base 4.
fn jittered(steps: &[Step]) -> Vec<f64> {
    let mut row = vec![0.0; 5];
    for step in steps {
        let (which, value) = match *step {
            Step::Brightness { factor } => (0, factor),
            Step::Contrast { factor } => (1, factor),
            Step::Saturation { factor } => (2, factor),
            Step::Hue { shift } => (3, shift),
            _ => panic!("{step:?}"),
        };
        row[which] = f64::from(value);
        row[4] = row[4] * 4.0 + which as f64;
    }
    row
}

const JITTER: &str = "op = 'colour-jitter', brightness = 0.4, contrast = 0.8, \
    saturation = [0.5, 3], hue = 0.1";

#[test]
fn colour_jitters() {
    let draws = Draws::read();
    let ours = draw(JITTER, [3, 8, 8], jittered);
    let by: [Statistic; 5] = [
        ("brightness", |f| f[0]),
        ("contrast", |f| f[1]),
        ("saturation", |f| f[2]),
        ("hue", |f| f[3]),
        ("brightness and contrast together", |f| f[0] * f[1]),
    ];
    assert_equal_in_distribution("jitter", &draws.rows("jitter.factors"), &ours, &by);

    let theirs = draws.rows("jitter.order").into_iter();
    let theirs = theirs.map(|order| order.iter().fold(0.0, |code, which| code * 4.0 + which));
    for (who, codes) in [
        ("torchvision", theirs.collect::<Vec<_>>()),
        ("genset", ours.iter().map(|row| row[4]).collect()),
    ] {
        let mut counts = std::collections::BTreeMap::<u64, f64>::new();
        for code in &codes {
            *counts.entry(*code as u64).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 24, "{who} draws every order");
        let expected = codes.len() as f64 / 24.0;
        let chi: f64 = counts.values().map(|n| (n - expected).powi(2) / expected).sum();
        // Exceeded once in 100,000 times with 23 degrees of freedom.
        assert!(chi < 63.6, "{who}: {chi}");
    }
}

/// Angle in degrees clockwise, scale, shear x and y in degrees, shift x and y: from an inverse map
/// of which the shear along y is not negative.
fn parts(steps: &[Step]) -> Vec<f64> {
    let [Step::Affine { matrix, .. }] = steps else { panic!("{steps:?}") };
    let [a, b, c, d, e, f] = matrix.map(f64::from);
    let scale = 1.0 / (a * e - b * d).sqrt();
    // The forward map, without scale: the adjugate.
    let [p, q, r, s] = [e * scale, -b * scale, -d * scale, a * scale];
    let y = (1.0 / p.hypot(r)).clamp(-1.0, 1.0).acos();
    let angle = r.atan2(p) + y;
    let x = (-(q + angle.sin()) / p).atan();
    let shift = [-scale * (p * c + q * f), -scale * (r * c + s * f)];
    vec![angle.to_degrees(), scale, x.to_degrees(), y.to_degrees(), shift[0], shift[1]]
}

#[test]
fn rotations_and_affine_maps() {
    let draws = Draws::read();
    let turns = draw("op = 'rotate', degrees = [-30, 60]", [3, 8, 8], |steps| {
        let [Step::Affine { matrix: [a, b, ..], .. }] = steps else { panic!("{steps:?}") };
        // Counter-clockwise, as rows run down: x' = cos x - sin y.
        vec![f64::from(-b).atan2(f64::from(*a)).to_degrees()]
    });
    let angle: [Statistic; 1] = [("angle", |r| r[0])];
    assert_equal_in_distribution("rotate", &draws.rows("rotate.degrees"), &turns, &angle);

    let op = "op = 'affine', degrees = [-20, 40], translate = [0.1, 0.2], scale = [0.8, 1.25], \
        shear = [-10, 10, 5, 15]";
    let ours = draw(op, [3, 32, 48], parts);
    let by: [Statistic; 4] =
        [("angle", |r| r[0]), ("scale", |r| r[1]), ("shear x", |r| r[2]), ("shear y", |r| r[3])];
    assert_equal_in_distribution("affine", &draws.rows("affine.rest"), &ours, &by);

    let shifts: Vec<_> = ours.iter().map(|r| vec![r[4].round(), r[5].round()]).collect();
    let whole =
        |row: &Vec<f64>| (row[4] - row[4].round()).abs().max((row[5] - row[5].round()).abs());
    assert!(ours.iter().all(|row| whole(row) < 1e-3), "shifts are whole pixels");
    let by: [Statistic; 2] = [("shift x", |r| r[0]), ("shift y", |r| r[1])];
    assert_equal_in_distribution("affine", &draws.rows("affine.shift"), &shifts, &by);
}

#[test]
fn affine_maps_are_torchvisions() {
    for row in Draws::read().rows("maps") {
        let [angle, scale, x, y, ..] = row[..] else { panic!() };
        let op = format!(
            "op = 'affine', degrees = [{angle}, {angle}], scale = {scale}, \
             shear = [{x}, {x}, {y}, {y}]"
        );
        let matrix = |steps: &[Step]| {
            let [Step::Affine { matrix, .. }] = steps else { panic!("{steps:?}") };
            matrix.map(f64::from).to_vec()
        };
        let ours = draw(&op, [1, 9, 7], matrix);
        let apart = |(a, b): (&f64, &f64)| (a - b).abs();
        let most = row[4..].iter().zip(&ours[0]).map(apart).fold(0.0, f64::max);
        assert!(most < 2e-5, "{row:?}: {:?}", ours[0]);
        // Rotation turns the other way than the affine op.
        let turned =
            draw(&format!("op = 'rotate', degrees = [{angle}, {angle}]"), [1, 9, 7], matrix);
        let op = format!("op = 'affine', degrees = [{}, {}]", -angle, -angle);
        assert_eq!(turned[0], draw(&op, [1, 9, 7], matrix)[0]);
    }
}

#[test]
fn blurs() {
    let ours = draw("op = 'gaussian-blur', kernel = 5", [3, 8, 8], |steps| {
        let [Step::Blur { sigma, kernel: [5, 5] }] = steps else { panic!("{steps:?}") };
        vec![f64::from(*sigma)]
    });
    let by: [Statistic; 1] = [("sigma", |r| r[0])];
    assert_equal_in_distribution("blur", &Draws::read().rows("blur.sigma"), &ours, &by);
}

#[test]
fn sizes_and_centers_are_torchvisions() {
    let draws = Draws::read();
    let steps = |op: &str, shape| {
        let ops = PixelOp::parse_list(&format!("[{{ {op} }}]")).unwrap();
        let sampler = PixelSampler::of_ops(0, &ops, shape).unwrap();
        let mut steps = Vec::new();
        sampler.steps(0, 0, 0, 0, &mut steps);
        (sampler.image(0), steps)
    };
    for row in draws.rows("sizes") {
        let [h, w, size, height, width] = row[..] else { panic!() };
        let (image, _) =
            steps(&format!("op = 'resize', size = {size}"), [1, h as usize, w as usize]);
        assert_eq!(image, [1, height as usize, width as usize], "{row:?}");
    }
    for row in draws.rows("centers") {
        let [side, size, first] = row[..] else { panic!() };
        let shape = [1, side as usize, side as usize];
        let (_, steps) = steps(&format!("op = 'center-crop', size = {size}"), shape);
        let [Step::Crop { top, left, .. }] = steps[..] else { panic!("{steps:?}") };
        assert_eq!((f64::from(top), f64::from(left)), (first, first), "{row:?}");
    }
}

#[test]
fn ops_are_done_as_often_as_p_says() {
    for op in [
        "op = 'flip'",
        "op = 'grayscale'",
        "op = 'erase', p = 0.3, scale = [0.1, 0.1], ratio = [1, 1]",
        "op = 'colour-jitter', brightness = 0.4, p = 0.8",
        "op = 'gaussian-blur', kernel = 3, p = 0.01",
        "op = 'solarize', p = 0.2",
        "op = 'rotate', degrees = 10, p = 0.9",
    ] {
        let p = PixelOp::parse_list(&format!("[{{ {op} }}]")).unwrap()[0].p;
        let done = draw(op, [3, 32, 32], |steps| vec![steps.len() as f64]);
        let share = done.iter().map(|row| row[0]).sum::<f64>() / DRAWS as f64;
        // Within 4.4 standard deviations: beyond once in 100,000 times.
        let deviation = (p * (1.0 - p) / DRAWS as f64).sqrt();
        assert!((share - p).abs() < 4.4 * deviation, "{op}: {share}");
    }
}

#[test]
fn views_and_ops_are_independent() {
    // The share of pairs that agree, between views of a sample and between ops of a view.
    let ops = "[{ op = 'flip' }, { op = 'flip', axis = 'vertical' }]";
    let sampler = PixelSampler::of_ops(3, &PixelOp::parse_list(ops).unwrap(), [1, 4, 4]).unwrap();
    let mut steps = Vec::new();
    let mut flips = |index, epoch, view| {
        sampler.steps(index, epoch, 0, view, &mut steps);
        let has = |axis| steps.contains(&Step::Flip { axis });
        [has(genset::recipe::Axis::Horizontal), has(genset::recipe::Axis::Vertical)]
    };
    let mut agree = [0.0; 4];
    for index in 0..DRAWS {
        let [here, there, then] = [flips(index, 0, 0), flips(index, 0, 1), flips(index, 1, 0)];
        let next = flips(index + 1, 0, 0);
        let pairs =
            [here[0] == here[1], here[0] == there[0], here[0] == then[0], here[0] == next[0]];
        for (count, same) in agree.iter_mut().zip(pairs) {
            *count += f64::from(u8::from(same));
        }
    }
    for count in agree {
        assert!((count / DRAWS as f64 - 0.5).abs() < 4.4 * (0.25 / DRAWS as f64).sqrt());
    }
}

#[test]
fn wrong_distributions_would_be_seen() {
    let draws = Draws::read();
    let furthest = |name: &str, ours: &[Vec<f64>]| {
        let theirs = draws.rows(name);
        let of = |(_, by): &Statistic| {
            let values = |rows: &[Vec<f64>]| rows.iter().map(|row| by(row)).collect();
            distance(values(&theirs), values(ours))
        };
        BOX.iter().map(of).fold(0.0, f64::max)
    };
    // Somewhat other parameters than torchvision was given.
    for op in ["scale = [0.16, 1]", "scale = [0.08, 0.8]", "ratio = [0.75, 1.45]", "ratio = [1, 1]"]
    {
        let op = format!("op = 'random-resized-crop', size = 32, {op}");
        let apart = furthest("crop.default", &draw(&op, [3, 64, 48], boxed));
        assert!(apart > 1.2, "{op}: {apart:.2}");
    }
    // The same parameters, drawn by a generator of another kind: right, then wrong in several ways.
    let apart = |way: Way| furthest("crop.default", &crops(way));
    assert!(apart(Way::Right) < 1.0);
    for way in [Way::UniformRatio, Way::UniformSide, Way::Clamped, Way::Central] {
        assert!(apart(way) > 1.2, "{way:?}: {:.2}", apart(way));
    }
}

/// How a crop of the default parameters is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Right,
    /// The ratio is uniform, not its logarithm.
    UniformRatio,
    /// The root of the area is uniform, not the area.
    UniformSide,
    /// Sides that do not fit are cut, not drawn again.
    Clamped,
    /// The middle of the image, not any place.
    Central,
}

fn crops(way: Way) -> Vec<Vec<f64>> {
    let (h, w) = (64.0, 48.0);
    // SplitMix64 (Steele et al., 2014).
    let mut state = 1u64;
    let mut uniform = |low: f64, high: f64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = rand_philox::splitmix64(state);
        low + (high - low) * ((word >> 11) as f64 / (1u64 << 53) as f64)
    };
    let mut crop = || loop {
        let area = h
            * w
            * match way {
                Way::UniformSide => uniform(0.08f64.sqrt(), 1.0).powi(2),
                _ => uniform(0.08, 1.0),
            };
        let ratio = match way {
            Way::UniformRatio => uniform(0.75, 4.0 / 3.0),
            _ => uniform(0.75f64.ln(), (4.0f64 / 3.0).ln()).exp(),
        };
        let (mut height, mut width) =
            ((area / ratio).sqrt().round(), (area * ratio).sqrt().round());
        if way == Way::Clamped {
            (height, width) = (height.min(h), width.min(w));
        }
        let (places, across) = (h - height + 1.0, w - width + 1.0);
        let place = match way {
            Way::Central => [(places / 2.0).floor(), (across / 2.0).floor()],
            _ => [uniform(0.0, places).floor(), uniform(0.0, across).floor()],
        };
        if height <= h && width <= w {
            return vec![place[0], place[1], height, width];
        }
    };
    (0..DRAWS).map(|_| crop()).collect()
}
