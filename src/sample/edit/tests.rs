use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::error::Result;
use crate::recipe::Recipe;
use crate::sample::{Drawn, Plan, Sampler};

/// A folder with `d.safetensors` for latents of three: `a` and `b` are at an angle, `c` is straight up
/// from both and longer than 1, `ab` lies between, and `relu` is a perceptron.
fn folder() -> tempfile::TempDir {
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let tensors = [
        ("a", vec![3], bytes(&[1.0, 0.0, 0.0])),
        ("b", vec![3], bytes(&[0.6, 0.8, 0.0])),
        ("c", vec![3], bytes(&[0.0, 0.0, 4.0])),
        ("ab", vec![3], bytes(&[0.8, 0.4, 0.0])),
        ("none", vec![3], bytes(&[0.0; 3])),
        ("relu.0.weight", vec![3, 3], bytes(&[0.5; 9])),
        ("relu.0.bias", vec![3], bytes(&[0.0; 3])),
    ];
    let views = tensors.iter().map(|(name, shape, data)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    safetensors::serialize_to_file(views, None, &folder.path().join("d.safetensors")).unwrap();
    folder
}

const DIRECTIONS: [(&str, [f32; 3]); 3] =
    [("a", [1.0, 0.0, 0.0]), ("b", [0.6, 0.8, 0.0]), ("c", [0.0, 0.0, 1.0])];

fn coordinates(latent: &[f32]) -> [f64; 3] {
    DIRECTIONS.map(|(_, direction)| super::dot(&direction, latent))
}

/// Edits as inline tables, without their file, over `[views]`.
fn sampler(folder: &Path, views: &str, edits: &[&str]) -> Result<Sampler> {
    let edits: Vec<_> =
        edits.iter().map(|keys| format!("{{ file = 'd.safetensors', {keys} }}")).collect();
    let text = format!(
        "seed = 3\nedit = [{}]\n[generator]\nmodel = 'g'\n\
         inputs.z = {{ role = 'latent' }}\ninputs.w = {{ role = 'latent' }}\n\
         inputs.y = {{ role = 'class', encoding = 'index', classes = 2 }}\n[views]\n{views}",
        edits.join(", ")
    );
    Sampler::new(&Recipe::parse(&text, "r", folder).unwrap(), &[vec![3], vec![2], vec![1]])
}

const NEIGHBOURS: &str = "count = 3\nanchor = true\nlatent = [{ op = 'gaussian', std = 0.5 }]";
const Z: &str = "inputs = ['z']";

/// The coordinates of each view, and what they were in the same recipe without edits.
fn both(folder: &Path, views: &str, edits: &[&str], index: u64) -> Vec<([f64; 3], [f64; 3])> {
    let of = |plan: &Plan| -> Vec<[f64; 3]> {
        plan.inputs[0].views.iter().map(|latent| coordinates(latent)).collect()
    };
    let edited = of(&sampler(folder, views, edits).unwrap().plan(index, 0));
    let plain = of(&sampler(folder, views, &[]).unwrap().plan(index, 0));
    edited.into_iter().zip(plain).collect()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 2e-6, "{found} is not {expected}");
}

#[test]
fn what_is_removed_is_gone_from_every_view_and_what_is_at_right_angles_stays() {
    let folder = folder();
    let edit = format!("{Z}, op = 'remove', directions = ['a']");
    for index in 0..20 {
        let views = both(folder.path(), NEIGHBOURS, &[&edit], index);
        assert_eq!(views.len(), 3, "the anchor's too");
        for ([a, b, c], [a0, b0, c0]) in views {
            near(a, 0.0);
            near(b, b0 - 0.6 * a0);
            assert_eq!(c, c0);
        }
    }
}

#[test]
fn what_is_kept_stays_where_it_was() {
    let folder = folder();
    let edit = format!("{Z}, op = 'fix', value = 1.5, directions = ['a', 'c'], keep = ['b']");
    for index in 0..20 {
        for ([a, b, c], [_, b0, _]) in both(folder.path(), NEIGHBOURS, &[&edit], index) {
            near(a, 1.5);
            near(b, b0);
            near(c, 1.5);
        }
    }
}

#[test]
fn all_edits_of_an_input_hold_at_once_whatever_their_angle() {
    let folder = folder();
    let edits = [
        &format!("{Z}, op = 'remove', directions = ['a']")[..],
        &format!("{Z}, op = 'draw', uniform = [-2, 2], directions = ['b']"),
    ];
    let sampler = sampler(folder.path(), NEIGHBOURS, &edits).unwrap();
    for index in 0..20 {
        let plan = sampler.plan(index, 0);
        let drawn = plan.edits[1].values["b"];
        for latent in &plan.inputs[0].views {
            let [a, b, _] = coordinates(latent);
            near(a, 0.0);
            near(b, f64::from(drawn));
        }
    }
}

