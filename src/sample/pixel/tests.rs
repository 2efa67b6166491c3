//! Pixel steps: what is refused, what is left out, and that a draw is a function of its place.

use std::path::Path;

use super::*;
use crate::sample::Fill;

/// The views of SimCLR (Chen et al., 2020) at CIFAR's size.
const SIMCLR: &str = "[
    { op = 'random-resized-crop', size = 32 },
    { op = 'flip' },
    { op = 'colour-jitter', brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 0.8 },
    { op = 'grayscale', p = 0.2 },
    { op = 'gaussian-blur', kernel = 3, p = 0.5 },
]";

fn sampler(ops: &str, image: [usize; 3]) -> PixelSampler {
    PixelSampler::of_ops(7, &PixelOp::parse_list(ops).unwrap(), image).unwrap()
}

fn draw(sampler: &PixelSampler, index: u64, epoch: u64, view: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    sampler.steps(index, epoch, 0, view, &mut steps);
    steps
}

#[test]
fn a_draw_depends_on_nothing_but_its_place() {
    let sampler = sampler(SIMCLR, [3, 32, 32]);
    let mut reused = vec![Step::Grayscale; 99];
    let mut seen = Vec::new();
    for index in [0, 1, u64::from(u32::MAX) + 1, 1 << 62] {
        for (epoch, view) in [(0, 0), (0, 1), (1, 0), (1 << 24, 0), (1 << 40, 1)] {
            sampler.steps(index, epoch, 0, view, &mut reused);
            assert_eq!(reused, draw(&sampler.clone(), index, epoch, view));
            assert!(!seen.contains(&reused), "places draw on their own");
            seen.push(reused.clone());
        }
    }
}

#[test]
fn draws_have_fixed_bits() {
    let ops = format!(
        "{}, {{ op = 'affine', degrees = 30, shear = [-5, 5, -5, 5] }}, {{ op = 'erase', p = 1 }}]",
        SIMCLR.trim_end_matches(",\n]")
    );
    let sampler = sampler(&ops, [3, 32, 32]);
    let text: Vec<_> = (0..64).map(|i| format!("{:?}", draw(&sampler, i, i % 3, 0))).collect();
    let digest = blake3::hash(text.concat().as_bytes()).to_hex();
    assert_eq!(&digest[..16], "56f267f0a9e8687d", "{}", text[0]);
}

#[test]
fn taking_an_op_out_leaves_the_draws_of_the_others() {
    let without = SIMCLR.lines().filter(|line| !line.contains("flip")).collect::<String>();
    let (all, fewer) = (sampler(SIMCLR, [3, 32, 32]), sampler(&without, [3, 32, 32]));
    for index in 0..100 {
        let mut steps = draw(&all, index, 2, 1);
        steps.retain(|step| !matches!(step, Step::Flip { .. }));
        assert_eq!(steps, draw(&fewer, index, 2, 1));
    }
}

#[test]
fn epochs_are_fresh_or_the_same_and_groups_draw_on_their_own() {
    let sampler = |epochs: &str| {
        let group = |name| format!("{{ name = '{name}', pixel = {} }}", SIMCLR.replace('\n', " "));
        let text = format!(
            "[generator]\nmodel = 'g'\n[views]\nepochs = '{epochs}'\ngroups = [{}, {}]",
            group("a"),
            group("b")
        );
        let recipe = Recipe::parse(&text, "r", Path::new(".")).unwrap();
        PixelSampler::new(&recipe, [3, 48, 48]).unwrap()
    };
    let steps = |sampler: &PixelSampler, epoch, group| {
        let mut steps = Vec::new();
        sampler.steps(5, epoch, group, 0, &mut steps);
        steps
    };
    let (fresh, same) = (sampler("fresh"), sampler("same"));
    assert_ne!(steps(&fresh, 0, 0), steps(&fresh, 1, 0));
    assert_eq!(steps(&same, 0, 0), steps(&same, 1, 0));
    assert_eq!(steps(&same, 0, 0), steps(&fresh, 0, 0));
    assert_ne!(steps(&fresh, 0, 0), steps(&fresh, 0, 1));
    assert_eq!((fresh.groups(), fresh.image(1)), (2, [3, 32, 32]));
}

