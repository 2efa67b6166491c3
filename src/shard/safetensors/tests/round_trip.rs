//! Round trips over shapes, types, groups, layouts and encodings.

use proptest::prelude::*;
use safetensors::{Dtype as TensorDtype, SafeTensors};

use super::*;
use crate::codec::{Encoding, RawForm};
use crate::error::Kind;
use crate::recipe::{Dtype, Layout};
use crate::shard::samples::form;
use crate::shard::{GroupForm, ShardReader as _};

fn group() -> impl Strategy<Value = (usize, RawForm)> {
    let dtype = prop_oneof![Just(Dtype::U8), Just(Dtype::F16), Just(Dtype::F32)];
    let layout = prop_oneof![Just(Layout::Nchw), Just(Layout::Nhwc)];
    (1..3_usize, 1..5_usize, 1..7_usize, 1..7_usize, dtype, layout).prop_map(
        |(views, channels, height, width, dtype, layout)| {
            (views, RawForm { channels, height, width, dtype, layout })
        },
    )
}

fn any_form() -> impl Strategy<Value = ShardForm> {
    let encoding = prop_oneof![
        3 => Just(Encoding::Raw),
        1 => Just(Encoding::Png),
        1 => Just(Encoding::Jpeg { quality: 90 }),
        1 => Just(Encoding::WebP),
    ];
    let groups = prop::collection::vec(group(), 1..4);
    let latents = prop::option::of((1..3_usize, 1..6_usize));
    (groups, encoding, any::<bool>(), latents, any::<bool>()).prop_map(
        |(groups, encoding, labels, latents, parameters)| {
            let named = groups.len() > 1;
            let group = |(at, (views, form)): (usize, (usize, RawForm))| {
                let name = if named { format!("group {at}") } else { String::new() };
                GroupForm { name, views, form }
            };
            ShardForm {
                groups: groups.into_iter().enumerate().map(group).collect(),
                encoding,
                labels,
                classes: vec![],
                latents: latents.map(|(views, len)| [views, len]),
                parameters,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_form_comes_back(form in any_form(), first in 0..u64::MAX - 50, n in 1..20_u64) {
        let samples = first..first + n;
        let bytes = shard(&form, samples.clone());
        prop_assert_eq!(&bytes, &shard(&form, samples.clone()), "the same samples, other bytes");

        // The format's own reader takes the file, and finds images where they may lie.
        let theirs = SafeTensors::deserialize(&bytes).unwrap();
        for (name, tensor) in theirs.iter() {
            let at = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
            let element = tensor.dtype().bitsize() / 8;
            prop_assert_eq!(at % element, 0, "{} at {}", name, at);
            if form.encoding == Encoding::Raw && name.starts_with("images") {
                let padding = name.ends_with(".padding");
                prop_assert!(padding || at.is_multiple_of(64), "{} at {}", name, at);
            }
        }

        let shard = open(bytes, &form, samples.clone()).unwrap();
        prop_assert_eq!(shard.len(), n);
        let mut raw = vec![Vec::new(); form.groups.len()];
        for (position, index) in samples.clone().enumerate() {
            let sample = Sample::make(&form, index);
            sample.assert_in(&shard, position as u64);
            prop_assert_eq!(shard.parameters(position as u64).unwrap(), sample.parameters.as_deref());
            let mut pictures = sample.pictures.iter();
            for (group, raw) in form.groups.iter().zip(&mut raw) {
                pictures.by_ref().take(group.views).for_each(|(bytes, _)| raw.extend(bytes));
            }
        }
        for (group, raw) in raw.iter().enumerate() {
            let all = shard.run(0..n, group).unwrap();
            let half = shard.mapped(n / 2..n, group).unwrap();
            if form.encoding == Encoding::Raw {
                prop_assert_eq!(all, Some(&raw[..]));
                let skipped = raw.len() / n as usize * (n / 2) as usize;
                prop_assert_eq!(half.as_deref(), Some(&raw[skipped..]));
            } else {
                prop_assert_eq!((all, half), (None, None));
            }
        }
    }
}

#[test]
fn the_tensors_are_the_ones_that_others_expect() {
    let form = ShardForm { latents: Some([2, 5]), ..form(2, [3, 4, 6]) };
    let bytes = shard(&form, 100..107);
    let theirs = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<_> =
        theirs.iter().map(|(name, t)| (name, t.dtype(), t.shape().to_vec())).collect();
    tensors.sort_by_key(|(name, ..)| *name);
    let want = [
        ("images", TensorDtype::U8, vec![7, 2, 3, 4, 6]),
        ("index", TensorDtype::U64, vec![7]),
        ("label", TensorDtype::I64, vec![7]),
        ("latent", TensorDtype::F32, vec![7, 2, 5]),
    ];
    assert_eq!(tensors, want);
    let (_, read) = SafeTensors::read_metadata(&bytes).unwrap();
    let said = read.metadata().as_ref().unwrap();
    assert_eq!(said["format"], "genset shard 1");
    assert_eq!((&*said["encoding"], &*said["images.layout"]), ("raw", "NCHW"));
    assert_eq!(said["note"], metadata()["note"]);
    let ours = open(bytes, &form, 100..107).unwrap();
    assert_eq!(ours.metadata("digest").unwrap().as_deref(), Some("00ff"));
    assert_eq!(ours.metadata("none").unwrap(), None);
}

#[test]
fn what_is_larger_than_the_buffers_comes_back() {
    // Three groups of encoded images, the later ones past what waits in memory.
    let mut large = form(1, [1, 1, 1]);
    large.encoding = Encoding::Png;
    large.parameters = true;
    large.groups = ["a", "b", "c"]
        .map(|name| GroupForm { name: name.into(), ..large.groups[0].clone() })
        .to_vec();
    let sample = |index: u64| {
        let mut sample = Sample::make(&large, index);
        for (at, (bytes, _)) in sample.pictures.iter_mut().enumerate() {
            // Shorter than the buffer, and longer.
            let len = [1 << 10, 1 << 20][index as usize % 2] + at;
            *bytes = (0..len).map(|i| (i * 7 + at + index as usize) as u8).collect();
        }
        sample
    };
    let file = tempfile::tempfile().unwrap();
    let mut writer = create(file.try_clone().unwrap(), &large, 0..13, &metadata()).unwrap();
    for index in 0..13 {
        sample(index).put(&mut *writer).unwrap();
    }
    writer.finish().unwrap();
    let bytes = read_all(file);
    SafeTensors::deserialize(&bytes).unwrap();
    let shard = open(bytes, &large, 0..13).unwrap();
    for index in 0..13 {
        sample(index).assert_in(&shard, index);
        assert_eq!(shard.parameters(index).unwrap(), sample(index).parameters.as_deref());
    }
}

#[test]
fn a_shard_takes_the_samples_it_was_made_for_and_no_others() {
    let form = form(1, [1, 2, 2]);
    let writer = || create(tempfile::tempfile().unwrap(), &form, 5..7, &metadata()).unwrap();
    let put = |writer: &mut dyn crate::shard::ShardWriter, index| {
        Sample::make(&form, index).put(writer).map_err(|error| error.to_string())
    };
    let mut early = writer();
    assert!(put(&mut *early, 6).unwrap_err().contains("sample 5 is"));
    put(&mut *early, 5).unwrap();
    assert!(put(&mut *early, 5).unwrap_err().contains("sample 6 is"));
    let error = early.finish().unwrap_err();
    assert!(error.to_string().contains("samples 6..7 of the shard are missing"), "{error}");
    let mut full = writer();
    (5..7).for_each(|index| put(&mut *full, index).unwrap());
    assert!(put(&mut *full, 7).unwrap_err().contains("all of its samples"));
    assert!(create(tempfile::tempfile().unwrap(), &form, 5..5, &metadata()).is_err());
}

#[test]
fn a_sample_of_another_form_is_refused() {
    let form = ShardForm { latents: Some([1, 2]), parameters: true, ..form(1, [1, 2, 2]) };
    let refused = |change: &dyn Fn(&mut Sample)| {
        let mut writer = create(tempfile::tempfile().unwrap(), &form, 5..7, &metadata()).unwrap();
        let mut sample = Sample::make(&form, 5);
        change(&mut sample);
        let error = sample.put(&mut *writer).unwrap_err();
        assert_eq!((error.kind(), error.sample()), (Kind::Argument, Some(5)));
        error.to_string()
    };
    assert!(refused(&|sample| sample.label = None).contains("labels"));
    assert!(refused(&|sample| sample.latents = Some(vec![0.0])).contains("latents"));
    assert!(refused(&|sample| sample.parameters = None).contains("parameters"));
    assert!(refused(&|sample| sample.pictures.clear()).contains("0 pictures"));
    assert!(refused(&|sample| sample.pictures[0].0.push(0)).contains("5 bytes"));
    assert!(refused(&|sample| sample.pictures[0].1 = crate::codec::Form::Png).contains("Png"));
}

#[test]
fn the_metadata_cannot_say_what_the_format_says() {
    let form = form(1, [1, 2, 2]);
    for key in ["format", "encoding", "images.layout"] {
        let said = BTreeMap::from([(key.to_owned(), "mine".to_owned())]);
        let error = create(tempfile::tempfile().unwrap(), &form, 0..1, &said).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
    let said = BTreeMap::from([("large".to_owned(), "x".repeat(super::super::MAX_HEADER))]);
    let error = create(tempfile::tempfile().unwrap(), &form, 0..1, &said).unwrap_err();
    assert!(error.is_limit(), "{error}");
}

#[test]
fn groups_whose_tensors_would_have_one_name_are_refused() {
    let mut form = form(1, [1, 2, 2]);
    let named = |name: &str| GroupForm { name: name.into(), ..form.groups[0].clone() };
    form.groups = vec![named("a"), named("a.offsets")];
    form.encoding = Encoding::Png;
    let error = create(tempfile::tempfile().unwrap(), &form, 0..1, &metadata()).unwrap_err();
    assert!(error.to_string().contains("`images.a.offsets`"), "{error}");
}

#[test]
fn sizes_that_overflow_are_refused_before_anything_is_written() {
    for size in [usize::MAX, usize::MAX / 2, 1 << 40] {
        let huge = form(3, [3, size, size]);
        let error = create(tempfile::tempfile().unwrap(), &huge, 0..9, &metadata()).unwrap_err();
        assert!(error.is_limit(), "{error}");
    }
    let long = form(1, [1, 1, 1]);
    let error = create(tempfile::tempfile().unwrap(), &long, 0..u64::MAX, &metadata()).unwrap_err();
    assert!(error.is_limit(), "{error}");
}
