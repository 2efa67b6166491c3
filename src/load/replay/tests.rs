use super::super::keep::Form;
use super::*;

fn replay(memory: u64, disk: u64) -> Replay {
    let keep = Keep { form: Form::Views, bytes: 64, memory, disk, recurs: false };
    Replay::new(keep, None).unwrap()
}

fn put(replay: &Replay, first: u64) {
    let mut bytes = replay.buffer();
    bytes.fill(u8::try_from(first).unwrap());
    replay.insert(Key { epoch: 0, first }, false, bytes).unwrap();
}

/// What is there of the first 100 blocks, each with its own bytes.
fn there(replay: &Replay) -> Vec<u64> {
    let mut scratch = BytesMut::new();
    let here = |first: &u64| match replay.find(Key { epoch: 0, first: *first }, false) {
        Some(kept) => {
            let bytes = replay.read(&kept, &mut scratch).unwrap();
            assert_eq!(bytes, [u8::try_from(*first).unwrap(); 64]);
            true
        }
        None => false,
    };
    (0..100).filter(here).collect()
}

#[test]
fn memory_is_filled_first_then_the_file_then_the_oldest_goes() {
    for (memory, disk) in [(4, 0), (3, 1), (2, 2), (0, 4)] {
        let replay = replay(memory, disk);
        (0..4).for_each(|first| put(&replay, first));
        let full = replay.statistics();
        assert_eq!((full.memory_bytes, full.disk_bytes), (64 * memory, 64 * disk));
        put(&replay, 3);
        assert_eq!(there(&replay), [0, 1, 2, 3], "what is there stays");
        put(&replay, 50);
        assert_eq!(there(&replay), [1, 2, 3, 50]);
        (60..90).for_each(|first| put(&replay, first));
        assert_eq!(there(&replay), [86, 87, 88, 89]);
        let full = replay.statistics();
        assert_eq!((full.memory_bytes, full.disk_bytes), (64 * memory, 64 * disk));
        assert!(replay.shelf().slots <= disk, "places in the file are used again");
    }
}

#[test]
fn what_is_taken_for_the_last_time_makes_room_and_is_still_whole() {
    for (memory, disk) in [(2, 0), (0, 2)] {
        let replay = replay(memory, disk);
        put(&replay, 1);
        put(&replay, 2);
        let kept = replay.find(Key { epoch: 0, first: 1 }, true).unwrap();
        assert!(replay.find(Key { epoch: 0, first: 1 }, true).is_none());
        put(&replay, 3);
        assert_eq!(there(&replay), [2, 3]);
        let mut scratch = BytesMut::new();
        assert_eq!(replay.read(&kept, &mut scratch).unwrap(), [1; 64], "not overwritten");
        assert!(replay.find(Key { epoch: 1, first: 2 }, false).is_none(), "of its epoch");
    }
}

#[test]
fn what_comes_again_in_later_epochs_stays_as_long_as_nothing_needs_its_place() {
    let mut replay = replay(3, 0);
    replay.keep.recurs = true;
    let find = |first, last| replay.find(Key { epoch: 0, first }, last).is_some();
    (1..4).for_each(|first| put(&replay, first));
    assert!(find(1, true) && find(2, true));
    put(&replay, 4);
    put(&replay, 5);
    assert_eq!(there(&replay), [3, 4, 5], "first what is done, the newest of it before others");
    assert!(find(3, true) && find(3, false));
    put(&replay, 6);
    assert_eq!(there(&replay), [3, 5, 6], "what came again waits again");
}

#[test]
fn a_panic_while_it_is_locked_does_not_lose_it() {
    let replay = replay(2, 0);
    put(&replay, 1);
    let panicked = std::thread::scope(|scope| {
        let panic = || {
            let _shelf = replay.shelf();
            panic!("as expected by the test");
        };
        scope.spawn(panic).join()
    });
    assert!(panicked.is_err());
    put(&replay, 2);
    assert_eq!(there(&replay), [1, 2]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let keep = Keep { form: Form::Views, bytes: 64, memory: 1, disk: 1, recurs: false };
    let error = Replay::new(keep, Some(Path::new("/nowhere/at/all"))).unwrap_err().to_string();
    assert!(error.contains("cannot make a temporary file in /nowhere/at/all"), "{error}");
    assert!(error.contains("leave out cache.disk"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_the_place_is_free_again() {
    let mut replay = replay(0, 2);
    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    replay.file = Some((full, PathBuf::from("/scratch")));
    for _ in 0..3 {
        let bytes = replay.buffer();
        let error = replay.insert(Key { epoch: 0, first: 1 }, false, bytes).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Io);
        assert!(error.summary().contains("in /scratch: No space left"), "{error}");
        assert!(error.advice().unwrap().contains("make cache.disk smaller"));
    }
    assert_eq!((replay.statistics().disk_bytes, replay.shelf().slots), (0, 1));
}
