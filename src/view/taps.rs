//! Which inputs make an output, and with what weights, when a line changes its length.
//!
//! The weights are those of torchvision with `antialias=True`, which are Pillow's: a filter around
//! the place of the output, widened by the scale where the line shrinks, made to sum to one.

use super::simd::{Level, kernel};
use crate::recipe::Filter;

/// The inputs of every output of a line, and their weights.
///
/// First terms of all outputs lie together, then second terms, and so on, as vectors of outputs
/// need them.
#[derive(Debug, Default)]
pub(super) struct Taps {
    inputs: usize,
    /// The first input of each output.
    first: Vec<i32>,
    /// Of `terms` neighbouring inputs for each output; zero where there are fewer.
    weights: Vec<f32>,
    terms: usize,
    identity: bool,
    /// The weights of one output before they are made to sum to one.
    exact: Vec<f64>,
}

impl Taps {
    /// For `outputs` places along a line of `inputs`, in mirrored order if `mirrored`.
    pub fn fill(
        &mut self,
        level: Level,
        inputs: usize,
        outputs: usize,
        filter: Filter,
        mirrored: bool,
    ) {
        self.inputs = inputs;
        self.first.resize(outputs, 0);
        self.identity = inputs == outputs && !mirrored;
        let scale = inputs as f64 / outputs as f64;
        // Output `i` stands at place `start + direction i`.
        let (start, direction) = if mirrored { (outputs as i32 - 1, -1) } else { (0, 1) };
        if filter == Filter::Nearest || inputs == outputs {
            self.nearest(inputs, outputs, start, direction);
        } else if filter == Filter::Bilinear && scale < 1.0 && inputs > 1 {
            self.room_for(2, outputs);
            let last = inputs - 2;
            between_two(
                level,
                last as f64,
                scale,
                (start, direction),
                &mut self.first,
                &mut self.weights,
            );
        } else {
            let (radius, weigh): (f64, fn(f64) -> f64) = match filter {
                Filter::Bicubic => (2.0, cubic),
                _ => (1.0, triangle),
            };
            self.around(outputs, radius, weigh, mirrored);
        }
    }

    fn room_for(&mut self, terms: usize, outputs: usize) {
        self.terms = terms;
        super::grow(&mut self.weights, terms * outputs);
    }

    /// One input each, in torch's arithmetic, where `floor(i scale)` may fall just under a whole
    /// number.
    fn nearest(&mut self, inputs: usize, outputs: usize, start: i32, direction: i32) {
        self.room_for(1, outputs);
        self.weights[..outputs].fill(1.0);
        let scale = inputs as f32 / outputs as f32;
        let last = inputs as i32 - 1;
        for (output, first) in (0..).zip(&mut self.first) {
            let place = start + direction * output;
            let nearest = ((place as f32 * scale) as i32).min(last);
            *first = if inputs == outputs { place } else { nearest };
        }
    }

    /// The inputs under a filter of `radius`.
    fn around(&mut self, outputs: usize, radius: f64, weigh: fn(f64) -> f64, mirrored: bool) {
        let inputs = self.inputs;
        let scale = inputs as f64 / outputs as f64;
        let stretch = scale.max(1.0);
        let support = radius * stretch;
        self.room_for((2.0 * support) as usize + 2, outputs);
        self.weights[..self.terms * outputs].fill(0.0);
        let mut terms = 1;
        for place in 0..outputs {
            let output = if mirrored { outputs - 1 - place } else { place };
            let centre = (place as f64 + 0.5) * scale;
            let low = ((centre - support + 0.5).max(0.0) as usize).min(inputs - 1);
            let high = ((centre + support + 0.5) as usize).clamp(low + 1, inputs);
            self.exact.clear();
            let weights = (low..high).map(|input| weigh((input as f64 + 0.5 - centre) / stretch));
            self.exact.extend(weights);
            let total: f64 = self.exact.iter().sum();
            let counts = |weight: &f64| *weight != 0.0;
            let start = self.exact.iter().position(counts).unwrap_or(0);
            let end = self.exact.iter().rposition(counts).map_or(start + 1, |last| last + 1);
            self.first[output] = (low + start) as i32;
            for (term, weight) in self.exact[start..end].iter().enumerate() {
                self.weights[term * outputs + output] = (weight / total) as f32;
            }
            terms = terms.max(end - start);
        }
        self.terms = terms;
    }

