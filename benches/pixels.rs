//! Pixel operations: each alone, and a whole SimCLR view, on one core.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use genset::generate::ImageFormat;
use genset::recipe::{Axis, Dtype, Filter, Layout, Normalise, Output, Padding, Sampling};
use genset::runtime::TensorView;
use genset::sample::{Fill, Step};
use genset::view::{Canvas, Delivery};

/// Sides and channels of the images.
const SIZES: [(u32, usize); 5] = [(28, 1), (32, 3), (64, 3), (128, 3), (224, 3)];

/// A source of parameters that costs nothing and repeats (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    fn below(&mut self, n: u32) -> u32 {
        ((self.unit() * n as f32) as u32).min(n - 1)
    }
}

/// One draw of the augmentations of Chen et al. (2020) at `side`: a crop of 20 to 100 % of the
/// area, a flip in two, jitter of strength 0.4/0.4/0.4/0.1 in four of five, gray in one of five,
/// blur in two.
fn simclr(dice: &mut Dice, side: u32, channels: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let aspect = dice.between((3f32 / 4.0).ln(), (4f32 / 3.0).ln()).exp();
    let area = dice.between(0.2, 1.0) * (side * side) as f32;
    let width = ((area * aspect).sqrt().round() as u32).clamp(1, side);
    let height = ((area / aspect).sqrt().round() as u32).clamp(1, side);
    steps.push(Step::ResizedCrop {
        top: dice.below(side - height + 1),
        left: dice.below(side - width + 1),
        height,
        width,
        out: [side, side],
        filter: Filter::Bilinear,
    });
    if dice.unit() < 0.5 {
        steps.push(Step::Flip { axis: Axis::Horizontal });
    }
    if dice.unit() < 0.8 {
        let mut jitter = vec![
            Step::Brightness { factor: dice.between(0.6, 1.4) },
            Step::Contrast { factor: dice.between(0.6, 1.4) },
        ];
        if channels == 3 {
            jitter.push(Step::Saturation { factor: dice.between(0.6, 1.4) });
            jitter.push(Step::Hue { shift: dice.between(-0.1, 0.1) });
        }
        while !jitter.is_empty() {
            steps.push(jitter.swap_remove(dice.below(jitter.len() as u32) as usize));
        }
    }
    if channels == 3 && dice.unit() < 0.2 {
        steps.push(Step::Grayscale);
    }
    if dice.unit() < 0.5 {
        let kernel = [((side / 10) | 1).max(3); 2];
        steps.push(Step::Blur { kernel, sigma: dice.between(0.1, 2.0) });
    }
    steps
}

fn image(side: u32, channels: usize) -> (ImageFormat, Vec<u8>) {
    let side = side as usize;
    let format =
        ImageFormat { channels, height: side, width: side, interleaved: true, range: [0.0, 255.0] };
    let mut dice = Dice(7);
    (format, (0..format.len()).map(|_| (dice.unit() * 256.0) as u8).collect())
}

fn output(channels: usize) -> Output {
    let normalise = Normalise { mean: vec![0.5; channels], std: vec![0.25; channels] };
    Output { dtype: Dtype::F32, layout: Layout::Nchw, normalise: Some(normalise) }
}

/// Two views of a `u8` image, which is read once, normalised to `f32`.
fn views(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simclr");
    for (side, channels) in SIZES {
        let (format, values) = image(side, channels);
        let shape = [channels, side as usize, side as usize];
        let delivery = Delivery::of_canvas(shape, &output(channels)).expect("it fits");
        let mut dice = Dice(11);
        let plans: Vec<_> = (0..512).map(|_| simclr(&mut dice, side, channels)).collect();
        let mut canvas = Canvas::new();
        let mut out = vec![0u32; delivery.image_bytes() / 4];
        group.throughput(Throughput::Elements(plans.len() as u64));
        group.bench_function(format!("{side}×{side}×{channels}"), |bencher| {
            bencher.iter(|| {
                for pair in plans.chunks(2) {
                    canvas.load(&format, TensorView::U8(black_box(&values))).expect("bytes");
                    for steps in pair {
                        let out = bytemuck::cast_slice_mut(&mut out);
                        canvas.render(steps, &delivery, out).expect("finite");
                        black_box(out);
                    }
                }
            });
        });
    }
}

