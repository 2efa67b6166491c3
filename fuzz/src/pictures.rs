//! JPEG, PNG and WebP files, decoded to a small image.

use std::sync::LazyLock;

use genset::codec::{Decoder, Encoding, Fit, Form, Picture, RawForm, Target, size};
use genset::recipe::{Dtype, Layout};

use super::change::choose;

const SIDE: usize = 16;

/// More than the fuzzer's memory has room for many of; the limit of the decoder itself is in its
/// tests.
const MAX_PIXELS: usize = 1 << 22;

const FORMS: [(Encoding, Form); 3] = [
    (Encoding::Jpeg { quality: 80 }, Form::Jpeg),
    (Encoding::Png, Form::Png),
    (Encoding::WebP, Form::WebP),
];

fn form(channels: usize, dtype: Dtype, layout: Layout) -> RawForm {
    RawForm { channels, height: SIDE, width: SIDE, dtype, layout }
}

/// A file of an image in each form.
pub fn files(channels: usize) -> Vec<Vec<u8>> {
    let raw = form(channels, Dtype::U8, Layout::Nhwc);
    let bytes: Vec<u8> = (0..channels * SIDE * SIDE).map(|i| (i * i / 7) as u8).collect();
    let encoded = |(encoding, _): (Encoding, Form)| {
        let mut file = Vec::new();
        let picture = Picture { bytes: &bytes, form: Form::Raw(raw) };
        encoding.encode(picture, &mut file).expect("a valid image");
        file
    };
    FORMS.map(encoded).to_vec()
}

/// A file, as one of each form. What it says of its size is what is decoded.
pub fn decode(input: &[u8]) {
    static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| [files(1), files(3)].concat());
    let Some((choice, bytes)) = choose(input, &VALID) else { return };
    let picture = Picture { bytes: &bytes, form: FORMS[choice % FORMS.len()].1 };
    let sized = size(picture);
    assert!(sized.is_ok() || bytes != VALID[choice], "a valid image was refused: {sized:?}");
    let Ok((channels, height, width)) = sized else { return };
    assert!((1..=4).contains(&channels), "{channels} channels");
    if height * width > MAX_PIXELS {
        return;
    }
    let mut decoder = Decoder::new();
    for (channels, dtype, layout, fit) in [
        (3, Dtype::U8, Layout::Nchw, Fit::Cover),
        (1, Dtype::F32, Layout::Nhwc, Fit::Cover),
        (4, Dtype::U8, Layout::Nhwc, Fit::Exact),
    ] {
        let form = form(channels, dtype, layout);
        let mut out = vec![0; form.checked_len().expect("a small image")];
        let _ = decoder.decode(picture, &Target { form, fit }, &mut out);
    }
}
