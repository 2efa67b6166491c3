//! Samples that come again: the same bytes whatever the loader, and what is the same in them.

mod common;

use std::time::Duration;

use common::{DIGITS, digests, open, options, stream};
use genset::bench::{self, Settings};
use genset::generate::ImageFormat;
use genset::load::{LoaderBuilder, SampleDigests, State, Stop};
use genset::runtime::TensorView;
use genset::view::Canvas;
use genset::{Batch, Dataset, Kind};
use ndarray::s;

const SAMPLES: u64 = 600;
/// Echo 4, 64 samples (4 blocks) apart.
const ECHO: [&str; 5] = [
    "generator.block=16",
    "samples=endless",
    "cache.budget=64 MB",
    "cache.echo=4",
    "cache.spread=64",
];
const PIXEL: &str = "views.pixel=[{op=\"random-resized-crop\",size=24},{op=\"flip\"}]";

fn with(more: &[&str]) -> Dataset {
    open(DIGITS, &[&ECHO[..], more].concat())
}

fn without(more: &[&str]) -> Dataset {
    open(DIGITS, &[&ECHO[..2], more].concat())
}

fn alone(dataset: &Dataset) -> LoaderBuilder {
    dataset.loader().rank(0, 1).range(0..SAMPLES)
}

/// Every sample by its index, no loader and no cache involved.
fn truth(dataset: &Dataset) -> SampleDigests {
    let mut digests = SampleDigests::new();
    (0..SAMPLES).for_each(|i| digests.add(&dataset.get(i).unwrap()));
    digests
}

#[test]
fn batch_workers_ranks_restarts_and_what_is_kept_change_no_byte() {
    let views = "cache.echo-at=views";
    // 13 blocks are kept: of 16 samples with two rows, or two views, of 28×28.
    let raw = 16 * 2 * 28 * 28 * 4;
    let budget = format!("cache.budget={} B", 13 * raw);
    let part = format!("cache.budget={} B", 5 * raw);
    let rest = format!("cache.disk={} B", 8 * raw);
    for more in [&[PIXEL, &budget][..], &[PIXEL, &part, &rest], &[PIXEL, views], &[]] {
        let dataset = with(more);
        let whole = truth(&dataset);
        for (batch, workers, prefetch) in [(1, 1, 1), (7, 2, 8), (64, 4, 1), (256, 2, 4)] {
            let loader = alone(&dataset).batch(batch).workers(workers).prefetch(prefetch);
            assert_eq!(digests(&stream(loader)), whole, "{more:?}, batch {batch}");
        }
        let mut all = SampleDigests::new();
        for rank in 0..3 {
            let loader = dataset.loader().range(0..SAMPLES).rank(rank, 3).batch(33).workers(2);
            all.merge(digests(&stream(loader)));
        }
        assert_eq!(all.together().unwrap(), whole.clone().together().unwrap(), "{more:?}, ranks");

        let mut loader = alone(&dataset).batch(45).build().unwrap();
        let before: Vec<Batch> = loader.by_ref().take(9).map(Result::unwrap).collect();
        let state: State =
            serde_json::from_str(&serde_json::to_string(&loader.state()).unwrap()).unwrap();
        drop(loader);
        let mut all = digests(&before);
        all.merge(digests(&stream(alone(&dataset).batch(31).resume(state))));
        assert_eq!(all, whole, "{more:?}, resumed");
    }
}

#[test]
fn an_echo_is_the_same_sample_with_other_pixel_operations_or_the_same_views() {
    let plain = without(&["output.dtype=f32"]);
    let pixels = with(&[PIXEL, "output.dtype=f32"]);
    let views = with(&[PIXEL, "cache.echo-at=views"]);
    let drawn = without(&[PIXEL]);
    let mut seen = [0; 4];
    // A few of the beginning, and one block of each echo that no stream will ever reach.
    let far = (1_000_000_000_000..).step_by(16).take(4);
    for index in (0..SAMPLES).step_by(53).chain(far) {
        let plan = pixels.plan(index).unwrap();
        seen[plan.echo as usize] += 1;
        let sample = pixels.get(index).unwrap();
        assert_eq!(sample.sources(), [plan.source]);
        let origin = plain.get(plan.source).unwrap();
        assert_eq!((sample.labels(), sample.latents()), (origin.labels(), origin.latents()));
        assert_eq!(plan.label.map(i64::from), origin.labels().map(|labels| labels[0]));

        // What the plan says is what is done, to the source's images, drawn for the index.
        let steps = |plan: &genset::sample::Plan| -> Vec<String> {
            plan.views.iter().map(ToString::to_string).collect()
        };
        let mut at_index = drawn.plan(index).unwrap();
        at_index.views.iter_mut().for_each(|view| view.latent.clear());
        let mut here = plan.clone();
        here.views.iter_mut().for_each(|view| view.latent.clear());
        assert_eq!(steps(&here), steps(&at_index), "{index}");
        let format =
            ImageFormat { range: [0.0, 1.0], ..plain.generated().unwrap().contract().image };
        let (images, origin) =
            (sample.images().as_f32().unwrap(), origin.images().as_f32().unwrap());
        for (view, planned) in plan.views.iter().enumerate() {
            let image: Vec<f32> = origin.slice(s![0, view, .., .., ..]).iter().copied().collect();
            let mut canvas = Canvas::new();
            canvas.load(&format, TensorView::F32(&image)).unwrap();
            let (shape, made) = canvas.apply(&planned.pixel);
            assert_eq!(shape, [1, 24, 24]);
            let delivered = images.slice(s![0, view, .., .., ..]);
            let far = made.iter().zip(&delivered).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far < 1e-5, "sample {index}, view {view}: {far}");
        }

        let same = views.get(index).unwrap();
        let first = drawn.get(plan.source).unwrap();
        assert_eq!(same.images().bytes(), first.images().bytes(), "the same views again");
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}

