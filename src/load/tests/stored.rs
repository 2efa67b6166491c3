//! Stored samples: whole streams of them, and some among generated ones.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::*;
use crate::codec::RawForm;
use crate::error::{Error, Kind};
use crate::load::{Caching, GroupForm, Indices, Store, StoreReader};
use crate::recipe::{Described, Dtype, Layout, OnBad, Output, SourceRecipe, Views};

/// What a slow worker takes for a block.
const A_MOMENT: Duration = Duration::from_millis(5);

/// A store of 2×2 gray images that show their index, and a label that is a digit of it.
#[derive(Debug, Clone)]
struct Shelf {
    samples: Range<u64>,
    groups: Vec<GroupForm>,
    /// Those that cannot be read.
    bad: Arc<HashSet<u64>>,
    /// How often somebody reads who is no worker; if that is counted, workers take their time.
    helped: Option<Arc<AtomicU64>>,
    /// All of them, as they lie in memory.
    bytes: Bytes,
}

fn shelf(samples: Range<u64>, views: usize) -> Shelf {
    let form = RawForm { channels: 1, height: 2, width: 2, dtype: Dtype::U8, layout: Layout::Nchw };
    let group = GroupForm { name: String::new(), views, form };
    let bytes = samples.clone().flat_map(|index| sample(index, views)).collect();
    Shelf { samples, groups: vec![group], bad: Arc::default(), helped: None, bytes }
}

/// The bytes of all views of a sample.
fn sample(index: u64, views: usize) -> Vec<u8> {
    (0..views).flat_map(|view| [index as u8, (index >> 8) as u8, view as u8, 9]).collect()
}

impl Store for Shelf {
    fn samples(&self) -> Range<u64> {
        self.samples.clone()
    }

    fn groups(&self) -> &[GroupForm] {
        &self.groups
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn has_labels(&self) -> bool {
        true
    }

    fn label(&self, index: u64) -> Result<Option<i64>> {
        Ok(Some(index as i64 % 10))
    }

    fn latent_len(&self) -> usize {
        1
    }

    fn latents(&self, index: u64, out: &mut [f32]) -> Result<()> {
        out.fill(index as f32);
        Ok(())
    }

    fn reader(&self, _caching: Caching) -> Box<dyn StoreReader> {
        Box::new(self.clone())
    }

    fn mapped(&self, samples: Range<u64>, _group: usize) -> Result<Option<Bytes>> {
        let len = self.groups[0].sample_bytes();
        let at = |index: u64| (index - self.samples.start) as usize * len;
        Ok(Some(self.bytes.slice(at(samples.start)..at(samples.end))))
    }
}

impl StoreReader for Shelf {
    fn read(&mut self, samples: Range<u64>, out: &mut [&mut [u8]]) -> Result<()> {
        let len = self.groups[0].sample_bytes();
        if let Some(helped) = &self.helped {
            match thread::current().name() {
                Some(name) if name.starts_with("genset-worker") => thread::sleep(A_MOMENT),
                _ => _ = helped.fetch_add(1, Ordering::SeqCst),
            }
        }
        for (index, out) in samples.zip(out[0].chunks_exact_mut(len)) {
            if self.bad.contains(&index) {
                return Err(Error::new(Kind::Sample, "torn").with_sample(index));
            }
            out.copy_from_slice(&sample(index, len / 4));
        }
        Ok(())
    }

