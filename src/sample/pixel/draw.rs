//! Pixel ops on images of a known size, and how their parameters are drawn.
//!
//! Every distribution is that of torchvision's `transforms.v2` op of the same name. Arithmetic is in
//! `f64` with basic operations and `libm`, so that a step has the same bits on every machine.
//!
//! Words are drawn four at a time by place. At place 0, the first says whether the op is done at
//! all (its `p`); which words an op uses never depends on what it draws, so a changed range moves
//! values and not their order.

use super::fit::resized;
use crate::recipe::{Axis, EraseValue, Filter, Padding, PixelKind, PixelOp, Sampling};
use crate::sample::normal::unit;
use crate::sample::random::Stream;
use crate::sample::step::{Fill, Step};

/// Boxes that are tried before a crop or an erasure falls back; torchvision's number.
const TRIES: u8 = 10;

/// What one draw is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub index: u64,
    pub epoch: u64,
    pub view: u32,
}

/// One op of a list.
#[derive(Debug, Clone)]
pub(super) struct Op {
    stream: Stream,
    p: f64,
    draw: Draw,
}

/// What is drawn. Sides and places are `[rows, columns]`.
#[derive(Debug, Clone)]
enum Draw {
    /// Nothing.
    Fixed(Step),
    ResizedCrop {
        boxes: Boxes,
        fallback: [u32; 4],
        out: [u32; 2],
        filter: Filter,
    },
    /// A place among `room`, counted from `-padding`.
    Crop {
        room: [u32; 2],
        padding: i32,
        out: [u32; 2],
        mode: Padding,
    },
    Affine {
        map: Affine,
        filter: Sampling,
        fill: f32,
    },
    /// Ranges of brightness, contrast, saturation and hue.
    Jitter([Option<[f64; 2]>; 4]),
    Blur {
        kernel: [u32; 2],
        sigma: [f64; 2],
    },
    /// `None` is noise.
    Erase {
        boxes: Boxes,
        value: Option<[f32; 4]>,
    },
}

impl Op {
    /// The op on images of shape `[C, H, W]`, which it fits, or `None` if it never does anything.
    pub fn new(seed: u64, purpose: &str, op: &PixelOp, [_, h, w]: [usize; 3]) -> Option<Self> {
        let draw = Draw::new(&op.kind, [side(h), side(w)]).filter(|_| op.p > 0.0)?;
        Some(Self { stream: Stream::new(seed, purpose), p: op.p, draw })
    }

    /// Adds the steps that the op comes to; none if it does nothing this time.
    pub fn draw(&self, at: At, steps: &mut Vec<Step>) {
        if let (Draw::Fixed(step), true) = (&self.draw, self.p >= 1.0) {
            steps.push(*step);
            return;
        }
        let place = |place| self.stream.four(at.index, at.epoch, at.view, place);
        let words = place(0);
        if self.p < 1.0 && unit(words[0]) >= self.p {
            return;
        }
        match &self.draw {
            Draw::Fixed(step) => steps.push(*step),
            Draw::ResizedCrop { boxes, fallback, out, filter } => {
                let [top, left, height, width] = boxes.draw(0, place).unwrap_or(*fallback);
                let whole = [height, width] == boxes.image && *out == boxes.image;
                if !whole {
                    let (out, filter) = (*out, *filter);
                    steps.push(Step::ResizedCrop { top, left, height, width, out, filter });
                }
            }
            Draw::Crop { room, padding, out, mode } => {
                let [top, left] = [(room[0], words[2]), (room[1], words[3])]
                    .map(|(room, word)| below(room, word).cast_signed() - padding);
                // As many places on one side of the image as on the other: a crop of its size.
                let whole = room.map(|room| room.cast_signed() - 1 - padding) == [*padding; 2];
                if [top, left] != [0; 2] || !whole {
                    steps.push(Step::Crop { top, left, out: *out, padding: *mode });
                }
            }
            Draw::Affine { map, filter, fill } => {
                let matrix = map.draw(words, place(1));
                if matrix != [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] {
                    steps.push(Step::Affine { matrix, filter: *filter, fill: *fill });
                }
            }
            Draw::Jitter(ranges) => jitter(ranges, words, place(1), steps),
            Draw::Blur { kernel, sigma } => {
                let sigma = single(uniform(*sigma, words[1]));
                steps.push(Step::Blur { kernel: *kernel, sigma });
            }
            Draw::Erase { boxes, value } => {
                let Some([top, left, height, width]) = boxes.draw(1, place) else { return };
                let fill = match value {
                    Some(value) => Fill::Constant(*value),
                    None => Fill::Noise(u64::from(words[1]) | u64::from(words[2]) << 32),
                };
                if height > 0 && width > 0 {
                    steps.push(Step::Erase { top, left, height, width, fill });
                }
            }
        }
    }
}

