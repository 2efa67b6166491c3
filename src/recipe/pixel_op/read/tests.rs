//! Pixel ops as text: every key, every refusal, and the way back.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::recipe::{Normalise, Recipe};

fn one(text: &str) -> PixelOp {
    let mut ops = PixelOp::parse_list(&format!("[{{ {text} }}]")).unwrap();
    assert_eq!(ops.len(), 1);
    ops.remove(0)
}

fn refusal(text: &str) -> String {
    PixelOp::parse_list(&format!("[{{ {text} }}]")).expect_err(text).to_string()
}

#[test]
fn defaults_are_the_documented_ones() {
    for (text, written) in [
        (
            "op = 'random-resized-crop', size = 28",
            "size = [28, 28], scale = [0.08, 1], ratio = [0.75, 1.3333333333333333], \
             filter = \"bilinear\"",
        ),
        ("op = 'resize', size = 28", "size = 28, filter = \"bilinear\""),
        ("op = 'center-crop', size = [8, 9]", "size = [8, 9]"),
        ("op = 'random-crop', size = 28", "size = [28, 28]"),
        ("op = 'random-crop', size = 28, padding = 4", "size = [28, 28], padding = 4, fill = 0.0"),
        ("op = 'flip'", "axis = \"horizontal\", p = 0.5"),
        (
            "op = 'rotate', degrees = 15",
            "degrees = [-15, 15], filter = \"nearest\", fill = 0, p = 1",
        ),
        (
            "op = 'affine', degrees = 0",
            "degrees = [-0, 0], translate = [0, 0], scale = [1, 1], shear = [0, 0, 0, 0], \
             filter = \"nearest\", fill = 0, p = 1",
        ),
        ("op = 'colour-jitter', hue = 0.1", "hue = [-0.1, 0.1], p = 1"),
        ("op = 'colour-jitter', contrast = 1.5", "contrast = [0, 2.5], p = 1"),
        ("op = 'grayscale'", "p = 0.1"),
        ("op = 'gaussian-blur', kernel = 3", "kernel = [3, 3], sigma = [0.1, 2], p = 1"),
        ("op = 'solarize'", "threshold = 0.5, p = 1"),
        ("op = 'posterize', bits = 4", "bits = 4, p = 1"),
        ("op = 'erase'", "scale = [0.02, 0.33], ratio = [0.3, 3.3], value = [0], p = 0.5"),
        ("op = 'normalise', mean = [0.5], std = [0.25]", "mean = [0.5], std = [0.25]"),
    ] {
        let op = one(text);
        let written = format!("{{ op = \"{}\", {written} }}", op.kind.name());
        assert_eq!(op.to_toml(), written, "{text}");
        assert_eq!(one(&written[1..written.len() - 1]), op, "{text}");
    }
}

#[test]
fn numbers_stand_for_intervals_as_in_torchvision() {
    let interval = |text| match one(text).kind {
        PixelKind::ColourJitter { brightness: Some(b), .. } => b,
        PixelKind::Affine { shear: [x, _], .. } => x,
        PixelKind::GaussianBlur { sigma, .. } => sigma,
        other => panic!("{other:?}"),
    };
    assert_eq!(interval("op = 'colour-jitter', brightness = 0.25"), [0.75, 1.25]);
    assert_eq!(interval("op = 'colour-jitter', brightness = [0.25, 3]"), [0.25, 3.0]);
    assert_eq!(interval("op = 'affine', degrees = 0, shear = 5"), [-5.0, 5.0]);
    assert_eq!(interval("op = 'affine', degrees = 0, shear = [1, 5]"), [1.0, 5.0]);
    assert_eq!(interval("op = 'affine', degrees = 0, shear = [1, 2, 3, 4]"), [1.0, 2.0]);
    assert_eq!(interval("op = 'gaussian-blur', kernel = 3, sigma = 1"), [1.0, 1.0]);
}

