use std::collections::HashMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::recipe::Recipe;
use crate::sample::{Drawn, Sampler};

/// A folder with `walks.safetensors`: linear `a` and `b`, and the perceptron `relu` with
/// f(z) = 2 max(z, 0) + 1.
fn folder(metadata: &[(&str, &str)]) -> tempfile::TempDir {
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let tensors = [
        ("a", vec![2], bytes(&[1.0, 0.0])),
        ("b", vec![1, 2], bytes(&[0.0, 1.0])),
        ("relu.0.weight", vec![2, 2], bytes(&[1.0, 0.0, 0.0, 1.0])),
        ("relu.0.bias", vec![2], bytes(&[0.0, 0.0])),
        ("relu.1.weight", vec![2, 2], bytes(&[2.0, 0.0, 0.0, 2.0])),
        ("relu.1.bias", vec![2], bytes(&[1.0, 1.0])),
    ];
    let views = tensors.iter().map(|(name, shape, data)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    let metadata: HashMap<_, _> =
        metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walks.safetensors");
    safetensors::serialize_to_file(views, Some(metadata), &path).unwrap();
    folder
}

fn steer(folder: &Path, keys: &str) -> crate::error::Result<Sampler> {
    let text = format!(
        "[generator]\nmodel = 'g'\ninputs.z = {{ role = 'latent' }}\n\
         inputs.w = {{ role = 'latent' }}\n[views]\ncount = 2\n\
         latent = [{{ op = 'steer', file = 'walks.safetensors', {keys} }}]"
    );
    Sampler::new(&Recipe::parse(&text, "r", folder).unwrap(), &[vec![2], vec![3]])
}

/// How far the views of a sample went, and what was drawn.
fn gone(sampler: &Sampler, index: u64) -> Vec<([f32; 2], HashMap<String, f32>)> {
    let plan = sampler.plan(index, 0);
    let z = &plan.inputs[0];
    let anchor = z.anchor.as_ref().unwrap();
    let view = |(view, planned): (&Vec<f32>, &crate::sample::PlannedView)| {
        let Drawn::Steer { strength } = &planned.latent[0] else { panic!("steer") };
        let strength = strength.iter().map(|(k, v)| (k.clone(), *v)).collect();
        ([view[0] - anchor[0], view[1] - anchor[1]], strength)
    };
    z.views.iter().zip(&plan.views).map(view).collect()
}

#[test]
fn linear_walks_go_as_far_as_they_are_strong_each_on_its_own() {
    let folder = folder(&[("input", "z")]);
    let keys = "directions = ['a', 'b'], strength = [-2, 2]";
    let sampler = steer(folder.path(), keys).unwrap();
    let (mut product, mut all) = (0.0, Vec::new());
    for index in 0..2000 {
        for (gone, strength) in gone(&sampler, index) {
            assert!((gone[0] - strength["a"]).abs() < 1e-6);
            assert!((gone[1] - strength["b"]).abs() < 1e-6);
            product += f64::from(gone[0] * gone[1]);
            all.push(strength["a"]);
        }
    }
    // The variance of each is 4/3; the standard error of the mean product is 0.021.
    assert!((product / 4000.0).abs() < 0.08, "{product}");
    let mean: f32 = all.iter().sum::<f32>() / 4000.0;
    assert!(mean.abs() < 0.07 && all.iter().any(|s| *s < -1.9) && all.iter().any(|s| *s > 1.9));
}

#[test]
fn what_one_direction_draws_does_not_depend_on_the_others() {
    let folder = folder(&[("input", "z")]);
    let one = steer(folder.path(), "directions = ['b'], strength = [-2, 2]").unwrap();
    let all = steer(folder.path(), "strength = [-2, 2]").unwrap();
    for index in 0..9 {
        let (one, all) = (gone(&one, index), gone(&all, index));
        assert_eq!(one[1].1["b"], all[1].1["b"]);
        let mut names: Vec<_> = all[0].1.keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["a", "b", "relu"]);
    }
}

#[test]
fn perceptron_walks_take_their_steps() {
    for (steps, metadata) in [(1, vec![]), (3, vec![("relu.steps", "3")])] {
        let folder = folder(&metadata);
        for strength in [0.5f32, -0.5] {
            let keys = format!("inputs = ['z'], directions = ['relu'], strength = {strength}");
            let plan = steer(folder.path(), &keys).unwrap().plan(4, 0);
            let (anchor, view) =
                (plan.inputs[0].anchor.as_ref().unwrap(), &plan.inputs[0].views[0]);
            for (start, end) in anchor.iter().zip(view) {
                let mut z = *start;
                for _ in 0..steps {
                    z += strength / steps as f32 * (2.0 * z.max(0.0) + 1.0);
                }
                assert!((z - end).abs() < 1e-5, "{steps} steps: {z} {end}");
            }
            assert_eq!(plan.inputs[1].anchor.as_ref().unwrap(), &plan.inputs[1].views[0]);
        }
    }
}

#[test]
fn walks_say_what_they_cannot_move() {
    for (metadata, keys, key, words) in [
        (vec![], "strength = 1", ".inputs: ", "which of the inputs `z`, `w` it is for"),
        (vec![("input", "q")], "strength = 1", ".inputs: ", "are for input `q`, not for `z`, `w`"),
        (
            vec![("input", "z")],
            "strength = 1, inputs = ['w']",
            ".inputs: ",
            "are for input `z`, not for `w`",
        ),
        (vec![], "strength = 1, inputs = ['z', 'w']", ".inputs: ", "walks are for one input"),
        (vec![], "strength = 1, inputs = ['w']", ".file: ", "tensor `a` has 2 elements"),
        (
            vec![("input", "z")],
            "strength = 1, directions = ['relus']",
            ".directions: ",
            "did you mean `relu`?",
        ),
    ] {
        let folder = folder(&metadata);
        let error = steer(folder.path(), keys).expect_err(keys).to_string();
        assert!(error.starts_with(&format!("views.latent[0]{key}")), "{error}");
        assert!(error.contains("walks.safetensors"), "{error}");
        assert!(error.contains(words), "{error}");
    }
}
