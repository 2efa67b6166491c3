use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use crate::recipe::Recipe;
use crate::sample::{BlockInputs, Column, Drawn, Plan, Sampler};

const Z: usize = 64;

/// A sampler with these views; `shape` is that of the latent `z`.
fn sampler_of(shape: &[usize], views: &str) -> Sampler {
    let text = format!(
        "seed = 5\n[generator]\nmodel = 'g'\n\
         inputs.z = {{ role = 'latent' }}\n\
         inputs.w = {{ role = 'latent', distribution = 'uniform' }}\n\
         inputs.y = {{ role = 'class', encoding = 'one-hot', classes = 10 }}\n\
         inputs.n = {{ role = 'noise' }}\n\
         inputs.psi = {{ role = 'truncation', value = 0.7 }}\n[views]\n{views}"
    );
    let recipe = Recipe::parse(&text, "r", Path::new(".")).unwrap();
    let shapes = [shape.to_vec(), vec![3], vec![10], vec![2, 2], vec![1]];
    Sampler::new(&recipe, &shapes).unwrap()
}

fn sampler(views: &str) -> Sampler {
    sampler_of(&[Z], views)
}

fn op(op: &str) -> Sampler {
    sampler(&format!("count = 2\nlatent = [{{ {op} }}]"))
}

/// The input of this name: anchor (empty if it is no latent) and the views.
fn input<'p>(plan: &'p Plan, name: &str) -> (&'p [f32], &'p [Vec<f32>]) {
    let input = plan.inputs.iter().find(|input| input.name == name).unwrap();
    (input.anchor.as_deref().unwrap_or_default(), &input.views)
}

fn norm(row: &[f32]) -> f64 {
    row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    dot / (norm(a) * norm(b))
}

/// Whether values are uniform in `[low, high]`, by Kolmogorov and Smirnov at the 0.999 quantile.
fn is_uniform(mut values: Vec<f32>, low: f64, high: f64) -> bool {
    values.sort_by(f32::total_cmp);
    let n = values.len() as f64;
    let far = |(i, x): (usize, &f32)| {
        let expected = (f64::from(*x) - low) / (high - low);
        (expected - (i as f64 + 0.5) / n).abs()
    };
    values.iter().enumerate().map(far).fold(0.0, f64::max) < 1.95 / n.sqrt() + 0.5 / n
}

#[test]
fn gaussian_neighbours_are_as_far_as_their_std() {
    let sampler = op("op = 'gaussian', std = 0.5");
    let mut sum = 0.0;
    for index in 0..1000 {
        let plan = sampler.plan(index, 0);
        for name in ["z", "w"] {
            let (anchor, views) = input(&plan, name);
            assert!(views[0] != views[1] && views[0] != anchor);
        }
        let (anchor, views) = input(&plan, "z");
        sum += anchor.iter().zip(&views[1]).map(|(a, b)| f64::from(b - a).powi(2)).sum::<f64>();
    }
    let std = (sum / (1000.0 * Z as f64)).sqrt();
    // The standard error at 64,000 draws is 0.0014.
    assert!((std - 0.5).abs() < 0.006, "{std}");
}

#[test]
fn angular_neighbours_stand_at_their_angle_and_keep_their_norm() {
    let sampler = op("op = 'angular', degrees = [0, 180], inputs = ['z']");
    let mut drawn = Vec::new();
    for index in 0..1000 {
        let plan = sampler.plan(index, 0);
        let (anchor, views) = input(&plan, "z");
        for (view, planned) in views.iter().zip(&plan.views) {
            let Drawn::Angular { degrees } = planned.latent[0] else { panic!("angular") };
            drawn.push(degrees);
            assert!((norm(view) / norm(anchor) - 1.0).abs() < 1e-6);
            let wanted = f64::from(degrees).to_radians();
            assert!((cosine(anchor, view) - wanted.cos()).abs() < 1e-6, "{degrees}");
            if (5.0..175.0).contains(&degrees) {
                assert!((cosine(anchor, view).acos() - wanted).abs() < 1e-5, "{degrees}");
            }
        }
    }
    assert!(is_uniform(drawn, 0.0, 180.0));
}

