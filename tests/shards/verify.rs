//! What is damaged is found and named.

use genset::Kind;
use genset::shard::{Format, Verified, Verify, embedded_recipe};

use super::*;

fn checked(folder: &Path, dataset: Option<&Dataset>, regenerate: u64) -> Verified {
    let verify = Verify { regenerate, ..Verify::default() };
    verify.run(folder, dataset, &|_| {}).unwrap()
}

#[test]
fn a_whole_folder_is_good_in_every_format() {
    let dataset = digits(100);
    for format in [Format::Safetensors, Format::WebDataset, Format::Mds, Format::Images] {
        let folder = tempfile::tempdir().unwrap();
        run(&Export { format, latents: true, ..small() }, &dataset, folder.path()).unwrap();
        let shards = Shards::open(folder.path()).unwrap();
        let embedded = embedded_recipe(shards.manifest()).unwrap();
        let again = dataset.with_recipe(embedded).unwrap();
        let verified = checked(folder.path(), Some(&again), 30);
        assert!(verified.is_good(), "{format}: {:?}", verified.faults);
        assert_eq!((verified.shards, verified.samples, verified.pictures), (7, 100, 200));
        assert_eq!(verified.bytes, shards.manifest().bytes());
        let difference = verified.regenerated.unwrap();
        assert!(difference.exact);
        assert_eq!((difference.samples, difference.pictures, difference.equal), (30, 60, 60));
        assert_eq!(difference.psnr, None);
    }
}

#[test]
fn lossy_images_are_measured() {
    let (dataset, folder) = (digits(40), tempfile::tempdir().unwrap());
    let encoding = Some(Encoding::Jpeg { quality: 90 });
    run(&Export { encoding, ..small() }, &dataset, folder.path()).unwrap();
    let verified = checked(folder.path(), Some(&dataset), 1000);
    assert!(verified.is_good(), "{:?}", verified.faults);
    let difference = verified.regenerated.unwrap();
    assert!(!difference.exact && difference.samples == 40 && difference.equal < 80);
    let psnr = difference.psnr.unwrap();
    assert!((20.0..60.0).contains(&psnr), "{difference:?}");
    assert!(difference.mean < difference.max && difference.max < 0.5);
}

