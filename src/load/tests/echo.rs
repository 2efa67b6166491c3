//! Samples that come again: their bytes, and how often the generator is asked for them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::failure::take_until_error;
use super::*;
use crate::error::{Error, Kind};
use crate::load::keep::Form;
use crate::load::statistics::CacheStatistics;
use crate::load::{State, settings};

const BLOCK: u32 = 4;
/// Bytes of one block: two views of four floats, or as many rows.
const BYTES: u64 = 4 * 2 * 16;
const SAMPLES: u64 = 1500;
/// Blocks that have to be kept with echo 3 and a spread of 64 samples.
const KEPT: u64 = 2 * 16 + 1;
const VIEWS_TABLE: &str = "[views]\ncount = 2\nlatent = [{ op = \"gaussian\", std = 0.01 }]\n";

/// Budgets for so many blocks, and a bit; echo 3, 64 samples apart.
fn cache(memory: u64, disk: u64) -> String {
    let size = |blocks| blocks * BYTES + 1;
    let (memory, disk) = (size(memory), size(disk));
    format!("[cache]\nbudget = \"{memory} B\"\ndisk = \"{disk} B\"\necho = 3\nspread = 64\n")
}

fn echoed(cache: &str) -> Arc<Stream> {
    Arc::new(stream_of(SAMPLES, BLOCK, &format!("{VIEWS_TABLE}{cache}")))
}

/// A stand-in that counts the blocks it has made.
fn counting(stream: &Stream) -> (StandIn, Arc<AtomicU64>) {
    let made = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&made);
    let stand_in = StandIn::new(stream, move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    (stand_in, made)
}

/// So little ahead that a block is there when its echo is planned.
fn near(batch: usize) -> Settings {
    Settings { prefetch: 1, ..settings(batch) }
}

/// Checks every batch to the end and says what the cache did.
fn take_all(stream: &Stream, loader: &mut Loader) -> CacheStatistics {
    loader.for_each(|batch| check_batch(stream, &batch.unwrap()));
    loader.statistics().cache.unwrap()
}

#[test]
fn every_block_is_made_once_and_the_budgets_are_kept() {
    let _dog = no_hang("made once");
    for (memory, disk) in [(KEPT, 0), (2, KEPT - 2), (0, KEPT), (1000, 0)] {
        let stream = echoed(&cache(memory, disk));
        let unique = stream.echo.unique(SAMPLES);
        let (blocks, delivered) = (unique.div_ceil(BLOCK.into()), SAMPLES / u64::from(BLOCK));
        for (batch, workers) in [(1, 1), (7, 2), (32, 4)] {
            let (stand_in, made) = counting(&stream);
            let mut loader = start(near(batch), &stream, &stand_in, workers);
            let did = take_all(&stream, &mut loader);
            assert_eq!(made.load(Ordering::SeqCst), blocks, "{memory} and {disk}, batch {batch}");
            let counted = (did.misses, did.regenerated, did.hits);
            assert_eq!(counted, (blocks, 0, delivered - blocks));
            assert_eq!(did.hits_on_disk > 0, disk > 0, "{memory} and {disk}");
            assert_eq!(did.hits_on_disk == did.hits, memory == 0);
            assert!(did.memory_bytes <= memory * BYTES && did.disk_bytes <= disk * BYTES);
            let statistics = loader.statistics();
            assert_eq!(statistics.generated, blocks * u64::from(BLOCK) * 2);
            assert_eq!((statistics.samples, statistics.unique), (SAMPLES, unique));
            assert!(
                (0.33..0.46).contains(&statistics.unique_ratio()),
                "a third, and the beginning"
            );
            drop((loader, stand_in));
            assert_no_thread_left(&stream);
        }
    }
}

#[test]
fn whoever_is_too_early_for_an_echo_makes_it_again_and_it_is_counted() {
    let _dog = no_hang("too early");
    // Far more is under way than lies between a block and its echo.
    let cache = format!("[cache]\nbudget = \"{} B\"\necho = 5\nspread = 4\n", 5 * BYTES);
    let stream = echoed(&cache);
    for workers in [1, 3, 64] {
        let (stand_in, made) = counting(&stream);
        let mut loader = start(settings(100), &stream, &stand_in, workers);
        let did = take_all(&stream, &mut loader);
        let blocks = stream.echo.unique(SAMPLES).div_ceil(BLOCK.into());
        assert_eq!(made.load(Ordering::SeqCst), did.misses);
        // An echo that was made before its first delivery may serve that one.
        let most = blocks + did.regenerated;
        assert!((blocks..=most).contains(&did.misses), "{workers} workers: {did:?}");
        assert_eq!(did.misses + did.hits, SAMPLES / u64::from(BLOCK));
        assert!(did.memory_bytes <= 5 * BYTES);
        assert!(workers > 1 || did.regenerated == 0, "one worker is never too early");
    }
}

