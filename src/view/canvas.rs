//! Steps carried out on an image.

use super::affine::{self, Map};
use super::blur::Blur;
use super::crop::{self, Window};
use super::erase::{self, Area};
use super::load::load;
use super::resample::{Request, Resampler};
use super::simd::Level;
use super::{BadValue, Delivery, Lines, colour};
use crate::generate::ImageFormat;
use crate::recipe::Axis;
use crate::runtime::TensorView;
use crate::sample::Step;

/// Carries out [`Step`]s on one image at a time, in torchvision's meaning of them.
///
/// An image is loaded once and rendered as often as it has views. Between the steps values are
/// `f32` intensities in `[0, 1]`, one plane a channel, and are rounded only at the end (but by
/// posterizing, which is about levels). A canvas owns all the memory that its work needs and keeps
/// it, so a warm one allocates nothing; a thread has one of its own.
///
/// Equal images and steps give equal bits on every machine: whatever the vectors' width, every
/// value comes from the same operations in the same order.
///
/// ```
/// use genset::generate::ImageFormat;
/// use genset::recipe::{Axis, Dtype, Layout, Output};
/// use genset::runtime::TensorView;
/// use genset::sample::Step;
/// use genset::view::{Canvas, Delivery};
///
/// # fn main() -> genset::Result<()> {
/// let format =
///     ImageFormat { channels: 1, height: 1, width: 3, interleaved: false, range: [-1.0, 1.0] };
/// let output = Output { dtype: Dtype::U8, layout: Layout::Nchw, normalise: None };
/// let delivery = Delivery::of_canvas([1, 1, 3], &output)?;
///
/// let mut canvas = Canvas::new();
/// canvas.load(&format, TensorView::F32(&[-1.0, 0.0, 1.0])).expect("finite values");
/// let mut view = [0; 3];
/// canvas.render(&[Step::Flip { axis: Axis::Horizontal }], &delivery, &mut view)
///     .expect("finite values");
/// assert_eq!(view, [255, 128, 0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Canvas {
    level: Level,
    /// `[C, H, W]` of the loaded image, all zero before the first.
    loaded: [usize; 3],
    image: Lines,
    /// Where a rendering is, and where its next step writes.
    front: Lines,
    back: Lines,
    tools: Tools,
}

/// Tables and memory of the steps that make a new image.
#[derive(Debug, Default)]
struct Tools {
    resampler: Resampler,
    blur: Blur,
    reads: affine::Reads,
}

impl Default for Canvas {
    fn default() -> Self {
        Self::new()
    }
}

impl Canvas {
    /// An empty canvas.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Level::best())
    }

    fn with(level: Level) -> Self {
        Self {
            level,
            loaded: [0; 3],
            image: Lines::default(),
            front: Lines::default(),
            back: Lines::default(),
            tools: Tools::default(),
        }
    }

    /// Reads one image as a generator makes it: any element type, range and layout.
    ///
    /// # Errors
    /// The first value that is NaN or infinite, in row 0. The canvas is then empty.
    ///
    /// # Panics
    /// If `row` is not one image of this format.
    pub fn load(&mut self, format: &ImageFormat, row: TensorView<'_>) -> Result<(), BadValue> {
        assert_eq!(row.len(), format.len(), "one image of {format:?}");
        self.loaded = [0; 3];
        load(self.level, format, row, &mut self.front, self.image.room(format.len()))?;
        self.loaded = [format.channels, format.height, format.width];
        Ok(())
    }

    /// Carries out `steps` on the loaded image, which stays as it is, and writes the result.
    ///
    /// # Errors
    /// None at present: a loaded image is finite and steps keep it so.
    ///
    /// # Panics
    /// If nothing is loaded, a box of a step is not inside the image, a size is zero, `delivery` is
    /// not for what the steps lead to ([`Delivery::of_canvas`]), or `out` is not as long as one
    /// image of it or not aligned for its type.
    pub fn render(
        &mut self,
        steps: &[Step],
        delivery: &Delivery,
        out: &mut [u8],
    ) -> Result<(), BadValue> {
        let level = self.level;
        let (shape, values) = self.apply(steps);
        delivery.write_planes(level, shape, values, out);
        Ok(())
    }

    /// Carries out `steps` on the loaded image, which stays as it is: `[C, H, W]` of the result and
    /// its intensities, plane after plane.
    ///
    /// # Panics
    /// As [`Canvas::render`].
    pub fn apply(&mut self, steps: &[Step]) -> ([usize; 3], &[f32]) {
        assert!(self.loaded[0] > 0, "an image is loaded before it is rendered");
        let mut run = Run { canvas: self, size: [0; 2], untouched: true, gray: false };
        let [channels, height, width] = run.canvas.loaded;
        run.size = [height, width];
        let mut rest = steps;
        while !rest.is_empty() {
            rest = run.step(rest);
        }
        let (size, untouched) = (run.size, run.untouched);
        let len = channels * size[0] * size[1];
        let values = if untouched { &self.image } else { &self.front };
        ([channels, size[0], size[1]], values.get(len))
    }
}

