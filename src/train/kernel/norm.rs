//! Batch normalisation by the statistics of the batch, forward and back, in two passes each over
//! the images: one that sums, one that writes (Ioffe and Szegedy 2015, section 3).

use super::Shared;
use crate::runtime::{Call, Operator, Threads};
use crate::view::simd::{Level, kernel};

/// x, scale, offset → y, mean, variance (biased).
pub(super) const FORWARD: Operator = Operator {
    name: crate::graph::BATCH_NORM,
    inputs: 3,
    outputs: 3,
    lists: &[],
    numbers: &["epsilon"],
    sizes: |call| {
        let x = &call.inputs[0].0;
        vec![x.clone(), vec![x[1]], vec![x[1]]]
    },
    compute: forward,
};

/// g, y', x, scale, mean, variance → dx, dscale, doffset. Where y' is not above 0, g counts as 0: the
/// gradient through a ReLU that comes after.
pub(super) const BACKWARD: Operator = Operator {
    name: crate::graph::BATCH_NORM_GRADIENT,
    inputs: 6,
    outputs: 3,
    lists: &["after_relu"],
    numbers: &["epsilon"],
    sizes: |call| {
        let x = &call.inputs[2].0;
        vec![x.clone(), vec![x[1]], vec![x[1]]]
    },
    compute: backward,
};

/// Sums that run side by side, so that they can be one vector.
const LANES: usize = 16;

kernel! {
    /// Σ x.
    fn sum(x: &[f32]) -> f32 {
        let mut lanes = [0.0_f32; LANES];
        let chunks = x.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().sum();
        for chunk in chunks {
            for lane in 0..LANES {
                lanes[lane] += chunk[lane];
            }
        }
        lanes.iter().sum::<f32>() + rest
    }
}

kernel! {
    /// Σ (x - mean)².
    fn squares(x: &[f32], mean: f32) -> f32 {
        let mut lanes = [0.0_f32; LANES];
        let chunks = x.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().map(|x| (x - mean) * (x - mean)).sum();
        for chunk in chunks {
            for lane in 0..LANES {
                let apart = chunk[lane] - mean;
                lanes[lane] += apart * apart;
            }
        }
        lanes.iter().sum::<f32>() + rest
    }
}

kernel! {
    /// y = a x + b.
    fn affine(x: &[f32], a: f32, b: f32, y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = a * x + b;
        }
    }
}

kernel! {
    /// Σ g and Σ g (x - mean), with g as 0 where y is not above 0.
    fn dots(g: &[f32], y: &[f32], x: &[f32], mean: f32) -> [f32; 2] {
        let (mut sums, mut dots) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let whole = g.len() / LANES * LANES;
        let mut at = 0;
        while at < whole {
            let (g, y, x) = (&g[at..at + LANES], &y[at..at + LANES], &x[at..at + LANES]);
            for lane in 0..LANES {
                let g = if y[lane] > 0.0 { g[lane] } else { 0.0 };
                sums[lane] += g;
                dots[lane] += g * (x[lane] - mean);
            }
            at += LANES;
        }
        let mut totals = [sums.iter().sum::<f32>(), dots.iter().sum::<f32>()];
        for ((g, y), x) in g[whole..].iter().zip(&y[whole..]).zip(&x[whole..]) {
            let g = if *y > 0.0 { *g } else { 0.0 };
            totals[0] += g;
            totals[1] += g * (x - mean);
        }
        totals
    }
}

kernel! {
    /// dx = a g + b (x - mean) + c, with g as 0 where y is not above 0.
    fn spread(g: &[f32], y: &[f32], x: &[f32], of: [f32; 4], dx: &mut [f32]) {
        let [a, b, c, mean] = of;
        for (((dx, g), y), x) in dx.iter_mut().zip(g).zip(y).zip(x) {
            let g = if *y > 0.0 { *g } else { 0.0 };
            *dx = a * g + (b * (x - mean) + c);
        }
    }
}