#[test]
fn impossible_parameters_name_their_key() {
    for (text, expected) in [
        ("op = 'random-resized-crop'", "`pixel[0].size` is missing"),
        ("op = 'random-resized-crop', size = 0", "`pixel[0].size` must be a whole number from 1"),
        ("op = 'random-resized-crop', size = 16385", "from 1 to 16384, not 16385"),
        ("op = 'random-resized-crop', size = [28, 0]", "`pixel[0].size[1]` must be"),
        ("op = 'random-resized-crop', size = [1, 2, 3]", "one side, or [height, width]"),
        ("op = 'random-resized-crop', size = 8, scale = [0.5, 1.5]", "scale[1]` must be above 0"),
        ("op = 'random-resized-crop', size = 8, scale = [0, 1]", "at most 1, not 0"),
        ("op = 'random-resized-crop', size = 8, scale = [1, 0.5]", "low first"),
        ("op = 'random-resized-crop', size = 8, ratio = [0, 1]", "ratio[0]` must be 0.001 to"),
        ("op = 'random-resized-crop', size = 8, filter = 'bilinaer'", "did you mean \"bilinear\"?"),
        ("op = 'random-resized-crop', size = 8, p = 0.5", "unknown key `pixel[0].p`"),
        ("op = 'random-resized-crop', size = 8, scal = 1", "did you mean `pixel[0].scale`?"),
        ("op = 'random-crop', size = 8, fill = 1", "but there is none"),
        ("op = 'random-crop', size = 8, padding-mode = 'edge'", "but there is none"),
        ("op = 'random-crop', size = 8, padding = 1, padding-mode = 'edge', fill = 1", "only"),
        ("op = 'flip', p = 1.5", "`pixel[0].p` must be 0 to 1, not 1.5"),
        ("op = 'flip', p = nan", "must be a finite number, not NaN"),
        ("op = 'flip', axis = 'x'", "can be horizontal, vertical"),
        ("op = 'rotate', degrees = -1", "must be 0 to 360, not -1"),
        ("op = 'rotate', degrees = [0, 361]", "degrees[1]` must be -360 to 360"),
        ("op = 'affine', degrees = 0, translate = [0, 2]", "must be 0 to 1, not 2"),
        ("op = 'affine', degrees = 0, translate = 0.5", "must be an array, not a float"),
        ("op = 'affine', degrees = 0, scale = 0", "scale` must be 0.001 to 1000, not 0"),
        ("op = 'affine', degrees = 0, shear = 90", "shear` must be 0 to 89, not 90"),
        ("op = 'affine', degrees = 0, shear = [1, 2, 3]", "or [x low, x high, y low, y high]"),
        ("op = 'colour-jitter'", "at least one of them"),
        ("op = 'colour-jitter', hue = 0.6", "hue` must be 0 to 0.5, not 0.6"),
        ("op = 'colour-jitter', brightness = -1", "must be 0 to 1000, not -1"),
        ("op = 'gaussian-blur'", "`pixel[0].kernel` is missing"),
        ("op = 'gaussian-blur', kernel = 4", "must be odd, not 4"),
        ("op = 'gaussian-blur', kernel = 3, sigma = 0", "sigma` must be 0.001 to 1000, not 0"),
        ("op = 'gaussian-blur', kernel = 3, sigma = [2, 1]", "low first"),
        ("op = 'solarize', threshold = 128", "must be 0 to 1, not 128"),
        ("op = 'posterize', bits = 0", "from 1 to 8, not 0"),
        ("op = 'erase', value = 'random'", "it can be noise"),
        ("op = 'erase', value = []", "one number for each channel, not 0"),
        ("op = 'normalise', mean = 0.5, std = 1", "must be an array, not a float"),
        ("op = 'normalise', mean = [0.5], std = [0]", "std` must be greater than 0"),
        ("op = 'normalise', mean = [0.5], std = [1], p = 1", "unknown key `pixel[0].p`"),
        ("size = 3", "`pixel[0].op` is missing"),
    ] {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
        assert!(message.starts_with("list of ops:1: "), "{message}");
    }
}

#[test]
fn names_of_other_libraries_lead_to_ours() {
    for (name, meant) in [
        ("color-jitter", "op = \"colour-jitter\""),
        ("ColorJitter", "op = \"colour-jitter\""),
        ("normalize", "op = \"normalise\""),
        ("random-horizontal-flip", "op = \"flip\""),
        ("RandomVerticalFlip", "op = \"flip\", axis = \"vertical\""),
        ("random-erasing", "op = \"erase\""),
        ("random-affine", "op = \"affine\""),
        ("RandomRotation", "op = \"rotate\""),
        ("RandomResizedCrop", "op = \"random-resized-crop\""),
        ("random_resized_crop", "op = \"random-resized-crop\""),
        ("GaussianBlur", "op = \"gaussian-blur\""),
        ("RandomGrayscale", "op = \"grayscale\""),
        ("greyscale", "op = \"grayscale\""),
        ("gausian-blur", "\"gaussian-blur\""),
    ] {
        let message = refusal(&format!("op = '{name}'"));
        assert!(message.contains(&format!("did you mean {meant}?")), "{name}: {message}");
    }
    assert!(refusal("op = 'mixup-together'").contains("it can be random-resized-crop"));
}