    fn touch(&mut self, _samples: Range<u64>) -> Result<()> {
        Ok(())
    }
}

fn stored(shelf: Shelf, on_bad: OnBad) -> Arc<Stream> {
    Arc::new(Stream::as_stored(Arc::new(shelf), on_bad, Digest([9; 32])).unwrap())
}

fn read(stream: &Arc<Stream>, settings: Settings, workers: usize) -> Loader {
    settings.start_reading(stream, workers).unwrap()
}

#[track_caller]
fn check(batch: &Batch, views: usize) {
    for (i, index) in batch.index().into_iter().enumerate() {
        assert_eq!(batch.images().sample_bytes(i), sample(index, views), "sample {index}");
        assert_eq!(batch.labels().unwrap()[i], index as i64 % 10);
        if let Some(latents) = batch.latents() {
            assert_eq!(latents[[i, 0, 0]], index as f32);
        }
    }
}

#[test]
fn what_is_stored_is_delivered_in_order_whatever_the_settings() {
    let _dog = no_hang("stored");
    for (samples, views) in [(0..1, 1), (0..2500, 2), (700..3000, 1)] {
        let stream = stored(shelf(samples.clone(), views), OnBad::Error);
        for (batch, workers) in [(1, 1), (64, 3), (5000, 2)] {
            let mut next = samples.start;
            for batch in read(&stream, Settings { latents: true, ..settings(batch) }, workers) {
                let batch = batch.unwrap();
                assert_eq!(batch.positions().start, next);
                next = batch.positions().end;
                check(&batch, views);
            }
            assert_eq!(next, samples.end);
        }
        assert_no_thread_left(&stream);
    }
}

#[test]
fn a_consumer_that_waits_copies_what_lies_in_memory_itself() {
    let _dog = no_hang("helped");
    let helped = Arc::new(AtomicU64::new(0));
    let slow = Shelf { helped: Some(Arc::clone(&helped)), ..shelf(0..20_000, 1) };
    let stream = stored(slow, OnBad::Error);
    let mut seen = 0;
    for batch in read(&stream, settings(64), 1) {
        let batch = batch.unwrap();
        assert_eq!(batch.positions().start, seen);
        seen = batch.positions().end;
        check(&batch, 1);
    }
    assert_eq!(seen, 20_000);
    assert!(helped.load(Ordering::SeqCst) > 0, "the worker was not waited for");
    assert_no_thread_left(&stream);
}

#[test]
fn a_consumer_that_helps_fails_as_a_worker_does() {
    let _dog = no_hang("helper fails");
    for bad in [0, 3_000, 9_999] {
        let helped = Some(Arc::default());
        let torn = Shelf { bad: Arc::new([bad].into()), helped, ..shelf(0..10_000, 1) };
        let stream = stored(torn, OnBad::Error);
        let mut loader = read(&stream, settings(100), 1);
        let delivered = loader.by_ref().take_while(Result::is_ok).count() as u64;
        assert_eq!(delivered, bad / 100, "batches before the torn sample");
        assert!(loader.next().is_none());
        drop(loader);
        assert_no_thread_left(&stream);
    }
}

#[test]
fn a_consumer_may_help_with_a_batch_that_it_has_not_heard_of() {
    let _dog = no_hang("helped unseen");
    let helped = Some(Arc::default());
    let stream = stored(Shelf { helped, ..shelf(0..10_000, 1) }, OnBad::Error);
    let mut loader = read(&stream, settings(100), 1);
    while loader.help_unseeing().is_none() {
        thread::yield_now();
    }
    let mut seen = 0;
    for batch in loader {
        let batch = batch.unwrap();
        check(&batch, 1);
        seen += batch.len();
    }
    assert_eq!(seen, 10_000);
}

#[test]
fn ranks_share_what_is_stored() {
    let stream = stored(shelf(100..1000, 1), OnBad::Error);
    let mut all = Vec::new();
    for rank in 0..3 {
        let settings = Settings { rank: Some((rank, 3)), ..settings(32) };
        all.extend(read(&stream, settings, 2).flat_map(|batch| batch.unwrap().index()));
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(100..1000));
}

#[test]
fn shuffled_epochs_have_every_sample_once_and_resume_in_the_middle() {
    let stream = stored(shelf(10..517, 1), OnBad::Error);
    let shuffled = |epochs| Settings { shuffle: Some(4), epochs, ..settings(50) };
    let order: Vec<u64> = read(&stream, shuffled(Some(2)), 3)
        .flat_map(|batch| {
            let batch = batch.unwrap();
            check(&batch, 1);
            batch.index()
        })
        .collect();
    let (first, second) = order.split_at(507);
    for epoch in [first, second] {
        let mut epoch = epoch.to_vec();
        epoch.sort_unstable();
        assert!(epoch.into_iter().eq(10..517));
    }
    assert_ne!(first, second);

    let mut loader = read(&stream, shuffled(Some(2)), 1);
    loader.by_ref().take(3).for_each(|batch| drop(batch.unwrap()));
    let resumed = Settings { state: Some(loader.state()), ..shuffled(Some(2)) };
    let rest: Vec<u64> =
        read(&stream, resumed, 2).flat_map(|batch| batch.unwrap().index()).collect();
    assert_eq!(rest, order[150..]);
    let plain = Settings { state: Some(loader.state()), ..settings(50) };
    assert_eq!(plain.start_reading(&stream, 1).unwrap_err().kind(), Kind::State);
}

#[test]
fn samples_that_cannot_be_read_end_the_stream_or_are_left_out_and_named() {
    let torn = Shelf { bad: Arc::new([70, 71, 130].into()), ..shelf(0..200, 2) };
    let mut loader = read(&stored(torn.clone(), OnBad::Error), settings(64), 2);
    assert_eq!(loader.next().unwrap().unwrap().len(), 64);
    let error = loader.next().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.sample()), (Kind::Sample, Some(70)));
    assert!(loader.next().is_none());

    for order in [None, Some(1)] {
        let skipping = stored(torn.clone(), OnBad::Skip);
        let settings = Settings { shuffle: order, latents: true, ..settings(64) };
        let mut loader = read(&skipping, settings, 2);
        let mut indices = Vec::new();
        for batch in loader.by_ref() {
            let batch = batch.unwrap();
            check(&batch, 2);
            assert_eq!(batch.images().bytes().len(), batch.len() * 8);
            indices.extend(batch.index());
        }
        indices.sort_unstable();
        assert!(indices.into_iter().eq((0..200).filter(|i| ![70, 71, 130].contains(i))));
        let mut named: Vec<_> = loader.skipped().first.iter().map(Error::sample).collect();
        named.sort_unstable();
        assert_eq!((loader.skipped().count, named), (3, vec![Some(70), Some(71), Some(130)]));
        assert_eq!(loader.state().next, 200);
    }
}

