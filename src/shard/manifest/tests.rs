//! Manifests read back, and hostile ones are errors before they cost anything.

use super::*;
use crate::codec::{Encoding, RawForm};
use crate::recipe::{Dtype, Layout};
use crate::shard::GroupForm;

fn manifest() -> Manifest {
    let form =
        RawForm { channels: 3, height: 4, width: 5, dtype: Dtype::F16, layout: Layout::Nhwc };
    let group = |name: &str, views| GroupForm { name: name.into(), views, form };
    let shard = |number: u64, first, count| ShardEntry {
        name: Format::Mds.shard_name("faces", number),
        first,
        count,
        bytes: 1000 + number,
        blake3: blake3::hash(&number.to_le_bytes()),
    };
    Manifest {
        dataset: Digest([7; 32]),
        name: "faces \"of\" nobody".into(),
        contents: Contents::Rows,
        format: Format::Mds,
        form: ShardForm {
            groups: vec![group("global", 2), group("", 1)],
            encoding: Encoding::Jpeg { quality: 85 },
            labels: true,
            classes: vec!["a".into(), "b\n".into()],
            latents: Some([3, 128]),
            parameters: true,
        },
        samples: 10..100,
        samples_per_shard: 32,
        model: Some(ModelFile { file: "g.onnx".into(), blake3: blake3::hash(b"g") }),
        provenance: Provenance {
            genset: "0.1.0".into(),
            runtime: "1.31.1".into(),
            providers: vec!["cpu".into()],
            precision: "f32".into(),
            rewrites: Vec::new(),
        },
        recipe: "seed = 1\n".into(),
        part: None,
        shards: vec![shard(0, 10, 22), shard(1, 32, 32), shard(3, 96, 4)],
    }
}

/// What is said of a manifest in which `from` became `to`.
#[track_caller]
fn said(from: &str, to: &str) -> String {
    let text = manifest().to_text();
    assert_eq!(text.matches(from).count(), 1, "`{from}` in {text}");
    let error = Manifest::parse(text.replace(from, to).as_bytes()).unwrap_err();
    assert!(matches!(error.kind(), Kind::State | Kind::Limit), "{error}");
    error.to_string()
}

#[test]
fn what_is_written_reads_back_equal_one_shard_a_line() {
    for (part, shards) in [(None, 3), (Some(Part { rank: 1, world_size: 3 }), 1), (None, 0)] {
        let mut manifest = Manifest { part, ..manifest() };
        manifest.shards.truncate(shards);
        let text = manifest.to_text();
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest, "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("\"first\"")).count(), shards);
        assert_eq!(text, Manifest::parse(text.as_bytes()).unwrap().to_text());
    }
    let manifest = manifest();
    assert_eq!((manifest.there(), manifest.is_complete(), manifest.bytes()), (58, false, 3004));
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in [
        "../faces.00001.mds",
        "/etc/passwd",
        "a/b.mds",
        "..",
        ".",
        "",
        ".hidden",
        "a\\\\b",
        "C:x",
        "nul\\u0000byte",
        "line\\nfeed",
    ] {
        let text = said("faces.00001.mds", name);
        assert!(text.contains("is not the name of a file in the folder"), "{name}: {text}");
    }
    let long = "x".repeat(256);
    assert!(said("faces.00001.mds", &long).contains("is not the name"));
}

#[test]
fn sizes_of_shards_that_overflow_when_they_are_summed_are_refused() {
    let most = format!("\"bytes\":{}", u64::MAX);
    let text = said("\"bytes\":1001", &most);
    assert!(text.contains("more than shards may have together"), "{text}");
    let half = format!("\"bytes\":{}", 1_u64 << 60);
    let text = said("\"bytes\":1003", &half);
    assert!(text.contains("faces.00003.mds") && text.contains("together"), "{text}");
}

#[test]
fn ranks_that_each_claim_all_samples_do_not_overflow_their_sum() {
    let folder = tempfile::tempdir().unwrap();
    for rank in 0..2 {
        let mut manifest = Manifest {
            samples: 0..crate::recipe::MAX_SAMPLES,
            samples_per_shard: crate::recipe::MAX_SAMPLES,
            part: Some(Part { rank, world_size: 2 }),
            ..manifest()
        };
        manifest.shards.truncate(1);
        (manifest.shards[0].first, manifest.shards[0].count) = (0, crate::recipe::MAX_SAMPLES);
        let path = folder.path().join(manifest.part.unwrap().manifest());
        std::fs::write(path, manifest.to_text()).unwrap();
    }
    let error = crate::shard::Shards::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is unfinished"), "{error}");
}

#[test]
fn a_sample_that_no_memory_holds_is_refused() {
    let mut manifest = manifest();
    let [group, _] = &mut manifest.form.groups[..] else { panic!("two groups") };
    (group.views, group.form.height, group.form.width) = (900, 1 << 12, 1 << 12);
    manifest.form.latents = None;
    let error = Manifest::parse(manifest.to_text().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("more than 4 GiB together"), "{error}");
}

#[test]
fn two_shards_under_one_name_are_refused() {
    let text = said("faces.00001.mds", "faces.00000.mds");
    assert!(text.contains("is listed twice"), "{text}");
}