/// The coordinates that a `draw` gives, of many samples.
fn drawn(folder: &Path, keys: &str, count: u64) -> Vec<[f64; 3]> {
    let edit = format!("{Z}, op = 'draw', {keys}");
    let sampler = sampler(folder, "", &[&edit]).unwrap();
    (0..count).map(|index| coordinates(&sampler.plan(index, 0).inputs[0].views[0])).collect()
}

#[test]
fn drawn_coordinates_follow_the_target() {
    let folder = folder();
    let of = |keys: &str| -> Vec<f64> {
        let keys = format!("directions = ['c'], {keys}");
        drawn(folder.path(), &keys, 4000).into_iter().map(|[_, _, c]| c).collect()
    };
    let moments = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / 4000.0;
        (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.0)
    };
    let uniform = of("uniform = [-1, 3]");
    let (mean, variance) = moments(&uniform);
    assert!((mean - 1.0).abs() < 0.08 && (variance - 4.0 / 3.0).abs() < 0.08, "{mean} {variance}");
    assert!(uniform.iter().all(|x| (-1.0 - 1e-6..3.0 + 1e-6).contains(x)));
    let (mean, variance) = moments(&of("normal = { mean = -1, std = 2 }"));
    assert!((mean + 1.0).abs() < 0.14 && (variance - 4.0).abs() < 0.4, "{mean} {variance}");
    let counts = |keys: &str| {
        let values = of(keys);
        [-1.5, 0.0, 2.0].map(|value| values.iter().filter(|x| (**x - value).abs() < 1e-5).count())
    };
    for (keys, expected) in [
        ("choice = [-1.5, 0, 2]", [1333, 1333, 1333]),
        ("choice = [-1.5, 0, 2], weights = [3, 0, 1]", [3000, 0, 1000]),
    ] {
        let counts = counts(keys);
        assert_eq!(counts.iter().sum::<usize>(), 4000);
        for (count, expected) in counts.into_iter().zip(expected) {
            assert!(count.abs_diff(expected) < 120, "{keys}: {counts:?}");
        }
        assert!(expected[1] > 0 || counts[1] == 0);
    }
}

#[test]
fn a_draw_is_the_samples_own_in_all_views_and_epochs_and_each_direction_draws_for_itself() {
    let folder = folder();
    let edit = format!("{Z}, op = 'draw', normal = {{}}, directions = ['a', 'c']");
    let sampler = sampler(folder.path(), NEIGHBOURS, &[&edit]).unwrap();
    let (mut product, mut of_class) = (0.0, [(0.0, 0.0); 2]);
    for index in 0..2000 {
        let (first, later) = (sampler.plan(index, 0), sampler.plan(index, 5));
        assert_eq!(first.edits, later.edits);
        assert_ne!(first.inputs[0].views[1], later.inputs[0].views[1]);
        let (a, c) = (first.edits[0].values["a"], first.edits[0].values["c"]);
        for latent in first.inputs[0].views.iter().chain(&later.inputs[0].views) {
            near(coordinates(latent)[0], f64::from(a));
            near(coordinates(latent)[2], f64::from(c));
        }
        product += f64::from(a * c) / 2000.0;
        let of_class = &mut of_class[first.label.unwrap() as usize];
        *of_class = (of_class.0 + f64::from(a), of_class.1 + 1.0);
    }
    // The standard errors are 0.022 and 0.032.
    assert!(product.abs() < 0.09, "{product}");
    assert!(of_class.iter().all(|(sum, count)| (sum / count).abs() < 0.13), "{of_class:?}");
    let alone = drawn(folder.path(), "directions = ['c'], normal = {}", 20);
    for (index, [_, _, c]) in (0..).zip(alone) {
        near(c, f64::from(sampler.plan(index, 0).edits[0].values["c"]));
    }
}

#[test]
fn views_move_away_from_an_edited_anchor() {
    let folder = folder();
    let edit = format!("{Z}, op = 'draw', choice = [-3, 3], directions = ['c'], at = 'anchor'");
    let plan = sampler(folder.path(), NEIGHBOURS, &[&edit]).unwrap().plan(4, 0);
    let value = f64::from(plan.edits[0].values["c"]);
    let z = &plan.inputs[0];
    assert!(near_anchor(z.anchor.as_ref().unwrap(), value) < 1e-6);
    assert_eq!(z.anchor.as_ref(), Some(&z.views[0]));
    for (latent, plain) in z.views[1..].iter().zip(&both(folder.path(), NEIGHBOURS, &[], 4)[1..]) {
        let moved = near_anchor(latent, value);
        assert!(moved > 1e-3 && moved < 3.0, "{moved}");
        near(coordinates(latent)[0], plain.0[0]);
    }
    let steer = "latent = [{ op = 'steer', file = 'd.safetensors', directions = ['c'], \
                 strength = 0.5, inputs = ['z'] }]";
    let plan = sampler(folder.path(), steer, &[&edit]).unwrap().plan(4, 0);
    // The file's direction has length 4, and steering takes it as it is.
    near(coordinates(&plan.inputs[0].views[0])[2], value + 2.0);
}

