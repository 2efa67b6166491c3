//! Samples that are not images, and samples that are not there.

use genset::{Dataset, Kind};
use serde_json::Value;

use super::*;

#[test]
fn an_image_of_nan_stops_the_stream_and_is_named() {
    let folder = Folder::of("nan-always");
    let words = ["sample 0, view 0", "value NaN", "genset inspect"];
    folder.digest(&[]).says(1, &words);
    let sheet = folder.path("sheet.png");
    let recipe = folder.path("recipe.toml");
    ran(genset().arg("preview").arg(recipe).arg("-o").arg(&sheet)).says(1, &words);
    assert!(!sheet.exists());
}

#[test]
fn the_first_bad_sample_is_named_whatever_the_workers() {
    let folder = Folder::of("nan-sometimes");
    let dataset = Dataset::open_with(folder.path("recipe.toml"), options()).unwrap();
    let bad = (0..).find(|&index| dataset.get(index).is_err()).unwrap();
    let words = format!("sample {bad}, view 0");
    for workers in ["1", "2", "4"] {
        for batch in ["7", "64"] {
            let arguments = ["--workers", workers, "--batch", batch, "--json"];
            let ran = folder.digest(&arguments);
            ran.says(1, &[&words, "value NaN"]);
            let document: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(document["error"]["sample"], bad);
            assert_eq!(document["error"]["kind"], "sample");
        }
    }
}

#[test]
fn neighbours_of_a_bad_sample_are_whole() {
    let folder = Folder::of("nan-sometimes");
    let dataset = Dataset::open_with(folder.path("recipe.toml"), options()).unwrap();
    let block = 16;
    // Blocks of which some samples are bad, and more than one.
    let mut seen = 0;
    for first in (0..400).step_by(block) {
        let samples: Vec<_> = (first..first + block as u64).map(|i| (i, dataset.get(i))).collect();
        let bad = samples.iter().filter(|(_, sample)| sample.is_err()).count();
        seen += usize::from(bad > 0);
        for (index, sample) in &samples {
            match sample {
                Err(error) => {
                    assert_eq!((error.kind(), error.sample()), (Kind::Sample, Some(*index)));
                }
                // The loader makes it too, as long as it is asked for none of the bad.
                Ok(alone) => {
                    let range = *index..*index + 1;
                    let mut loader = dataset.loader().workers(1).range(range).build().unwrap();
                    let streamed = loader.next().unwrap().unwrap();
                    assert_eq!(streamed.images().bytes(), alone.images().bytes());
                }
            }
        }
        if seen == 3 {
            return;
        }
    }
    panic!("{seen} bad blocks in 400 samples");
}

#[test]
fn samples_beyond_the_end_are_usage_errors() {
    let beyond = |arguments: &[&str], words: &[&str]| {
        ran(genset().args(arguments)).says(2, words).at_once();
    };
    let set = ["--set", "samples=100"];
    let digest = |from, count| {
        [&["digest", "builtin:digits", "--from", from, "--count", count][..], &set].concat()
    };
    beyond(&digest("90", "11"), &["samples 90..101 are not in the dataset, which has 100"]);
    beyond(&digest("100", "1"), &["samples 100..101 are not in the dataset"]);
    beyond(&digest(&u64::MAX.to_string(), "2"), &["too many"]);
    let preview = ["preview", "builtin:digits", "--index", "100", "-o", "/nowhere/sheet.png"];
    beyond(&[&preview[..], &set].concat(), &["no sample 100", "0 to 99"]);
    let folder = Folder::of("channels-1");
    let dataset = Dataset::open_with(folder.path("recipe.toml"), options()).unwrap();
    assert_eq!(dataset.get(1 << 63).unwrap_err().kind(), Kind::Argument);
    dataset.get((1 << 63) - 1).unwrap();
}