#[test]
fn shards_that_overlap_or_are_of_another_cut_are_refused() {
    for (from, to) in [
        ("\"first\":32", "\"first\":31"),
        ("\"first\":32", "\"first\":10"),
        ("\"count\":32", "\"count\":33"),
        ("\"count\":4", "\"count\":18446744073709551615"),
        ("\"first\":96", "\"first\":64"),
        ("\"first\":96", "\"first\":18446744073709551615"),
        ("\"samples_per_shard\": 32", "\"samples_per_shard\": 33"),
        ("\"to\": 100", "\"to\": 99"),
    ] {
        let text = said(from, to);
        assert!(text.contains("where none such begins"), "{to}: {text}");
    }
}

#[test]
fn sizes_beyond_reason_are_refused_before_anything_is_allocated() {
    for (from, to, words) in [
        ("\"to\": 100", "\"to\": 9223372036854775809", "cannot be"),
        ("\"from\": 10", "\"from\": 100", "cannot be"),
        ("\"samples_per_shard\": 32", "\"samples_per_shard\": 0", "at least one sample"),
        ("\"views\": 2", "\"views\": 18446744073709551615", "views"),
        ("\"views\": 2", "\"views\": 0", "views"),
    ] {
        let text = said(from, to);
        assert!(text.contains(words), "{to}: {text}");
    }
    let many = manifest().to_text().replace("\"to\": 100", "\"to\": 9223372036854775808");
    let error = Manifest::parse(many.as_bytes()).unwrap_err();
    assert!(error.is_limit(), "{error}");
    for (from, to) in [
        ("\"height\": 4", "\"height\": 18446744073709551615"),
        ("\"channels\": 3", "\"channels\": 5"),
        ("\"width\": 5", "\"width\": 0"),
    ] {
        let text = manifest().to_text().replace(from, to);
        let error = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("images of"), "{error}");
    }
    let latents = manifest().to_text().replace("    128\n", "    18446744073709551615\n");
    let error = Manifest::parse(latents.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("latents of 3 views"), "{error}");
}

#[test]
fn a_gigabyte_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MANIFEST);
    let file = File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    let error = Manifest::read(&path).unwrap_err();
    assert!(error.is_limit() && error.to_string().contains("more than 64 MiB"), "{error}");
}

#[test]
fn what_is_no_manifest_is_said() {
    for bytes in [&b""[..], b"{", b"[1]", b"\xff\xfe", b"{\"genset_shards\": \"1\"}", b"null"] {
        let error = Manifest::parse(bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::State, "{error}");
        assert!(error.to_string().contains("is no manifest of shards"), "{error}");
    }
    let deep = "[".repeat(1 << 20);
    assert!(Manifest::parse(deep.as_bytes()).is_err());
}

#[test]
fn unknown_keys_and_words_are_refused() {
    for (from, to, words) in [
        ("\"labels\": true", "\"labels\": true, \"lables\": true", "lables"),
        ("\"format\": \"mds\"", "\"format\": \"zip\"", "zip"),
        ("\"jpeg:85\"", "\"jpeg:101\"", "101"),
        ("\"rows\"", "\"columns\"", "columns"),
        ("\"genset_shards\": 1", "\"genset_shards\": 2", "version 2, not 1"),
        ("\"count\":4", "\"count\":-4", "-4"),
        ("\"count\":4", "\"count\":4,\"count\":4", "duplicate field `count`"),
    ] {
        let text = said(from, to);
        assert!(text.contains(words), "{to}: {text}");
    }
    let digest = Digest([7; 32]).to_string();
    assert!(said(&digest, "07").contains("is not a digest"));
}

#[test]
fn ranks_are_told_by_their_manifests_names() {
    let part = Part { rank: 2, world_size: 16 };
    assert_eq!(part.manifest(), "manifest-2-of-16.json");
    assert_eq!(Part::of_manifest(&part.manifest()), Some(part));
    for name in
        ["manifest.json", "manifest-3-of-3.json", "manifest-03-of-4.json", "manifest-a-of-4.json"]
    {
        assert_eq!(Part::of_manifest(name), None, "{name}");
    }
    let part = Manifest { part: Some(Part { rank: 3, world_size: 3 }), ..manifest() };
    let error = Manifest::parse(part.to_text().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("rank 3 is not in a world of 3"), "{error}");
}

#[test]
fn what_may_not_differ_is_found_and_more_samples_may() {
    let (one, mut other) = (manifest(), manifest());
    other.samples.end = 200;
    other.recipe.push_str("# longer");
    assert_eq!(one.difference(&other), None);
    let (what, had, has) = other.difference(&one).unwrap();
    assert_eq!((what, &*had, &*has), ("samples", "10..200", "10..100"));
    other = manifest();
    other.form.encoding = Encoding::Png;
    let (what, had, has) = one.difference(&other).unwrap();
    assert_eq!((what, &*had, &*has), ("encoding", "jpeg:85", "png"));
    other = manifest();
    other.form.groups[0].form.height = 8;
    assert_eq!(one.difference(&other).unwrap().0, "form");
    other = manifest();
    other.provenance.runtime = "1.32.0".into();
    assert_eq!(one.difference(&other).unwrap().0, "ONNX Runtime version");
}
