//! The pipeline stage by stage: latents, generator, delivery, hand-over. `pixels.rs` has the
//! operations on views.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use genset::Dataset;
use genset::generate::ImageFormat;
use genset::load::Options;
use genset::recipe::{self, Layout, Output, PixelOp, Recipe};
use genset::runtime;
use genset::sample::{BlockInputs, PixelSampler, Sampler};
use genset::view::Delivery;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// Drawing the latents of a block, by latent op: 32 samples × 2 views, Z = 64, one-hot classes.
fn latents(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    write_walks(&folder.path().join("walks.safetensors"));
    let mut group = criterion.benchmark_group("latents");
    group.throughput(Throughput::Elements(64));
    for (name, views) in [
        ("block of 64 images, Z 64", "latent = [{ op = \"gaussian\", std = 0.5 }]"),
        ("gaussian, drawn std", "latent = [{ op = \"gaussian\", std = [0.2, 1] }]"),
        ("gaussian, pool of 20", "pool = 20\nlatent = [{ op = \"gaussian\", std = 0.5 }]"),
        ("angular", "latent = [{ op = \"angular\", degrees = [0, 45] }]"),
        ("truncate", "latent = [{ op = \"truncate\", psi = [0.5, 1] }]"),
        ("slerp", "latent = [{ op = \"interpolate\", t = [0, 0.5] }]"),
        (
            "steer, 1 linear",
            "latent = [{ op = \"steer\", file = \"walks.safetensors\", directions = [\"a\"], \
             strength = [-1, 1] }]",
        ),
        (
            "steer, 4 linear",
            "latent = [{ op = \"steer\", file = \"walks.safetensors\", strength = [-1, 1] }]",
        ),
        ("resample", "latent = [{ op = \"resample\", inputs = [\"z\"] }]"),
    ] {
        let text = format!(
            "[generator]\nmodel = \"g\"\ninputs.z = {{ role = \"latent\" }}\n\
             inputs.y = {{ role = \"class\", encoding = \"one-hot\", classes = 10 }}\n\
             [views]\ncount = 2\n{views}"
        );
        let recipe = Recipe::parse(&text, "bench", folder.path()).expect("a valid recipe");
        let sampler = Sampler::new(&recipe, &[vec![64], vec![10]]).expect("sizes that fit");
        let mut block = BlockInputs::default();
        group.bench_function(name, |bencher| {
            let mut first = 0;
            bencher.iter(|| {
                sampler.fill(first, 32, 0, &mut block);
                first += 32;
                black_box(&block);
            });
        });
    }
}

/// Four linear directions of 64 elements.
fn write_walks(path: &Path) {
    let direction: Vec<u8> = (0..64u8).flat_map(|i| (f32::from(i) / 64.0).to_le_bytes()).collect();
    let tensor = |name| {
        let view = TensorView::new(Dtype::F32, vec![64], &direction);
        (name, view.expect("a tensor"))
    };
    let names = ["a", "b", "c", "d"].map(tensor);
    safetensors::serialize_to_file(names, None, path).expect("a file");
}

/// Drawing the steps of one view: the ops of SimCLR (Chen et al., 2020).
fn steps(criterion: &mut Criterion) {
    let ops = "[{ op = 'random-resized-crop', size = 32 }, { op = 'flip' },
        { op = 'colour-jitter', brightness = 0.8, contrast = 0.8, saturation = 0.8, hue = 0.2, p = 0.8 },
        { op = 'grayscale', p = 0.2 }, { op = 'gaussian-blur', kernel = 3, p = 0.5 }]";
    let ops = PixelOp::parse_list(ops).expect("a valid list");
    let sampler = PixelSampler::of_ops(7, &ops, [3, 64, 64]).expect("ops that fit");
    let mut steps = Vec::new();
    let mut group = criterion.benchmark_group("steps");
    group.throughput(Throughput::Elements(1));
    group.bench_function("SimCLR, one view", |bencher| {
        let mut index = 0;
        bencher.iter(|| {
            sampler.steps(black_box(index), 1, 0, 0, &mut steps);
            index += 1;
            black_box(&steps);
        });
    });
}