#[test]
fn every_damaged_shard_is_named() {
    for format in [Format::Safetensors, Format::WebDataset, Format::Mds, Format::Images] {
        let (dataset, folder) = (digits(100), tempfile::tempdir().unwrap());
        run(&Export { format, ..small() }, &dataset, folder.path()).unwrap();
        let shards = Shards::open(folder.path()).unwrap();
        let names: Vec<_> =
            shards.manifest().shards.iter().map(|shard| shard.name.clone()).collect();
        let path = |number: usize| folder.path().join(&names[number]);
        // One bit, one byte too many, all gone.
        let mut bytes = fs::read(path(1)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(path(1), bytes).unwrap();
        let mut bytes = fs::read(path(3)).unwrap();
        bytes.push(0);
        fs::write(path(3), bytes).unwrap();
        fs::remove_file(path(5)).unwrap();
        let verified = checked(folder.path(), None, 0);
        assert!(!verified.is_good());
        let mut named: Vec<_> = verified.faults.iter().map(|fault| fault.shard.clone()).collect();
        named.dedup();
        assert_eq!(named, [&*names[1], &names[3], &names[5]], "{:?}", verified.faults);
        let first = |name: &str| {
            let of = |fault: &&genset::shard::Fault| fault.shard == name;
            verified.faults.iter().find(of).unwrap().what.clone()
        };
        assert!(first(&names[1]).contains("hash differs"), "{:?}", verified.faults);
        assert!(first(&names[3]).contains("bytes, not"), "{:?}", verified.faults);
        assert!(first(&names[5]).contains("cannot read"), "{:?}", verified.faults);
    }
}

#[test]
fn an_image_file_that_is_changed_is_found() {
    let (dataset, folder) = (digits(40), tempfile::tempdir().unwrap());
    run(&Export { format: Format::Images, ..small() }, &dataset, folder.path()).unwrap();
    let image =
        tree(folder.path()).into_keys().find(|path| path.extension() == Some("png".as_ref()));
    let path = folder.path().join(image.unwrap());
    let other = tree(folder.path()).into_iter().find(|(name, bytes)| {
        name.extension() == Some("png".as_ref()) && *bytes != fs::read(&path).unwrap()
    });
    fs::write(&path, other.unwrap().1).unwrap();
    let verified = checked(folder.path(), None, 0);
    assert_eq!(verified.faults_in_all, 1, "{:?}", verified.faults);
    assert!(verified.faults[0].sample.is_some());
}

#[test]
fn a_size_that_a_manifest_claims_takes_no_memory() {
    let (dataset, folder) = (digits(20), tempfile::tempdir().unwrap());
    run(&Export { format: Format::WebDataset, ..small() }, &dataset, folder.path()).unwrap();
    let mut manifest = Shards::open(folder.path()).unwrap().manifest().clone();
    let form = &mut manifest.form.groups[0].form;
    (form.height, form.width) = (45_000, 45_000);
    fs::write(folder.path().join("manifest.json"), manifest.to_text()).unwrap();
    let verified = checked(folder.path(), None, 0);
    assert_eq!(verified.faults_in_all, 20, "{:?}", verified.faults);
    let said = &verified.faults[0].what;
    assert!(said.contains("is 28x28 pixels, not 45000x45000"), "{said}");
}

#[test]
fn other_samples_under_true_hashes_are_found_by_making_them_anew() {
    let (dataset, folder) = (digits(40), tempfile::tempdir().unwrap());
    run(&small(), &dataset, folder.path()).unwrap();
    let other = tempfile::tempdir().unwrap();
    let seeded = common::open(common::DIGITS, &["generator.block=8", "samples=40", "seed=8"]);
    run(&small(), &seeded, other.path()).unwrap();
    let mut manifest = Shards::open(other.path()).unwrap().manifest().clone();
    manifest.dataset = dataset.digest();
    fs::write(other.path().join("manifest.json"), manifest.to_text()).unwrap();
    assert!(checked(other.path(), None, 0).is_good(), "all hashes are right");
    let verified = checked(other.path(), Some(&dataset), 10);
    assert!(verified.faults_in_all >= 10, "{:?}", verified.faults);
    assert!(verified.faults.iter().any(|fault| fault.what.contains("differs from the sample")));

    let verify = Verify { regenerate: 1, ..Verify::default() };
    let error = verify.run(folder.path(), Some(&seeded), &|_| {}).unwrap_err();
    assert_eq!(error.kind(), Kind::State, "{error}");
    let error = verify.run(folder.path(), None, &|_| {}).unwrap_err();
    assert_eq!(error.kind(), Kind::Argument, "{error}");
}

#[test]
fn a_generator_that_is_a_file_has_to_be_given() {
    let recipe = "samples = 20\n[generator.inputs.z]\nrole = \"latent\"\n\
                  [generator.output]\nlayout = \"NCHW\"\nrange = [-1, 1]\n";
    let place = common::folder_with_recipe("dynamic-batch", recipe);
    let dataset = common::open(place.path().join("recipe.toml"), &[]);
    let folder = tempfile::tempdir().unwrap();
    run(&small(), &dataset, folder.path()).unwrap();
    let shards = Shards::open(folder.path()).unwrap();
    let model = shards.manifest().model.clone().unwrap();
    let bytes = fs::read(common::models().join("dynamic-batch.onnx")).unwrap();
    assert_eq!((&*model.file, model.blake3), ("dynamic-batch.onnx", blake3::hash(&bytes)));
    let error = embedded_recipe(shards.manifest()).unwrap_err().to_string();
    assert!(error.contains("dynamic-batch.onnx") && error.contains("--recipe PATH"), "{error}");
    let verified = checked(folder.path(), Some(&dataset), 5);
    assert!(verified.is_good(), "{:?}", verified.faults);
}
