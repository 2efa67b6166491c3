//! Stored datasets: an export is the dataset that it is of, views can be drawn of what is stored,
//! and real images are datasets like any other.

mod common;

use std::fs;
use std::path::Path;

use common::{DIGITS, digests, open, options, stream};
use genset::codec::Encoding;
use genset::load::{LoaderBuilder, Options};
use genset::shard::{Contents, Export, Format, Manifest, ShardSize, Verify, embedded_recipe};
use genset::{Dataset, Kind};
use tempfile::TempDir;

/// Every format, in the encodings that lose nothing.
const LOSSLESS: [(Format, Encoding); 7] = [
    (Format::Safetensors, Encoding::Raw),
    (Format::Safetensors, Encoding::Png),
    (Format::WebDataset, Encoding::Raw),
    (Format::WebDataset, Encoding::WebP),
    (Format::Mds, Encoding::Raw),
    (Format::Mds, Encoding::Png),
    (Format::Images, Encoding::Png),
];

fn digits(settings: &[&str]) -> Dataset {
    open(DIGITS, &[&["samples=150", "generator.block=8"], settings].concat())
}

/// Exports to a fresh folder, in shards of 40 samples.
fn exported(dataset: &Dataset, export: Export) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let export = Export { size: ShardSize::Samples(40), rank: Some((0, 1)), ..export };
    export.run(dataset, folder.path(), &|builder| builder, &mut |_| {}).unwrap();
    folder
}

fn all(dataset: &Dataset, set_up: impl Fn(LoaderBuilder) -> LoaderBuilder) -> String {
    let batches = stream(set_up(dataset.loader().rank(0, 1)));
    digests(&batches).together().unwrap()
}

fn opened(path: &Path, settings: &[&str]) -> Dataset {
    Dataset::open_with(path, options(settings)).unwrap()
}

fn refused(path: &Path, settings: &[&str]) -> genset::Error {
    let settings = settings.iter().map(|s| (*s).to_owned()).collect();
    Dataset::open_with(path, Options { settings, ..Options::default() }).unwrap_err()
}

#[test]
fn a_lossless_export_is_the_dataset_in_every_format() {
    let dataset = digits(&[]);
    let digest = all(&dataset, |builder| builder);
    for (format, encoding) in LOSSLESS {
        let export =
            Export { format, encoding: Some(encoding), latents: true, ..Export::default() };
        let folder = exported(&dataset, export);
        let stored = opened(folder.path(), &[]);
        let what = format!("{format} {encoding}");
        assert!(stored.is_stored() && stored.generated().is_err(), "{what}");
        assert_eq!(stored.digest(), dataset.digest(), "{what}");
        assert_eq!((stored.len(), stored.views()), (Some(150), 2), "{what}");
        assert_eq!(all(&stored, |builder| builder.batch(33).workers(3)), digest, "{what}");
        for index in [0, 39, 40, 149] {
            let (stored, made) = (stored.get(index).unwrap(), dataset.get(index).unwrap());
            assert_eq!(stored.images().bytes(), made.images().bytes(), "{what}, {index}");
            assert_eq!(stored.labels(), made.labels(), "{what}, {index}");
            assert_eq!(stored.latents(), made.latents(), "{what}, {index}");
            assert_eq!(stored.images().shape(), made.images().shape(), "{what}, {index}");
        }
        assert_eq!(stored.get(150).unwrap_err().kind(), Kind::Argument);
    }
}

#[test]
fn a_run_goes_on_from_shards_where_the_stream_was_and_back() {
    let dataset = digits(&[]);
    let folder = exported(&dataset, Export::default());
    let stored = opened(folder.path(), &[]);
    let mut live = dataset.loader().rank(0, 1).batch(30).build().unwrap();
    live.by_ref().take(2).for_each(|batch| drop(batch.unwrap()));
    let rest = stored.loader().rank(0, 1).batch(45).resume(live.state());
    let first = stream(rest.clone());
    assert_eq!(first[0].positions(), 60..105);
    let mut shards = rest.build().unwrap();
    drop(shards.next().unwrap().unwrap());
    let live = stream(dataset.loader().rank(0, 1).batch(45).resume(shards.state()));
    assert_eq!(live[0].images().bytes(), first[1].images().bytes());
}

