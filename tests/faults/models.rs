//! Broken, truncated, hostile and huge models.

use std::os::unix::fs::symlink;

use genset::{Dataset, Kind};

use super::*;

pub(crate) const HOSTILE: [&str; 10] = [
    "external-data-outside",
    "external-data-absolute",
    "terabyte-output",
    "terabyte-intermediate",
    "overflow-output",
    "terabyte-initializer",
    "negative-dimension",
    "truncated",
    "not-protobuf",
    "empty",
];

#[test]
fn hostile_and_broken_files_are_refused_at_once_and_say_why() {
    let words: [&[&str]; HOSTILE.len()] = [
        &["tensor `weight_0`", "`../outside.bin`", "no plain relative path"],
        &["tensor `weight_0`", "`/outside.bin`", "no plain relative path"],
        &["output `image`", "[1, 3, 1048576, 1048576]", "13194139533312 bytes"],
        &["[1, 3, 1048576, 1048576]", "bytes, more than"],
        &["output `image`", "[1, 3, 2147483648, 2147483648]", "bytes, more than"],
        &["tensor `weight_0`", "[8, 1099511627776]", "35184372088832 bytes"],
        &["output `image`", "[-4, 3, 8, 8] has a negative dimension"],
        &["truncated or not an ONNX file", "checksum"],
        &["truncated or not an ONNX file"],
        &["the file is empty", "export it again"],
    ];
    for (name, words) in HOSTILE.into_iter().zip(words) {
        let file = format!("{name}.onnx");
        ran(genset().arg("inspect").arg(model(name))).says(1, &[&file]).says(1, words).at_once();
        // The same from a recipe, which says where it is named.
        let folder = Folder::of(name);
        let ran = folder.digest(&[]);
        ran.says(1, words).says(1, &["generator.model: ", "model.onnx"]).at_once();
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

#[test]
fn a_missing_model_and_missing_external_data_are_named() {
    let folder = Folder::empty().recipe(PLAIN);
    folder.digest(&[]).says(1, &["generator.model: ", "model.onnx", "No such file"]).at_once();
    let folder = Folder::of("external-data-missing");
    folder.digest(&[]).says(1, &["`missing.bin`", "beside the model"]).at_once();
}

#[test]
fn external_data_may_not_be_reached_through_a_link() {
    let (folder, outside) = (Folder::of("external-data-inside"), Folder::empty());
    let data = model("external-data-inside").with_extension("bin");
    let place = folder.path("external-data-inside.bin");
    fs::copy(&data, &place).unwrap();
    assert_eq!(folder.digest(&[]).code, Some(0), "inside it is welcome");
    fs::remove_file(&place).unwrap();
    fs::copy(&data, outside.path("outside.bin")).unwrap();
    symlink(outside.path("outside.bin"), &place).unwrap();
    folder.digest(&[]).says(1, &["external-data-inside.bin", "leads out of"]).at_once();
}

#[test]
fn a_model_may_not_lie_outside_the_recipes_folder() {
    let (folder, outside) = (Folder::empty().recipe(PLAIN), Folder::of("channels-1"));
    symlink(outside.path("model.onnx"), folder.path("model.onnx")).unwrap();
    let words = ["generator.model: ", "outside the recipe's folder", "put the model itself"];
    folder.digest(&[]).says(1, &words).at_once();
    for path in ["../model.onnx", "/tmp/model.onnx", "a/../../model.onnx"] {
        let folder = Folder::empty().recipe(&PLAIN.replace("model.onnx", path));
        let words = ["recipe.toml:5: `generator.model`", "may not leave", path];
        folder.digest(&[]).says(1, &words).at_once();
    }
    // A link that stays inside is nobody's harm.
    let folder = Folder::of("channels-1");
    fs::rename(folder.path("model.onnx"), folder.path("other.onnx")).unwrap();
    symlink("other.onnx", folder.path("model.onnx")).unwrap();
    assert_eq!(folder.digest(&[]).code, Some(0));
}

#[test]
fn a_folder_or_a_pipe_is_no_model() {
    let folder = Folder::empty().recipe(PLAIN);
    fs::create_dir(folder.path("model.onnx")).unwrap();
    folder.digest(&[]).says(1, &["model.onnx"]).at_once();
    fs::remove_dir(folder.path("model.onnx")).unwrap();
    let made = Command::new("mkfifo").arg(folder.path("model.onnx")).status().unwrap();
    assert!(made.success());
    folder.digest(&[]).says(1, &["model.onnx"]).at_once();
}

#[test]
fn a_model_cut_anywhere_is_refused_or_fails_with_a_message() {
    let whole = fs::read(model("channels-1")).unwrap();
    let folder = Folder::of("channels-1");
    for cut in (0..whole.len()).step_by(whole.len() / 40) {
        fs::write(folder.path("model.onnx"), &whole[..cut]).unwrap();
        let error = Dataset::open_with(folder.path("recipe.toml"), options()).map(drop);
        let error = error.expect_err(&format!("{cut} of {} bytes", whole.len()));
        assert_eq!(error.kind(), Kind::Model, "{error}");
    }
}

/// `model` with the bytes `from` replaced and the length of its graph set right.
fn patched(name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let bytes = fs::read(model(name)).unwrap();
    let mut at = 0;
    let varint = |at: &mut usize| {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = bytes[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        usize::try_from(value).unwrap()
    };
    // ModelProto's field 7 is the graph.
    let (head, graph) = loop {
        let head = at;
        let tag = varint(&mut at);
        match (tag >> 3, tag & 7) {
            (7, 2) => break (head, varint(&mut at)),
            (_, 2) => at += varint(&mut at),
            (_, 0) => drop(varint(&mut at)),
            other => panic!("{other:?}"),
        }
    };
    let (body, tail) = bytes[at..].split_at(graph);
    let places: Vec<_> = body.windows(from.len()).enumerate().filter(|(_, w)| *w == from).collect();
    let place = places.last().expect("is there").0;
    let body = [&body[..place], to, &body[place + from.len()..]].concat();
    let mut length = Vec::new();
    let mut rest = body.len();
    while rest >= 0x80 {
        length.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    length.push(u8::try_from(rest).unwrap());
    [&bytes[..head], &[0x3a], &length, &body, tail].concat()
}

#[test]
fn a_batch_of_no_rows_is_refused() {
    // z: f32 [1, 8], to be [0, 8].
    let z = |batch| [0x12, 8, 0x0a, 2, 8, batch, 0x0a, 2, 8, 8, b'b'];
    let folder = Folder::of("static-batch-1");
    fs::write(folder.path("model.onnx"), patched("static-batch-1", &z(1), &z(0))).unwrap();
    folder.digest(&[]).says(1, &["input `z` takes no rows", "batch of 1 or more"]).at_once();
}

#[test]
fn a_latent_of_gigabytes_is_refused() {
    // z: f32 [N, 8], to be [N, 2^31]: a dimension of four bytes more, in four messages.
    let z = |lengths: [u8; 4], dimension: &[u8]| {
        let [info, kind, tensor, shape] = lengths;
        let head = [0x5a, info, 0x0a, 1, b'z', 0x12, kind, 0x0a, tensor, 8, 1, 0x12, shape];
        let rows = [0x0a, 3, 0x12, 1, b'N', 0x0a, u8::try_from(dimension.len()).unwrap() + 1, 8];
        [&head[..], &rows, dimension].concat()
    };
    let small = z([20, 15, 13, 9], &[8]);
    let large = z([24, 19, 17, 13], &[0x80, 0x80, 0x80, 0x80, 8]);
    let folder = Folder::of("channels-1");
    fs::write(folder.path("model.onnx"), patched("channels-1", &small, &large)).unwrap();
    let words = ["input `z`", "2147483648 values for each of the 16 rows", "generator.block"];
    folder.digest(&[]).says(1, &words).at_once();
}

/// Memory is bound to the output as the file declares it; a lie must not write beyond it.
#[test]
fn an_output_that_is_not_as_declared_is_an_error() {
    let image = |side| [0x0a, 2, 8, 1, 0x0a, 2, 8, side, 0x0a, 2, 8, side];
    for side in [2, 4, 16, 100] {
        let folder = Folder::of("channels-1");
        let bytes = patched("channels-1", &image(8), &image(side));
        fs::write(folder.path("model.onnx"), bytes).unwrap();
        let ran = folder.digest(&[]);
        let got = format!("index: 2 Got: {side} Expected: 8");
        ran.says(1, &["model.onnx: ", "output: image", &got]).at_once();
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

#[test]
fn what_is_no_generator_is_not_made_one() {
    let ran = ran(genset().arg("inspect").arg(model("not-a-generator")));
    ran.says(1, &["cannot be used: takes images", "and makes none"]).at_once();
    let folder = Folder::of("custom-operator");
    folder.digest(&[]).says(1, &["FancyActivation"]).at_once();
}
