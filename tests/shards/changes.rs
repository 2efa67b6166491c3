//! The same export goes on, another one is refused.

use genset::Kind;
use genset::load::Stop;
use genset::shard::{Contents, Format, Progress};

use super::*;

#[test]
fn an_interrupted_export_goes_on_where_it_was() {
    let (dataset, whole) = (digits(160), tempfile::tempdir().unwrap());
    run(&small(), &dataset, whole.path()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let export = Export { stop: Stop::new(), ..small() };
    let mut watch = |progress: &Progress| {
        if progress.samples >= 80 {
            export.stop.stop();
        }
    };
    let set_up = |builder: genset::load::LoaderBuilder| builder.workers(1).batch(8);
    let error = export.run(&dataset, folder.path(), &set_up, &mut watch).unwrap_err();
    assert!(error.is_interrupted(), "{error}");
    assert!(error.advice().unwrap().contains("the same command goes on"), "{error}");
    let left = tree(folder.path());
    assert!(!left.keys().any(|name| name.to_str().unwrap().starts_with('.')), "{:?}", left.keys());
    let there = left.len() - 1;
    assert!(there < 10);
    let error = Shards::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    let words = format!("{} of 160 samples", there * 16);
    assert!(error.to_string().contains(&words), "{error}");

    let exported = run(&small(), &dataset, folder.path()).unwrap();
    assert_eq!((exported.resumed, exported.shards), (there, 10 - there));
    assert_same(whole.path(), folder.path());
}

#[test]
fn an_export_that_is_done_is_left_alone() {
    let (dataset, folder) = (digits(50), tempfile::tempdir().unwrap());
    run(&small(), &dataset, folder.path()).unwrap();
    let modified =
        || fs::metadata(folder.path().join("manifest.json")).unwrap().modified().unwrap();
    let before = modified();
    let again = run(&small(), &dataset, folder.path()).unwrap();
    assert_eq!((again.shards, again.resumed, again.is_complete()), (0, 4, true));
    assert_eq!(modified(), before);
}

#[test]
fn more_samples_make_only_the_last_short_shard_anew() {
    for format in [Format::Safetensors, Format::Mds, Format::WebDataset] {
        let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |samples| Export { format, samples: Some(samples), ..small() };
        // The recipe may say how many, or the export.
        run(&small_of(format), &digits(40), folder.path()).unwrap();
        let grown = run(&of(100), &digits(300), folder.path()).unwrap();
        assert_eq!((grown.resumed, grown.shards), (2, 5));
        run(&of(100), &digits(300), whole.path()).unwrap();
        assert_same(whole.path(), folder.path());

        let error = run(&of(99), &digits(300), folder.path()).unwrap_err();
        assert!(error.to_string().contains("has samples 0..100, not 0..99"), "{error}");
        let ranks = |rank| Export { rank: Some((rank, 2)), ..of(200) };
        assert!(!run(&ranks(0), &digits(300), folder.path()).unwrap().is_complete());
        assert!(Shards::open(folder.path()).unwrap_err().to_string().contains("unfinished"));
        assert!(run(&ranks(1), &digits(300), folder.path()).unwrap().is_complete());
        let whole = tempfile::tempdir().unwrap();
        run(&of(200), &digits(300), whole.path()).unwrap();
        assert_same(whole.path(), folder.path());
    }
}

fn small_of(format: Format) -> Export {
    Export { format, ..small() }
}

#[test]
fn another_export_into_the_folder_is_refused_and_says_what_is_another() {
    let (dataset, folder) = (digits(50), tempfile::tempdir().unwrap());
    run(&small(), &dataset, folder.path()).unwrap();
    let before = tree(folder.path());
    let other = |settings: &[&str]| {
        let mut all = vec!["generator.block=8", "samples=50"];
        all.extend(settings);
        common::open(common::DIGITS, &all)
    };
    let cases = [
        (small(), other(&["seed=8"]), "has dataset "),
        (small(), other(&["name=numbers"]), "has name digits, not numbers"),
        (small_of(Format::Mds), dataset.clone(), "has format safetensors, not mds"),
        (Export { encoding: PNG, ..small() }, dataset.clone(), "has encoding raw, not png"),
        (
            Export { size: ShardSize::Samples(17), ..small() },
            dataset.clone(),
            "has samples a shard 16, not 17",
        ),
        (Export { latents: true, ..small() }, dataset.clone(), "has latents None, not Some"),
        (Export { parameters: true, ..small() }, dataset.clone(), "has parameters false, not true"),
        (Export { from: Some(16), ..small() }, dataset.clone(), "has first sample 0, not 16"),
        (
            Export { contents: Contents::Rows, ..small() },
            dataset.clone(),
            "has contents delivered, not rows",
        ),
        (small(), dataset.executed_with(&[]).unwrap(), "has rewrites "),
    ];
    for (export, dataset, words) in cases {
        if words == "has rewrites " && dataset.generated().unwrap().rewrites().is_empty() {
            // Nothing to leave out in this generator, on this machine.
            let all = digits(50);
            if all.generated().unwrap().rewrites().is_empty() {
                continue;
            }
        }
        let error = run(&export, &dataset, folder.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::State, "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("manifest.json"), "{text}");
        assert!(error.advice().is_some());
        assert!(tree(folder.path()) == before, "{words}: nothing was changed");
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_the_folder_is_made() {
    let dataset = digits(50);
    let endless = common::open(common::DIGITS, &["samples=endless"]);
    let rank = Some((2, 2));
    for (export, dataset, words) in [
        (small(), &endless, "say how many samples to export: --samples N"),
        (Export { samples: Some(51), ..small() }, &dataset, "samples 0..51 are not in the dataset"),
        (Export { from: Some(50), ..small() }, &dataset, "samples 50..50 are not in the dataset"),
        (Export { rank, ..small() }, &dataset, "rank 2 is not in a world of 2"),
        (
            Export { size: ShardSize::Samples(1), samples: Some(1 << 20), ..small() },
            &endless,
            "1048576 shards are too many",
        ),
        (Export { size: ShardSize::Samples(0), ..small() }, &dataset, "at least one sample"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("new");
        let error = run(&export, dataset, &place).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!place.exists());
    }
}