#[test]
fn planes_of_rotation_are_uniform() {
    // In three dimensions the part across the anchor is a direction on a circle: all alike.
    let sampler = sampler_of(&[3], "latent = [{ op = 'angular', degrees = 90, inputs = ['z'] }]");
    let mut angles = Vec::new();
    for index in 0..5000 {
        let plan = sampler.plan(index, 0);
        let (z, views) = input(&plan, "z");
        let view = &views[0];
        // Two axes across the anchor, the first in the plane of x and y.
        let e = [-z[1], z[0], 0.0];
        let f = [-z[2] * z[0], -z[2] * z[1], z[0] * z[0] + z[1] * z[1]];
        angles.push(cosine(view, &f).atan2(cosine(view, &e)) as f32);
    }
    let pi = std::f64::consts::PI;
    assert!(is_uniform(angles, -pi, pi));
}

#[test]
fn rows_of_a_latent_turn_on_their_own() {
    let views = "latent = [{ op = 'angular', degrees = 30, inputs = ['z'] }]";
    for (shape, rows) in [(&[4, 16][..], 4), (&[Z, 1, 1], 1), (&[1, Z], 1), (&[4, 4, 4], 1)] {
        let plan = sampler_of(shape, views).plan(3, 0);
        let (anchor, views) = input(&plan, "z");
        let mut cosines = HashSet::new();
        for (a, b) in anchor.chunks(Z / rows).zip(views[0].chunks(Z / rows)) {
            assert!((norm(a) / norm(b) - 1.0).abs() < 1e-6);
            assert!((cosine(a, b).acos().to_degrees() - 30.0).abs() < 1e-3);
            cosines.insert((b[0] - a[0]).to_bits());
        }
        assert_eq!(cosines.len(), rows, "each row has a plane of its own");
    }
}

#[test]
fn truncation_bounds_or_shrinks_all_elements() {
    let plan = op("op = 'truncate', limit = 0.5").plan(1, 0);
    let (anchor, views) = input(&plan, "z");
    for (a, b) in anchor.iter().zip(&views[0]) {
        assert_eq!(*b, a.clamp(-0.5, 0.5));
    }
    let plan = op("op = 'truncate', psi = 0.25").plan(1, 0);
    let (anchor, views) = input(&plan, "w");
    for (a, b) in anchor.iter().zip(&views[0]) {
        assert_eq!(*b, a * 0.25);
    }
}

#[test]
fn interpolation_leads_to_another_sample_of_the_stream() {
    for path in ["lerp", "slerp"] {
        let sampler = op(&format!("op = 'interpolate', t = 1, path = '{path}', class = 'any'"));
        for index in 0..50 {
            let plan = sampler.plan(index, 0);
            let mut others = HashSet::new();
            for (view, planned) in plan.views.iter().enumerate() {
                let Drawn::Interpolate { other, class, .. } = planned.latent[0] else { panic!() };
                assert!(others.insert(other) && other != index && other < 1 << 63);
                let there = sampler.plan(other, 0);
                assert_eq!(class, there.label);
                for name in ["z", "w"] {
                    let (end, _) = input(&there, name);
                    for (a, b) in end.iter().zip(&input(&plan, name).1[view]) {
                        assert!((a - b).abs() < 1e-5);
                    }
                }
                let label = there.label.unwrap() as usize;
                assert_eq!(input(&plan, "y").1[view][label], 1.0);
            }
        }
    }
}

