//! What is written is read, what is hostile is refused.

use proptest::prelude::*;

use super::*;
use crate::error::Kind;
use crate::recipe::{Dtype, Layout};

fn form(channels: usize, height: usize, width: usize) -> RawForm {
    RawForm { channels, height, width, dtype: Dtype::U8, layout: Layout::Nhwc }
}

/// An image with gradients and a little noise.
fn image(form: &RawForm) -> Vec<u8> {
    let RawForm { channels, width, .. } = *form;
    let level = |i: usize| {
        let (pixel, channel) = (i / channels, i % channels);
        let (y, x) = (pixel / width, pixel % width);
        (x * 3 + y * 2 + channel * 50 + (i * 7919 % 5)) as u8
    };
    (0..form.checked_len().unwrap()).map(level).collect()
}

fn encoded(encoding: Encoding, form: RawForm, bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    encoding.encode(Picture { bytes, form: Form::Raw(form) }, &mut file).unwrap();
    file
}

fn decode(bytes: &[u8], form: Form, target: Target) -> crate::Result<Vec<u8>> {
    let mut out = vec![0; target.form.checked_len().unwrap()];
    Decoder::new().decode(Picture { bytes, form }, &target, &mut out)?;
    Ok(out)
}

#[test]
fn lossless_files_hold_every_byte_in_both_layouts() {
    for encoding in [Encoding::Raw, Encoding::Png, Encoding::WebP] {
        for channels in [1, 3, 4] {
            for layout in [Layout::Nchw, Layout::Nhwc] {
                let form = RawForm { layout, ..form(channels, 19, 37) };
                let bytes = image(&form);
                let file = encoded(encoding, form, &bytes);
                if let Some(sniffed) = Form::sniff(&file) {
                    assert_eq!(sniffed, encoding.form(form));
                }
                let target = Target { form, fit: Fit::Exact };
                assert_eq!(decode(&file, encoding.form(form), target).unwrap(), bytes);
            }
        }
    }
}

#[test]
fn jpeg_is_near_and_nearer_with_quality() {
    for channels in [1, 3] {
        let form = form(channels, 40, 56);
        let bytes = image(&form);
        let distance = |quality| {
            let file = encoded(Encoding::Jpeg { quality }, form, &bytes);
            let (channels, height, width) =
                size(Picture { bytes: &file, form: Form::Jpeg }).unwrap();
            assert_eq!([channels, height, width], [form.channels, 40, 56]);
            let seen = decode(&file, Form::Jpeg, Target { form, fit: Fit::Exact }).unwrap();
            let sum: u64 = bytes.iter().zip(&seen).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
            sum as f64 / bytes.len() as f64
        };
        let (low, high) = (distance(40), distance(95));
        assert!(high < low && high < 8.0, "{channels} channels: {low} and {high}");
    }
}

#[test]
fn floats_are_intensities() {
    let bytes = image(&form(3, 5, 7));
    let file = encoded(Encoding::Png, form(3, 5, 7), &bytes);
    let wanted = RawForm { dtype: Dtype::F32, ..form(3, 5, 7) };
    let out = decode(&file, Form::Png, Target { form: wanted, fit: Fit::Exact }).unwrap();
    let floats: Vec<f32> = out.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
    let expected: Vec<f32> = bytes.iter().map(|x| f32::from(*x) / 255.0).collect();
    assert_eq!(floats, expected);
    let target = Target { form: form(3, 5, 7), fit: Fit::Exact };
    assert_eq!(decode(&out, Form::Raw(wanted), target).unwrap(), bytes);
    let mut nan = out;
    nan[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = decode(&nan, Form::Raw(wanted), target).unwrap_err();
    assert!(error.to_string().contains("NaN"), "{error}");
}

#[test]
fn another_size_is_an_error_that_says_both() {
    for encoding in [Encoding::Png, Encoding::Jpeg { quality: 90 }, Encoding::Raw] {
        let given = form(3, 12, 10);
        let file = encoded(encoding, given, &image(&given));
        let target = Target { form: form(3, 10, 12), fit: Fit::Exact };
        let error = decode(&file, encoding.form(given), target).unwrap_err();
        assert_eq!(error.kind(), Kind::Sample);
        assert!(error.summary().contains("12x10") && error.summary().contains("10x12"), "{error}");
    }
}

#[test]
fn a_bomb_is_refused_from_its_header() {
    // 65,535 x 65,535 pixels in the frame header of a tiny JPEG and a tiny PNG.
    let small = form(1, 8, 8);
    let mut jpeg = encoded(Encoding::Jpeg { quality: 50 }, small, &image(&small));
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    let mut png = encoded(Encoding::Png, small, &image(&small));
    png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let checksum = crc(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    let target = Target { form: form(1, 8, 8), fit: Fit::Cover };
    for (file, form) in [(jpeg, Form::Jpeg), (png, Form::Png)] {
        assert!(size(Picture { bytes: &file, form }).unwrap_err().is_limit());
        assert!(decode(&file, form, target).unwrap_err().is_limit());
    }
}

/// The checksum of a PNG's chunk.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let given = form(3, 24, 24);
    for encoding in [Encoding::Png, Encoding::Jpeg { quality: 90 }, Encoding::WebP] {
        let file = encoded(encoding, given, &image(&given));
        let target = Target { form: given, fit: Fit::Exact };
        // Of a PNG, the chunk that says that it ends holds nothing of the image.
        let needed = if encoding == Encoding::Png { file.len() - 12 } else { file.len() - 1 };
        for len in 0..needed {
            assert!(decode(&file[..len], encoding.form(given), target).is_err(), "{len} bytes");
        }
    }
}

#[test]
fn a_scan_bomb_is_refused() {
    let given = form(1, 64, 64);
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 50);
    encoder.set_progressive(true);
    encoder.encode(&image(&given), 64, 64, jpeg_encoder::ColorType::Luma).unwrap();
    let target = Target { form: given, fit: Fit::Exact };
    decode(&file, Form::Jpeg, target).unwrap();
    // The last scan, again and again.
    let last = file.windows(2).rposition(|marker| marker == [0xff, 0xda]).unwrap();
    let scan = file[last..file.len() - 2].to_vec();
    file.truncate(file.len() - 2);
    (0..200).for_each(|_| file.extend_from_slice(&scan));
    file.extend([0xff, 0xd9]);
    assert!(decode(&file, Form::Jpeg, target).is_err());
}