/// One rendering on its way.
struct Run<'a> {
    canvas: &'a mut Canvas,
    size: [usize; 2],
    /// Whether the image is still the loaded one, which no step may write to.
    untouched: bool,
    /// Whether all three planes are the same: what is done to one is done to all.
    gray: bool,
}

impl Run<'_> {
    /// Carries out the first of `steps`, and what of the others goes with it; the steps left.
    fn step<'s>(&mut self, steps: &'s [Step]) -> &'s [Step] {
        let (step, after) = steps.split_first().expect("at least one step");
        let level = self.canvas.level;
        let channels = self.canvas.loaded[0];
        let size = self.size;
        if colour::is_pixelwise(step) {
            let more = after.iter().take_while(|step| colour::is_pixelwise(step)).count();
            let run = &steps[..=more];
            self.gray |= channels == 3 && run.contains(&Step::Grayscale);
            colour::run(level, self.image(), channels, run);
            return &after[more..];
        }
        match *step {
            Step::ResizedCrop { top, left, height, width, out, filter } => {
                let flips = after.iter().take_while(|step| matches!(step, Step::Flip { .. }));
                let after = &after[flips.clone().count()..];
                let count =
                    |axis: Axis| flips.clone().filter(|s| **s == Step::Flip { axis }).count();
                let request = Request {
                    top: top as usize,
                    left: left as usize,
                    height: height as usize,
                    width: width as usize,
                    out: out.map(|side| side as usize),
                    filter,
                    mirrored: [Axis::Vertical, Axis::Horizontal].map(|axis| count(axis) % 2 == 1),
                };
                assert!(
                    request.top + request.height <= size[0]
                        && request.left + request.width <= size[1]
                        && request.height * request.width > 0,
                    "{step:?} is inside of an image of {size:?}"
                );
                self.redraw(request.out, |tools, source, out| {
                    tools.resampler.run(level, source, size, request, out);
                });
                return after;
            }
            Step::Crop { top, left, out, padding } => {
                let area = Window {
                    top: top as isize,
                    left: left as isize,
                    out: out.map(|side| side as usize),
                };
                self.redraw(area.out, |_, source, out| {
                    crop::crop(source, size, area, padding, out)
                });
            }
            Step::Affine { matrix, filter, fill } => {
                let map = Map { matrix, filter, fill: fill.clamp(0.0, 1.0) };
                self.canvas.tools.reads.resize(size[1]);
                self.redraw(size, |tools, source, out| {
                    affine::affine(level, source, size, map, &mut tools.reads, out);
                });
            }
            Step::Blur { kernel, sigma } => {
                let pixels = size[0] * size[1];
                let different = if self.gray { 1 } else { channels };
                self.redraw(size, |tools, source, out| {
                    let (blurred, others) = out.split_at_mut(different * pixels);
                    let source = &source[..different * pixels];
                    tools.blur.run(level, source, size, kernel, sigma, blurred);
                    others
                        .chunks_exact_mut(pixels)
                        .for_each(|plane| plane.copy_from_slice(blurred));
                });
            }
            Step::Flip { axis } => crop::flip(self.image(), size, axis),
            Step::Brightness { .. }
            | Step::Contrast { .. }
            | Step::Saturation { .. }
            | Step::Hue { .. }
            | Step::Grayscale
            | Step::Solarize { .. }
            | Step::Posterize { .. } => unreachable!("pixelwise"),
            Step::Erase { top, left, height, width, fill } => {
                let area = Area {
                    top: top as usize,
                    left: left as usize,
                    height: height as usize,
                    width: width as usize,
                };
                self.gray = false;
                erase::erase(self.image(), size, area, fill);
            }
        }
        after
    }

    /// The image, to be changed in place.
    fn image(&mut self) -> &mut [f32] {
        let canvas = &mut *self.canvas;
        let len = canvas.loaded[0] * self.size[0] * self.size[1];
        let image = canvas.front.room(len);
        if self.untouched {
            image.copy_from_slice(canvas.image.get(len));
            self.untouched = false;
        }
        image
    }

    /// Makes a new image of size `to` from the one that there is.
    fn redraw(&mut self, to: [usize; 2], draw: impl FnOnce(&mut Tools, &[f32], &mut [f32])) {
        assert!(to[0] > 0 && to[1] > 0, "a view has at least one pixel");
        let canvas = &mut *self.canvas;
        let channels = canvas.loaded[0];
        let (from, to_len) = (channels * self.size[0] * self.size[1], channels * to[0] * to[1]);
        let source = if self.untouched { &canvas.image } else { &canvas.front };
        draw(&mut canvas.tools, source.get(from), canvas.back.room(to_len));
        std::mem::swap(&mut canvas.front, &mut canvas.back);
        self.untouched = false;
        self.size = to;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recipe::{Filter, Padding, Sampling};
    use crate::sample::Fill;

    /// Steps that are legal for an image of `size`, whatever came before.
    fn step(size: [u32; 2]) -> impl Strategy<Value = (Step, [u32; 2])> {
        let [height, width] = size;
        let side = || 1..40u32;
        let filter =
            prop_oneof![Just(Filter::Bilinear), Just(Filter::Bicubic), Just(Filter::Nearest)];
        let sampling = prop_oneof![Just(Sampling::Nearest), Just(Sampling::Bilinear)];
        let padding = prop_oneof![
            (0f32..=1.0).prop_map(Padding::Constant),
            Just(Padding::Reflect),
            Just(Padding::Edge)
        ];
        let axis = prop_oneof![Just(Axis::Horizontal), Just(Axis::Vertical)];
        let area = move || {
            (0..height, 0..width).prop_flat_map(move |(top, left)| {
                (Just(top), Just(left), 1..=height - top, 1..=width - left)
            })
        };
        let fill = prop_oneof![
            any::<[f32; 4]>().prop_map(|x| Fill::Constant(x.map(|x| x.abs().fract()))),
            any::<u64>().prop_map(Fill::Noise)
        ];
        let same = move |step| (step, size);
        prop_oneof![
            (area(), side(), side(), filter).prop_map(
                |((top, left, height, width), y, x, filter)| {
                    (Step::ResizedCrop { top, left, height, width, out: [y, x], filter }, [y, x])
                }
            ),
            (-50..50i32, -50..50i32, side(), side(), padding).prop_map(
                |(top, left, y, x, padding)| {
                    (Step::Crop { top, left, out: [y, x], padding }, [y, x])
                }
            ),
            axis.prop_map(|axis| Step::Flip { axis }).prop_map(same),
            (prop::array::uniform6(-3f32..3.0), sampling, 0f32..=1.0)
                .prop_map(|(matrix, filter, fill)| Step::Affine { matrix, filter, fill })
                .prop_map(same),
            (0f32..4.0).prop_map(|factor| Step::Brightness { factor }).prop_map(same),
            (0f32..4.0).prop_map(|factor| Step::Contrast { factor }).prop_map(same),
            (0f32..4.0).prop_map(|factor| Step::Saturation { factor }).prop_map(same),
            (-0.5f32..=0.5).prop_map(|shift| Step::Hue { shift }).prop_map(same),
            Just(Step::Grayscale).prop_map(same),
            (0..20u32, 0..20u32, 0.01f32..9.0)
                .prop_map(|(y, x, sigma)| Step::Blur { kernel: [2 * y + 1, 2 * x + 1], sigma })
                .prop_map(same),
            (0f32..=1.0).prop_map(|threshold| Step::Solarize { threshold }).prop_map(same),
            (1..=8u32).prop_map(|bits| Step::Posterize { bits }).prop_map(same),
            (area(), fill)
                .prop_map(|((top, left, height, width), fill)| Step::Erase {
                    top,
                    left,
                    height,
                    width,
                    fill
                })
                .prop_map(same),
        ]
    }

    fn steps() -> impl Strategy<Value = ([usize; 3], Vec<Step>)> {
        let size = [1..70u32, 1..70u32];
        (1..=4usize, size).prop_flat_map(|(channels, size)| {
            step(size).prop_flat_map(move |(first, then)| {
                (Just(first), step(then)).prop_flat_map(move |(first, (second, then))| {
                    step(then).prop_map(move |(third, _)| {
                        let [height, width] = size.map(|side| side as usize);
                        ([channels, height, width], vec![first, second, third])
                    })
                })
            })
        })
    }

    /// An image with flat areas, edges and noise.
    fn image([channels, height, width]: [usize; 3]) -> (ImageFormat, Vec<u8>) {
        let format =
            ImageFormat { channels, height, width, interleaved: false, range: [0.0, 255.0] };
        let value = |i: usize| match i % 7 {
            0 | 1 => 0,
            2 => 255,
            _ => (i as u32).wrapping_mul(0x9e37_79b9).to_be_bytes()[0],
        };
        (format, (0..format.len()).map(value).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn views_are_finite_intensities_and_the_same_bits_on_every_instruction_set(
            (shape, steps) in steps()
        ) {
            let (format, values) = image(shape);
            let mut all = Level::available().map(|level| {
                let mut canvas = Canvas::with(level);
                canvas.load(&format, TensorView::U8(&values)).unwrap();
                let (shape, values) = canvas.apply(&steps);
                assert_eq!(values.len(), shape.iter().product::<usize>());
                assert!(values.iter().all(|x| (0.0..=1.0).contains(x)), "{steps:?}");
                values.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            });
            let first = all.next().unwrap();
            for other in all {
                prop_assert!(first == other, "{steps:?}");
            }
        }
    }
}