impl Draw {
    fn new(kind: &PixelKind, image: [u32; 2]) -> Option<Self> {
        let whole = |size: [u32; 2]| size == image;
        Some(match kind {
            PixelKind::RandomResizedCrop { size, scale, ratio, filter } => {
                let boxes = Boxes::new(image, *scale, *ratio, Fits::Within);
                let fallback = central(image, *ratio);
                Self::ResizedCrop { boxes, fallback, out: *size, filter: *filter }
            }
            PixelKind::Resize { size, filter } => {
                let out = resized(*size, image.map(|side| side as usize)).map(side);
                let [height, width] = image;
                let step =
                    Step::ResizedCrop { top: 0, left: 0, height, width, out, filter: *filter };
                return (!whole(out)).then_some(Self::Fixed(step));
            }
            PixelKind::CenterCrop { size } => {
                let [top, left] = [0, 1].map(|i| middle(image[i] - size[i]).cast_signed());
                let step = Step::Crop { top, left, out: *size, padding: Padding::Constant(0.0) };
                return (!whole(*size)).then_some(Self::Fixed(step));
            }
            PixelKind::RandomCrop { padding: 0, size, .. } if whole(*size) => return None,
            PixelKind::RandomCrop { size, padding, mode } => {
                let room = [0, 1].map(|i| image[i] + 2 * padding - size[i] + 1);
                Self::Crop { room, padding: padding.cast_signed(), out: *size, mode: *mode }
            }
            PixelKind::Flip { axis } => {
                let across = match axis {
                    Axis::Vertical => image[0],
                    Axis::Horizontal => image[1],
                };
                return (across > 1).then_some(Self::Fixed(Step::Flip { axis: *axis }));
            }
            PixelKind::Rotate { degrees: [low, high], filter, fill } => {
                // An affine map turns the other way, in torchvision too.
                let degrees = [-high, -low];
                let map =
                    Affine { degrees, reach: [0.0; 2], scale: [1.0; 2], shear: [[0.0; 2]; 2] };
                Self::Affine { map, filter: *filter, fill: single(*fill) }
            }
            PixelKind::Affine { degrees, translate, scale, shear, filter, fill } => {
                let [h, w] = image.map(f64::from);
                let reach = [translate[0] * w, translate[1] * h];
                let map = Affine { degrees: *degrees, reach, scale: *scale, shear: *shear };
                Self::Affine { map, filter: *filter, fill: single(*fill) }
            }
            PixelKind::ColourJitter { brightness, contrast, saturation, hue } => {
                Self::Jitter([*brightness, *contrast, *saturation, *hue])
            }
            PixelKind::Grayscale => Self::Fixed(Step::Grayscale),
            PixelKind::GaussianBlur { kernel: [1, 1], .. } => return None,
            PixelKind::GaussianBlur { kernel, sigma } => {
                Self::Blur { kernel: *kernel, sigma: *sigma }
            }
            PixelKind::Solarize { threshold } => {
                Self::Fixed(Step::Solarize { threshold: single(*threshold) })
            }
            PixelKind::Posterize { bits } => Self::Fixed(Step::Posterize { bits: *bits }),
            PixelKind::Erase { scale, ratio, value } => {
                let value = match value {
                    EraseValue::Noise => None,
                    EraseValue::Constant(values) => {
                        let of_channel = |c: usize| values.get(c).or(values.first());
                        Some([0, 1, 2, 3].map(|c| of_channel(c).map_or(0.0, |v| single(*v))))
                    }
                };
                let boxes = Boxes::new(image, *scale, *ratio, Fits::Smaller);
                Self::Erase { boxes, value }
            }
            PixelKind::Normalise(_) => return None,
        })
    }
}