#[test]
fn a_column_becomes_a_square_without_its_length_squared() {
    let given = form(3, 60_000, 1);
    let bytes = image(&given);
    let target = Target { form: form(3, 64, 64), fit: Fit::Cover };
    let out = decode(&bytes, Form::Raw(given), target).unwrap();
    // The middle row and those around it.
    let middle = &bytes[3 * 29_970..3 * 30_030];
    assert!(out.iter().all(|x| middle.iter().any(|y| x.abs_diff(*y) < 4)));
}

#[test]
fn what_an_encoding_cannot_hold_is_said() {
    let says = |encoding: Encoding, form: RawForm, word: &str| {
        let error = encoding.check(&form).unwrap_err();
        assert_eq!(error.kind(), Kind::Argument);
        assert!(error.to_string().contains(word), "{error}");
    };
    says(Encoding::Png, RawForm { dtype: Dtype::F32, ..form(3, 4, 4) }, "f32");
    says(Encoding::Jpeg { quality: 90 }, form(4, 4, 4), "4 channels");
    says(Encoding::WebP, form(3, 4, 20_000), "16384");
    assert!(Encoding::Raw.check(&RawForm { dtype: Dtype::F16, ..form(2, 4, 20_000) }).is_ok());
}

#[test]
fn encodings_have_names() {
    for text in ["raw", "png", "jpeg:1", "jpeg:100", "webp"] {
        assert_eq!(Encoding::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Encoding::parse("jpeg").unwrap(), Encoding::Jpeg { quality: 90 });
    for text in ["", "jpeg:0", "jpeg:101", "jpeg:", "gif", "PNG"] {
        assert_eq!(Encoding::parse(text).unwrap_err().kind(), Kind::Argument, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn damage_is_an_error_or_an_image_and_never_a_panic(
        which in 0..4usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let given = form(3, 20, 28);
        let (encoding, progressive) = [
            (Encoding::Png, false),
            (Encoding::WebP, false),
            (Encoding::Jpeg { quality: 80 }, false),
            (Encoding::Jpeg { quality: 80 }, true),
        ][which];
        let mut file = Vec::new();
        if progressive {
            let mut encoder = jpeg_encoder::Encoder::new(&mut file, 80);
            encoder.set_progressive(true);
            encoder.encode(&image(&given), 28, 20, jpeg_encoder::ColorType::Rgb).unwrap();
        } else {
            file = encoded(encoding, given, &image(&given));
        }
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        let target = Target { form: given, fit: Fit::Cover };
        drop(decode(&file, encoding.form(given), target));
        drop(size(Picture { bytes: &file, form: encoding.form(given) }));
    }

    #[test]
    fn noise_behind_a_magic_number_is_refused(
        which in 0..3usize,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let begin: &[u8] = [
            b"\x89PNG\r\n\x1a\n".as_slice(),
            b"\xff\xd8\xff",
            b"RIFF\x40\0\0\0WEBP",
        ][which];
        let file = [begin, &noise].concat();
        let seen = Form::sniff(&file).unwrap();
        let target = Target { form: form(1, 4, 4), fit: Fit::Cover };
        prop_assert!(decode(&file, seen, target).is_err());
    }
}
