//! JPEG, PNG and WebP files, decoded to a small image.
#![no_main]

use std::sync::LazyLock;

use genset::codec::{Decoder, Encoding, Fit, Form, Picture, RawForm, Target, size};
use genset::recipe::{Dtype, Layout};
use genset_fuzz::choose;
use libfuzzer_sys::fuzz_target;

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

/// Gray and coloured images in each form.
static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut files = Vec::new();
    for channels in [1, 3] {
        let raw = form(channels, Dtype::U8, Layout::Nhwc);
        let bytes: Vec<u8> = (0..channels * SIDE * SIDE).map(|i| (i * i / 7) as u8).collect();
        for (encoding, _) in FORMS {
            let mut file = Vec::new();
            let picture = Picture { bytes: &bytes, form: Form::Raw(raw) };
            encoding.encode(picture, &mut file).expect("a valid image");
            files.push(file);
        }
    }
    files
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = choose(input, &VALID) else { return };
    let picture = Picture { bytes: &bytes, form: FORMS[choice % FORMS.len()].1 };
    let Ok((channels, height, width)) = size(picture) else { return };
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
});
