//! Whatever op, image and place: boxes lie inside the image, sizes agree, numbers are finite.

use genset::recipe::PixelOp;
use genset::sample::{Fill, PixelSampler, Step};
use proptest::prelude::*;

/// Any list of ops as a recipe writes it; many do not fit the image.
fn any_list() -> impl Strategy<Value = String> {
    let side = || prop_oneof![1u32..=4, 1u32..=300];
    let rising = |low: f64, high: f64| {
        (low..=high, low..=high).prop_map(|(a, b)| format!("[{}, {}]", a.min(b), a.max(b)))
    };
    let share = move || rising(0.001, 1.0);
    // Log-uniform, so that extreme ratios are as common as usual ones.
    let ratio = || {
        (-6.9f64..=6.9, -6.9f64..=6.9)
            .prop_map(|(a, b)| format!("[{}, {}]", a.min(b).exp(), a.max(b).exp()))
    };
    let p = || prop_oneof![Just(1.0), Just(0.0), 0.0..=1.0];
    let op = prop_oneof![
        (side(), side(), share(), ratio()).prop_map(|(h, w, scale, ratio)| format!(
            "op = 'random-resized-crop', size = [{h}, {w}], scale = {scale}, ratio = {ratio}"
        )),
        (side(), side()).prop_map(|(h, w)| format!("op = 'resize', size = [{h}, {w}]")),
        side().prop_map(|side| format!("op = 'resize', size = {side}")),
        (side(), side()).prop_map(|(h, w)| format!("op = 'center-crop', size = [{h}, {w}]")),
        (side(), side(), 1u32..=40, prop::sample::select(vec!["constant", "reflect", "edge"]))
            .prop_map(|(h, w, padding, mode)| format!(
                "op = 'random-crop', size = [{h}, {w}], padding = {padding}, \
                 padding-mode = '{mode}'"
            )),
        (side(), side()).prop_map(|(h, w)| format!("op = 'random-crop', size = [{h}, {w}]")),
        p().prop_map(|p| format!("op = 'flip', p = {p}")),
        (rising(-360.0, 360.0), p())
            .prop_map(|(degrees, p)| format!("op = 'rotate', degrees = {degrees}, p = {p}")),
        (rising(-360.0, 360.0), 0.0..=1.0, 0.0..=1.0, ratio(), rising(-89.0, 89.0)).prop_map(
            |(degrees, x, y, scale, shear)| {
                let ends = &shear[1..shear.len() - 1];
                format!(
                    "op = 'affine', degrees = {degrees}, translate = [{x}, {y}], scale = {scale}, \
                     shear = [{ends}, {ends}]"
                )
            }
        ),
        (rising(0.0, 1000.0), rising(-0.5, 0.5), p()).prop_map(|(factor, hue, p)| format!(
            "op = 'colour-jitter', brightness = {factor}, contrast = {factor}, \
             saturation = {factor}, hue = {hue}, p = {p}"
        )),
        rising(0.0, 1000.0).prop_map(|b| format!("op = 'colour-jitter', brightness = {b}")),
        p().prop_map(|p| format!("op = 'grayscale', p = {p}")),
        (0u32..=20, 0u32..=20, ratio()).prop_map(|(h, w, sigma)| format!(
            "op = 'gaussian-blur', kernel = [{}, {}], sigma = {sigma}",
            2 * h + 1,
            2 * w + 1
        )),
        (0.0..=1.0).prop_map(|threshold| format!("op = 'solarize', threshold = {threshold}")),
        (1u32..=8).prop_map(|bits| format!("op = 'posterize', bits = {bits}")),
        (share(), ratio(), p()).prop_map(|(scale, ratio, p)| format!(
            "op = 'erase', scale = {scale}, ratio = {ratio}, p = {p}, value = 'noise'"
        )),
        (share(), ratio()).prop_map(|(scale, ratio)| format!(
            "op = 'erase', scale = {scale}, ratio = {ratio}, p = 1, value = [0.5]"
        )),
    ];
    prop::collection::vec(op, 1..5).prop_map(|ops| {
        let tables: Vec<_> = ops.iter().map(|op| format!("{{ {op} }}")).collect();
        format!("[{}]", tables.join(", "))
    })
}

