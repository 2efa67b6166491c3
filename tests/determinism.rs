//! Delivered bytes depend on recipe and model alone: never on batch size, workers, prefetch, ranks,
//! restarts, or whether a sample came from a stream or by its index.

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{DIGITS, digests, folder_with_recipe, open, options, stream};
use genset::load::{LoaderBuilder, Options, SampleDigests, State, Stop};
use genset::recipe::MAX_SAMPLES;
use genset::{Batch, Dataset, Kind};
use ndarray::Axis;

/// Long enough to end within a block, a batch and a step of every setting tried.
const SAMPLES: u64 = 1_500;
/// What the command's own check uses.
const MANY: u64 = 5_000;

/// The whole world in one loader, whatever the environment says.
fn alone(dataset: &Dataset, range: std::ops::Range<u64>) -> LoaderBuilder {
    dataset.loader().rank(0, 1).range(range)
}

/// The truth: every sample by its index, no loader involved.
fn truth(dataset: &Dataset, range: std::ops::Range<u64>) -> String {
    truth_in(dataset, range, 0)
}

fn truth_in(dataset: &Dataset, range: std::ops::Range<u64>, epoch: u64) -> String {
    let mut digests = SampleDigests::new();
    range.for_each(|i| digests.add(&dataset.get_in_epoch(i, epoch).unwrap()));
    digests.together().unwrap()
}

fn together<'b>(batches: impl IntoIterator<Item = &'b Batch>) -> String {
    digests(batches).together().unwrap()
}

