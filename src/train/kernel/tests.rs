//! Every kernel against the sums that it stands for, written down as loops over single elements.

use proptest::prelude::*;

use super::*;
use crate::runtime::{Call, Operator, Threads};

/// Numbers from -1 to 1 that look random.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

fn run(
    operator: &Operator,
    lists: &[Vec<usize>],
    values: &[f32],
    inputs: &[(Vec<usize>, Vec<f32>)],
) -> Vec<Vec<f32>> {
    let inputs: Vec<_> = inputs.iter().map(|(dims, x)| (dims.clone(), &x[..])).collect();
    let call = Call { lists, numbers: values, inputs: &inputs };
    // What was in memory before must not matter.
    let sizes = (operator.sizes)(&call);
    let mut outputs: Vec<Vec<f32>> =
        sizes.iter().map(|dims| vec![f32::NAN; dims.iter().product()]).collect();
    let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(|made| &mut made[..]).collect();
    (operator.compute)(&call, &mut slices, &Threads::none());
    outputs
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let apart = (f64::from(*found) - expected).abs();
        assert!(apart <= 1e-5 * largest, "at {place}: {found}, by loops {expected}");
    }
}

/// A convolution: sizes, and how it lies.
#[derive(Debug, Clone)]
struct Conv {
    images: usize,
    groups: usize,
    inside: usize,
    outside: usize,
    image: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    before: [usize; 2],
    after: [usize; 2],
}