#[test]
fn the_middle_of_an_arc_has_the_middle_norm_and_half_of_each_class() {
    let sampler = op("op = 'interpolate', t = 0.5, class = 'any'");
    let plan = sampler.plan(7, 0);
    let Drawn::Interpolate { other, .. } = plan.views[0].latent[0] else { panic!() };
    let there = sampler.plan(other, 0);
    let ((a, views), (b, _)) = (input(&plan, "z"), input(&there, "z"));
    assert!((norm(&views[0]) - (norm(a) + norm(b)) / 2.0).abs() < 1e-5);
    assert!((cosine(a, &views[0]) - cosine(b, &views[0])).abs() < 1e-6);
    let weights = &input(&plan, "y").1[0];
    assert_eq!(weights.iter().sum::<f32>(), 1.0);
    assert!(weights.iter().all(|w| [0.0, 0.5, 1.0].contains(w)));

    let same = op("op = 'interpolate', t = 0.5").plan(7, 0);
    let label = same.label.unwrap() as usize;
    assert_eq!(input(&same, "y").1[0][label], 1.0);
    assert!(same.views[0].to_string().starts_with("interpolate t 0.5 to sample "));
}

#[test]
fn resampled_inputs_are_new_in_every_view_and_the_rest_is_shared() {
    let sampler = op("op = 'resample', inputs = ['z', 'n', 'psi', 'y'], value = [0.5, 1], \
         groups = [[3, 5, 8], [4, 9]]");
    let mut values = Vec::new();
    let mut exchanged = BTreeMap::<(u32, u32), u32>::new();
    for index in 0..3000 {
        let plan = sampler.plan(index, 0);
        for name in ["z", "n"] {
            assert_ne!(input(&plan, name).1[0], input(&plan, name).1[1], "{name}");
        }
        let (anchor, views) = input(&plan, "w");
        assert!(views.iter().all(|view| view == anchor));
        values.push(input(&plan, "psi").1[1][0]);
        let hot = input(&plan, "y").1[0].iter().position(|y| *y == 1.0).unwrap() as u32;
        *exchanged.entry((plan.label.unwrap(), hot)).or_default() += 1;
        let Drawn::Resample { class, .. } = plan.views[0].latent[0] else { panic!() };
        assert_eq!(class, Some(hot));
    }
    assert!(is_uniform(values, 0.5, 1.0));
    let pairs: Vec<_> = exchanged.keys().copied().collect();
    let mut expected: Vec<_> = [0, 1, 2, 6, 7].map(|label| (label, label)).to_vec();
    expected.extend([(3, 5), (3, 8), (5, 3), (5, 8), (8, 3), (8, 5), (4, 9), (9, 4)]);
    expected.sort_unstable();
    assert_eq!(pairs, expected);
    let ratio = f64::from(exchanged[&(3, 5)]) / f64::from(exchanged[&(3, 8)]);
    assert!((0.7..1.4).contains(&ratio), "{exchanged:?}");
}

#[test]
fn a_resampled_latent_is_independent_and_of_the_same_distribution() {
    let sampler = op("op = 'resample', inputs = ['z', 'w']");
    let (mut square, mut product, mut uniform) = (0.0, 0.0, Vec::new());
    for index in 0..1000 {
        let plan = sampler.plan(index, 0);
        let (anchor, views) = input(&plan, "z");
        square += norm(&views[0]).powi(2) / Z as f64;
        product += cosine(anchor, &views[0]) / 2.0 + cosine(&views[0], &views[1]) / 2.0;
        uniform.extend(&input(&plan, "w").1[0]);
    }
    assert!((square / 1000.0 - 1.0).abs() < 0.02, "{square}");
    assert!((product / 1000.0).abs() < 0.02, "{product}");
    assert!(is_uniform(uniform, -1.0, 1.0));
}

#[test]
fn integer_labels_are_exchanged_too() {
    let text = "[generator]\nmodel = 'g'\n\
        inputs.y = { role = 'class', encoding = 'index', classes = 2 }\n\
        [views]\ncount = 2\nanchor = true\n\
        latent = [{ op = 'resample', inputs = ['y'], groups = [[0, 1]] }]";
    let recipe = Recipe::parse(text, "r", Path::new(".")).unwrap();
    let sampler = Sampler::new(&recipe, &[vec![1]]).unwrap();
    let mut block = BlockInputs::default();
    for _ in 0..2 {
        sampler.fill(10, 8, 0, &mut block);
        let Column::Integer(values) = &block.columns[0] else { panic!("integers") };
        for (pair, label) in values.chunks(2).zip(&block.labels) {
            assert_eq!(pair, [*label, 1 - *label]);
        }
    }
}