fn through_json(state: &State) -> State {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

#[test]
fn batch_workers_and_prefetch_change_no_byte() {
    let dataset = open(DIGITS, &[]);
    let few = truth(&dataset, 0..SAMPLES);
    for batch in [1, 7, 64, 256] {
        for workers in [1, 2, 4] {
            for prefetch in [1, 8] {
                let loader = alone(&dataset, 0..SAMPLES).batch(batch).workers(workers);
                let delivered = together(&stream(loader.prefetch(prefetch)));
                assert_eq!(delivered, few, "batch {batch}, {workers} workers, {prefetch} ahead");
            }
        }
    }
    let many = truth(&dataset, 0..MANY);
    for (batch, workers, prefetch) in [(1, 4, 8), (7, 2, 1), (64, 1, 8), (256, 2, 8), (256, 4, 1)] {
        let loader = alone(&dataset, 0..MANY).batch(batch).workers(workers).prefetch(prefetch);
        assert_eq!(together(&stream(loader)), many, "batch {batch}, {workers} workers");
    }
}

/// Images that depend on their block show whether every block is made whole and in its place.
#[test]
fn a_generator_that_mixes_its_batch_gives_the_same_bytes_too() {
    for model in ["batch-statistics", "batch-position"] {
        let folder = folder_with_recipe(model, RGB);
        let dataset = open(folder.path().join("recipe.toml"), &[]);
        // The last block is cut short by the end of the dataset.
        let whole = truth(&dataset, 0..1000);
        for (batch, workers, world) in [(1, 2, 1), (7, 4, 1), (33, 1, 2), (100, 2, 3), (64, 2, 5)] {
            let mut all = SampleDigests::new();
            for rank in 0..world {
                let loader = dataset.loader().rank(rank, world).batch(batch).workers(workers);
                all.merge(digests(&stream(loader)));
            }
            assert_eq!(all.together().unwrap(), whole, "{model}: {world} × {batch}");
        }
        let middle = truth(&dataset, 45..520);
        let loader = alone(&dataset, 45..520).batch(41).workers(2);
        assert_eq!(together(&stream(loader)), middle, "{model}: from within a block");
    }
}

#[test]
fn ranks_put_together_are_the_whole() {
    let dataset = open(DIGITS, &[]);
    let whole = truth(&dataset, 0..SAMPLES);
    for world in [1, 2, 3, 5] {
        for (batch, workers) in [(7, 2), (64, 1), (256, 2)] {
            let mut all = SampleDigests::new();
            for rank in 0..world {
                let loader = dataset.loader().range(0..SAMPLES).rank(rank, world);
                all.merge(digests(&stream(loader.batch(batch).workers(workers))));
            }
            assert_eq!(all.len() as u64, SAMPLES);
            assert_eq!(all.together().unwrap(), whole, "{world} ranks, batch {batch}");
        }
    }
}

#[test]
fn a_resumed_run_delivers_the_rest_and_nothing_twice() {
    let dataset = open(DIGITS, &[]);
    let whole = truth(&dataset, 0..SAMPLES);
    for (taken, batch) in [(0, 7), (1, 1), (3, 7), (11, 33), (5, 256), (6, 250), (100, 15)] {
        let mut loader = alone(&dataset, 0..SAMPLES).batch(batch).prefetch(8).build().unwrap();
        let before: Vec<Batch> = loader.by_ref().take(taken).map(Result::unwrap).collect();
        let state = loader.state();
        let delivered = before.iter().map(Batch::len).sum::<usize>() as u64;
        assert_eq!(state.next, delivered, "the state counts what was delivered");
        drop(loader);
        for (batch, workers, world) in [(64, 1, 1), (5, 2, 1), (31, 1, 2), (10, 2, 3)] {
            let mut all = digests(&before);
            for rank in 0..world {
                let loader = dataset.loader().range(0..SAMPLES).rank(rank, world).workers(workers);
                let loader = loader.batch(batch).resume(through_json(&state));
                all.merge(digests(&stream(loader)));
            }
            assert_eq!(all.together().unwrap(), whole, "at {delivered}, then {world} × {batch}");
        }
    }
}

#[test]
fn every_rank_says_the_same_state_and_another_world_goes_on_from_it() {
    let dataset = open(DIGITS, &[]);
    let whole = truth(&dataset, 0..SAMPLES);
    for (world, batch, steps) in [(2, 33, 4), (3, 64, 2), (5, 7, 13)] {
        let mut all = SampleDigests::new();
        let mut states = Vec::new();
        for rank in 0..world {
            let loader = dataset.loader().range(0..SAMPLES).rank(rank, world).workers(1);
            let mut loader = loader.batch(batch).build().unwrap();
            let taken: Vec<Batch> = loader.by_ref().take(steps).map(Result::unwrap).collect();
            all.merge(digests(&taken));
            states.push(loader.state());
        }
        assert!(states.iter().all(|state| *state == states[0]), "{states:?}");
        for rank in 0..2 {
            let loader = dataset.loader().range(0..SAMPLES).rank(rank, 2).batch(100).workers(1);
            all.merge(digests(&stream(loader.resume(through_json(&states[0])))));
        }
        assert_eq!(all.together().unwrap(), whole, "{world} ranks, batch {batch}");
    }
}

#[test]
fn ranks_agree_that_a_pass_has_ended_even_if_nothing_was_left_for_some() {
    let dataset = open(DIGITS, &[]);
    // After one step of 3 × 8 samples, one sample is left for three ranks.
    for epochs in [1, 2] {
        let state = |rank| {
            let loader = dataset.loader().range(0..25).rank(rank, 3).batch(8).workers(1);
            let mut loader = loader.epochs(epochs).build().unwrap();
            loader.by_ref().for_each(|batch| drop(batch.unwrap()));
            loader.state()
        };
        let (first, second, third) = (state(0), state(1), state(2));
        assert_eq!((first.epoch, first.next), (epochs - 1, 25));
        assert!(first == second && second == third, "{first:?} {second:?} {third:?}");
    }
}

#[test]
fn a_finished_run_has_nothing_left_to_resume() {
    let dataset = open(DIGITS, &[]);
    let mut loader = alone(&dataset, 0..100).batch(32).workers(1).build().unwrap();
    assert_eq!(loader.by_ref().count(), 4);
    let state = loader.state();
    assert_eq!((state.epoch, state.next), (0, 100));
    assert!(loader.next().is_none());
    assert!(stream(alone(&dataset, 0..100).batch(7).workers(1).resume(state)).is_empty());
}

#[test]
fn passes_are_counted_and_draw_their_views_anew_unless_the_recipe_says_otherwise() {
    for (epochs, different) in [("fresh", 3), ("same", 1)] {
        let dataset = open(DIGITS, &[&format!("views.epochs={epochs}")]);
        for range in [0..100, 70..170] {
            let mut seen = HashSet::new();
            let loader = alone(&dataset, range.clone()).batch(30).workers(2).epochs(3);
            let mut loader = loader.build().unwrap();
            for pass in 0..3 {
                assert_eq!(loader.state().epoch, pass);
                let batches: Vec<Batch> = loader.by_ref().take(4).map(Result::unwrap).collect();
                assert_eq!(batches[0].positions().start, range.start, "pass {pass}");
                assert!(batches.iter().all(|batch| batch.epoch() == pass));
                let delivered = together(&batches);
                assert_eq!(delivered, truth_in(&dataset, range.clone(), pass), "pass {pass}");
                seen.insert(delivered);
            }
            assert!(loader.next().is_none());
            assert_eq!(seen.len(), different, "{epochs}");
        }
    }
}

#[test]
fn a_run_is_resumed_in_the_pass_where_it_was() {
    let dataset = open(DIGITS, &[]);
    let range = 40..140;
    let mut loader = alone(&dataset, range.clone()).batch(30).workers(1).epochs(3).build().unwrap();
    let before: Vec<Batch> = loader.by_ref().take(6).map(Result::unwrap).collect();
    let state = loader.state();
    assert_eq!((state.epoch, state.next), (1, 100));
    let after = stream(alone(&dataset, range).batch(25).workers(2).epochs(3).resume(state));
    let indices = before.iter().chain(&after).flat_map(Batch::index);
    let expected = (0..3).flat_map(|_| 40..140);
    assert!(indices.eq(expected));
}

#[test]
fn a_sample_by_its_index_is_that_of_the_stream_however_far_out() {
    let dataset = open(DIGITS, &["samples=\"endless\""]);
    assert_eq!(dataset.len(), None);
    let far = [5, 1 << 20, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1_000_000_000_000, 1 << 62];
    for index in far.into_iter().chain([0x0123_4567_89ab_cdef, MAX_SAMPLES - 1]) {
        let range = index - 3..MAX_SAMPLES.min(index + 5);
        let batches = stream(alone(&dataset, range.clone()).batch(3).workers(2));
        assert!(batches.iter().flat_map(Batch::index).eq(range.clone()));
        // Another dataset, so that nothing made before is at hand; backwards.
        let apart = open(DIGITS, &["samples=\"endless\""]);
        let mut single = SampleDigests::new();
        range.rev().for_each(|i| single.add(&apart.get(i).unwrap()));
        assert_eq!(single.together().unwrap(), together(&batches), "around {index}");
    }
    assert_eq!(dataset.get(MAX_SAMPLES).unwrap_err().kind(), Kind::Argument);
}

#[test]
fn neighbouring_samples_and_views_are_not_the_same_image() {
    let dataset = open(DIGITS, &["samples=\"endless\""]);
    let mut images: Vec<Vec<u8>> = Vec::new();
    for index in (0..40).chain((1 << 32)..(1 << 32) + 40) {
        let batch = dataset.get(index).unwrap();
        images.extend((0..2).map(|view| batch.images().view_bytes(0, view).to_vec()));
    }
    images.sort_unstable();
    images.dedup();
    assert_eq!(images.len(), 160);
}

#[test]
fn latents_and_labels_are_those_of_the_plan() {
    let dataset = open(DIGITS, &[]);
    let loader = alone(&dataset, 10..150).batch(33).workers(2).latents(true);
    let batches = stream(loader);
    for batch in &batches {
        let (labels, latents) = (batch.labels().unwrap(), batch.latents().unwrap());
        let by_index = dataset.get(batch.positions().start).unwrap();
        assert_eq!(by_index.labels().unwrap()[0], labels[0]);
        assert_eq!(by_index.latents().unwrap().row_of(0, 1), latents.row_of(0, 1));
        for (i, index) in batch.index().into_iter().enumerate() {
            let plan = dataset.plan(index).unwrap();
            assert_eq!(labels[i], i64::from(plan.label.unwrap()));
            let latent = plan.inputs.iter().find(|input| input.anchor.is_some()).unwrap();
            for (view, planned) in latent.views.iter().enumerate() {
                assert_eq!(latents.row_of(i, view), *planned, "sample {index}, view {view}");
            }
        }
    }
    let seen: std::collections::HashSet<i64> =
        batches.iter().flat_map(|batch| batch.labels().unwrap().to_vec()).collect();
    assert_eq!(seen.len(), 10, "all classes come up");
    let bare = stream(alone(&dataset, 0..10).workers(1));
    assert!(bare[0].latents().is_none(), "latents are delivered on request only");
}

/// The latent of one view.
trait Rows {
    fn row_of(&self, sample: usize, view: usize) -> Vec<f32>;
}

impl Rows for ndarray::ArrayView3<'_, f32> {
    fn row_of(&self, sample: usize, view: usize) -> Vec<f32> {
        self.slice(ndarray::s![sample, view, ..]).to_vec()
    }
}