#[test]
fn what_does_nothing_is_left_out() {
    for ops in [
        "[]",
        "[{ op = 'resize', size = 28 }, { op = 'center-crop', size = 28 }]",
        "[{ op = 'random-crop', size = 28 }, { op = 'flip', p = 0 }]",
        "[{ op = 'gaussian-blur', kernel = 1 }]",
        "[{ op = 'normalise', mean = [0.5], std = [0.5] }]",
    ] {
        let sampler = sampler(ops, [1, 28, 28]);
        assert!(sampler.is_empty(0), "{ops}");
        assert_eq!(draw(&sampler, 1, 0, 0), [], "{ops}");
    }
    for ops in [
        "[{ op = 'affine', degrees = 0, translate = [0.01, 0] }]",
        "[{ op = 'rotate', degrees = [0, 0] }]",
        "[{ op = 'colour-jitter', brightness = 0, contrast = 0, p = 0.5 }]",
        "[{ op = 'random-resized-crop', size = 28, scale = [1, 1], ratio = [1, 1] }]",
    ] {
        let sampler = sampler(ops, [1, 28, 28]);
        assert!((0..50).all(|index| draw(&sampler, index, 0, 0).is_empty()), "{ops}");
    }
}

#[test]
fn a_padded_crop_of_the_whole_image_is_left_out() {
    let sampler = sampler("[{ op = 'random-crop', size = 4, padding = 1 }]", [1, 4, 4]);
    let drawn: Vec<_> = (0..900).map(|index| draw(&sampler, index, 0, 0)).collect();
    let nothing = drawn.iter().filter(|steps| steps.is_empty()).count();
    assert!((60..140).contains(&nothing), "one place in nine: {nothing}");
    let still = |step: &Step| matches!(step, Step::Crop { top: 0, left: 0, .. });
    assert!(!drawn.concat().iter().any(still));
}

#[test]
fn shapes_pass_through_the_list() {
    for (ops, image, expected) in [
        ("[{ op = 'resize', size = 20 }]", [3, 30, 41], [3, 20, 27]),
        ("[{ op = 'resize', size = 20 }]", [3, 41, 30], [3, 27, 20]),
        ("[{ op = 'resize', size = [7, 9] }, { op = 'flip' }]", [1, 41, 30], [1, 7, 9]),
        ("[{ op = 'random-crop', size = [34, 40], padding = 4 }]", [3, 32, 32], [3, 34, 40]),
        (SIMCLR, [3, 2, 300], [3, 32, 32]),
    ] {
        assert_eq!(sampler(ops, image).image(0), expected, "{ops}");
    }
    let with = sampler("[{ op = 'normalise', mean = [0, 1, 2], std = [1] }]", [3, 4, 4]);
    assert_eq!(with.normalise(0).unwrap().mean, [0.0, 1.0, 2.0]);
}

#[test]
fn center_crops_round_as_torchvision_does() {
    // int(round((image - crop) / 2)), halves to even: 3.5 to 4, 2.5 to 2.
    for (image, size, top) in [(28, 21, 4), (27, 22, 2), (28, 20, 4), (3, 2, 0)] {
        let sampler =
            sampler(&format!("[{{ op = 'center-crop', size = {size} }}]"), [1, image, image]);
        let [Step::Crop { top: drawn, left, .. }] = draw(&sampler, 0, 0, 0)[..] else { panic!() };
        assert_eq!((drawn, left), (top, top), "{size} of {image}");
    }
}

