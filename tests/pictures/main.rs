//! Pictures decoded as Pillow decodes them.

use std::path::{Path, PathBuf};

use genset::codec::{Decoder, Fit, Form, Picture, RawForm, Target, size};
use genset::recipe::{Dtype, Layout};
use genset::source;

const SIDE: usize = 16;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

/// What Pillow made of a file.
fn expected(name: &str, kind: &str) -> Vec<u8> {
    let records = source::open(&folder().join(format!("{name}.{kind}.npy"))).unwrap();
    let mut pixels = Vec::new();
    let mut show = |_: usize, picture: Picture<'_>| {
        pixels = picture.bytes.to_vec();
        Ok(())
    };
    records.show(0, &mut Vec::new(), &mut show).unwrap();
    pixels
}

/// The largest and the mean difference of what genset makes of a file from what Pillow makes.
fn difference(name: &str, kind: &str) -> (u8, f64) {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let picture = Picture { bytes: &bytes, form: Form::sniff(&bytes).unwrap() };
    let (_, height, width) = size(picture).unwrap();
    let (channels, height, width, fit) = match kind {
        "rgb" => (3, height, width, Fit::Exact),
        "gray" => (1, height, width, Fit::Exact),
        _ => (3, SIDE, SIDE, Fit::Cover),
    };
    let form = RawForm { channels, height, width, dtype: Dtype::U8, layout: Layout::Nhwc };
    let mut out = vec![0; form.checked_len().unwrap()];
    Decoder::new().decode(picture, &Target { form, fit }, &mut out).unwrap();
    let expected = expected(name, kind);
    assert_eq!(out.len(), expected.len());
    let apart = || out.iter().zip(&expected).map(|(x, y)| x.abs_diff(*y));
    let mean = apart().map(f64::from).sum::<f64>() / out.len() as f64;
    (apart().max().unwrap(), mean)
}

#[test]
fn lossless_files_are_the_same_pixels() {
    for name in [
        "plain.png",
        "gray.png",
        "alpha.png",
        "gray-alpha.png",
        "palette.png",
        "bits.png",
        "lossless.webp",
        "alpha.webp",
    ] {
        assert_eq!(difference(name, "rgb"), (0, 0.0), "{name} as RGB");
        assert_eq!(difference(name, "gray"), (0, 0.0), "{name} as gray");
        let (most, _) = difference(name, "cover");
        assert!(most <= 1, "{name} resized: {most} levels");
    }
}

#[test]
fn lossy_files_are_within_a_few_levels() {
    for (name, bound) in [
        ("420.jpg", 4),
        ("444.jpg", 4),
        ("gray.jpg", 2),
        ("progressive.jpg", 4),
        ("cmyk.jpg", 6),
        ("lossy.webp", 4),
    ] {
        for kind in ["rgb", "gray", "cover"] {
            let (most, mean) = difference(name, kind);
            assert!(
                most <= bound && mean < 1.0,
                "{name} {kind}: {most} levels, {mean} in the mean"
            );
        }
    }
}
