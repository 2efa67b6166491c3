//! Folders of shards: what is exported is what is delivered, whoever makes it and however often that
//! is interrupted; what is damaged or hostile is said.

mod changes;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod command;
#[path = "../common/mod.rs"]
mod common;
mod folders;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod kills;
mod ranks;
mod read;
mod verify;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use genset::codec::{Decoder, Encoding, Fit, Target};
use genset::shard::{Export, Exported, Records, ShardSize, Shards};
use genset::{Dataset, Result};

/// Two latent views of digits, in blocks of 8.
fn digits(samples: u64) -> Dataset {
    let samples = format!("samples={samples}");
    common::open(common::DIGITS, &["generator.block=8", &samples])
}

/// Shards of 16 samples, in the formats' own encoding.
fn small() -> Export {
    Export { size: ShardSize::Samples(16), rank: Some((0, 1)), ..Export::default() }
}

fn run(export: &Export, dataset: &Dataset, folder: &Path) -> Result<Exported> {
    export.run(dataset, folder, &|builder| builder.workers(1).batch(24), &mut |_| {})
}

/// All files of a folder and below, hidden ones too.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(folder: &Path, base: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, base, files);
            } else {
                files.insert(path.strip_prefix(base).unwrap().into(), fs::read(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(folder, folder, &mut files);
    files
}

/// Fails with the names of what differs, not with megabytes of bytes.
#[track_caller]
fn assert_same(left: &Path, right: &Path) {
    let (left, right) = (tree(left), tree(right));
    let names = |tree: &BTreeMap<PathBuf, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right));
    for (name, bytes) in &left {
        assert!(*bytes == right[name], "{} differs", name.display());
    }
}

/// The images of a sample, decoded, all views after each other.
fn images(shards: &Shards, index: u64) -> Vec<u8> {
    let groups = &shards.manifest().form.groups;
    let mut forms = groups.iter().flat_map(|group| vec![group.form; group.views]);
    let (mut all, mut decoder) = (Vec::new(), Decoder::default());
    let mut show = |_: usize, picture: genset::codec::Picture<'_>| {
        let form = forms.next().unwrap();
        let mut image = vec![0; form.checked_len().unwrap()];
        decoder.decode(picture, &Target { form, fit: Fit::Exact }, &mut image)?;
        all.extend(image);
        Ok(())
    };
    shards.show(index, &mut Vec::new(), &mut show).unwrap();
    all
}

/// Every sample that is stored has the images, label and latents that a loader delivers.
#[track_caller]
fn assert_delivers(shards: &Shards, dataset: &Dataset) {
    let range = shards.samples();
    let loader = dataset.loader().rank(0, 1).range(range.clone()).latents(true).workers(1);
    let mut seen = range.start;
    for batch in common::stream(loader) {
        let latents = batch.latents();
        for (i, index) in batch.index().into_iter().enumerate() {
            let wanted: Vec<u8> =
                batch.groups().iter().flat_map(|group| group.sample_bytes(i).to_vec()).collect();
            assert!(images(shards, index) == wanted, "sample {index} in {}", shards.place(index));
            assert_eq!(shards.label(index).unwrap(), batch.labels().map(|labels| labels[i]));
            if shards.latent_len() > 0 {
                let latents = latents.as_ref().unwrap();
                let (views, numbers) = (latents.shape()[1], latents.shape()[2]);
                let mut stored = vec![0.0; views * numbers];
                shards.latents(index, &mut stored).unwrap();
                let wanted = latents.as_slice().unwrap();
                assert_eq!(stored, wanted[i * stored.len()..][..stored.len()]);
            }
            seen += 1;
        }
    }
    assert_eq!(seen, range.end);
}

const PNG: Option<Encoding> = Some(Encoding::Png);
