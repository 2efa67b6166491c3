//! Which inputs make an output, and with what weights, when a line changes its length.
//!
//! The weights are those of torchvision with `antialias=True`, which are Pillow's: a filter around
//! the place of the output, widened by the scale where the line shrinks, made to sum to one.

use crate::recipe::Filter;

/// The inputs of every output of a line, and their weights.
#[derive(Debug, Default)]
pub(super) struct Taps {
    /// The first input of each output, and how many weights it has.
    inputs: Vec<(usize, usize)>,
    /// `stride` places for the weights of each output.
    weights: Vec<f32>,
    stride: usize,
    identity: bool,
    /// The weights of one output before they are made to sum to one.
    exact: Vec<f64>,
}

impl Taps {
    /// For `outputs` places along a line of `inputs`, in mirrored order if `mirrored`.
    pub fn fill(&mut self, inputs: usize, outputs: usize, filter: Filter, mirrored: bool) {
        self.inputs.clear();
        self.weights.clear();
        self.identity = inputs == outputs && !mirrored;
        let scale = inputs as f64 / outputs as f64;
        if filter == Filter::Nearest || inputs == outputs {
            self.nearest(inputs, outputs);
        } else if filter == Filter::Bilinear && scale < 1.0 && inputs > 1 {
            self.between_two(inputs, outputs, scale);
        } else {
            let (radius, weigh): (f64, fn(f64) -> f64) = match filter {
                Filter::Bicubic => (2.0, cubic),
                _ => (1.0, triangle),
            };
            self.around(inputs, outputs, scale, radius, weigh);
        }
        if mirrored {
            self.inputs.reverse();
            let (mut front, mut back) = (0, outputs.saturating_sub(1) * self.stride);
            while front < back {
                for k in 0..self.stride {
                    self.weights.swap(front + k, back + k);
                }
                front += self.stride;
                back -= self.stride;
            }
        }
    }

    /// One input each, in torch's arithmetic, where `floor(i scale)` may fall just under a whole
    /// number.
    fn nearest(&mut self, inputs: usize, outputs: usize) {
        self.stride = 1;
        let scale = inputs as f32 / outputs as f32;
        let place = |output| ((output as f32 * scale) as usize).min(inputs - 1);
        let place = |output| if inputs == outputs { output } else { place(output) };
        self.inputs.extend((0..outputs).map(|output| (place(output), 1)));
        self.weights.resize(outputs, 1.0);
    }

    /// What `around` gives for a triangle where the line grows, with less work.
    fn between_two(&mut self, inputs: usize, outputs: usize, scale: f64) {
        self.stride = 2;
        let last = (inputs - 2) as f64;
        for output in 0..outputs {
            let place = (output as f64 + 0.5) * scale - 0.5;
            let first = if place > 0.0 { place } else { 0.0 };
            let first = (if first < last { first } else { last }) as usize;
            let second = place - first as f64;
            let second = if second > 0.0 { second } else { 0.0 };
            let second = if second < 1.0 { second } else { 1.0 };
            self.inputs.push((first, 2));
            self.weights.extend([(1.0 - second) as f32, second as f32]);
        }
    }

    /// The inputs under a filter of `radius`.
    fn around(
        &mut self,
        inputs: usize,
        outputs: usize,
        scale: f64,
        radius: f64,
        weigh: fn(f64) -> f64,
    ) {
        let stretch = scale.max(1.0);
        let support = radius * stretch;
        self.stride = (2.0 * support) as usize + 2;
        for output in 0..outputs {
            let centre = (output as f64 + 0.5) * scale;
            let low = ((centre - support + 0.5).max(0.0) as usize).min(inputs - 1);
            let high = ((centre + support + 0.5) as usize).clamp(low + 1, inputs);
            self.exact.clear();
            let weights = (low..high).map(|input| weigh((input as f64 + 0.5 - centre) / stretch));
            self.exact.extend(weights);
            let total: f64 = self.exact.iter().sum();
            let counts = |weight: &f64| *weight != 0.0;
            let start = self.exact.iter().position(counts).unwrap_or(0);
            let end = self.exact.iter().rposition(counts).map_or(start + 1, |last| last + 1);
            self.inputs.push((low + start, end - start));
            self.weights.extend(self.exact[start..end].iter().map(|x| (x / total) as f32));
            self.weights.resize((output + 1) * self.stride, 0.0);
        }
    }

    /// How many outputs there are.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// The first input of an output and the weights from it on.
    #[inline(always)]
    pub fn of(&self, output: usize) -> (usize, &[f32]) {
        let (first, count) = self.inputs[output];
        (first, &self.weights[output * self.stride..][..count])
    }

    /// Whether every output is its own input.
    pub fn is_identity(&self) -> bool {
        self.identity
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

    #[test]
    fn the_short_way_gives_the_weights_of_the_long_one() {
        for (inputs, outputs) in [(2, 3), (3, 28), (20, 32), (150, 224), (223, 224)] {
            let (mut short, mut long) = (Taps::default(), Taps::default());
            short.fill(inputs, outputs, Filter::Bilinear, false);
            long.around(inputs, outputs, inputs as f64 / outputs as f64, 1.0, triangle);
            for output in 0..outputs {
                let weight = |taps: &Taps, input: usize| {
                    let (first, weights) = taps.of(output);
                    input.checked_sub(first).and_then(|at| weights.get(at)).copied().unwrap_or(0.0)
                };
                for input in 0..inputs {
                    let (short, long) = (weight(&short, input), weight(&long, input));
                    assert!((short - long).abs() < 1e-7, "{inputs} {outputs} {output} {input}");
                }
            }
        }
    }

    #[test]
    fn weights_sum_to_one_and_mirror() {
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Nearest] {
            for (inputs, outputs) in [(1, 1), (1, 9), (9, 1), (17, 5), (5, 17), (64, 31)] {
                let (mut taps, mut mirrored) = (Taps::default(), Taps::default());
                taps.fill(inputs, outputs, filter, false);
                mirrored.fill(inputs, outputs, filter, true);
                for output in 0..outputs {
                    let (first, weights) = taps.of(output);
                    assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                    assert!(first + weights.len() <= inputs);
                    assert_eq!((first, weights), mirrored.of(outputs - 1 - output));
                }
            }
        }
    }
}
