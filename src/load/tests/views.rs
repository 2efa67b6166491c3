//! The view stage: several groups of views, and threads that share them.

use std::collections::HashSet;

use super::failure::take_until_error;
use super::*;
use crate::error::Kind;
use crate::load::views::ViewAt;

#[test]
fn groups_are_delivered_whatever_makes_them() {
    let _dog = no_hang("groups");
    let stream = grouped(300, 7);
    for (workers, view_threads, rows_a_call) in [(1, 0, 99), (2, 1, 99), (3, 2, 1), (1, 3, 5)] {
        let stand_in = StandIn { rows_a_call, ..StandIn::willing(&stream) };
        let settings = Settings { view_threads, ..settings(11) };
        let mut next = 0;
        for batch in start(settings, &stream, &stand_in, workers) {
            let batch = batch.unwrap();
            assert_eq!(batch.positions().start, next);
            next = batch.positions().end;
            check_batch(&stream, &batch);
        }
        assert_eq!(next, 300, "{workers} workers, {view_threads} view threads");
        assert_no_thread_left(&stream);
    }
}

#[test]
fn a_panic_in_a_view_is_an_error_that_names_the_block() {
    let _dog = no_hang("panic in a view");
    for view_threads in [0, 1, 3] {
        for workers in [1, 3] {
            let mut stream = stream_of(400, 4, "[views]\ncount = 2\n");
            // There is no such group, so whatever is made of a row goes wrong.
            stream.views_of_row[0].push(ViewAt { group: 9, view: 0, number: 2 });
            let stream = Arc::new(stream);
            let settings = Settings { view_threads, ..settings(3) };
            let mut loader = settings.start(&stream, silent_until(&stream, 120, workers)).unwrap();
            let mut delivered = 0;
            let error = loop {
                match loader.next().expect("an error, not the end") {
                    Ok(batch) => delivered = batch.positions().end,
                    Err(error) => break error,
                }
            };
            assert!(loader.next().is_none(), "errors are final");
            assert_eq!((delivered, error.kind()), (120, Kind::Worker));
            let message = error.to_string();
            assert!(
                message.starts_with("block of sample 120: a worker panicked: index out of"),
                "{message}"
            );
            drop(loader);
            assert_no_thread_left(&stream);
        }
    }
}

/// Stand-ins that show no rows of the blocks before `first`, so nothing is made of them.
fn silent_until(stream: &Stream, first: u64, workers: usize) -> Vec<Box<dyn MakeRows>> {
    struct Silent(StandIn, u64);
    impl MakeRows for Silent {
        fn make(
            &mut self,
            inputs: &BlockInputs,
            sink: &mut dyn FnMut(usize, TensorView<'_>) -> Result<()>,
        ) -> Result<()> {
            let Column::Float(values) = &inputs.columns[0] else { unreachable!("a latent") };
            if self.0.blocks[&values[0].to_bits()] < self.1 {
                return Ok(());
            }
            self.0.make(inputs, sink)
        }
    }
    let stand_in = StandIn::willing(stream);
    (0..workers).map(|_| Box::new(Silent(stand_in.clone(), first)) as Box<dyn MakeRows>).collect()
}

#[test]
fn a_bad_image_names_sample_and_view_whoever_finds_it() {
    let _dog = no_hang("bad image");
    for view_threads in [0, 1, 3] {
        let stream = grouped(100, 8);
        // Rows of a sample: two moved views, the anchor of two groups, one more moved view.
        assert_eq!(stream.rows, 4);
        let anchor = stream.views_of_row.iter().position(|views| views.len() > 1).unwrap();
        let number = stream.views_of_row[anchor][0].number;
        let stand_in = StandIn::new(&stream, move |first, values| {
            if first == 16 {
                // Sample 22, and a later one that must not be named.
                values[(6 * 4 + anchor) * IMAGE + 2] = f32::NAN;
                values[(7 * 4) * IMAGE] = f32::NAN;
            }
            Ok(())
        });
        let settings = Settings { view_threads, ..settings(5) };
        let mut loader = start(settings, &stream, &stand_in, 2);
        let (delivered, error) = take_until_error(&stream, &mut loader);
        assert_eq!((error.kind(), error.sample()), (Kind::Sample, Some(22)));
        assert!(error.summary().contains(&format!("sample 22, view {number}")), "{error}");
        assert_eq!(delivered, 20, "every batch before the one that holds it");
        drop((loader, stand_in));
        assert_no_thread_left(&stream);
    }
}

#[test]
fn buffers_of_every_group_come_round() {
    let stream = grouped(1_000_000, 8);
    let settings = Settings { prefetch: 4, view_threads: 2, ..settings(16) };
    let mut loader = start(settings, &stream, &StandIn::willing(&stream), 2);
    let mut addresses = vec![HashSet::new(); stream.groups.len()];
    for _ in 0..2000 {
        let batch = loader.next().unwrap().unwrap();
        for (seen, group) in addresses.iter_mut().zip(batch.groups()) {
            seen.insert(group.bytes().as_ptr() as usize);
        }
    }
    for seen in addresses {
        // Four ahead, one in part, one with the consumer, one on its way back.
        assert!(seen.len() <= 8, "{} buffers", seen.len());
    }
}
