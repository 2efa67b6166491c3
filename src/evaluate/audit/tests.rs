//! What is measured, against the implementations of those who defined it (`tests/audit/reference.py`).

use ndarray::Array2;
use serde::Deserialize;

use super::distances::{Among, nearest};
use super::frechet::Moments;
use super::manifold::{Balls, DENSITY_NEIGHBOURS, compare};
use super::vendi;
use crate::load::Stop;

const WIDTH: usize = 12;

/// One case, and what the others say of it.
#[derive(Debug, Deserialize)]
struct Case {
    real: usize,
    generated: usize,
    shift: f64,
    scale: f64,
    precision: f64,
    recall: f64,
    density: f64,
    coverage: f64,
    frechet_distance: f64,
    vendi_score: f64,
}

/// Uniform in 0 to 1, from a place.
pub(super) fn uniform(place: u64) -> f64 {
    let mut word = (place ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((word ^ (word >> 29)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn features(rows: usize, salt: u64, shift: f64, scale: f64) -> Array2<f32> {
    Array2::from_shape_fn((rows, WIDTH), |(row, column)| {
        let place = (row * WIDTH + column) as u64 + salt * 1_000_003;
        let spread = scale * (1.0 + column as f64 / WIDTH as f64);
        ((uniform(place) - 0.5) * spread + shift) as f32
    })
}

/// Balls around rows, by a search for the fewest neighbours that they need.
pub(super) fn balls(rows: &Array2<f32>) -> Balls<'_> {
    let pair = [rows, rows];
    let near = nearest(pair, DENSITY_NEIGHBOURS, Among::Themselves, &Stop::new(), &|_| {});
    Balls::around(rows, &near.unwrap())
}

#[test]
fn measures_are_those_of_the_reference_implementations() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/reference.json");
    let text = std::fs::read_to_string(path).unwrap();
    let cases: std::collections::BTreeMap<String, Case> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 3);
    for (name, case) in cases {
        let real = features(case.real, 1, 0.0, 1.0);
        let made = features(case.generated, 2, case.shift, case.scale);
        let found = compare(&balls(&made), &balls(&real), &Stop::new(), &|_| {}).unwrap();
        let moments = Moments::of(&real).unwrap();
        for (what, found, expected) in [
            ("precision", found.precision.value, case.precision),
            ("recall", found.recall.value, case.recall),
            ("density", found.density, case.density),
            ("coverage", found.coverage.value, case.coverage),
            ("Fréchet", moments.distance(&Moments::of(&made).unwrap()), case.frechet_distance),
            ("Vendi", vendi::score(&made, moments.mean()), case.vendi_score),
        ] {
            let error = (found - expected).abs() / expected.max(1.0);
            assert!(error < 1e-5, "{name}: {what} is {found}, not {expected}");
        }
    }
}