#[test]
fn ranks_that_fit_the_rounds_keep_what_they_need() {
    let _dog = no_hang("ranks");
    let stream = echoed(&cache(KEPT, 0));
    let steady = stream.echo.steady();
    // A batch of whole rounds, and a step that divides echo × spread = 192 samples.
    for (world, batch) in [(2, 24), (4, 12), (2, 96)] {
        let mut again = 0;
        for rank in 0..world {
            let settings = Settings {
                rank: Some((rank, world)),
                start: Some(steady),
                drop_last: true,
                ..near(batch)
            };
            let (stand_in, _) = counting(&stream);
            let mut loader = start(settings, &stream, &stand_in, 1);
            again += take_all(&stream, &mut loader).regenerated;
        }
        // What was fresh before the start cannot be there: the first echoes of 16 blocks, and the
        // second ones of the 16 before those.
        assert_eq!(again, 16 + 16, "{world} ranks × {batch}");
    }
}

#[test]
fn a_loader_that_goes_on_in_the_middle_delivers_the_same() {
    let _dog = no_hang("resume");
    for rest in [cache(KEPT, 0), cache(3, 50)] {
        let stream = echoed(&rest);
        let digest = stream.digest.to_string();
        for next in [1, 200, 511, 1024] {
            let state = Some(State { digest: digest.clone(), epoch: 0, next });
            let (stand_in, _) = counting(&stream);
            let mut loader = start(Settings { state, ..near(33) }, &stream, &stand_in, 2);
            let did = take_all(&stream, &mut loader);
            assert_eq!(loader.state().next, SAMPLES);
            assert_eq!(did.regenerated > 0, next > 64, "from {next}");
            assert!(did.regenerated <= 2 * KEPT, "{} from {next}", did.regenerated);
        }
    }
}

#[test]
fn later_epochs_with_the_same_images_come_from_the_cache() {
    let _dog = no_hang("epochs");
    let with = |views: &str, blocks| {
        let cache = cache(blocks, 0);
        let stream = Arc::new(stream_of(SAMPLES, BLOCK, &format!("{views}{cache}")));
        let (stand_in, made) = counting(&stream);
        let settings = Settings { epochs: Some(3), ..near(10) };
        let mut loader = start(settings, &stream, &stand_in, 2);
        take_all(&stream, &mut loader);
        let unique = loader.statistics().unique;
        assert_eq!(unique % stream.echo.unique(SAMPLES), 0);
        (made.load(Ordering::SeqCst), unique / stream.echo.unique(SAMPLES))
    };
    let once = with(VIEWS_TABLE, KEPT).0 / 3;
    let same = format!("{VIEWS_TABLE}epochs = \"same\"\n");
    assert_eq!(with(VIEWS_TABLE, 1000), (3 * once, 3), "views are drawn anew");
    assert_eq!(with(&same, 1000), (once, 1), "all of it is there");
    assert_eq!(with("[views]\ncount = 2\n", 1000), (once, 1), "nothing is moved");
    // What is over the budget is made again.
    let [less, more] = [with(&same, KEPT).0, with(&same, 100).0];
    assert!(once < more && more < less && less <= 3 * once, "{once} < {more} < {less}");
}

#[test]
fn groups_and_pixel_operations_come_again() {
    let _dog = no_hang("groups");
    let moved = "latent = [{ op = \"gaussian\", std = 0.01 }]";
    let flip = "pixel = [{ op = \"flip\" }]";
    let group = |name, rest: &str| format!("[[views.groups]]\nname = \"{name}\"\n{rest}\n");
    let plain = group("a", &format!("count = 2\n{moved}")) + &group("b", "count = 3");
    let drawn = group("a", &format!("{moved}\n{flip}")) + &group("b", "count = 2");
    let table = "[cache]\nbudget = \"1 MB\"\necho = 3\nspread = 64\n";
    for (views, at, rows) in [
        (&plain, "pixels", false),
        (&plain, "views", false),
        (&drawn, "pixels", true),
        (&drawn, "views", false),
    ] {
        let with = format!("{views}{table}echo-at = \"{at}\"\n");
        let stream = Arc::new(stream_of(SAMPLES, BLOCK, &with));
        let form = stream.keep.as_ref().unwrap().form;
        assert_eq!(matches!(form, Form::Rows(_)), rows, "{at}");
        let bytes = |settings: Settings, workers| -> Vec<Vec<u8>> {
            let (stand_in, _) = counting(&stream);
            let loader = start(settings, &stream, &stand_in, workers);
            let sample = |batch: Batch| -> Vec<Vec<u8>> {
                let groups = |i| batch.groups().iter().map(move |group| group.sample_bytes(i));
                (0..batch.len()).map(|i| groups(i).collect::<Vec<_>>().concat()).collect()
            };
            loader.flat_map(|batch| sample(batch.unwrap())).collect()
        };
        // One sample at a time: a loader that begins at an echo makes it from nothing.
        let alone = |i| bytes(Settings { start: Some(i), end: Some(i + 1), ..settings(1) }, 1);
        let all = bytes(near(5), 2);
        let threads = Settings { view_threads: 2, ..near(31) };
        assert_eq!(all, bytes(threads, 3));
        let mut unlike = 0;
        for index in (0..SAMPLES).step_by(61) {
            let here = &all[usize::try_from(index).unwrap()];
            assert_eq!(std::slice::from_ref(here), alone(index), "sample {index}");
            let first = (0..SAMPLES)
                .find(|i| stream.echo.source(*i).index == stream.echo.source(index).index);
            unlike += u32::from(*here != all[usize::try_from(first.unwrap()).unwrap()]);
        }
        assert_eq!(unlike > 0, rows, "{at}: only pixel operations that are drawn anew differ");
    }
}

