//! The gradient through a ReLU, in one pass.

use super::Shared;
use crate::runtime::{Call, Operator, Threads};
use crate::view::simd::{Level, kernel};

/// g, y → g where y is above 0, and 0 elsewhere.
pub(super) const BACKWARD: Operator = Operator {
    name: crate::graph::RELU_GRADIENT,
    inputs: 2,
    outputs: 1,
    lists: &[],
    numbers: &[],
    sizes: |call| vec![call.inputs[0].0.clone()],
    compute,
};

/// Elements that one call takes: as many as a cache holds.
const PART: usize = 1 << 15;

kernel! {
    fn open(g: &[f32], y: &[f32], dx: &mut [f32]) {
        for ((dx, g), y) in dx.iter_mut().zip(g).zip(y) {
            *dx = if *y > 0.0 { *g } else { 0.0 };
        }
    }
}

fn compute(call: &Call<'_>, outputs: &mut [&mut [f32]], threads: &Threads<'_>) {
    let [(_, g), (_, y)] = call.inputs else { return };
    let dx = Shared::of(outputs[0]);
    let level = Level::best();
    threads.each(g.len().div_ceil(PART), |part| {
        let from = part * PART;
        let len = PART.min(g.len() - from);
        // SAFETY: every part is one call's.
        let dx = unsafe { dx.part(from, len) };
        open(level, &g[from..][..len], &y[from..][..len], dx);
    });
}
