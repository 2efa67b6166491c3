//! A head, a predictor, a slow copy and clipped gradients move as PyTorch moves them.

use super::{Fixture, design, distance, encoder, is_close, loss, norm, place, trainer, values};
use crate::train::machine::{Machine, Pace};
use crate::train::optimizer::Optimizer;

#[test]
fn the_slow_copy_follows() {
    let fixture = Fixture::read("byol");
    let (case, groups) = (&fixture.case, [fixture.group()]);
    let number = |key: &str| case[key].as_f64().unwrap();
    let file = &case["files"][0];
    let encoder = encoder(file["file"].as_str().unwrap());
    let objective = case["objective"].as_str().unwrap().parse().unwrap();
    let optimizer = Optimizer::Sgd { momentum: 0.9, decay: 0.0 };
    let mut design = design(&encoder, &groups, fixture.dims("images")[0], objective, optimizer);
    design.head = vec![10, 6];
    design.clip = Some(number("clip") as f32);
    let mut trainer = trainer(&design);
    let tensors = fixture.tensors();
    for name in tensors.names().into_iter().filter_map(|name| name.strip_prefix("start/")) {
        let start: Vec<f32> = fixture
            .floats(&format!("start/{name}"))
            .into_iter()
            .map(|value| value as f32)
            .collect();
        trainer.set(place(&trainer, name), &start).unwrap();
        let slow = format!("target/{name}");
        if trainer.variables().iter().any(|variable| variable.name == slow) {
            trainer.set(place(&trainer, &slow), &start).unwrap();
        }
    }
    let images = fixture.bytes("images");
    let (losses, norms) = (fixture.floats("loss"), fixture.floats("norm"));
    assert!(norms.iter().all(|norm| *norm > 1.1 * number("clip")), "nothing is clipped");
    for (step, (expected, length)) in losses.iter().zip(&norms).enumerate() {
        let pace = Pace { step: step as u64 + 1, rate: number("rate"), keep: number("keep") };
        let measured = trainer.step(&[fixture.feed(&images)], pace).unwrap();
        assert!(is_close(loss(measured), *expected, 1e-5), "{measured:?}, not {expected}");
        assert!(is_close(measured.norm.into(), *length, 1e-4), "{measured:?}, not {length}");
    }
    let mut checked = 0;
    for name in tensors.names().into_iter().filter_map(|name| name.strip_prefix("after/")) {
        let (prefix, torch) = match name.strip_prefix("target/") {
            Some(rest) => ("target/", rest),
            None => ("", name),
        };
        // What the file calls it; a head is called the same in both.
        let initializers = file["initializers"].as_object().unwrap();
        let own = initializers.iter().find(|(_, of)| of[0] == torch);
        let own = own.map_or(torch, |(initializer, _)| initializer);
        let found = values(&trainer, &format!("{prefix}{own}"));
        let expected = fixture.floats(&format!("after/{name}"));
        let error = distance(&found, &expected) / norm(&expected);
        assert!(error < 1e-5, "{name}: {error:.1e}");
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}