#[test]
fn labels_latents_and_sources_of_a_batch_are_those_of_its_samples() {
    let dataset = with(&[]);
    for batch in stream(alone(&dataset).batch(100).latents(true)) {
        let (labels, latents) = (batch.labels().unwrap(), batch.latents().unwrap());
        for (i, (index, source)) in batch.index().into_iter().zip(batch.sources()).enumerate() {
            let plan = dataset.plan(index).unwrap();
            assert_eq!((plan.index, plan.source), (index, source));
            assert_eq!(Some(labels[i]), plan.label.map(i64::from));
            let values: Vec<f32> = plan.inputs[0].views.concat();
            assert!(latents.slice(s![i, .., ..]).iter().eq(&values));
        }
    }
    let plain = stream(alone(&without(&[])).batch(100));
    assert!(plain.iter().all(|batch| batch.index().iter().eq(batch.sources())));
}

#[test]
fn without_pixel_operations_an_echo_is_the_same_image() {
    let (echoed, plain) = (with(&[]), without(&[]));
    for index in (0..SAMPLES).step_by(37) {
        let source = echoed.plan(index).unwrap().source;
        let (a, b) = (echoed.get(index).unwrap(), plain.get(source).unwrap());
        assert_eq!(a.images().bytes(), b.images().bytes(), "{index}");
    }
}

#[test]
fn budgets_are_not_identity_and_too_small_ones_are_refused() {
    let dataset = with(&[PIXEL]);
    let richer = with(&[PIXEL, "cache.budget=1 GB", "cache.disk=1 GB"]);
    assert_eq!(dataset.digest(), richer.digest());
    for other in [&[PIXEL, "cache.echo=3"][..], &[PIXEL, "cache.echo-at=views"], &[]] {
        assert_ne!(dataset.digest(), with(other).digest(), "{other:?}");
    }
    let poor = [&ECHO[..], &[PIXEL, "cache.budget=1 MB"]].concat();
    let error = Dataset::open_with(DIGITS, options(&poor)).unwrap_err();
    assert_eq!(error.kind(), Kind::Recipe);
    let message = error.to_string();
    for part in ["cache.budget: \"1 MB\" holds 9 of the 13 blocks", "cache.spread = 32"] {
        assert!(message.contains(part), "{message}");
    }
    with(&[PIXEL, "cache.budget=1 MB", "cache.spread=32"]);
}

#[test]
fn the_file_of_the_cache_has_no_name_and_its_folder_is_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = with(&["cache.budget=1 B", "cache.disk=64 MB"]);
    let mut loader = alone(&dataset).batch(100).cache_folder(folder.path()).build().unwrap();
    assert!(loader.by_ref().all(|batch| batch.is_ok()));
    let cache = loader.statistics().cache.unwrap();
    assert!(cache.hits > 0 && cache.hits == cache.hits_on_disk && cache.disk_bytes > 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    let missing = folder.path().join("missing");
    let error = alone(&dataset).cache_folder(&missing).build().unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn a_benchmark_waits_for_the_echoes_and_counts_what_was_generated() {
    let settings = Settings { rounds: 2, round: Duration::from_millis(300), ..Settings::default() };
    let set_up = |builder: LoaderBuilder| builder.batch(64).workers(1).rank(0, 1);
    let report =
        bench::run(&with(&[PIXEL]), &set_up, &settings, &Stop::new(), &mut |_, _| {}).unwrap();
    let cache = report.cache.unwrap();
    assert_eq!(cache.regenerated, 0);
    assert!(cache.hits >= 2 * cache.misses && cache.misses > 0, "{cache:?}");
    assert!((report.unique_ratio - 0.25).abs() < 0.05, "{}", report.unique_ratio);
    let generated = report.generated_images_per_second.unwrap();
    assert!(generated * 2.0 < report.images_per_second, "{report:?}");
    let plain = without(&[PIXEL]);
    let report = bench::run(&plain, &set_up, &settings, &Stop::new(), &mut |_, _| {}).unwrap();
    assert!(report.cache.is_none() && report.unique_ratio == 1.0);
}