#[test]
fn lists_are_bounded_and_normalise_comes_last() {
    let flips = |n: usize| format!("[{}]", vec!["{ op = 'flip' }"; n].join(", "));
    assert_eq!(PixelOp::parse_list(&flips(MAX_PIXEL_OPS)).unwrap().len(), MAX_PIXEL_OPS);
    let error = PixelOp::parse_list(&flips(MAX_PIXEL_OPS + 1)).unwrap_err().to_string();
    assert!(error.contains("`pixel` has 65 ops; 64 are the most"), "{error}");
    let text = "[{ op = 'normalise', mean = [0], std = [1] },\n { op = 'flip' }]";
    let error = PixelOp::parse_list(text).unwrap_err().to_string();
    assert!(error.contains("`pixel[0]` must be the last op"), "{error}");
    assert!(PixelOp::parse_list("[]\nother = 1").is_err(), "nothing but the list");
}

#[test]
fn normalising_needs_floats_and_happens_once() {
    let recipe = |views: &str, output: &str| {
        let text = format!("[generator]\nmodel = 'g'\n[output]\n{output}\n{views}");
        Recipe::parse(&text, "r.toml", Path::new("."))
    };
    let op = "{ op = 'normalise', mean = [0.5], std = [0.5] }";
    let flat = format!("[views]\npixel = [{{ op = 'flip' }},\n {op}]");
    let group =
        format!("[[views.groups]]\nname = 'a'\n[[views.groups]]\nname = 'b'\npixel = [{op}]");
    assert!(recipe(&flat, "dtype = 'f32'").is_ok());
    assert!(recipe(&group, "dtype = 'f16'").is_ok());
    let error = recipe(&flat, "").unwrap_err().to_string();
    let expected = "r.toml:7: `views.pixel[1]` normalises, which needs a float dtype";
    assert!(error.starts_with(expected), "{error}");
    let error = recipe(&group, "dtype = 'u8'").unwrap_err().to_string();
    assert!(error.contains("`views.groups[1].pixel[0]` normalises"), "{error}");
    let twice = "dtype = 'f32'\nnormalise = { mean = [0], std = [1] }";
    let error = recipe(&flat, twice).unwrap_err().to_string();
    assert!(error.contains("`views.pixel[1]` would normalise a second time"), "{error}");
}

#[test]
fn what_changes_pixels_is_identity_and_spelling_is_not() {
    let digest = |pixel: &str| {
        let text = format!("[generator]\nmodel = 'g'\n{pixel}\n[output]\ndtype = 'f32'");
        let recipe = Recipe::parse(&text, "r", Path::new(".")).unwrap();
        recipe.digest(|_| Ok(())).unwrap()
    };
    let same = [
        "[views]\npixel = [{ op = 'random-crop', size = 8 }, { op = 'flip' }]",
        "[views]\npixel = [{ op = 'random-crop', size = [8, 8], padding = 0 }, { p = 0.50, op = 'flip' }]",
        "[[views.pixel]]\nop = 'random-crop'\nsize = 8\n[[views.pixel]]\nop = 'flip'\naxis = 'horizontal'",
    ];
    assert_eq!(digest(same[0]), digest(same[1]));
    assert_eq!(digest(same[0]), digest(same[2]));
    let mut seen = vec![digest(same[0])];
    for pixel in [
        "op = 'flip'",
        "op = 'flip', p = 0.25",
        "op = 'flip', axis = 'vertical'",
        "op = 'random-crop', size = 8, padding = 1",
        "op = 'random-crop', size = 8, padding = 1, fill = 0.1",
        "op = 'random-crop', size = 8, padding = 1, padding-mode = 'edge'",
        "op = 'colour-jitter', brightness = 0.1",
        "op = 'colour-jitter', contrast = 0.1",
        "op = 'erase'",
        "op = 'erase', value = 'noise'",
        "op = 'normalise', mean = [0], std = [1]",
        "op = 'normalise', mean = [0], std = [2]",
    ] {
        let digest = digest(&format!("[views]\npixel = [{{ {pixel} }}]"));
        assert!(!seen.contains(&digest), "{pixel}");
        seen.push(digest);
    }
}

