use std::collections::HashMap;

use super::*;

/// The bytes of a file with these tensors and this metadata.
fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)], metadata: &[(&str, &str)]) -> Vec<u8> {
    let view = |(name, dtype, shape, data): &(&str, Dtype, &[usize], Vec<u8>)| {
        ((*name).to_owned(), *dtype, shape.to_vec(), data.clone())
    };
    let tensors: Vec<_> = tensors.iter().map(view).collect();
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let metadata: HashMap<String, String> = metadata.iter().map(pair).collect();
    safetensors::serialize(views, Some(metadata)).unwrap()
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn linear<'a>(name: &'a str, shape: &'a [usize]) -> (&'a str, Dtype, &'a [usize], Vec<u8>) {
    let n = shape.iter().product();
    (name, Dtype::F32, shape, f32s(&vec![0.5; n]))
}

fn parse(bytes: &[u8]) -> Result<WalkFile> {
    WalkFile::parse(Path::new("walks.safetensors"), bytes)
}

/// The error of parsing the file or of asking for a walk of 4 elements in it.
fn refusal(bytes: &[u8], name: &str) -> String {
    parse(bytes).and_then(|file| file.walk(name, 4, "z")).expect_err(name).to_string()
}

#[test]
fn every_float_type_gives_the_same_direction() {
    let values = [0.5f32, -1.0, 2.0, 0.0];
    let f64s = values.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect();
    let f16s = values.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
    let bf16s = values.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect();
    let shape = &[2, 2][..];
    let bytes = file(
        &[
            ("a", Dtype::F32, shape, f32s(&values)),
            ("b", Dtype::F64, shape, f64s),
            ("c", Dtype::F16, shape, f16s),
            ("d", Dtype::BF16, shape, bf16s),
            ("mean", Dtype::I64, &[1], vec![0; 8]),
        ],
        &[("input", "z"), ("format", WALK_FORMAT)],
    );
    let file = parse(&bytes).unwrap();
    assert_eq!((file.names().join(""), file.input.as_deref()), ("abcd".to_owned(), Some("z")));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(file.walk(name, 4, "z").unwrap(), Walk::Linear(values.into()), "{name}");
    }
}

#[test]
fn layers_without_number_that_take_no_bytes_are_refused() {
    let names = |k: usize| [format!("deep.{k}.weight"), format!("deep.{k}.bias")];
    let names: Vec<_> = (0..20_000).map(names).collect();
    let layers = names.iter().enumerate().flat_map(|(k, [weight, bias])| {
        let shape: &[usize] = if k == 0 { &[0, 4] } else { &[0, 0] };
        [linear(weight, shape), linear(bias, &[0])]
    });
    let bytes = file(&layers.collect::<Vec<_>>(), &[]);
    let error = refusal(&bytes, "deep");
    assert!(error.contains("`deep.64.weight` is one more than the 64 layers"), "{error}");
}

#[test]
fn perceptrons_are_read_layer_by_layer() {
    let bytes = file(
        &[
            linear("zoom.0.weight", &[3, 4]),
            linear("zoom.0.bias", &[3]),
            linear("zoom.1.weight", &[4, 3]),
            linear("zoom.1.bias", &[4]),
        ],
        &[("zoom.steps", "7"), ("format", "pt")],
    );
    let file = parse(&bytes).unwrap();
    assert_eq!(file.names(), ["zoom"]);
    let Walk::Steps { steps, layers } = file.walk("zoom", 4, "z").unwrap() else {
        panic!("not linear")
    };
    assert_eq!((steps, layers.len()), (7, 2));
    assert_eq!((layers[0].weight.len(), layers[1].bias.len()), (12, 4));
}