/// Boxes of uniform area and log-uniform ratio of their sides, anywhere in an image.
#[derive(Debug, Clone)]
struct Boxes {
    /// `[height, width]`.
    image: [u32; 2],
    /// Least and most pixels.
    area: [f64; 2],
    log_ratio: [f64; 2],
    fits: Fits,
}

#[derive(Debug, Clone, Copy)]
enum Fits {
    /// A crop: width over height, at least a pixel, at most the image.
    Within,
    /// An erasure: height over width, smaller than the image.
    Smaller,
}

impl Boxes {
    fn new(image: [u32; 2], scale: [f64; 2], ratio: [f64; 2], fits: Fits) -> Self {
        let pixels = f64::from(image[0]) * f64::from(image[1]);
        Self {
            image,
            area: scale.map(|share| share * pixels),
            log_ratio: ratio.map(libm::log),
            fits,
        }
    }

    /// `[top, left, height, width]` from the words at place `first` on, or `None` if no try fits.
    fn draw(&self, first: u8, place: impl Fn(u8) -> [u32; 4]) -> Option<[u32; 4]> {
        let start = place(first);
        let [height, width] = self.sides(start[0], start[1]).or_else(|| {
            // The last two of the first four words are for the place of the box.
            (0..TRIES / 2).find_map(|more| {
                let words = place(first + 1 + more);
                let second = || self.sides(words[2], words[3]).filter(|_| more < TRIES / 2 - 1);
                self.sides(words[0], words[1]).or_else(second)
            })
        })?;
        let top = below(self.image[0] - height + 1, start[2]);
        let left = below(self.image[1] - width + 1, start[3]);
        Some([top, left, height, width])
    }

