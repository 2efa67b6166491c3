//! Many make what one makes.

use genset::load::Stop;
use genset::shard::Format;

use super::*;

#[test]
fn ranks_workers_and_batches_make_no_difference_to_any_byte() {
    let dataset = digits(150);
    for format in [Format::Safetensors, Format::WebDataset, Format::Mds, Format::Images] {
        let export = Export { format, latents: true, parameters: true, from: Some(3), ..small() };
        let alone = tempfile::tempdir().unwrap();
        run(&export, &dataset, alone.path()).unwrap();
        for world in [2, 3, 20] {
            let together = tempfile::tempdir().unwrap();
            // Not in their order, and each in its own way.
            for rank in (0..world).rev() {
                let export = Export { rank: Some((rank, world)), ..export.clone() };
                let set_up = |builder: genset::load::LoaderBuilder| {
                    builder.workers(1 + usize::from(rank == 1)).batch(7 + 40 * rank as usize)
                };
                let exported = export.run(&dataset, together.path(), &set_up, &mut |_| {}).unwrap();
                // Of twenty ranks, every second one has something to do.
                let last = u64::from(world == 20);
                assert_eq!(exported.is_complete(), rank <= last, "{exported:?}");
                if rank > last {
                    let error = Shards::open(together.path()).unwrap_err().to_string();
                    assert!(error.contains("unfinished") && error.contains("of 147"), "{error}");
                }
            }
            assert_same(alone.path(), together.path());
        }
    }
}

#[test]
fn ranks_at_once_end_with_one_manifest() {
    let (dataset, alone) = (digits(200), tempfile::tempdir().unwrap());
    run(&small(), &dataset, alone.path()).unwrap();
    for _ in 0..5 {
        let together = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for rank in 0..3 {
                let export = Export { rank: Some((rank, 3)), ..small() };
                let (dataset, folder) = (&dataset, together.path());
                scope.spawn(move || run(&export, dataset, folder).unwrap());
            }
        });
        assert_same(alone.path(), together.path());
    }
}

#[test]
fn a_world_of_another_size_goes_on() {
    let (dataset, alone) = (digits(200), tempfile::tempdir().unwrap());
    run(&small(), &dataset, alone.path()).unwrap();
    for worlds in [[3, 2, 1], [1, 3, 1], [2, 1, 3]] {
        let folder = tempfile::tempdir().unwrap();
        for (last, world) in worlds.into_iter().enumerate() {
            for rank in 0..world {
                let stop = Stop::new();
                let export = Export { rank: Some((rank, world)), stop, ..small() };
                let mut watch = |progress: &genset::shard::Progress| {
                    if last < 2 && progress.images > 80 {
                        export.stop.stop();
                    }
                };
                let set_up = |builder: genset::load::LoaderBuilder| builder.workers(1).batch(5);
                let ended = export.run(&dataset, folder.path(), &set_up, &mut watch);
                assert!(
                    ended.as_ref().err().is_none_or(genset::Error::is_interrupted),
                    "{ended:?}"
                );
            }
        }
        assert_same(alone.path(), folder.path());
    }
}

#[test]
fn what_a_rank_made_before_is_not_made_again() {
    let (dataset, folder) = (digits(160), tempfile::tempdir().unwrap());
    let rank = |rank| Export { rank: Some((rank, 2)), ..small() };
    let first = run(&rank(0), &dataset, folder.path()).unwrap();
    assert_eq!((first.shards, first.resumed, first.there), (5, 0, 80));
    let again = run(&rank(0), &dataset, folder.path()).unwrap();
    assert_eq!((again.shards, again.resumed, again.images), (0, 5, 0));
    let other = run(&rank(1), &dataset, folder.path()).unwrap();
    assert_eq!((other.shards, other.is_complete()), (5, true));
    let whole = run(&small(), &dataset, folder.path()).unwrap();
    assert_eq!((whole.shards, whole.resumed), (0, 10));
}