#[test]
fn a_part_keeps_its_indices() {
    let dataset = digits(&[]);
    let export = Export { from: Some(50), samples: Some(60), ..Export::default() };
    let folder = exported(&dataset, export);
    let stored = opened(folder.path(), &[]);
    assert_eq!((stored.range(), stored.len()), (50..110, Some(60)));
    let part = all(&dataset, |builder| builder.range(50..110));
    assert_eq!(all(&stored, |builder| builder), part);
    let error = stored.get(49).unwrap_err().to_string();
    assert!(error.contains("no sample 49") && error.contains("50 to 109"), "{error}");
}

#[test]
fn batches_lie_in_the_map_where_they_can() {
    let dataset = digits(&[]);
    let folder = exported(&dataset, Export::default());
    let stored = opened(folder.path(), &[]);
    // Shards have 40 samples: a batch of 20 is in one, every second one of 30 is not.
    for batch in [20, 30] {
        let (mapped, copied): (Vec<_>, Vec<_>) = [true, false]
            .map(|zero| stream(stored.loader().rank(0, 1).batch(batch).zero_copy(zero)))
            .into();
        assert_eq!(
            digests(&mapped).together().unwrap(),
            digests(&copied).together().unwrap(),
            "{batch}"
        );
    }
    let batch = stream(stored.loader().rank(0, 1).batch(20).zero_copy(true)).remove(0);
    assert!(batch.images().as_u8().is_some());
    assert_eq!(batch.images().bytes().as_ptr().align_offset(64), 0, "as the file is laid out");
}

#[test]
fn rows_give_the_views_of_the_recipe_fresh_in_every_epoch() {
    let pixel =
        "views.pixel=[{ op = \"flip\", p = 0.5 }, { op = \"random-resized-crop\", size = 20 }]";
    let dataset = digits(&[pixel, "views.count=3", "views.anchor=true"]);
    let folder = exported(&dataset, Export { contents: Contents::Rows, ..Export::default() });
    let stored = opened(folder.path(), &[]);
    assert_eq!(stored.views(), 3);
    assert_ne!(stored.digest(), dataset.digest(), "its rows were rounded once");
    for epoch in [0, 1] {
        let (made, drawn) = (dataset.get_in_epoch(17, 0), stored.get_in_epoch(17, epoch));
        let (made, drawn) = (made.unwrap(), drawn.unwrap());
        assert_eq!(drawn.images().shape(), [1, 3, 1, 20, 20]);
        let pairs = made.images().bytes().iter().zip(drawn.images().bytes());
        let far = pairs.filter(|(a, b)| a.abs_diff(**b) > 1).count();
        // The same operations as the stream's in its first epoch; others in the next.
        assert_eq!(far > 0, epoch > 0, "epoch {epoch}: {far} pixels differ");
    }
    assert_eq!(stored.plan(17).unwrap().views, without_latent(&dataset, 17));
    let floats = opened(folder.path(), &["output.dtype=f32", "output.layout=NHWC"]);
    assert_eq!(floats.get(0).unwrap().images().shape(), [1, 3, 20, 20, 1]);
}

/// What is drawn for pixels, as the latent operations were done when the rows were made.
fn without_latent(dataset: &Dataset, index: u64) -> Vec<genset::sample::PlannedView> {
    let mut views = dataset.plan(index).unwrap().views;
    views.iter_mut().for_each(|view| (view.stored, view.latent) = (true, Vec::new()));
    views
}