    /// `[height, width]` if they fit.
    fn sides(&self, area: u32, ratio: u32) -> Option<[u32; 2]> {
        let area = uniform(self.area, area);
        let ratio = libm::exp(uniform(self.log_ratio, ratio));
        let long = (area * ratio).sqrt().round_ties_even();
        let short = (area / ratio).sqrt().round_ties_even();
        let [h, w] = self.image.map(f64::from);
        let (height, width, fits) = match self.fits {
            Fits::Within => (short, long, short > 0.0 && long > 0.0 && short <= h && long <= w),
            Fits::Smaller => (long, short, long < h && short < w),
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the image")]
        fits.then_some([height as u32, width as u32])
    }
}

/// The crop that stands for ten that did not fit: as much of the image as the ratio allows.
fn central(image: [u32; 2], ratio: [f64; 2]) -> [u32; 4] {
    let [h, w] = image.map(f64::from);
    let [height, width] = if w / h < ratio[0] {
        [w / ratio[0], w]
    } else if w / h > ratio[1] {
        [h, h * ratio[1]]
    } else {
        [h, w]
    };
    // Where torchvision would come to no pixels at all, there is one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the image")]
    let [height, width] = [height, width].map(|side| side.round_ties_even().max(1.0) as u32);
    [(image[0] - height) / 2, (image[1] - width) / 2, height, width]
}

/// Ranges of an affine map about the image's middle; degrees clockwise.
#[derive(Debug, Clone)]
struct Affine {
    degrees: [f64; 2],
    /// Greatest shift in pixels, `[x, y]`.
    reach: [f64; 2],
    scale: [f64; 2],
    shear: [[f64; 2]; 2],
}

impl Affine {
    /// The map from the result back to the image.
    fn draw(&self, first: [u32; 4], second: [u32; 4]) -> [f32; 6] {
        let angle = uniform(self.degrees, first[1]);
        let shift = |reach: f64, word| uniform([-reach, reach], word).round_ties_even();
        let shift = [shift(self.reach[0], first[2]), shift(self.reach[1], first[3])];
        let scale = uniform(self.scale, second[0]);
        let shear = [uniform(self.shear[0], second[1]), uniform(self.shear[1], second[2])];
        inverse(angle, shift, scale, shear)
    }
}

/// The inverse of: shear by `[x, y]` degrees, turn clockwise by `angle` degrees, scale, shift.
///
/// With R the rotation and S = [[1, -tan x], [-tan y, 1 + tan x tan y]] the shear, R S has
/// determinant 1, so its inverse is its adjugate.
fn inverse(angle: f64, shift: [f64; 2], scale: f64, shear: [f64; 2]) -> [f32; 6] {
    let (sin, cos) = libm::sincos(angle.to_radians());
    let [x, y] = shear.map(|degrees| libm::tan(degrees.to_radians()));
    let forward = [
        cos + sin * y,
        -cos * x - sin * (1.0 + x * y),
        sin - cos * y,
        -sin * x + cos * (1.0 + x * y),
    ];
    let [a, b, d, e] =
        [forward[3], -forward[1], -forward[2], forward[0]].map(|element| element / scale);
    // `0 -` and not `-`, so that no shift is 0 and not -0.
    let c = 0.0 - (a * shift[0] + b * shift[1]);
    let f = 0.0 - (d * shift[0] + e * shift[1]);
    [a, b, c, d, e, f].map(single)
}

/// The four changes of a colour jitter, in an order that is uniform over all 24.
fn jitter(
    ranges: &[Option<[f64; 2]>; 4],
    first: [u32; 4],
    second: [u32; 4],
    steps: &mut Vec<Step>,
) {
    let words = [first[2], first[3], second[0], second[1]];
    for which in ORDERS[below(24, first[1]) as usize] {
        let which = usize::from(which);
        let Some(range) = ranges[which] else { continue };
        let value = single(uniform(range, words[which]));
        let (step, nothing) = match which {
            0 => (Step::Brightness { factor: value }, 1.0),
            1 => (Step::Contrast { factor: value }, 1.0),
            2 => (Step::Saturation { factor: value }, 1.0),
            _ => (Step::Hue { shift: value }, 0.0),
        };
        if value != nothing {
            steps.push(step);
        }
    }
}

/// Every order of four things.
const ORDERS: [[u8; 4]; 24] = {
    let mut orders = [[0; 4]; 24];
    let (mut code, mut found) = (0u8, 0);
    while found < 24 {
        // Base 4 counts up through all fours; those without a repetition are the orders.
        let four = [code >> 6, code >> 4 & 3, code >> 2 & 3, code & 3];
        if 1 << four[0] | 1 << four[1] | 1 << four[2] | 1 << four[3] == 0b1111 {
            orders[found] = four;
            found += 1;
        }
        code = code.wrapping_add(1);
    }
    orders
};

fn uniform([low, high]: [f64; 2], word: u32) -> f64 {
    low + (high - low) * unit(word)
}

/// A whole number from 0 to `n - 1`. No side is large enough for the bias, n / 2^32, to show.
fn below(n: u32, word: u32) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "below n")]
    let drawn = ((u64::from(n) * u64::from(word)) >> 32) as u32;
    drawn
}

/// Half of `slack`, halves to the even neighbour, as Python rounds.
fn middle(slack: u32) -> u32 {
    let half = slack / 2;
    half + u32::from(slack % 2 == 1 && half % 2 == 1)
}

#[allow(clippy::cast_possible_truncation, reason = "steps are single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

/// Sides of images lie far below 2^32: a model with larger ones has been refused.
fn side(side: usize) -> u32 {
    u32::try_from(side).expect("an image's side")
}