#[test]
fn dropping_the_last_leaves_full_batches_only_and_as_many_for_every_rank() {
    let dataset = open(DIGITS, &[]);
    for (world, batch, count) in [(1, 64, 4), (2, 64, 2), (3, 33, 3), (5, 61, 1)] {
        let mut all = SampleDigests::new();
        for rank in 0..world {
            let loader = dataset.loader().range(0..310).rank(rank, world).batch(batch).workers(1);
            let batches = stream(loader.drop_last(true));
            assert_eq!(batches.len(), count, "rank {rank} of {world}");
            assert!(batches.iter().all(|b| b.len() == batch));
            all.merge(digests(&batches));
        }
        let end = all.len() as u64;
        assert_eq!(all.together().unwrap(), truth(&dataset, 0..end));
    }
}

#[test]
fn types_and_layouts_show_the_same_image() {
    let folder = folder_with_recipe("dynamic-batch", RGB);
    let recipe = folder.path().join("recipe.toml");
    let deliver = |dtype: &str, layout: &str| {
        let settings = [format!("output.dtype={dtype}"), format!("output.layout={layout}")];
        let dataset = open(&recipe, &[&settings[0], &settings[1]]);
        stream(alone(&dataset, 0..70).batch(70).workers(2)).remove(0)
    };
    let [bytes, floats, halves] = ["u8", "f32", "f16"].map(|dtype| deliver(dtype, "NCHW"));
    let (bytes, floats, halves) = (
        bytes.images().as_u8().unwrap().to_owned(),
        floats.images().as_f32().unwrap().to_owned(),
        halves.images().as_f16().unwrap().to_owned(),
    );
    assert_eq!(bytes.shape(), [70, 2, 3, 8, 8]);
    for ((byte, float), half) in bytes.iter().zip(&floats).zip(&halves) {
        assert!((0.0..=1.0).contains(float));
        assert!((f32::from(*byte) - 255.0 * float).abs() <= 0.501, "{byte} for {float}");
        assert_eq!(half.to_bits(), half::f16::from_f32(*float).to_bits());
    }
    for dtype in ["u8", "f32", "f16"] {
        let interleaved = deliver(dtype, "NHWC");
        assert_eq!(interleaved.images().shape(), [70, 2, 8, 8, 3]);
        let planes = [0, 1, 4, 2, 3];
        match dtype {
            "u8" => assert_eq!(interleaved.images().as_u8().unwrap().permuted_axes(planes), bytes),
            "f32" => {
                assert_eq!(interleaved.images().as_f32().unwrap().permuted_axes(planes), floats)
            }
            _ => assert_eq!(interleaved.images().as_f16().unwrap().permuted_axes(planes), halves),
        }
    }
}

