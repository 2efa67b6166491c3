//! Turns images in memory into views, as fast as it can: genset's side of `benches/peers/views.py`.
//!
//! ```text
//! views_throughput --channels 3 --size 64 --images FILE --threads 1
//! ```
//!
//! `FILE` holds raw `u8` images `[N, size, size, channels]`. Like every contender there
//! (`benches/peers/worker.py`), it answers `{"versions": …}` when ready, then each line
//! `{"batches": N}` with `{"seconds": …}`, and each `{"batches": N, "write": PATH}` after writing
//! the batches there as raw `f32`. A thread writes batches of its own.

mod contender;

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use contender::{answer, required};
use genset::generate::ImageFormat;
use genset::recipe::{Axis, Dtype, Filter, Layout, Normalise, Output, PixelKind, PixelOp};
use genset::runtime::TensorView;
use genset::sample::{PixelSampler, Step};
use genset::view::{Canvas, Delivery};
use serde_json::{Value, json};

/// Samples a batch, and views of each.
const BATCH: usize = 64;
const VIEWS: usize = 2;

/// What all threads read.
struct Task {
    images: Vec<u8>,
    format: ImageFormat,
    sampler: PixelSampler,
    delivery: Delivery,
}

/// What a thread has to itself.
struct Worker {
    canvas: Canvas,
    steps: Vec<Step>,
    /// `[BATCH, VIEWS, C, H, W]`.
    batch: Vec<f32>,
}

impl Worker {
    fn new(task: &Task) -> Self {
        let batch = vec![0.0; BATCH * VIEWS * task.format.len()];
        Self { canvas: Canvas::new(), steps: Vec::new(), batch }
    }

    /// The views of samples `first .. first + BATCH`; images start over after the last one.
    fn batch(&mut self, task: &Task, first: usize) {
        let len = task.format.len();
        let images = task.images.len() / len;
        for (index, views) in (first..).zip(self.batch.chunks_exact_mut(VIEWS * len)) {
            let image = &task.images[index % images * len..][..len];
            self.canvas.load(&task.format, TensorView::U8(image)).expect("bytes are finite");
            for (view, out) in (0..).zip(views.chunks_exact_mut(len)) {
                task.sampler.steps(index as u64, 0, 0, view, &mut self.steps);
                let out = bytemuck::cast_slice_mut(out);
                self.canvas.render(&self.steps, &task.delivery, out).expect("bytes are finite");
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let task = Task::new(
        required("--channels")?.parse()?,
        required("--size")?.parse()?,
        std::fs::read(required("--images")?)?,
    )?;
    let threads: usize = required("--threads")?.parse()?;
    let mut workers: Vec<Worker> = (0..threads).map(|_| Worker::new(&task)).collect();
    let mut first = 0;

    answer(&json!({"versions": {"genset": env!("CARGO_PKG_VERSION")}}))?;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let batches = request["batches"].as_u64().ok_or("how many batches?")? as usize;
        if let Some(path) = request["write"].as_str() {
            let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
            for batch in 0..batches {
                workers[0].batch(&task, first + batch * BATCH);
                file.write_all(bytemuck::cast_slice(&workers[0].batch))?;
            }
            file.flush()?;
            answer(&json!({"written": batches}))?;
        } else {
            let begun = Instant::now();
            std::thread::scope(|scope| {
                for (thread, worker) in workers.iter_mut().enumerate() {
                    let mine = (thread..batches).step_by(threads);
                    let task = &task;
                    scope.spawn(move || mine.for_each(|n| worker.batch(task, first + n * BATCH)));
                }
            });
            answer(&json!({"seconds": begun.elapsed().as_secs_f64()}))?;
        }
        first += batches * BATCH;
    }
    Ok(())
}

impl Task {
    /// The pipeline of SimCLR (Chen et al., 2020) as `benches/peers/task.py` words it.
    fn new(channels: usize, size: u32, images: Vec<u8>) -> genset::Result<Self> {
        let side = size as usize;
        let range = [0.0, 255.0];
        let format = ImageFormat { channels, height: side, width: side, interleaved: true, range };
        let colour = channels == 3;
        let around_one = Some([0.6, 1.4]);
        let mut ops = vec![
            PixelOp {
                p: 1.0,
                kind: PixelKind::RandomResizedCrop {
                    size: [size; 2],
                    scale: [0.2, 1.0],
                    ratio: [3.0 / 4.0, 4.0 / 3.0],
                    filter: Filter::Bilinear,
                },
            },
            PixelOp { p: 0.5, kind: PixelKind::Flip { axis: Axis::Horizontal } },
            PixelOp {
                p: 0.8,
                kind: PixelKind::ColourJitter {
                    brightness: around_one,
                    contrast: around_one,
                    saturation: around_one.filter(|_| colour),
                    hue: colour.then_some([-0.1, 0.1]),
                },
            },
            PixelOp {
                p: 0.5,
                kind: PixelKind::GaussianBlur {
                    kernel: [((size / 10) | 1).max(3); 2],
                    sigma: [0.1, 2.0],
                },
            },
        ];
        if colour {
            ops.insert(3, PixelOp { p: 0.2, kind: PixelKind::Grayscale });
        }
        let sampler = PixelSampler::of_ops(0, &ops, [channels, side, side])?;
        let normalise = match colour {
            true => Normalise { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] },
            false => Normalise { mean: vec![0.1307], std: vec![0.3081] },
        };
        let output = Output { dtype: Dtype::F32, layout: Layout::Nchw, normalise: Some(normalise) };
        let delivery = Delivery::of_canvas(sampler.image(0), &output)?;
        Ok(Self { images, format, sampler, delivery })
    }
}