/// Any op that can be written, `normalise` included.
fn any_op() -> impl Strategy<Value = PixelOp> {
    fn rising(low: f64, high: f64) -> impl Strategy<Value = [f64; 2]> {
        (low..=high, low..=high).prop_map(|(a, b)| [a.min(b), a.max(b)])
    }
    let size = || [1..=MAX_SIDE, 1..=MAX_SIDE];
    let filter = || prop::sample::select(Filter::ALL.map(|(_, filter)| filter).to_vec());
    let sampling = || prop::sample::select(Sampling::ALL.map(|(_, filter)| filter).to_vec());
    let padding = prop_oneof![
        Just((0, Padding::Constant(0.0))),
        (1..=MAX_SIDE, 0f32..=1.0).prop_map(|(n, fill)| (n, Padding::Constant(fill))),
        (1..=MAX_SIDE, prop_oneof![Just(Padding::Reflect), Just(Padding::Edge)]),
    ];
    let factor = || prop::option::of(rising(0.0, MAX_FACTOR));
    let value = prop_oneof![
        prop::collection::vec(0.0..=1.0, 1..=MAX_CHANNELS).prop_map(EraseValue::Constant),
        Just(EraseValue::Noise),
    ];
    let sized = prop_oneof![
        (size(), rising(1e-9, 1.0), rising(0.001, 1000.0), filter()).prop_map(
            |(size, scale, ratio, filter)| PixelKind::RandomResizedCrop {
                size,
                scale,
                ratio,
                filter
            }
        ),
        (1..=MAX_SIDE, filter())
            .prop_map(|(side, filter)| PixelKind::Resize { size: Size::Shorter(side), filter }),
        (size(), filter())
            .prop_map(|(size, filter)| PixelKind::Resize { size: Size::Exact(size), filter }),
        size().prop_map(|size| PixelKind::CenterCrop { size }),
        (size(), padding).prop_map(|(size, (padding, mode))| PixelKind::RandomCrop {
            size,
            padding,
            mode
        }),
        (1usize..=4, 1usize..=4).prop_flat_map(|(m, s)| {
            let mean = prop::collection::vec(-10.0..10.0, m);
            (mean, prop::collection::vec(1e-6..10.0, s))
                .prop_map(|(mean, std)| PixelKind::Normalise(Normalise { mean, std }))
        }),
    ];
    let drawn = prop_oneof![
        prop::bool::ANY.prop_map(|x| PixelKind::Flip {
            axis: if x { Axis::Horizontal } else { Axis::Vertical }
        }),
        (rising(-360.0, 360.0), sampling(), 0.0..=1.0)
            .prop_map(|(degrees, filter, fill)| PixelKind::Rotate { degrees, filter, fill }),
        (
            rising(-360.0, 360.0),
            [0.0..=1.0, 0.0..=1.0],
            rising(0.001, 1000.0),
            [rising(-89.0, 89.0), rising(-89.0, 89.0)],
            sampling(),
            0.0..=1.0,
        )
            .prop_map(|(degrees, translate, scale, shear, filter, fill)| {
                PixelKind::Affine { degrees, translate, scale, shear, filter, fill }
            }),
        (rising(0.0, 1000.0), factor(), factor(), prop::option::of(rising(-0.5, 0.5))).prop_map(
            |(first, contrast, saturation, hue)| PixelKind::ColourJitter {
                brightness: Some(first),
                contrast,
                saturation,
                hue
            }
        ),
        Just(PixelKind::Grayscale),
        ([0..MAX_SIDE / 2, 0..MAX_SIDE / 2], rising(0.001, 1000.0)).prop_map(|([h, w], sigma)| {
            PixelKind::GaussianBlur { kernel: [2 * h + 1, 2 * w + 1], sigma }
        }),
        (0.0..=1.0).prop_map(|threshold| PixelKind::Solarize { threshold }),
        (1u32..=8).prop_map(|bits| PixelKind::Posterize { bits }),
        (rising(1e-9, 1.0), rising(0.001, 1000.0), value)
            .prop_map(|(scale, ratio, value)| PixelKind::Erase { scale, ratio, value }),
    ];
    prop_oneof![
        sized.prop_map(|kind| PixelOp { p: 1.0, kind }),
        (0.0..=1.0, drawn).prop_map(|(p, kind)| PixelOp { p, kind }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equal(op in any_op()) {
        let text = op.to_toml();
        let again = PixelOp::parse_list(&format!("[{text}]"));
        prop_assert_eq!(again.map_err(|e| e.to_string()), Ok(vec![op]), "{}", text);
    }
}