#[test]
fn ops_are_carried_out_in_the_order_of_the_list() {
    let first = "{ op = 'gaussian', std = 1 }";
    let second = "{ op = 'truncate', psi = 0 }";
    let zero = |plan: Plan| input(&plan, "z").1[0].iter().all(|x| *x == 0.0);
    assert!(zero(sampler(&format!("latent = [{first}, {second}]")).plan(0, 0)));
    assert!(!zero(sampler(&format!("latent = [{second}, {first}]")).plan(0, 0)));
}

/// Every op but steering, which has tests of its own.
const MANY: &str = "groups = [
    { name = 'a', count = 2, anchor = true, latent = [
        { op = 'gaussian', std = [0.1, 1] }, { op = 'truncate', limit = [1, 2] },
        { op = 'interpolate', t = [0, 1], class = 'any' } ] },
    { name = 'b', count = 2, pool = 7, latent = [
        { op = 'angular', degrees = [5, 90], inputs = ['z'] },
        { op = 'resample', inputs = ['n', 'psi', 'y'], value = [0, 1], groups = [[0, 1, 2, 3, 4, 5]] } ] },
    { name = 'c' },
]";

#[test]
fn a_block_is_the_plans_of_its_samples_in_any_order() {
    let sampler = sampler(MANY);
    let mut block = BlockInputs::default();
    for (first, epoch) in [(1 << 62, 3), (0, 0), (17, 1), (17, 0), ((1 << 63) - 5, u64::MAX)] {
        sampler.fill(first, 5, epoch, &mut block);
        for i in 0..5 {
            let plan = sampler.plan(first + i as u64, epoch);
            for (input, column) in plan.inputs.iter().zip(&block.columns) {
                let Column::Float(values) = column else { panic!("floats") };
                for (view, row) in sampler.row_of_view().iter().enumerate() {
                    let n = input.views[view].len();
                    let row = i * sampler.rows() + row;
                    assert_eq!(input.views[view], values[row * n..][..n], "{}", input.name);
                }
            }
        }
    }
    let planned: Vec<_> = sampler.plan(0, 0).views.iter().map(ToString::to_string).collect();
    assert_eq!((planned.len(), planned[0].as_str(), planned[4].as_str()), (5, "anchor", "anchor"));
    assert!(planned[1].starts_with("gaussian std 0."), "{planned:?}");
    assert!(planned[2].starts_with("neighbour "), "{planned:?}");
}

#[test]
fn epochs_draw_views_anew_and_keep_anchors_unless_they_are_the_same() {
    let views = "count = 2\nlatent = [{ op = 'gaussian', std = [0, 1] }]";
    let (fresh, same) = (sampler(views), sampler(&format!("epochs = 'same'\n{views}")));
    let (first, second) = (fresh.plan(3, 0), fresh.plan(3, 1));
    assert_eq!(input(&first, "z").0, input(&second, "z").0);
    assert_eq!(first.label, second.label);
    assert_ne!(input(&first, "z").1[0], input(&second, "z").1[0]);
    assert_ne!(first.views, second.views);
    assert_eq!(same.plan(3, 0), same.plan(3, 9));
    assert_eq!(same.plan(3, 0), first);
}