/// Each operation alone.
fn operations(criterion: &mut Criterion) {
    let side = 224;
    let kernel = [23; 2];
    let out = [side; 2];
    let (c, s) = (0.9, 0.4358899);
    let matrix = [c, s, 0.0, -s, c, 0.0];
    let crop =
        |filter, height, width| Step::ResizedCrop { top: 3, left: 5, height, width, out, filter };
    let steps = [
        ("crop and resize, bilinear", crop(Filter::Bilinear, 150, 170)),
        ("crop and resize, bicubic", crop(Filter::Bicubic, 150, 170)),
        ("crop and resize, nearest", crop(Filter::Nearest, 150, 170)),
        (
            "shrink to 96, bilinear",
            Step::ResizedCrop {
                top: 0,
                left: 0,
                height: side,
                width: side,
                out: [96; 2],
                filter: Filter::Bilinear,
            },
        ),
        ("crop, reflected", Step::Crop { top: -4, left: 4, out, padding: Padding::Reflect }),
        ("flip", Step::Flip { axis: Axis::Horizontal }),
        ("affine, nearest", Step::Affine { matrix, filter: Sampling::Nearest, fill: 0.0 }),
        ("affine, bilinear", Step::Affine { matrix, filter: Sampling::Bilinear, fill: 0.0 }),
        ("brightness", Step::Brightness { factor: 1.2 }),
        ("contrast", Step::Contrast { factor: 1.2 }),
        ("saturation", Step::Saturation { factor: 1.2 }),
        ("hue", Step::Hue { shift: 0.07 }),
        ("grayscale", Step::Grayscale),
        ("blur, sigma 0.5", Step::Blur { kernel, sigma: 0.5 }),
        ("blur, sigma 2", Step::Blur { kernel, sigma: 2.0 }),
        ("solarize", Step::Solarize { threshold: 0.5 }),
        ("posterize", Step::Posterize { bits: 4 }),
        (
            "erase with noise",
            Step::Erase { top: 40, left: 40, height: 80, width: 80, fill: Fill::Noise(7) },
        ),
    ];
    let (format, values) = image(side, 3);
    let mut canvas = Canvas::new();
    canvas.load(&format, TensorView::U8(&values)).expect("bytes");
    let mut group = criterion.benchmark_group("224×224×3");
    group.throughput(Throughput::Elements(1));
    group.bench_function("load", |bencher| {
        bencher.iter(|| canvas.load(&format, TensorView::U8(black_box(&values))).expect("bytes"));
    });
    for (name, step) in steps {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                black_box(canvas.apply(&[step]));
            });
        });
    }
    let shape = [3, side as usize, side as usize];
    for dtype in [Dtype::U8, Dtype::F16, Dtype::F32] {
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let normalise = if dtype == Dtype::U8 { None } else { output(3).normalise };
            let output = Output { dtype, layout, normalise };
            let delivery = Delivery::of_canvas(shape, &output).expect("it fits");
            let mut out = vec![0u32; delivery.image_bytes() / 4];
            let id = format!("deliver as {} {}", dtype.name(), layout.name());
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let out = bytemuck::cast_slice_mut(&mut out);
                    canvas.render(&[], &delivery, out).expect("finite");
                    black_box(out);
                });
            });
        }
    }
}

/// The same resized crop with `fast_image_resize`, on bytes and on planes of floats: why the canvas
/// has a resampler of its own. On one core of an AVX-512 machine (version 6.1) it took 77 µs for
/// bytes and 145 µs for planes, where the canvas takes 31 µs and leaves floats.
fn other_resizers(criterion: &mut Criterion) {
    let side = 224;
    let (_, values) = image(side, 3);
    let bytes = Image::from_vec_u8(side, side, values.clone(), PixelType::U8x3).expect("it fits");
    let plane = |channel: usize| {
        let values = values.iter().skip(channel).step_by(3);
        let floats = values.flat_map(|x| (f32::from(*x) / 255.0).to_ne_bytes()).collect();
        Image::from_vec_u8(side, side, floats, PixelType::F32).expect("it fits")
    };
    let planes = [0, 1, 2].map(plane);
    let options = ResizeOptions::new()
        .crop(5.0, 3.0, 170.0, 150.0)
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let mut resizer = Resizer::new();
    let mut group = criterion.benchmark_group("224×224×3");
    group.throughput(Throughput::Elements(1));
    let mut out = Image::new(side, side, PixelType::U8x3);
    group.bench_function("crop and resize, fast_image_resize, bytes", |bencher| {
        bencher.iter(|| resizer.resize(&bytes, &mut out, &options).expect("sizes that fit"));
    });
    let mut out = Image::new(side, side, PixelType::F32);
    group.bench_function("crop and resize, fast_image_resize, planes of floats", |bencher| {
        bencher.iter(|| {
            for plane in &planes {
                resizer.resize(plane, &mut out, &options).expect("sizes that fit");
            }
        });
    });
}

criterion_group!(pixels, views, operations, other_resizers);
criterion_main!(pixels);