impl Conv {
    fn places(&self) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let extent = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            let length = self.image[axis] + self.before[axis] + self.after[axis];
            Some(length.checked_sub(extent)? / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Calls `each` with the places of a gradient, an image and a weight that are multiplied.
    fn each(&self, places: [usize; 2], mut each: impl FnMut(usize, usize, usize)) {
        let [kh, kw] = self.kernel;
        for image in 0..self.images {
            for group in 0..self.groups {
                for o in 0..self.outside {
                    for c in 0..self.inside {
                        let (go, gc) = (group * self.outside + o, group * self.inside + c);
                        for place in 0..places[0] * places[1] {
                            for tap in 0..kh * kw {
                                let at = |axis: usize, place: usize, tap: usize| {
                                    (place * self.stride[axis] + tap * self.dilation[axis])
                                        .checked_sub(self.before[axis])
                                        .filter(|at| *at < self.image[axis])
                                };
                                let row = at(0, place / places[1], tap / kw);
                                let column = at(1, place % places[1], tap % kw);
                                let (Some(row), Some(column)) = (row, column) else { continue };
                                let g = (image * self.groups * self.outside + go)
                                    * places[0]
                                    * places[1]
                                    + place;
                                let x = ((image * self.groups * self.inside + gc) * self.image[0]
                                    + row)
                                    * self.image[1]
                                    + column;
                                let w = (go * self.inside + c) * kh * kw + tap;
                                each(g, x, w);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

fn convs() -> impl Strategy<Value = Conv> {
    let channels = (1..=3_usize, prop_oneof![1..=3_usize, Just(13)], 1..=4_usize);
    let sizes = (pair(1..=7), pair(1..=3), pair(1..=3), pair(1..=2), pair(0..=2), pair(0..=2));
    (1..=35_usize, channels, sizes).prop_map(|(images, (groups, inside, outside), sizes)| {
        let (image, kernel, stride, dilation, before, after) = sizes;
        Conv { images, groups, inside, outside, image, kernel, stride, dilation, before, after }
    })
}

proptest! {
    #[test]
    fn convolutions_and_their_gradients(conv in convs(), seed in 0..1000_u64) {
        let Some(places) = conv.places() else { return Ok(()) };
        let g_dims = vec![conv.images, conv.groups * conv.outside, places[0], places[1]];
        let x_dims = vec![conv.images, conv.groups * conv.inside, conv.image[0], conv.image[1]];
        let w_dims = vec![conv.groups * conv.outside, conv.inside, conv.kernel[0], conv.kernel[1]];
        let count = |dims: &[usize]| dims.iter().product();
        let (g, x, w) = (
            numbers(count(&g_dims), seed),
            numbers(count(&x_dims), seed + 1),
            numbers(count(&w_dims), seed + 2),
        );
        let mut y = vec![0.0_f64; g.len()];
        let (mut dx, mut dw) = (vec![0.0_f64; x.len()], vec![0.0_f64; w.len()]);
        conv.each(places, |at_g, at_x, at_w| {
            dx[at_x] += f64::from(g[at_g]) * f64::from(w[at_w]);
            dw[at_w] += f64::from(g[at_g]) * f64::from(x[at_x]);
            y[at_g] += f64::from(x[at_x]) * f64::from(w[at_w]);
        });
        let lists = |first: [usize; 2]| {
            [first, conv.stride, conv.dilation, conv.before].map(|list| list.to_vec()).to_vec()
        };
        let with_group = |mut lists: Vec<Vec<usize>>| {
            lists.push(vec![conv.groups]);
            lists
        };
        let inputs = [(x_dims.clone(), x.clone()), (w_dims.clone(), w.clone())];
        let made = run(&conv::FORWARD, &with_group(lists(places)), &[], &inputs);
        assert_near(&made[0], &y);
        let inputs = [(g_dims.clone(), g.clone()), (x_dims, x)];
        let made = run(&conv::WEIGHT, &with_group(lists(conv.kernel)), &[], &inputs);
        assert_near(&made[0], &dw);
        let inputs = [(g_dims, g), (w_dims, w)];
        let made = run(&conv::IMAGE, &with_group(lists(conv.image)), &[], &inputs);
        assert_near(&made[0], &dx);
    }

    #[test]
    fn batch_normalisation(
        batch in 2..5_usize,
        channels in 1..4_usize,
        pixels in 1..40_usize,
        after_relu in any::<bool>(),
        seed in 0..1000_u64,
    ) {
        let dims = vec![batch, channels, pixels, 1];
        let len = batch * channels * pixels;
        let (x, g) = (numbers(len, seed), numbers(len, seed + 1));
        let (scale, offset) = (numbers(channels, seed + 2), numbers(channels, seed + 3));
        let epsilon = 1e-3_f32;
        let inputs =
            [(dims.clone(), x.clone()), (vec![channels], scale.clone()), (vec![channels], offset.clone())];
        let made = run(&norm::FORWARD, &[], &[epsilon], &inputs);
        let many = (batch * pixels) as f64;
        let of = |at: usize| at / pixels % channels;
        let sum = |channel: usize, value: &dyn Fn(usize) -> f64| -> f64 {
            (0..len).filter(|&at| of(at) == channel).map(value).sum()
        };
        let mean: Vec<f64> = (0..channels).map(|c| sum(c, &|at| f64::from(x[at])) / many).collect();
        let variance: Vec<f64> = (0..channels)
            .map(|c| sum(c, &|at| (f64::from(x[at]) - mean[c]).powi(2)) / many)
            .collect();
        let root = |c: usize| (variance[c] + f64::from(epsilon)).sqrt();
        let normal = |at: usize| (f64::from(x[at]) - mean[of(at)]) / root(of(at));
        let y: Vec<f64> = (0..len)
            .map(|at| normal(at) * f64::from(scale[of(at)]) + f64::from(offset[of(at)]))
            .collect();
        assert_near(&made[0], &y);
        assert_near(&made[1], &mean);
        assert_near(&made[2], &variance);

        // What a ReLU behind it lets through is told by its output; without one, by nothing.
        let rectified: Vec<f32> = made[0].iter().map(|y| y.max(0.0)).collect();
        let inputs = [
            (dims.clone(), g.clone()),
            (dims.clone(), if after_relu { rectified.clone() } else { g.clone() }),
            (dims, x.clone()),
            (vec![channels], scale.clone()),
            (vec![channels], made[1].clone()),
            (vec![channels], made[2].clone()),
        ];
        let back = run(&norm::BACKWARD, &[vec![after_relu.into()]], &[epsilon], &inputs);
        let g = |at: usize| match after_relu && rectified[at] <= 0.0 {
            true => 0.0,
            false => f64::from(g[at]),
        };
        let offsets: Vec<f64> = (0..channels).map(|c| sum(c, &g)).collect();
        let scales: Vec<f64> = (0..channels).map(|c| sum(c, &|at| g(at) * normal(at))).collect();
        let dx: Vec<f64> = (0..len)
            .map(|at| {
                let c = of(at);
                f64::from(scale[c]) / root(c)
                    * (g(at) - offsets[c] / many - normal(at) * scales[c] / many)
            })
            .collect();
        assert_near(&back[0], &dx);
        assert_near(&back[1], &scales);
        assert_near(&back[2], &offsets);
    }
}

#[test]
fn the_gradient_through_a_relu() {
    let len = (1 << 15) + 3;
    let (g, y) = (numbers(len, 1), numbers(len, 2));
    let expected: Vec<f64> =
        g.iter().zip(&y).map(|(g, y)| if *y > 0.0 { f64::from(*g) } else { 0.0 }).collect();
    let made = run(&relu::BACKWARD, &[], &[], &[(vec![len], g), (vec![len], y)]);
    assert_near(&made[0], &expected);
}