#[test]
fn views_are_drawn_of_what_is_stored() {
    let dataset = digits(&["views.count=1"]);
    let folder = exported(&dataset, Export::default());
    let settings = ["views.count=4", "views.pixel=[{ op = \"flip\", p = 0.5 }]"];
    let drawn = opened(folder.path(), &settings);
    assert_eq!(drawn.views(), 4);
    assert_ne!(drawn.digest(), dataset.digest());
    let digest = all(&drawn, |builder| builder.batch(32));
    assert_eq!(all(&drawn, |builder| builder.batch(7).workers(3).view_threads(2)), digest);
    let two = digits(&[]);
    let folder = exported(&two, Export::default());
    let error = refused(folder.path(), &["views.count=3"]).to_string();
    assert!(error.contains("3 views cannot be made of the 2 images"), "{error}");
}

#[test]
fn jpeg_is_another_dataset() {
    let dataset = digits(&[]);
    let encoding = Some(Encoding::Jpeg { quality: 90 });
    let folder = exported(&dataset, Export { encoding, ..Export::default() });
    let stored = opened(folder.path(), &[]);
    assert_ne!(stored.digest(), dataset.digest());
    let (stored, made) = (stored.get(3).unwrap(), dataset.get(3).unwrap());
    let pairs = stored.images().bytes().iter().zip(made.images().bytes());
    let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!((1..80).contains(&worst), "{worst}");
}

#[test]
fn a_folder_of_images_by_class_is_a_dataset_of_its_own() {
    let dataset = digits(&["views.count=1"]);
    let folder = exported(&dataset, Export { format: Format::Images, ..Export::default() });
    let images = only_images(folder.path());
    let stored = opened(images.path(), &[]);
    assert_eq!((stored.len(), stored.views()), (Some(150), 1));
    let group = &stored.forms()[0];
    assert_eq!((group.views, group.form.axes()), (1, [1, 28, 28]));
    let of_class = |dataset: &Dataset| {
        let mut counts = [0; 10];
        stream(dataset.loader().rank(0, 1)).iter().for_each(|batch| {
            batch.labels().unwrap().iter().for_each(|label| counts[*label as usize] += 1);
        });
        counts
    };
    assert_eq!(of_class(&stored), of_class(&dataset));

    let resized = opened(images.path(), &["source.size=[14, 20]", "source.channels=3"]);
    assert_eq!(resized.get(0).unwrap().images().shape(), [1, 1, 3, 14, 20]);
    assert_ne!(resized.digest(), stored.digest());

    let wide = ["source.size=[14, 20]", "source.channels=3", "output.layout=NHWC"];
    let batch = opened(images.path(), &wide).get(0).unwrap();
    assert_eq!(batch.images().shape(), [1, 1, 14, 20, 3]);
    let (first, last) = (resized.get(0).unwrap(), batch.images().as_u8().unwrap());
    let first = first.images().as_u8().unwrap();
    assert_eq!(last.permuted_axes([0, 1, 4, 2, 3]), first, "the same pixels");

    let shuffled = |seed| stream(stored.loader().rank(0, 1).shuffle(seed)).remove(0).index();
    assert_ne!(shuffled(1), shuffled(2));
}

#[test]
fn stored_images_are_exported_like_generated_ones() {
    let dataset = digits(&["views.count=1"]);
    let folder = exported(&dataset, Export { format: Format::Images, ..Export::default() });
    let images = only_images(folder.path());
    let photos = opened(images.path(), &["source.size=20"]);
    for format in [Format::Safetensors, Format::WebDataset] {
        let shards = exported(&photos, Export { format, ..Export::default() });
        let stored = opened(shards.path(), &[]);
        assert_eq!(stored.digest(), photos.digest(), "lossless shards are the dataset");
        assert_eq!(all(&stored, |builder| builder), all(&photos, |builder| builder.workers(3)));
        assert_eq!(stored.classes(), photos.classes());
        let verify = Verify { regenerate: 20, ..Verify::default() };
        assert!(verify.run(shards.path(), Some(&photos), &|_| {}).unwrap().is_good());
        let manifest = Manifest::read(&shards.path().join("manifest.json")).unwrap();
        let error = embedded_recipe(&manifest).unwrap_err().to_string();
        assert!(error.contains("made of stored images"), "{error}");
    }
    // Shards of shards: a part, as JPEG.
    let first = exported(&photos, Export::default());
    let part = Export {
        from: Some(30),
        samples: Some(50),
        encoding: Some(Encoding::Jpeg { quality: 80 }),
        ..Export::default()
    };
    let part = exported(&opened(first.path(), &[]), part);
    assert_eq!(opened(part.path(), &[]).range(), 30..80);
}

