//! Folders that are in use, vanish, cannot be written, or have something else.

use genset::Kind;
use genset::shard::Progress;

use super::*;

#[test]
fn two_exports_of_one_rank_do_not_share_a_folder() {
    let (dataset, folder) = (digits(50), tempfile::tempdir().unwrap());
    let lock = folder.path().join(".0-of-1.lock");
    let held = fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    let error = run(&small(), &dataset, folder.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    let text = error.to_string();
    assert!(text.contains("another process exports rank 0 of 1"), "{text}");
    assert!(text.contains(lock.to_str().unwrap()), "{text}");
    assert_eq!(tree(folder.path()).len(), 1, "nothing was written");
    drop(held);
    run(&small(), &dataset, folder.path()).unwrap();
    assert!(!lock.exists());
}

#[test]
fn a_folder_that_has_something_else_is_left_alone() {
    let (dataset, folder) = (digits(50), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
    let error = run(&small(), &dataset, folder.path()).unwrap_err().to_string();
    assert!(error.contains("has files, such as thesis.tex, and no manifest.json"), "{error}");
    assert_eq!(tree(folder.path()).len(), 1);
    let error = Shards::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("has no manifest.json"), "{error}");
    assert!(!Shards::is_there(folder.path()));
}

#[test]
fn a_broken_manifest_is_not_overwritten() {
    let (dataset, folder) = (digits(50), tempfile::tempdir().unwrap());
    let path = folder.path().join("manifest.json");
    for (text, words) in [
        ("", "is no manifest of shards"),
        ("{\"genset_shards\": 2}", "version 2, not 1"),
        ("[[[[", "is no manifest of shards"),
    ] {
        fs::write(&path, text).unwrap();
        let error = run(&small(), &dataset, folder.path()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("manifest.json"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_shard_that_is_lost_or_cut_short_is_made_again() {
    let (dataset, whole) = (digits(100), tempfile::tempdir().unwrap());
    run(&small(), &dataset, whole.path()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    run(&small(), &dataset, folder.path()).unwrap();
    let shard = |number: u64| folder.path().join(format!("digits-{number:06}.safetensors"));
    fs::remove_file(shard(2)).unwrap();
    let file = fs::File::options().write(true).open(shard(5)).unwrap();
    file.set_len(1000).unwrap();
    drop(file);
    let exported = run(&small(), &dataset, folder.path()).unwrap();
    assert_eq!((exported.shards, exported.resumed), (2, 5));
    assert_same(whole.path(), folder.path());
}

#[test]
fn what_was_left_half_written_is_never_taken_for_whole_and_goes() {
    let (dataset, whole) = (digits(50), tempfile::tempdir().unwrap());
    run(&small(), &dataset, whole.path()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in [
        ".digits-000000.safetensors.0-of-1.partial",
        ".manifest.json.0-of-1.partial",
        ".digits-000001.safetensors.2-of-3.partial",
        ".2-of-3.lock",
    ] {
        fs::write(folder.path().join(name), "half").unwrap();
    }
    run(&small(), &dataset, folder.path()).unwrap();
    assert_same(whole.path(), folder.path());
}

#[test]
fn a_folder_that_vanishes_is_named() {
    let (dataset, outside) = (digits(20_000), tempfile::tempdir().unwrap());
    let folder = outside.path().join("shards");
    let mut watch = |progress: &Progress| {
        if progress.images > 0 {
            let _ = fs::remove_dir_all(&folder);
        }
    };
    let set_up = |builder: genset::load::LoaderBuilder| builder.workers(1).batch(8);
    let error = small().run(&dataset, &folder, &set_up, &mut watch).unwrap_err();
    assert_eq!(error.kind(), Kind::Io, "{error}");
    assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    assert!(!folder.exists());
}

#[test]
fn a_place_where_no_folder_can_be_is_named() {
    let (dataset, outside) = (digits(50), tempfile::tempdir().unwrap());
    let file = outside.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [file.clone(), file.join("below")] {
        let error = run(&small(), &dataset, &place).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_no_shards() {
    let (dataset, folder) = (digits(50), tempfile::tempdir().unwrap());
    run(&small(), &dataset, folder.path()).unwrap();
    let shard = folder.path().join("digits-000001.safetensors");
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("shard");
    fs::rename(&shard, &target).unwrap();
    std::os::unix::fs::symlink(&target, &shard).unwrap();
    let shards = Shards::open(folder.path()).unwrap();
    shards.label(3).unwrap();
    let error = shards.label(20).unwrap_err().to_string();
    assert!(error.contains("digits-000001.safetensors: is no regular file"), "{error}");
}