#[test]
fn a_batch_of_which_nothing_is_left_is_not_delivered() {
    let torn = Shelf { bad: Arc::new((64..128).collect()), ..shelf(0..200, 1) };
    let loader = read(&stored(torn, OnBad::Skip), settings(64), 2);
    let lens: Vec<usize> = loader.map(|batch| batch.unwrap().len()).collect();
    assert_eq!(lens, [64, 64, 8]);
}

#[test]
fn without_a_copy_batches_are_what_lies_in_memory() {
    let shelf = shelf(0..300, 1);
    let memory = shelf.bytes.as_ptr_range();
    let stream = stored(shelf, OnBad::Error);
    for batch in read(&stream, Settings { zero_copy: true, ..settings(64) }, 2) {
        let batch = batch.unwrap();
        check(&batch, 1);
        assert!(memory.contains(&batch.images().bytes().as_ptr()));
    }
    // A shuffled batch does not lie together.
    let settings = Settings { zero_copy: true, shuffle: Some(0), ..settings(64) };
    for batch in read(&stream, settings, 2) {
        let batch = batch.unwrap();
        check(&batch, 1);
        assert!(!memory.contains(&batch.images().bytes().as_ptr()));
    }
}

#[test]
fn views_of_stored_images_are_drawn_for_the_sample_wherever_it_is_delivered() {
    let text = "seed = 3\n[source]\npath = \"p\"\n[views]\ncount = 3\n\
                pixel = [{ op = \"flip\", p = 0.5 }]";
    let Ok(Described::Stored(SourceRecipe { views, .. })) =
        Described::parse(text, "r", "r", Path::new("."), &[])
    else {
        panic!("a recipe of stored images")
    };
    let views: Views = views.unwrap();
    let shelf = Arc::new(shelf(0..400, 1));
    let stream =
        Stream::of_stored_rows(shelf, OnBad::Error, Digest([1; 32]), 3, &views, &Output::default());
    let stream = Arc::new(stream.unwrap());
    let collect = |settings: Settings, workers| {
        let mut samples = HashMap::new();
        for batch in read(&stream, settings, workers) {
            let batch = batch.unwrap();
            for (i, index) in batch.index().into_iter().enumerate() {
                samples.insert((batch.epoch(), index), batch.images().sample_bytes(i).to_vec());
            }
        }
        samples
    };
    let plain = collect(Settings { epochs: Some(2), ..settings(64) }, 1);
    assert_eq!(plain.len(), 800);
    let flipped = |index: u64| plain[&(0, index)] != plain[&(1, index)];
    assert!((0..400).any(flipped), "views are fresh in every epoch");
    for changed in [
        Settings { epochs: Some(2), shuffle: Some(1), ..settings(33) },
        Settings { epochs: Some(2), view_threads: 2, ..settings(100) },
    ] {
        assert_eq!(collect(changed, 2), plain);
    }
}