    /// How many outputs there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// How many terms an output has at most.
    #[inline(always)]
    pub fn terms(&self) -> usize {
        self.terms
    }

    /// The first input of each output.
    #[inline(always)]
    pub fn first(&self) -> &[i32] {
        &self.first
    }

    /// The weights of `term` of each output, zero where an output has fewer.
    #[inline(always)]
    pub fn weights(&self, term: usize) -> &[f32] {
        &self.weights[term * self.len()..][..self.len()]
    }

    /// The first input of an output, and the weights from it on.
    #[inline(always)]
    pub fn of(&self, output: usize) -> (usize, impl Iterator<Item = f32> + Clone) {
        let first = self.first[output] as usize;
        let weights = self.weights[output..].iter().step_by(self.len()).copied();
        (first, weights.take(self.terms.min(self.inputs - first)))
    }

    /// Whether every output is its own input.
    pub fn is_identity(&self) -> bool {
        self.identity
    }
}

kernel! {
    /// What `around` gives for a triangle where the line grows, with less work: two inputs each.
    fn between_two(
        last: f64,
        scale: f64,
        order: (i32, i32),
        first: &mut [i32],
        weights: &mut [f32],
    ) {
        let (one, two) = weights.split_at_mut(first.len());
        for (output, ((first, one), two)) in (0..).zip(first.iter_mut().zip(one).zip(two)) {
            let place = f64::from(order.0 + order.1 * output) + 0.5;
            let place = place * scale - 0.5;
            let low = if place > 0.0 { place } else { 0.0 };
            let low = if low < last { low } else { last };
            // SAFETY: between zero and the number of pixels in a row or column.
            let low: i32 = unsafe { low.to_int_unchecked() };
            let share = place - f64::from(low);
            let share = if share > 0.0 { share } else { 0.0 };
            let share = if share < 1.0 { share } else { 1.0 };
            (*first, *one, *two) = (low, (1.0 - share) as f32, share as f32);
        }
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys (1981) with a = -0.5, as Pillow has it.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(inputs: usize, outputs: usize, filter: Filter, mirrored: bool) -> Taps {
        let mut taps = Taps::default();
        // What another line has left behind must not show.
        taps.fill(Level::best(), 50, 3, Filter::Bicubic, true);
        taps.fill(Level::best(), inputs, outputs, filter, mirrored);
        taps
    }

    /// The weight of every input for one output.
    fn row(taps: &Taps, inputs: usize, output: usize) -> Vec<f32> {
        let (first, weights) = taps.of(output);
        let mut row = vec![0.0; inputs];
        for (input, weight) in row[first..].iter_mut().zip(weights) {
            *input = weight;
        }
        row
    }

    #[test]
    fn the_short_way_gives_the_weights_of_the_long_one() {
        for (inputs, outputs) in [(2, 3), (3, 28), (20, 32), (150, 224), (223, 224)] {
            let short = filled(inputs, outputs, Filter::Bilinear, false);
            let mut long = filled(inputs, outputs, Filter::Bilinear, false);
            long.around(outputs, 1.0, triangle, false);
            for output in 0..outputs {
                let (short, long) = (row(&short, inputs, output), row(&long, inputs, output));
                for (a, b) in short.iter().zip(&long) {
                    assert!((a - b).abs() < 1e-7, "{inputs} {outputs}: {short:?} {long:?}");
                }
            }
        }
    }

    #[test]
    fn weights_sum_to_one_and_mirror() {
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Nearest] {
            for (inputs, outputs) in [(1, 1), (1, 9), (9, 1), (17, 5), (5, 17), (64, 31), (7, 7)] {
                let taps = filled(inputs, outputs, filter, false);
                let mirrored = filled(inputs, outputs, filter, true);
                for output in 0..outputs {
                    let weights = row(&taps, inputs, output);
                    assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                    assert_eq!(weights, row(&mirrored, inputs, outputs - 1 - output));
                }
            }
        }
    }
}