/// Delivering the images of a block.
fn delivery(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delivery");
    for (name, channels, side) in [("28×28×1", 1, 28), ("64×64×3", 3, 64)] {
        let format = ImageFormat {
            channels,
            height: side,
            width: side,
            interleaved: false,
            range: [-1.0, 1.0],
        };
        let rows = 64;
        let values: Vec<f32> =
            (0..rows * format.len()).map(|i| ((i * 37) % 512) as f32 / 256.0 - 1.0).collect();
        group.throughput(Throughput::Elements(rows as u64));
        for dtype in [recipe::Dtype::U8, recipe::Dtype::F16, recipe::Dtype::F32] {
            for layout in [Layout::Nchw, Layout::Nhwc] {
                let output = Output { dtype, layout, normalise: None };
                let delivery = Delivery::new(format, &output).expect("formats that fit");
                // Words, so that floats are aligned.
                let mut out = vec![0u32; (rows * delivery.image_bytes()).div_ceil(4)];
                let id = format!("{name} to {} {}", dtype.name(), layout.name());
                group.bench_function(id, |bencher| {
                    bencher.iter(|| {
                        let out = &mut bytemuck::cast_slice_mut(&mut out)
                            [..rows * delivery.image_bytes()];
                        delivery
                            .write(runtime::TensorView::F32(black_box(&values)), out)
                            .expect("finite");
                        black_box(out);
                    });
                });
            }
        }
    }
}

/// A call of the smallest generator there is to ship: with its inputs fed, and again on those that
/// are bound, which is the ceiling. 32 samples × 2 views.
fn generator(criterion: &mut Criterion) {
    let dataset = open("builtin:digits", &[]);
    let mut generator = dataset.generated().unwrap().generator().expect("a session");
    let inputs = dataset.block_inputs(0);
    let mut group = criterion.benchmark_group("generator");
    group.throughput(Throughput::Elements(inputs.rows as u64));
    group.bench_function("digits, fed", |bencher| {
        bencher.iter(|| {
            let mut look = |_, images: runtime::TensorView<'_>| {
                black_box(images);
                Ok(())
            };
            generator.run(black_box(&inputs), &mut look).expect("a call")
        });
    });
    group.bench_function("digits, again", |bencher| {
        bencher.iter(|| generator.run_again().expect("a call"));
    });
}

/// Planning, hand-over and the return of buffers: a loader whose generator costs next to nothing,
/// one product of 8 by 192. A step is a batch of 256 images of 8×8×3.
fn hand_over(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/dynamic-batch.onnx");
    std::fs::copy(model, folder.path().join("g.onnx")).expect("the stand-in");
    let recipe = folder.path().join("g.toml");
    let text = "[generator]\nmodel = \"g.onnx\"\ninputs.z = { role = \"latent\" }\n\
                output = { layout = \"NCHW\", range = [-1, 1] }\n";
    std::fs::write(&recipe, text).expect("a recipe");
    let mut group = criterion.benchmark_group("hand-over");
    group.throughput(Throughput::Elements(256));
    for (block, workers) in [(1, 1), (32, 1), (32, 2), (32, 64), (1024, 1), (1024, 2)] {
        let dataset = open(&recipe, &[format!("generator.block={block}")]);
        let loader = dataset.loader().batch(256).workers(workers).rank(0, 1).epochs(None);
        let mut loader = loader.build().expect("a loader");
        let mut next = move || black_box(loader.next().expect("no end").expect("a batch"));
        // What was made while nobody asked comes first.
        let ready = 4.max(2 * workers * block / 256) + block / 256 + 1;
        let id = format!("block {block}, {workers} worker(s)");
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|batches| {
                (0..ready).for_each(|_| drop(next()));
                let begun = Instant::now();
                (0..batches).for_each(|_| drop(next()));
                begun.elapsed()
            });
        });
    }
}

fn open(recipe: impl AsRef<Path>, settings: &[String]) -> Dataset {
    let options = Options { settings: settings.to_vec(), ..Options::default() };
    // Without ONNX Runtime this says how to get it.
    Dataset::open_with(recipe, options).unwrap_or_else(|error| panic!("{error}"))
}

criterion_group!(stages, latents, steps, generator, delivery, hand_over);
criterion_main!(stages);
