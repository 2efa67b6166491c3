//! Steps carried out on an image.

use super::affine;
use super::blur::Blur;
use super::load::load;
use super::resample::Resampler;
use super::run::Run;
use super::simd::Level;
use super::{BadValue, Delivery, Lines};
use crate::generate::ImageFormat;
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
    pub(super) level: Level,
    /// `[C, H, W]` of the loaded image, all zero before the first.
    pub(super) loaded: [usize; 3],
    pub(super) image: Lines,
    /// Where a rendering is, and where its next step writes.
    pub(super) front: Lines,
    pub(super) back: Lines,
    pub(super) tools: Tools,
}

/// Tables and memory of the steps that make a new image.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub resampler: Resampler,
    pub blur: Blur,
    pub reads: affine::Reads,
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
        let mut run = Run::new(self);
        if delivery.is_planar() {
            let last = run.all_but_last(steps);
            let writing = delivery.begin(level, run.shape(), out);
            run.finish(last, writing);
        } else {
            run.all(steps);
            let writing = delivery.begin(level, run.shape(), out);
            writing.write_all(run.into_planes());
        }
        Ok(())
    }

    /// Carries out `steps` on the loaded image, which stays as it is: `[C, H, W]` of the result and
    /// its intensities, plane after plane.
    ///
    /// # Panics
    /// As [`Canvas::render`].
    pub fn apply(&mut self, steps: &[Step]) -> ([usize; 3], &[f32]) {
        let mut run = Run::new(self);
        run.all(steps);
        let shape = run.shape();
        (shape, run.into_planes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recipe::{Axis, Dtype, Filter, Layout, Normalise, Output, Padding, Sampling};
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

        #[test]
        fn views_are_the_same_bits_however_they_are_delivered_and_whatever_is_kept_of_gray(
            (shape, steps) in steps(),
            gray in 0..4usize,
            dtype in prop_oneof![Just(Dtype::U8), Just(Dtype::F16), Just(Dtype::F32)],
            layout in prop_oneof![Just(Layout::Nchw), Just(Layout::Nhwc)],
        ) {
            let (format, values) = image(shape);
            let mut steps = steps;
            steps.insert(gray, Step::Grayscale);
            let normalise = Normalise { mean: vec![0.1], std: vec![0.7] };
            let normalise = (dtype != Dtype::U8).then_some(normalise);
            let output = Output { dtype, layout, normalise };
            for level in Level::available() {
                let mut canvas = Canvas::with(level);
                // Each step by itself begins with all planes and ends with them.
                let (mut shape, mut planes) = (shape, Vec::new());
                canvas.load(&format, TensorView::U8(&values)).unwrap();
                for step in steps.iter().map(std::slice::from_ref) {
                    let (made, values) = canvas.apply(step);
                    (shape, planes) = (made, values.to_vec());
                    let [channels, height, width] = shape;
                    let range = [0.0, 1.0];
                    let made = ImageFormat { channels, height, width, interleaved: false, range };
                    canvas.load(&made, TensorView::F32(&planes)).unwrap();
                }
                let delivery = Delivery::of_canvas(shape, &output).unwrap();
                let mut expected = vec![0u32; planes.len()];
                let bytes = delivery.image_bytes();
                let expected: &mut [u8] = &mut bytemuck::cast_slice_mut(&mut expected)[..bytes];
                delivery.write(TensorView::F32(&planes), expected).unwrap();

                canvas.load(&format, TensorView::U8(&values)).unwrap();
                let mut view = vec![0u32; planes.len()];
                let view: &mut [u8] = &mut bytemuck::cast_slice_mut(&mut view)[..bytes];
                canvas.render(&steps, &delivery, view).unwrap();
                prop_assert!(view == expected, "{level:?}: {steps:?}");
                let (_, values) = canvas.apply(&steps);
                let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                prop_assert!(bits(values) == bits(&planes), "{level:?}: {steps:?}");
            }
        }
    }
}
