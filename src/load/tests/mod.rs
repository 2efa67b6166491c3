//! The pipeline under failure, with stand-ins for the generators.
//!
//! A stand-in shows the latents it is fed as the image, so what is delivered can be told apart
//! sample by sample and view by view. All threads of a loader hold its [`Stream`], so they have
//! ended when the test's own is the only one left.

mod bounds;
mod credits;
mod echo;
mod failure;
mod order;
mod pool;
mod statistics;
mod stored;
mod stress;
mod views;

use std::collections::HashMap;
use std::io::{Write, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::Batch;
use super::loader::Loader;
use super::settings::Settings;
use super::stream::Stream;
use super::views::ViewGroup;
use super::worker::MakeRows;
use crate::error::Result;
use crate::generate::{BatchSize, Contract, ImageFormat, InputContract};
use crate::graph::Element;
use crate::recipe::{Digest, ImageLayout, Recipe};
use crate::runtime::TensorView;
use crate::sample::{BlockInputs, Column, Sampler};

/// Values of an image: one channel of 2×2.
const IMAGE: usize = 4;
const VIEWS: usize = 2;

/// A dataset whose images are its latents.
fn stream(samples: u64, block: u32) -> Arc<Stream> {
    let views = format!("count = {VIEWS}\nlatent = [{{ op = \"gaussian\", std = 0.01 }}]\n");
    Arc::new(stream_of(samples, block, &format!("[views]\n{views}")))
}

/// The same in three groups, where views of several groups are made from one image.
fn grouped(samples: u64, block: u32) -> Arc<Stream> {
    let moved = "latent = [{ op = \"gaussian\", std = 0.01 }]";
    let group = |name: &str, rest: &str| format!("[[views.groups]]\nname = \"{name}\"\n{rest}\n");
    let views = [
        group("moved", &format!("count = {VIEWS}\n{moved}")),
        group("still", "count = 3"),
        group("mixed", &format!("count = 2\nanchor = true\n{moved}")),
    ];
    Arc::new(stream_of(samples, block, &views.concat()))
}

fn stream_of(samples: u64, block: u32, views: &str) -> Stream {
    try_stream(&stand_in_recipe(samples, block, views)).unwrap()
}

fn stand_in_recipe(samples: u64, block: u32, views: &str) -> Recipe {
    let recipe = format!(
        "samples = {samples}\n\
         [generator]\nmodel = \"stand-in\"\nblock = {block}\n\
         inputs.z = {{ role = \"latent\", distribution = \"uniform\", low = 0, high = 1 }}\n\
         output = {{ layout = \"NCHW\", range = [0, 1] }}\n\
         {views}\
         [output]\ndtype = \"f32\"\n"
    );
    Recipe::parse(&recipe, "stand-in.toml", Path::new(".")).unwrap()
}

fn try_stream(recipe: &Recipe) -> Result<Stream> {
    let image =
        ImageFormat { channels: 1, height: 2, width: 2, interleaved: false, range: [0.0, 1.0] };
    let contract = Contract {
        inputs: vec![InputContract {
            name: "z".into(),
            element: Element::F32,
            row: vec![IMAGE],
            batched: true,
            column: 0,
        }],
        output: "image".into(),
        element: Element::F32,
        layout: ImageLayout::Nchw,
        image,
        batch: BatchSize::Dynamic,
        batch_symbols: Vec::new(),
        sums: None,
    };
    let sampler = Sampler::new(recipe, &[vec![IMAGE]])?;
    Stream::new(recipe, &contract, Digest([7; 32]), sampler)
}

/// The bytes of a sample as they must be delivered in an epoch, for each group of views.
fn expected(stream: &Stream, index: u64, epoch: u64) -> Vec<Vec<u8>> {
    let mut block = BlockInputs::default();
    stream.sampler.as_ref().unwrap().fill(stream.echo.source(index).index, 1, epoch, &mut block);
    let Column::Float(values) = &block.columns[0] else { unreachable!("a latent") };
    let empty = |group: &ViewGroup| vec![0; group.format.sample_bytes()];
    let mut groups: Vec<_> = stream.groups.iter().map(empty).collect();
    for (row, views) in values.chunks(IMAGE).zip(&stream.views_of_row) {
        let image: Vec<u8> = row.iter().flat_map(|v| v.clamp(0.0, 1.0).to_le_bytes()).collect();
        for at in views {
            groups[at.group][at.view * image.len()..][..image.len()].copy_from_slice(&image);
        }
    }
    groups
}

#[track_caller]
fn check_batch(stream: &Stream, batch: &Batch) {
    for (i, index) in batch.index().into_iter().enumerate() {
        let expected = expected(stream, index, batch.epoch());
        let delivered: Vec<_> = batch.groups().iter().map(|group| group.sample_bytes(i)).collect();
        assert_eq!(delivered, expected, "sample {index}");
    }
}

/// What a stand-in does before it shows a block, given the block's first sample and its values.
type Act = dyn Fn(u64, &mut [f32]) -> Result<()> + Send + Sync;

#[derive(Clone)]
struct StandIn {
    /// The first sample of a block by the first value it is fed.
    blocks: Arc<HashMap<u32, u64>>,
    rows_a_call: usize,
    act: Arc<Act>,
}

impl StandIn {
    /// Knows the blocks of the first few samples; others are `u64::MAX` to it.
    fn new(
        stream: &Stream,
        act: impl Fn(u64, &mut [f32]) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let firsts = (0..stream.end.min(2000)).step_by(stream.block as usize);
        let first_value = |first| {
            let bytes = anchor(stream, first);
            (bytes.to_bits(), first)
        };
        let blocks = Arc::new(firsts.map(first_value).collect());
        Self { blocks, rows_a_call: usize::MAX, act: Arc::new(act) }
    }

    fn willing(stream: &Stream) -> Self {
        Self::new(stream, |_, _| Ok(()))
    }

    fn times(&self, workers: usize) -> Vec<Box<dyn MakeRows>> {
        (0..workers).map(|_| Box::new(self.clone()) as Box<dyn MakeRows>).collect()
    }
}

/// The first value that the block from `first` on is fed.
fn anchor(stream: &Stream, first: u64) -> f32 {
    let mut block = BlockInputs::default();
    stream.sampler.as_ref().unwrap().fill(first, 1, 0, &mut block);
    let Column::Float(values) = &block.columns[0] else { unreachable!("a latent") };
    values[0]
}

impl MakeRows for StandIn {
    fn make(
        &mut self,
        inputs: &BlockInputs,
        sink: &mut dyn FnMut(usize, TensorView<'_>) -> Result<()>,
    ) -> Result<()> {
        let Column::Float(values) = &inputs.columns[0] else { unreachable!("a latent") };
        let mut values = values.clone();
        let first = self.blocks.get(&values[0].to_bits()).copied().unwrap_or(u64::MAX);
        (self.act)(first, &mut values)?;
        let rows = self.rows_a_call.min(inputs.rows);
        for (call, values) in values.chunks(rows * IMAGE).enumerate() {
            sink(call * rows, TensorView::F32(values))?;
        }
        Ok(())
    }
}

/// Everything from rank 0 of 1, whatever the environment says.
fn settings(batch: usize) -> Settings {
    Settings { batch, rank: Some((0, 1)), ..Settings::default() }
}

fn start(settings: Settings, stream: &Arc<Stream>, stand_in: &StandIn, workers: usize) -> Loader {
    settings.start(stream, stand_in.times(workers)).unwrap()
}

/// The least memory in bytes that is not refused.
fn least_memory(settings: &Settings, stream: &Stream, workers: usize) -> u64 {
    let (mut refused, mut enough) = (0, settings.memory);
    while enough - refused > 1 {
        let memory = u64::midpoint(refused, enough);
        match (Settings { memory, ..settings.clone() }).check(stream, workers) {
            Ok(_) => enough = memory,
            Err(_) => refused = memory,
        }
    }
    enough
}

/// Ends the process with a message if a test hangs, which no assertion could say.
struct Watchdog(Sender<()>);

fn watchdog(limit: Duration, what: impl Fn() -> String + Send + 'static) -> Watchdog {
    let (sender, alive) = channel();
    thread::spawn(move || {
        while let Err(RecvTimeoutError::Timeout) | Ok(()) = match alive.recv_timeout(limit) {
            Err(RecvTimeoutError::Timeout) => {
                // Not `eprintln`, which the test harness would keep to itself.
                let _ = writeln!(stderr(), "nothing has moved for {limit:?}: {}", what());
                std::process::abort();
            }
            other => other,
        } {}
    });
    Watchdog(sender)
}

impl Watchdog {
    fn fed(&self) {
        let _ = self.0.send(());
    }
}

/// For tests of one loader.
fn no_hang(test: &'static str) -> Watchdog {
    watchdog(Duration::from_secs(60), move || test.to_owned())
}

/// All threads of all loaders of `stream` have ended.
#[track_caller]
fn assert_no_thread_left(stream: &Arc<Stream>) {
    assert_eq!(Arc::strong_count(stream), 1, "a thread is left");
}