const RGB: &str = "\
samples = 1000
[generator.inputs.z]
role = \"latent\"
[generator.output]
layout = \"NCHW\"
range = [-1, 1]
[views]
count = 2
latent = [{ op = \"gaussian\", std = 0.5 }]
";

#[test]
fn threads_inside_a_call_change_no_byte() {
    let one = open(DIGITS, &[]);
    let mut options = common::options(&[]);
    options.threads = Some(2);
    let two = Dataset::open_with(DIGITS, options).unwrap();
    let batches = stream(alone(&two, 0..500).batch(100).workers(2));
    assert_eq!(together(&batches), truth(&one, 0..500));
}

#[test]
fn a_longer_dataset_begins_with_the_shorter_and_another_seed_is_another_dataset() {
    let [short, long, other] =
        ["samples=100", "samples=200", "seed=8"].map(|setting| open(DIGITS, &[setting]));
    assert_eq!(short.digest(), long.digest());
    assert_eq!(truth(&short, 0..100), truth(&long, 0..100));
    assert_ne!(short.digest(), other.digest());
    assert_ne!(truth(&short, 0..100), truth(&other, 0..100));
}

#[test]
fn the_block_is_part_of_the_identity() {
    let [small, large] = [16, 64].map(|block| open(DIGITS, &[&format!("generator.block={block}")]));
    assert_ne!(small.digest(), large.digest());
}

#[test]
fn the_state_of_another_dataset_is_refused() {
    let [dataset, other] = [7, 8].map(|seed| open(DIGITS, &[&format!("seed={seed}")]));
    let state = alone(&other, 0..10).workers(1).build().unwrap().state();
    let error = alone(&dataset, 0..10).workers(1).resume(state).build().unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    let (ours, theirs) = (dataset.digest().to_string(), other.digest().to_string());
    let message = error.to_string();
    for part in ["the saved state is of dataset", &ours, &theirs, "recipe or model changed"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn a_state_outside_the_samples_is_refused() {
    let dataset = open(DIGITS, &[]);
    let state = |next| State { digest: dataset.digest().to_string(), epoch: 0, next };
    for next in [9, 51] {
        let error = alone(&dataset, 10..50).workers(1).resume(state(next)).build().unwrap_err();
        assert_eq!(error.kind(), Kind::State);
        let wanted = format!("goes on at sample {next}, outside of 10..50");
        assert!(error.to_string().contains(&wanted), "{error}");
    }
    for (next, left) in [(10, 40), (50, 0)] {
        let batches = stream(alone(&dataset, 10..50).workers(1).resume(state(next)));
        assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), left);
    }
}

#[test]
fn a_damaged_state_is_not_read_as_another() {
    let whole = r#"{"digest":"00","epoch":1,"next":2}"#;
    assert_eq!(serde_json::from_str::<State>(whole).unwrap().next, 2);
    for damaged in [
        r#"{"digest":"00","epoch":1}"#,
        r#"{"digest":"00","epoch":1,"next":-2}"#,
        r#"{"digest":"00","epoch":1,"next":2,"step":3}"#,
    ] {
        assert!(serde_json::from_str::<State>(damaged).is_err(), "{damaged}");
    }
}

#[test]
fn impossible_parts_are_refused_by_name() {
    let dataset = open(DIGITS, &["samples=100"]);
    for (loader, wanted) in [
        (dataset.loader().rank(3, 3), "rank 3 is not in a world of 3"),
        (dataset.loader().rank(0, 0), "rank 0 is not in a world of 0"),
        (alone(&dataset, 0..10).batch(0), "at least one sample"),
        (alone(&dataset, 0..10).workers(0), "at least one worker"),
        (alone(&dataset, 0..101), "samples 0..101 are not in the dataset, which has 100"),
    ] {
        let error = loader.build().unwrap_err();
        assert_eq!(error.kind(), Kind::Argument);
        assert!(error.to_string().contains(wanted), "`{wanted}` is not in: {error}");
    }
}

/// Set in a copy of this process that only says which samples its rank is given.
const SAY: &str = "GENSET_TEST_SAY_SAMPLES";

#[test]
fn the_environment_says_which_rank() {
    let test = "the_environment_says_which_rank";
    if std::env::var_os(SAY).is_some() {
        match open(DIGITS, &[]).loader().range(0..100).batch(10).workers(1).build() {
            Ok(loader) => {
                let starts = loader.map(|batch| batch.unwrap().positions().start);
                println!("samples {:?}", starts.collect::<Vec<_>>());
            }
            Err(error) => println!("error {error}"),
        }
        return;
    }
    let said = |environment: &[(&str, &str)]| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--nocapture"]).env(SAY, "1");
        child.env_remove("RANK").env_remove("WORLD_SIZE");
        child.envs(environment.iter().copied());
        String::from_utf8(child.output().unwrap().stdout).unwrap()
    };
    for (environment, wanted) in [
        (&[][..], "samples [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]"),
        (&[("RANK", "0"), ("WORLD_SIZE", "1")], "samples [0, 10, 20, 30, 40,"),
        (&[("RANK", "0"), ("WORLD_SIZE", "3")], "samples [0, 30, 60, 90]"),
        (&[("RANK", "2"), ("WORLD_SIZE", "3")], "samples [20, 50, 80, 96]"),
        (&[("RANK", "3"), ("WORLD_SIZE", "3")], "error rank 3 is not in a world of 3"),
        (&[("RANK", "1")], "error RANK is set in the environment, WORLD_SIZE is not"),
        (&[("RANK", "one"), ("WORLD_SIZE", "3")], "error environment variable RANK is \"one\""),
    ] {
        let said = said(environment);
        assert!(said.contains(wanted), "`{wanted}` is not in: {said}");
    }
}

#[test]
fn samples_gathered_in_any_order_are_those_of_their_indices() {
    for memory in [0, 40 << 10, 1 << 30] {
        let options = Options { random_access: memory, ..options(&[]) };
        let dataset = Dataset::open_with(DIGITS, options).unwrap();
        let indices: Vec<u64> = (0..300).map(|i| i * 7_919 % SAMPLES).chain([5, 5]).collect();
        let batch = dataset.gather(&indices, 2).unwrap();
        assert_eq!(batch.index().iter().collect::<Vec<_>>(), indices);
        let (images, latents) = (batch.images(), batch.latents().unwrap());
        for (at, &index) in indices.iter().enumerate().step_by(13) {
            let one = dataset.get_in_epoch(index, 2).unwrap();
            assert_eq!(images.sample_bytes(at), one.images().sample_bytes(0), "{index}, {memory}");
            assert_eq!(batch.labels().unwrap()[at], one.labels().unwrap()[0]);
            assert_eq!(
                latents.index_axis(Axis(0), at),
                one.latents().unwrap().index_axis(Axis(0), 0)
            );
        }
    }
    let dataset = open(DIGITS, &["samples=10"]);
    assert_eq!(dataset.gather(&[], 0).unwrap_err().kind(), Kind::Argument);
    assert_eq!(dataset.gather(&[3, 10], 0).unwrap_err().kind(), Kind::Argument);
}

#[test]
fn a_builder_says_where_its_loader_begins_and_how_long_a_pass_is() {
    let dataset = open(DIGITS, &[]);
    let builder = alone(&dataset, 100..400).batch(64);
    assert_eq!(builder.batches().unwrap(), 5);
    assert_eq!(builder.samples().unwrap(), 300);
    assert_eq!(builder.clone().drop_last(true).batches().unwrap(), 4);
    assert_eq!(builder.clone().drop_last(true).samples().unwrap(), 256);
    assert_eq!(builder.clone().rank(1, 2).batches().unwrap(), 3);
    assert_eq!(builder.clone().batch(0).batches().unwrap_err().kind(), Kind::Argument);
    let state = builder.state();
    assert_eq!((state.epoch, state.next), (0, 100));
    assert_eq!(builder.clone().build().unwrap().state(), state);
    let later = State { epoch: 3, next: 200, ..state };
    let loader = builder.epochs(None).resume(later).build().unwrap();
    let batch = loader.into_iter().next().unwrap().unwrap();
    assert_eq!((batch.epoch(), batch.index().get(0)), (3, Some(200)));
}

#[test]
fn a_switch_that_asks_ends_a_loader() {
    let dataset = open(DIGITS, &[]);
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let stop = Stop::asking(move || count.fetch_add(1, Ordering::Relaxed) == 3);
    let mut loader = alone(&dataset, 0..SAMPLES).batch(8).stop(stop.clone()).build().unwrap();
    let error = loader.find_map(Result::err).unwrap();
    assert!(error.is_interrupted());
    assert!(stop.is_stopped());
    // It was asked until it said so, and not again.
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[test]
fn parts_of_a_batch_have_owners_of_their_own() {
    let dataset = open(DIGITS, &[]);
    let batch = dataset.gather(&[4, 2], 1).unwrap();
    let images = batch.images().bytes().to_vec();
    assert!(!batch.images().is_mapped());
    let parts = batch.into_parts();
    assert_eq!(parts.groups[0].bytes(), images);
    assert_eq!((parts.epoch, parts.labels.unwrap().len()), (1, 2));
    assert_eq!(parts.latents.unwrap().shape()[..2], [2, 2]);
}

#[test]
fn what_no_machine_has_room_for_is_refused_before_it_is_allocated() {
    let dataset = open(DIGITS, &[]);
    let huge = |loader: LoaderBuilder| loader.memory(u64::MAX).build().unwrap_err();
    assert_eq!(huge(dataset.loader().prefetch(usize::MAX)).kind(), Kind::Limit);
    assert_eq!(huge(dataset.loader().prefetch(1 << 40).batch(1)).kind(), Kind::Limit);
    assert_eq!(huge(dataset.loader().batch(1 << 39).rank(0, 1)).kind(), Kind::Limit);
    assert_eq!(huge(dataset.loader().view_threads(usize::MAX)).kind(), Kind::Argument);
    for threads in [0, usize::MAX] {
        let options = Options { threads: Some(threads), ..options(&[]) };
        assert_eq!(Dataset::open_with(DIGITS, options).unwrap_err().kind(), Kind::Argument);
    }
}