#[test]
fn what_does_not_fit_the_image_names_key_and_shapes() {
    for (ops, image, expected) in [
        (
            "[{ op = 'flip' }, { op = 'center-crop', size = 40 }]",
            [3, 32, 48],
            "pixel[1].size: cannot crop 40×40 pixels, but the image here is 3 channels of 32×48",
        ),
        (
            "[{ op = 'random-crop', size = 40, padding = 3 }]",
            [1, 32, 48],
            "pixel[0].size: cannot crop 40×40 pixels with a padding of 3, but the image here is \
             1 channel of 32×48",
        ),
        (
            "[{ op = 'center-crop', size = 8 }, { op = 'center-crop', size = 9 }]",
            [1, 28, 28],
            "8×8",
        ),
        (
            "[{ op = 'random-crop', size = 9, padding = 8, padding-mode = 'reflect' }]",
            [1, 8, 8],
            "pixel[0].padding: cannot mirror 8 pixels",
        ),
        ("[{ op = 'grayscale' }]", [1, 8, 8], "pixel[0].op: needs red, green and blue"),
        ("[{ op = 'colour-jitter', saturation = 0.1 }]", [1, 8, 8], "pixel[0].saturation: needs"),
        ("[{ op = 'colour-jitter', hue = 0.1 }]", [4, 8, 8], "pixel[0].hue: needs red, green"),
        ("[{ op = 'colour-jitter', contrast = 0.1 }]", [4, 8, 8], "pixel[0].contrast: needs one"),
        ("[{ op = 'gaussian-blur', kernel = [3, 17] }]", [1, 8, 8], "pixel[0].kernel: of 3×17"),
        ("[{ op = 'erase', value = [0, 1] }]", [3, 8, 8], "pixel[0].value: has 2 numbers"),
        ("[{ op = 'normalise', mean = [0, 1], std = [1] }]", [3, 8, 8], "pixel[0].mean: has 2"),
        ("[{ op = 'normalise', mean = [0], std = [1, 1] }]", [3, 8, 8], "pixel[0].std: has 2"),
        ("[{ op = 'resize', size = 300 }]", [1, 1, 300], "pixel[0].size: would make 300×90000"),
    ] {
        let list = PixelOp::parse_list(ops).unwrap();
        let error = PixelSampler::of_ops(0, &list, image).unwrap_err().to_string();
        assert!(error.contains(expected), "{ops}: {error}");
    }
    let recipe = |views: &str| {
        let text = format!("[generator]\nmodel = 'g'\n{views}");
        let recipe = Recipe::parse(&text, "r", Path::new(".")).unwrap();
        PixelSampler::new(&recipe, [1, 8, 8]).unwrap_err().to_string()
    };
    let error = recipe("[views]\npixel = [{ op = 'center-crop', size = 9 }]");
    assert!(error.starts_with("views.pixel[0].size: "), "{error}");
    let error = recipe("[[views.groups]]\nname = 'a'\npixel = [{ op = 'center-crop', size = 9 }]");
    assert!(error.starts_with("views.groups[0].pixel[0].size: "), "{error}");
}

#[test]
fn erase_fills_every_channel() {
    let fill = |value: &str| {
        let ops = format!("[{{ op = 'erase', p = 1, value = {value} }}]");
        let sampler = sampler(&ops, [3, 32, 32]);
        let fill = |index| match draw(&sampler, index, 0, 0)[..] {
            [Step::Erase { fill, .. }] => fill,
            _ => panic!("one step"),
        };
        [fill(0), fill(1)]
    };
    assert_eq!(fill("0.25")[0], Fill::Constant([0.25; 4]));
    let Fill::Constant(each) = fill("[0.25, 0.5, 1]")[0] else { panic!() };
    assert_eq!(each[..3], [0.25, 0.5, 1.0]);
    let [Fill::Noise(a), Fill::Noise(b)] = fill("'noise'") else { panic!() };
    assert_ne!(a, b, "each view has noise of its own");
}

#[test]
fn documented_lists_can_be_pasted() {
    let docs = include_str!("../../../docs/recipe.md");
    let section = docs.split("## Pixel operations").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let blocks: Vec<_> =
        section.split("```toml").skip(1).filter_map(|b| b.split("```").next()).collect();
    let images = [[3, 32, 32], [1, 28, 28], [3, 64, 64]];
    assert_eq!(blocks.len(), images.len());
    for (block, image) in blocks.iter().zip(images) {
        let text = format!("[generator]\nmodel = 'g'\n{block}");
        let recipe = Recipe::parse(&text, "docs", Path::new(".")).unwrap();
        let sampler = PixelSampler::new(&recipe, image).unwrap();
        assert!((0..sampler.groups()).all(|group| !sampler.is_empty(group)));
    }
}
