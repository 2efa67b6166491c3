//! What a step must be, whatever the encoder.

use super::{design, distance, encoder, group, is_close, loss, norm, pace, trainer, values};
use crate::load::GroupForm;
use crate::train::design::Design;
use crate::train::encoder::Encoder;
use crate::train::machine::{Feed, Machine};
use crate::train::objective::Objective;
use crate::train::optimizer::Optimizer;
use crate::train::trainer::Trainer;

const SIZE: [usize; 3] = [3, 16, 16];
const CLASSES: usize = 3;

/// Images that look random, and classes.
fn batch(from: usize, samples: usize) -> (Vec<u8>, Vec<i64>) {
    let pixels: usize = SIZE.iter().product();
    let pixel = |at: usize| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    let images = (from * pixels..(from + samples) * pixels).map(pixel).collect();
    let labels = (from..from + samples).map(|sample| (sample % CLASSES) as i64).collect();
    (images, labels)
}

fn feed<'a>((images, labels): &'a (Vec<u8>, Vec<i64>)) -> Feed<'a> {
    Feed { images: vec![images], labels: Some(labels), ..Feed::default() }
}

fn classifier<'a>(encoder: &'a Encoder, groups: &'a [GroupForm], batch: usize) -> Design<'a> {
    let optimizer = Optimizer::Sgd { momentum: 0.9, decay: 1e-3 };
    let mut design = design(encoder, groups, batch, Objective::CrossEntropy, optimizer);
    design.classes = CLASSES;
    design
}

fn parameters(trainer: &Trainer) -> Vec<(String, Vec<f64>)> {
    let names = trainer.variables().iter().filter(|variable| variable.is_parameter());
    names.map(|variable| (variable.name.clone(), values(trainer, &variable.name))).collect()
}

#[test]
fn two_batches_of_four_are_one_of_eight() {
    let encoder = encoder("vgg.torchscript13.onnx");
    let groups = [group(1, SIZE)];
    let mut whole = trainer(&classifier(&encoder, &groups, 8));
    let mut halves = trainer(&Design { accumulate: 2, ..classifier(&encoder, &groups, 4) });
    for step in 0..3 {
        let from = 8 * step;
        let (all, first, second) = (batch(from, 8), batch(from, 4), batch(from + 4, 4));
        let pace = pace(step as u64 + 1, 0.1);
        let one = whole.step(&[feed(&all)], pace).unwrap();
        let two = halves.step(&[feed(&first), feed(&second)], pace).unwrap();
        assert!(is_close(loss(two), loss(one), 1e-5), "{two:?}, not {one:?}");
        assert!(is_close(two.norm.into(), one.norm.into(), 1e-4), "{two:?}, not {one:?}");
    }
    for ((name, one), (_, two)) in parameters(&whole).iter().zip(&parameters(&halves)) {
        let error = distance(one, two) / norm(one);
        assert!(error < 1e-5, "{name}: {error:.1e}");
    }
}

#[test]
fn clipped_gradients_have_the_norm_that_was_set() {
    let encoder = encoder("vgg.torchscript13.onnx");
    let groups = [group(1, SIZE)];
    let all = batch(0, 8);
    let moved = |clip: Option<f32>| -> (f64, f64) {
        let optimizer = Optimizer::Sgd { momentum: 0.0, decay: 0.0 };
        let design = Design { optimizer, clip, ..classifier(&encoder, &groups, 8) };
        let mut trainer = trainer(&design);
        let before = parameters(&trainer);
        let measured = trainer.step(&[feed(&all)], pace(1, 1.0)).unwrap();
        let after = parameters(&trainer);
        let ways = before.iter().zip(&after).map(|((_, one), (_, two))| distance(one, two));
        (norm(&ways.collect::<Vec<_>>()), measured.norm.into())
    };
    let (free, length) = moved(None);
    assert!(is_close(free, length, 1e-4), "{free} and {length}");
    let limit = length / 4.0;
    let (clipped, told) = moved(Some(limit as f32));
    assert!(is_close(clipped, limit, 1e-4), "{clipped}, not {limit}");
    assert!(is_close(told, length, 1e-5), "the norm is told as it was");
    let (loose, _) = moved(Some(4.0 * length as f32));
    assert!(is_close(loose, free, 1e-5), "{loose}, not {free}");
}

#[test]
fn several_sizes_of_views_move_statistics_one_after_the_other() {
    let encoder = encoder("conv-small.torchscript17.onnx");
    let named =
        |name: &str, size: usize| GroupForm { name: name.to_owned(), ..group(1, [3, size, size]) };
    let groups = [named("large", 12), named("small", 8)];
    let objective = Objective::Contrast { temperature: 0.5 };
    let optimizer = Optimizer::Sgd { momentum: 0.0, decay: 0.0 };
    let mut both = trainer(&design(&encoder, &groups, 4, objective, optimizer));
    let (large, small) = (vec![200; 4 * 3 * 144], vec![10; 4 * 3 * 64]);
    // One picture of one colour has no variance at the first layer but at its frame.
    let feed = Feed { images: vec![&large, &small], ..Feed::default() };
    let name = encoder.parameters().iter().find(|one| !one.is_trained()).unwrap().name.clone();
    let start = values(&both, &name);
    both.step(&[feed], pace(1, 0.0)).unwrap();
    let after = values(&both, &name);
    // The same by hand: each group alone, the second from where the first ends.
    let classes = 3;
    let alone = |images: &[u8], group: &GroupForm| -> Vec<f64> {
        let groups = [group.clone()];
        let mut design = design(&encoder, &groups, 4, Objective::CrossEntropy, optimizer);
        design.classes = classes;
        let mut trainer = trainer(&design);
        let labels = [0, 1, 2, 0];
        let feed = Feed { images: vec![images], labels: Some(&labels), ..Feed::default() };
        trainer.step(&[feed], pace(1, 0.0)).unwrap();
        values(&trainer, &name)
    };
    let (first, second) = (alone(&large, &groups[0]), alone(&small, &groups[1]));
    for (at, after) in after.iter().enumerate() {
        // 0.9 (0.9 s + 0.1 a) + 0.1 b, from 0.9 s + 0.1 a and 0.9 s + 0.1 b.
        let expected = 0.9 * first[at] + second[at] - 0.9 * start[at];
        assert!(is_close(*after, expected, 1e-4), "{after}, not {expected}");
    }
}