#[test]
fn files_that_are_no_walks_are_refused() {
    let nan = ("a", Dtype::F32, &[2][..], f32s(&[1.0, f32::NAN]));
    let huge = ("a", Dtype::F64, &[1][..], 1e300f64.to_le_bytes().to_vec());
    let whole = file(&[linear("a", &[4])], &[]);
    for (bytes, words) in [
        (Vec::new(), "is not a safetensors file"),
        (b"\x80\x04pickle, not safetensors".to_vec(), "is not a safetensors file"),
        (whole[..whole.len() - 1].to_vec(), "is not a safetensors file"),
        (u64::MAX.to_le_bytes().to_vec(), "is not a safetensors file"),
        (file(&[nan], &[]), "tensor `a` holds NaN at element 1"),
        (file(&[huge], &[]), "tensor `a` holds inf at element 0"),
        (file(&[("a", Dtype::I8, &[4], vec![0; 4])], &[]), "tensor `a` is of type I8"),
        (file(&[linear("a", &[4])], &[("a.steps", "0")]), "a.steps = \"0\", not 1 to 1000"),
        (file(&[linear("a", &[4])], &[("a.steps", "9999")]), "not 1 to 1000"),
        (file(&[linear("a", &[4])], &[("a.steps", "x")]), "not 1 to 1000"),
        (
            file(&[linear("a", &[4])], &[("format", "genset directions 2")]),
            "has format \"genset directions 2\"; this genset reads",
        ),
    ] {
        let message = refusal(&bytes, "a");
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[test]
fn walks_that_do_not_fit_the_latent_name_their_tensor() {
    let layer = |name: &'static str, shape: &'static [usize]| linear(name, shape);
    for (tensors, words) in [
        (vec![layer("zoom", &[3])], "tensor `zoom` has 3 elements, and input `z` takes 4"),
        (vec![layer("zom", &[4])], "there is no direction `zoom`\n  help: did you mean `zom`?"),
        (
            vec![layer("x", &[4]), layer("y", &[4])],
            "there is no direction `zoom`\n  help: it has: x, y",
        ),
        (
            vec![layer("zoom", &[4]), layer("zoom.0.weight", &[4, 4])],
            "tensor `zoom.0.weight` is there beside `zoom`",
        ),
        (
            vec![layer("zoom.0.weight", &[3, 5]), layer("zoom.0.bias", &[3])],
            "tensor `zoom.0.weight` has shape [3, 5], and takes 4 values",
        ),
        (vec![layer("zoom.0.weight", &[12])], "tensor `zoom.0.weight` has shape [12]"),
        (vec![layer("zoom.0.weight", &[3, 4])], "tensor `zoom.0.bias` is not there"),
        (
            vec![layer("zoom.0.weight", &[3, 4]), layer("zoom.0.bias", &[2])],
            "tensor `zoom.0.bias` has 2 elements, and its layer has 3",
        ),
        (
            vec![layer("zoom.0.weight", &[3, 4]), layer("zoom.0.bias", &[3])],
            "tensor `zoom.0.weight` gives 3 values, and input `z` takes 4",
        ),
        (
            vec![
                layer("zoom.0.weight", &[4, 4]),
                layer("zoom.0.bias", &[4]),
                layer("zoom.2.bias", &[4]),
            ],
            "tensor `zoom.2.bias` belongs to none of the 1 layers",
        ),
    ] {
        let message = refusal(&file(&tensors, &[]), "zoom");
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[test]
fn walk_files_are_named_by_the_key_that_asks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = |file: &str| {
        let text = format!(
            "[generator]\nmodel = 'g'\ninputs.z = {{ role = 'latent' }}\n[views]\n\
             latent = [{{ op = 'steer', file = '{file}', strength = 1 }}]"
        );
        Recipe::parse(&text, "r", folder.path()).unwrap()
    };
    let error = Walks::read(&recipe("none.safetensors")).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().starts_with("views.latent[0].file: "), "{error}");

    std::fs::write(folder.path().join("text.safetensors"), "hello").unwrap();
    let error = Walks::read(&recipe("text.safetensors")).unwrap_err().to_string();
    assert!(error.starts_with("views.latent[0].file: ") && error.contains("text.safet"), "{error}");

    std::fs::create_dir(folder.path().join("folder.safetensors")).unwrap();
    let error = Walks::read(&recipe("folder.safetensors")).unwrap_err().to_string();
    assert!(error.contains("folder.safetensors: is not a file"), "{error}");

    // Sparse: it takes no room, and must not be read to its end.
    let large = File::create(folder.path().join("large.safetensors")).unwrap();
    large.set_len(1 << 40).unwrap();
    let error = Walks::read(&recipe("large.safetensors")).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit, "{error}");
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_out_of_the_folder() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = other.path().join("w.safetensors");
    std::fs::write(&target, file(&[linear("a", &[4])], &[])).unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join("w.safetensors")).unwrap();
    let text = "[generator]\nmodel = 'g'\n[views]\n\
                latent = [{ op = 'steer', file = 'w.safetensors', strength = 1 }]";
    let recipe = Recipe::parse(text, "r", folder.path()).unwrap();
    let error = Walks::read(&recipe).unwrap_err().to_string();
    assert!(error.contains("outside the recipe's folder"), "{error}");
}

#[test]
fn the_bytes_are_identity_and_the_path_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("a.safetensors", &file(&[linear("a", &[4])], &[]));
    write("b.safetensors", &file(&[linear("a", &[4])], &[]));
    write("c.safetensors", &file(&[linear("a", &[5])], &[]));
    let digest = |name: &str| {
        let text = format!(
            "[generator]\nmodel = 'g'\n[views]\n\
             latent = [{{ op = 'steer', file = '{name}.safetensors', strength = 1 }}]"
        );
        let recipe = Recipe::parse(&text, "r", folder.path()).unwrap();
        let walks = Walks::read(&recipe).unwrap();
        let hash = |hasher: &mut blake3::Hasher| {
            walks.hash_into(hasher);
            Ok(())
        };
        recipe.digest(hash).unwrap()
    };
    assert_eq!(digest("a"), digest("b"));
    assert_ne!(digest("a"), digest("c"));
}