#[test]
fn a_pool_is_the_same_in_every_epoch_and_shows_no_neighbour_twice() {
    let views = "count = 3\npool = 5\nlatent = [{ op = 'gaussian', std = [0.5, 1] }]";
    let sampler = sampler(views);
    let mut known = BTreeMap::new();
    let mut shown = BTreeMap::<u32, u32>::new();
    for epoch in 0..300 {
        let plan = sampler.plan(11, epoch);
        let mut of_epoch = HashSet::new();
        for (view, planned) in input(&plan, "z").1.iter().zip(&plan.views) {
            let neighbour = planned.neighbour.unwrap();
            assert!(of_epoch.insert(neighbour));
            *shown.entry(neighbour).or_default() += 1;
            let first = known.entry(neighbour).or_insert_with(|| (view.clone(), planned.clone()));
            assert_eq!(*first, (view.clone(), planned.clone()), "neighbour {neighbour}");
        }
    }
    assert_eq!(known.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let distinct: HashSet<Vec<u32>> =
        known.values().map(|(z, _)| z.iter().map(|x| x.to_bits()).collect()).collect();
    assert_eq!(distinct.len(), 5, "neighbours differ");
    assert!(shown.values().all(|n| (140..220).contains(n)), "each is shown alike: {shown:?}");
}

/// The code that accompanies the paper seeds so that classes and neighbours share draws.
#[test]
fn no_two_draws_are_the_same_across_samples_views_groups_ops_and_inputs() {
    let group = |name: &str| {
        format!(
            "{{ name = '{name}', count = 4, latent = [{{ op = 'truncate', psi = 0 }}, \
             {{ op = 'gaussian', std = 1 }}] }}"
        )
    };
    let twice = "{ name = 'c', count = 4, latent = [{ op = 'truncate', psi = 0 }, \
                 { op = 'truncate', psi = 0 }, { op = 'gaussian', std = 1 }] }";
    let sampler = sampler_of(&[3], &format!("groups = [{}, {}, {twice}]", group("a"), group("b")));
    let mut seen = HashSet::new();
    for epoch in [0, 1, 2] {
        for index in (0..200).chain([1 << 32, 1 << 62]) {
            let plan = sampler.plan(index, epoch);
            for name in ["z", "w"] {
                for noise in input(&plan, name).1 {
                    let bits: Vec<u32> = noise.iter().map(|x| x.to_bits()).collect();
                    assert!(seen.insert(bits), "sample {index}, epoch {epoch}, input {name}");
                }
            }
        }
    }
    assert_eq!(seen.len(), 3 * 202 * 2 * 12);
}

#[test]
fn neighbours_of_other_samples_and_views_are_uncorrelated() {
    let sampler = op("op = 'gaussian', std = 1, inputs = ['z']");
    let noise = |index: u64, view: usize| -> Vec<f32> {
        let plan = sampler.plan(index, 0);
        let (anchor, views) = input(&plan, "z");
        views[view].iter().zip(anchor).map(|(z, a)| z - a).collect()
    };
    let (mut views, mut samples) = (0.0, 0.0);
    for index in 0..500 {
        views += cosine(&noise(index, 0), &noise(index, 1)) / 500.0;
        samples += cosine(&noise(index, 0), &noise(index + 1, 0)) / 500.0;
    }
    // The standard error is 1 / √(500 · 64) = 0.0056.
    assert!(views.abs() < 0.02 && samples.abs() < 0.02, "{views} {samples}");
}

#[test]
fn views_have_fixed_bits() {
    let plan = sampler(MANY).plan(1_000_000_007, 2);
    let mut hasher = blake3::Hasher::new();
    for input in &plan.inputs {
        for value in input.views.iter().flatten() {
            hasher.update(&value.to_le_bytes());
        }
    }
    assert_eq!(&hasher.finalize().to_hex()[..16], "27e9880f4ab3d34c");
}

#[test]
fn an_angle_needs_a_plane() {
    let text = "[generator]\nmodel = 'g'\ninputs.z = { role = 'latent' }\n\
                [views]\nlatent = [{ op = 'angular', degrees = 1 }]";
    let recipe = Recipe::parse(text, "r", Path::new(".")).unwrap();
    let error = Sampler::new(&recipe, &[vec![1]]).unwrap_err().to_string();
    assert!(error.starts_with("views.latent[0].inputs: input `z` has rows of one"), "{error}");
}