/// Carries out a step on a shape, or says what is wrong with it.
fn follow(step: &Step, [c, h, w]: [usize; 3]) -> Result<[usize; 3], String> {
    let wrong = || Err(format!("{step:?} on {h}×{w}"));
    let inside = |top: u32, left: u32, height: u32, width: u32| {
        let end = |start: u32, len: u32| start as usize + len as usize;
        height > 0 && width > 0 && end(top, height) <= h && end(left, width) <= w
    };
    let sized = |[h, w]: [u32; 2]| Ok([c, h as usize, w as usize]);
    let good = match *step {
        Step::ResizedCrop { top, left, height, width, out, .. } => {
            return if inside(top, left, height, width) { sized(out) } else { wrong() };
        }
        Step::Crop { top, left, out, .. } => {
            // Padding is at most 40 pixels here.
            let near = |start: i32, len: u32, side: usize| {
                start >= -40 && i64::from(start) + i64::from(len) <= side as i64 + 40
            };
            let near = near(top, out[0], h) && near(left, out[1], w);
            return if near { sized(out) } else { wrong() };
        }
        Step::Erase { top, left, height, width, fill } => {
            let filled = match fill {
                Fill::Constant(values) => values == [0.5; 4],
                Fill::Noise(_) => true,
            };
            filled && inside(top, left, height, width) && (height as usize) < h
        }
        Step::Affine { matrix, .. } => {
            // The farthest pixel's place in the image, in single precision.
            let reach = matrix.iter().map(|m| m.abs()).sum::<f32>() * h.max(w) as f32;
            reach.is_finite()
        }
        Step::Brightness { factor } | Step::Contrast { factor } | Step::Saturation { factor } => {
            (0.0..=1000.0).contains(&factor) && factor != 1.0
        }
        Step::Hue { shift } => (-0.5..=0.5).contains(&shift) && shift != 0.0,
        Step::Blur { kernel: [kh, kw], sigma } => {
            let mirrored = (kh / 2) < h as u32 && (kw / 2) < w as u32;
            (0.0009..1001.0).contains(&sigma) && kh % 2 == 1 && kw % 2 == 1 && mirrored
        }
        Step::Solarize { threshold } => (0.0..=1.0).contains(&threshold),
        Step::Posterize { bits } => (1..=8).contains(&bits),
        Step::Flip { .. } | Step::Grayscale => true,
    };
    if good { Ok([c, h, w]) } else { wrong() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn steps_fit_the_image_they_are_drawn_for(
        list in any_list(),
        channels in prop::sample::select(vec![1usize, 3, 3, 4]),
        height in prop_oneof![1usize..=4, 1usize..=300],
        width in prop_oneof![1usize..=4, 1usize..=300],
        seed: u64,
        first: u64,
        epoch: u64,
    ) {
        let ops = PixelOp::parse_list(&list).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let image = [channels, height, width];
        match PixelSampler::of_ops(seed, &ops, image) {
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains("but the image here is"), "{}", text);
            }
            Ok(sampler) => {
                let mut steps = Vec::new();
                for view in 0..20 {
                    sampler.steps(first ^ u64::from(view / 2), epoch, 0, view, &mut steps);
                    prop_assert!(steps.is_empty() || !sampler.is_empty(0));
                    let mut shape = image;
                    for step in &steps {
                        shape = follow(step, shape).map_err(TestCaseError::fail)?;
                        prop_assert!(!step.to_string().contains("NaN"));
                    }
                    prop_assert_eq!(shape, sampler.image(0), "{:?}", &steps);
                }
            }
        }
    }
}