#[test]
fn a_bad_image_is_named_by_the_index_it_would_be_delivered_at() {
    let _dog = no_hang("bad echo");
    let stream = echoed(&cache(KEPT, 0));
    // Its first delivery is before the start.
    let index = (70..SAMPLES).find(|i| stream.echo.source(*i).index == 22).unwrap();
    let stand_in = StandIn::new(&stream, |first, values| {
        if first == 20 {
            values[2 * VIEWS * IMAGE] = f32::NAN;
        }
        Ok(())
    });
    let settings = Settings { start: Some(64), ..near(1) };
    let mut loader = start(settings, &stream, &stand_in, 2);
    let error = loader.find_map(Result::err).unwrap();
    assert_eq!((error.kind(), error.sample()), (Kind::Sample, Some(index)), "{error}");

    let mut loader = start(near(5), &stream, &stand_in, 2);
    let (delivered, error) = take_until_error(&stream, &mut loader);
    assert_eq!((delivered, error.sample()), (20, Some(22)));
}

#[test]
fn a_worker_that_panics_or_fails_leaves_the_cache_to_the_others() {
    let _dog = no_hang("panic with cache");
    let stream = echoed(&cache(KEPT, 0));
    for (workers, panics) in [(1, true), (3, true), (64, false)] {
        let stand_in = StandIn::new(&stream, move |first, _| match first {
            0..120 => Ok(()),
            _ if panics => panic!("cracked"),
            _ => Err(Error::new(Kind::Model, "cracked")),
        });
        let mut loader = start(near(1), &stream, &stand_in, workers);
        let (delivered, error) = take_until_error(&stream, &mut loader);
        assert_eq!(stream.echo.source(delivered).index, 120, "all before the broken block");
        assert!(error.summary().contains("cracked"), "{error}");
        drop((loader, stand_in));
        assert_no_thread_left(&stream);
    }
}

#[test]
fn budgets_that_cannot_hold_the_echoes_are_refused_with_what_would() {
    let refused = |memory: u64, disk| {
        let recipe =
            stand_in_recipe(SAMPLES, BLOCK, &format!("{VIEWS_TABLE}{}", cache(memory, disk)));
        try_stream(&recipe).map(|_| ()).unwrap_err()
    };
    try_stream(&stand_in_recipe(SAMPLES, BLOCK, &format!("{VIEWS_TABLE}{}", cache(KEPT, 0))))
        .unwrap();
    for (memory, disk) in [(KEPT - 1, 0), (20, KEPT - 21)] {
        let error = refused(memory, disk);
        assert_eq!(error.kind(), Kind::Recipe);
        let message = error.to_string();
        for part in ["cache.budget: ", "hold 32 of the 33 blocks", "132 samples", "cache.disk"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(message.contains("or set cache.spread = 60 (it is 64)"), "{message}");
        let nearer = cache(memory, disk).replace("spread = 64", "spread = 60");
        try_stream(&stand_in_recipe(SAMPLES, BLOCK, &format!("{VIEWS_TABLE}{nearer}"))).unwrap();
    }
    // A dataset that is shorter than its echoes are apart needs no more than all of it.
    try_stream(&stand_in_recipe(40, BLOCK, &format!("{VIEWS_TABLE}{}", cache(10, 0)))).unwrap();
}

#[test]
fn echoes_on_their_way_are_counted_in_the_memory_setting() {
    let stream = echoed(&cache(KEPT, 0));
    let without = stream_of(SAMPLES, BLOCK, VIEWS_TABLE);
    let workers = 4;
    let least = |stream: &Stream| super::least_memory(&settings(8), stream, workers);
    // Of each worker: two waiting, one being delivered, one being taken, one being read.
    let blocks = (settings::JOBS_AHEAD as u64 + 3) * workers as u64 + 1;
    assert_eq!(least(&stream) - least(&without), blocks * BYTES);
}