/// Batch, channels, pixels.
fn sizes(dims: &[usize]) -> [usize; 3] {
    [dims[0], dims[1], dims[2..].iter().product()]
}

#[allow(clippy::cast_possible_truncation)]
fn forward(call: &Call<'_>, outputs: &mut [&mut [f32]], threads: &Threads<'_>) {
    let [(dims, x), (_, scale), (_, offset)] = call.inputs else { return };
    let [batch, channels, pixels] = sizes(dims);
    let epsilon = f64::from(call.numbers[0]);
    let many = (batch * pixels) as f64;
    let [y, means, variances] = outputs else { return };
    let (y, means, variances) = (Shared::of(y), Shared::of(means), Shared::of(variances));
    let level = Level::best();
    threads.each(channels, |channel| {
        let place = |image: usize| (image * channels + channel) * pixels;
        let each = |image: usize| &x[place(image)..][..pixels];
        let total: f64 = (0..batch).map(|image| f64::from(sum(level, each(image)))).sum();
        let mean = (total / many) as f32;
        let total: f64 = (0..batch).map(|image| f64::from(squares(level, each(image), mean))).sum();
        let variance = total / many;
        let a = f64::from(scale[channel]) / (variance + epsilon).sqrt();
        let b = f64::from(offset[channel]) - a * f64::from(mean);
        for image in 0..batch {
            // SAFETY: every channel is one call's.
            let y = unsafe { y.part(place(image), pixels) };
            affine(level, each(image), a as f32, b as f32, y);
        }
        // SAFETY: as above.
        unsafe { means.part(channel, 1)[0] = mean };
        // SAFETY: as above.
        unsafe { variances.part(channel, 1)[0] = variance as f32 };
    });
}

#[allow(clippy::cast_possible_truncation)]
fn backward(call: &Call<'_>, outputs: &mut [&mut [f32]], threads: &Threads<'_>) {
    let [(_, g), (_, y), (dims, x), (_, scale), (_, means), (_, variances)] = call.inputs else {
        return;
    };
    let after_relu = call.lists[0].first() == Some(&1);
    let [batch, channels, pixels] = sizes(dims);
    let epsilon = f64::from(call.numbers[0]);
    let many = (batch * pixels) as f64;
    let [dx, scales, offsets] = outputs else { return };
    let (dx, scales, offsets) = (Shared::of(dx), Shared::of(scales), Shared::of(offsets));
    let level = Level::best();
    let ones = vec![1.0; if after_relu { 0 } else { pixels }];
    threads.each(channels, |channel| {
        let place = |image: usize| (image * channels + channel) * pixels;
        let open = |image: usize| if after_relu { &y[place(image)..][..pixels] } else { &ones[..] };
        let mean = means[channel];
        let (mut total, mut dot) = (0.0_f64, 0.0_f64);
        for image in 0..batch {
            let at = place(image);
            let [s, d] = dots(level, &g[at..][..pixels], open(image), &x[at..][..pixels], mean);
            total += f64::from(s);
            dot += f64::from(d);
        }
        let inverse = 1.0 / (f64::from(variances[channel]) + epsilon).sqrt();
        let a = f64::from(scale[channel]) * inverse;
        let b = -a * inverse * inverse * dot / many;
        let c = -a * total / many;
        let of = [a as f32, b as f32, c as f32, mean];
        for image in 0..batch {
            let at = place(image);
            // SAFETY: every channel is one call's.
            let dx = unsafe { dx.part(at, pixels) };
            spread(level, &g[at..][..pixels], open(image), &x[at..][..pixels], of, dx);
        }
        // SAFETY: as above.
        unsafe { scales.part(channel, 1)[0] = (dot * inverse) as f32 };
        // SAFETY: as above.
        unsafe { offsets.part(channel, 1)[0] = total as f32 };
    });
}