/// A generated stream with real images in a quarter of its places.
fn mixed(on_bad: &str, shelf: Shelf) -> Arc<Stream> {
    let mut recipe = stand_in_recipe(1000, 16, "[views]\ncount = 2\n");
    let mix = format!(
        "[generator]\nmodel = \"g\"\n[mix]\nsource = \"p\"\nratio = 0.25\non-bad = \"{on_bad}\""
    );
    recipe.mix = Recipe::parse(&mix, "m", Path::new(".")).unwrap().mix;
    let stream = try_stream(&recipe).unwrap();
    Arc::new(stream.mixed(&recipe, recipe.mix.as_ref().unwrap(), Arc::new(shelf)).unwrap())
}

/// The bytes of a mixed sample: both views of it are the same.
fn mixed_sample(stream: &Stream, index: u64) -> Vec<u8> {
    match stream.stored_number(index) {
        None => expected(stream, index, 0).concat(),
        Some(number) => {
            let intensity = |byte: &u8| (f32::from(*byte) * (1.0 / 255.0)).to_le_bytes();
            sample(number, 1).iter().flat_map(intensity).collect::<Vec<u8>>().repeat(2)
        }
    }
}

#[test]
fn real_images_stand_in_their_places_whatever_the_settings() {
    let _dog = no_hang("mixed");
    let stream = mixed("error", shelf(5..95, 1));
    for (batch, workers, view_threads) in [(1, 1, 0), (50, 3, 0), (64, 2, 2)] {
        let stand_in = StandIn { rows_a_call: 5, ..StandIn::willing(&stream) };
        let settings = Settings { view_threads, latents: true, ..settings(batch) };
        let mut real = 0;
        for batch in start(settings, &stream, &stand_in, workers) {
            let batch = batch.unwrap();
            for (i, index) in batch.index().into_iter().enumerate() {
                let bytes = batch.images().sample_bytes(i);
                assert_eq!(bytes, mixed_sample(&stream, index), "sample {index}");
                let number = stream.stored_number(index);
                assert_eq!(batch.latents().unwrap()[[i, 0, 0]].is_nan(), number.is_some());
                real += u64::from(number.is_some());
            }
        }
        // A quarter of 62 blocks, and of the 8 samples of the last one what falls there.
        assert!((62 * 4..=62 * 4 + 4).contains(&real), "{real}");
    }
    assert_no_thread_left(&stream);
}

#[test]
fn real_images_that_cannot_be_read_are_left_out() {
    let torn = Shelf { bad: Arc::new([7].into()), ..shelf(5..95, 1) };
    let stream = mixed("skip", torn);
    let stand_in = StandIn::willing(&stream);
    let mut loader = start(settings(100), &stream, &stand_in, 2);
    let indices: Vec<u64> = loader.by_ref().flat_map(|batch| batch.unwrap().index()).collect();
    let expected = (0..1000).filter(|index| stream.stored_number(*index) != Some(7));
    assert!(indices.into_iter().eq(expected));
    assert!(loader.skipped().count > 1, "it comes again in every round of the real images");
}

#[test]
fn generated_samples_are_not_shuffled_nor_mapped() {
    let stream = stream(10, 2);
    for refused in
        [Settings { shuffle: Some(1), ..settings(2) }, Settings { zero_copy: true, ..settings(2) }]
    {
        assert_eq!(refused.check(&stream, 1).unwrap_err().kind(), Kind::Argument);
    }
    assert!(matches!(
        start(settings(2), &stream, &StandIn::willing(&stream), 1).next().unwrap().unwrap().index(),
        Indices::Run(_)
    ));
}