fn near_anchor(latent: &[f32], value: f64) -> f64 {
    (coordinates(latent)[2] - value).abs()
}

#[test]
fn another_sample_is_edited_as_it_is_itself() {
    let folder = folder();
    let edit = format!("{Z}, op = 'draw', normal = {{}}, directions = ['c'], at = 'anchor'");
    let whole = "latent = [{ op = 'interpolate', t = 1, path = 'lerp', inputs = ['z'] }]";
    let sampler = sampler(folder.path(), whole, &[&edit]).unwrap();
    let plan = sampler.plan(8, 0);
    let Drawn::Interpolate { other, .. } = plan.views[0].latent[0] else { panic!("interpolate") };
    let other = sampler.plan(other, 0).inputs[0].anchor.clone().unwrap();
    for (found, expected) in plan.inputs[0].views[0].iter().zip(other) {
        near(f64::from(*found), f64::from(expected));
    }
}

#[test]
fn without_edits_no_bit_changes_and_the_plan_says_nothing_of_them() {
    let folder = folder();
    let edited = format!("{Z}, op = 'remove', directions = ['c']");
    let plan = sampler(folder.path(), NEIGHBOURS, &[&edited]).unwrap().plan(1, 0);
    assert_eq!(plan.edits[0].to_string(), "remove c 0");
    let plain = sampler(folder.path(), NEIGHBOURS, &[]).unwrap().plan(1, 0);
    assert!(plain.edits.is_empty());
    assert_eq!(plan.inputs[1..], plain.inputs[1..]);
    assert_eq!(plan.inputs[0].anchor, plain.inputs[0].anchor);
}

#[test]
fn edits_say_what_they_cannot_do() {
    let folder = folder();
    let steer = "latent = [{ op = 'steer', file = 'd.safetensors', directions = ['a'], \
                 strength = 1, inputs = ['z'] }]";
    let resample = "latent = [{ op = 'resample', inputs = ['z'] }]";
    let remove = |more: &str| format!("{Z}, op = 'remove', {more}");
    for (views, edits, key, words) in [
        ("", vec!["op = 'remove', directions = ['a']".into()], "edit[0].inputs: ", "`z`, `w`"),
        (
            "",
            vec!["op = 'remove', inputs = ['y']".into()],
            "edit[0].inputs: ",
            "edit moves latents",
        ),
        ("", vec!["op = 'remove', inputs = ['w']".into()], "edit[0].file: ", "has 3 elements"),
        ("", vec![remove("directions = ['aa']")], "edit[0].directions: ", "did you mean `a`?"),
        ("", vec![remove("directions = ['relu']")], "edit[0].directions: ", "is a perceptron"),
        ("", vec![remove("directions = ['none']")], "edit[0].directions: ", "has length 0"),
        (
            "",
            vec![remove("directions = ['a'], keep = ['x']")],
            "edit[0].keep: ",
            "no direction `x`",
        ),
        (
            "",
            vec![remove("directions = ['a', 'b', 'ab']")],
            "",
            "`ab` (edit[0].directions) points (nearly) where `a` (edit[0].directions), `b`",
        ),
        (
            "",
            vec![remove("directions = ['a']"), remove("directions = ['c'], keep = ['a']")],
            "",
            "`a` (edit[1].keep) points (nearly) where `a` (edit[0].directions), `c`",
        ),
        (
            steer,
            vec![remove("directions = ['c']"), remove("directions = ['b', 'a']")],
            "views.latent[0].directions: ",
            "direction `a` is taken out again by edit[0], edit[1]",
        ),
        (
            resample,
            vec![remove("directions = ['a'], at = 'anchor'")],
            "views.latent[0].inputs: ",
            "drawn anew, without what edit[0] set in the anchor",
        ),
    ] {
        let edits: Vec<&str> = edits.iter().map(String::as_str).collect();
        let error = sampler(folder.path(), views, &edits).expect_err(words).to_string();
        assert!(error.starts_with(key) && error.contains(words), "{error}");
    }
    // Kept, or at an angle: something is left of the step.
    let kept = remove("directions = ['b'], keep = ['a']");
    assert!(sampler(folder.path(), steer, &[&kept]).is_ok());
    assert!(sampler(folder.path(), steer, &[&remove("directions = ['b']")]).is_ok());
    // Two edits may keep the same.
    let both =
        [remove("directions = ['a'], keep = ['c']"), remove("directions = ['b'], keep = ['c']")];
    assert!(sampler(folder.path(), "", &[&both[0], &both[1]]).is_ok());
}
