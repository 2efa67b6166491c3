//! Pictures decoded and encoded on one core, at the sizes that datasets have.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use genset::codec::{Decoder, Encoding, Fit, Form, Picture, RawForm, Target};
use genset::recipe::{Dtype, Layout};

/// Heights and widths.
const SIZES: [[usize; 2]; 3] = [[32, 32], [128, 128], [375, 500]];

const ENCODINGS: [Encoding; 5] = [
    Encoding::Raw,
    Encoding::Png,
    Encoding::Jpeg { quality: 75 },
    Encoding::Jpeg { quality: 95 },
    Encoding::WebP,
];

fn form([height, width]: [usize; 2]) -> RawForm {
    RawForm { channels: 3, height, width, dtype: Dtype::U8, layout: Layout::Nchw }
}

/// Waves of several lengths and some noise: neither flat nor random, as photographs are.
fn image(form: &RawForm) -> Vec<u8> {
    let RawForm { height, width, .. } = *form;
    let mut noise = 1u32;
    let mut level = |channel: usize, y: usize, x: usize| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let [y, x] = [y as f32, x as f32];
        let waves: f32 = (1..6)
            .map(|n| {
                let n = n as f32;
                (x * 0.07 * n + y * 0.05 * n * n + channel as f32).sin() * 60.0 / n
            })
            .sum();
        (128.0 + waves + (noise % 17) as f32 - 8.0) as u8
    };
    let mut pixels = Vec::with_capacity(3 * height * width);
    for channel in 0..3 {
        for y in 0..height {
            pixels.extend((0..width).map(|x| level(channel, y, x)));
        }
    }
    pixels
}

fn file(encoding: Encoding, form: RawForm, bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let picture = Picture { bytes, form: Form::Raw(form) };
    encoding.encode(picture, &mut file).expect("an image that every encoding holds");
    file
}

fn pictures(criterion: &mut Criterion) {
    for size in SIZES {
        let form = form(size);
        let bytes = image(&form);
        let name = format!("{}x{}", size[0], size[1]);
        for encoding in ENCODINGS {
            let mut group = criterion.benchmark_group(format!("pictures/{encoding}"));
            group.throughput(Throughput::Elements(1));
            group.bench_function(format!("encode/{name}"), |bencher| {
                let mut out = Vec::new();
                bencher.iter(|| {
                    out.clear();
                    let picture = Picture { bytes: black_box(&bytes), form: Form::Raw(form) };
                    encoding.encode(picture, &mut out).expect("an image");
                });
            });
            let file = file(encoding, form, &bytes);
            let picture = Picture { bytes: &file, form: encoding.form(form) };
            let side = RawForm { height: 32, width: 32, ..form };
            for (verb, target) in [
                ("decode", Target { form, fit: Fit::Exact }),
                ("cover-32", Target { form: side, fit: Fit::Cover }),
            ] {
                group.bench_function(format!("{verb}/{name}"), |bencher| {
                    let mut decoder = Decoder::new();
                    let mut out = vec![0; target.form.image_bytes().expect("a size")];
                    bencher.iter(|| {
                        decoder.decode(black_box(picture), &target, &mut out).expect("a file");
                    });
                });
            }
        }
    }
}

criterion_group!(benches, pictures);
criterion_main!(benches);