/// The images of an export without what makes it one.
fn only_images(export: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in fs::read_dir(export).unwrap().map(|entry| entry.unwrap().path()) {
        if !class.is_dir() {
            continue;
        }
        let to = folder.path().join(class.file_name().unwrap());
        fs::create_dir(&to).unwrap();
        for image in fs::read_dir(&class).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&image, to.join(image.file_name().unwrap())).unwrap();
        }
    }
    folder
}

#[test]
fn images_that_are_torn_end_the_stream_or_are_left_out() {
    let dataset = digits(&["views.count=1"]);
    let folder = exported(&dataset, Export { format: Format::Images, ..Export::default() });
    let images = only_images(folder.path());
    let class = fs::read_dir(images.path()).unwrap().next().unwrap().unwrap().path();
    let torn = fs::read_dir(&class).unwrap().next().unwrap().unwrap().path();
    let half = fs::read(&torn).unwrap();
    fs::write(&torn, &half[..half.len() / 2]).unwrap();

    // The first image says what size all have, and may be the torn one.
    let size = ["source.size=28", "source.channels=1"];
    let stored = opened(images.path(), &size);
    let error = stored.loader().rank(0, 1).build().unwrap().find_map(Result::err).unwrap();
    let text = error.to_string();
    assert_eq!(error.kind(), Kind::Sample);
    assert!(text.contains(torn.file_name().unwrap().to_str().unwrap()), "{text}");

    let skipping = opened(images.path(), &[&size[..], &["source.on-bad=skip"]].concat());
    let mut loader = skipping.loader().rank(0, 1).build().unwrap();
    let delivered: usize = loader.by_ref().map(|batch| batch.unwrap().len()).sum();
    assert_eq!((delivered, loader.skipped().count), (149, 1));
    assert_eq!(loader.statistics().samples, 149);
}

#[test]
fn recipes_name_stored_images_or_mix_them_in() {
    let dataset = digits(&["views.count=1"]);
    let folder = exported(&dataset, Export { format: Format::Images, ..Export::default() });
    let images = only_images(folder.path());
    let recipes = tempfile::tempdir().unwrap();
    fs::rename(images.path(), recipes.path().join("photos")).unwrap();
    let write = |name: &str, text: &str| {
        let path = recipes.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let source = write("photos.toml", "[source]\npath = \"photos\"\n[output]\ndtype = \"f32\"\n");
    assert_eq!(opened(&source, &[]).get(0).unwrap().images().shape(), [1, 1, 1, 28, 28]);

    let text = "seed = 1\nsamples = 400\n[generator]\nmodel = \"builtin:digits\"\nblock = 16\n\
                [mix]\nsource = \"photos\"\nratio = 0.25\n";
    let mixed = opened(&write("mixed.toml", text), &[]);
    let pure = opened(&write("pure.toml", &text[..text.find("[mix]").unwrap()]), &[]);
    assert_ne!(mixed.digest(), pure.digest());
    let digest = all(&mixed, |builder| builder);
    assert_eq!(all(&mixed, |builder| builder.batch(19).workers(3)), digest);
    let (mut same, mut real) = (0, 0);
    for index in 0..400 {
        let (mixed, pure) = (mixed.get(index).unwrap(), pure.get(index).unwrap());
        match mixed.images().bytes() == pure.images().bytes() {
            true => same += 1,
            false => real += 1,
        }
    }
    assert_eq!((same, real), (300, 100), "a block of 12 is no other generator than one of 16");

    let error = refused(&write("far.toml", &text.replace("photos", "../photos")), &[]).to_string();
    assert!(error.contains("mix.source") && error.contains("may not leave"), "{error}");
    let error = refused(&write("gone.toml", &text.replace("photos", "nothing")), &[]).to_string();
    assert!(error.contains("nothing"), "{error}");
}
