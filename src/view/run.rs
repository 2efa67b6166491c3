//! One rendering of a loaded image, from step to step.
//!
//! Steps that change pixels by themselves go over the image together, flips go with the resizing
//! before them, and what is done last is delivered piece by piece as it is made. Of an image that
//! was made gray only one plane is kept until its channels may differ again.

use super::affine::{self, Map};
use super::blur;
use super::canvas::{Canvas, Tools};
use super::colour;
use super::crop::{self, Window};
use super::erase::{self, Area};
use super::resample::Request;
use super::writing::Writing;
use crate::recipe::Axis;
use crate::sample::Step;

/// A rendering on its way.
pub(super) struct Run<'a> {
    canvas: &'a mut Canvas,
    size: [usize; 2],
    /// Whether the image is still the loaded one, which no step may write to.
    untouched: bool,
    /// Whether all three planes are the same. Then only the first is there, with room for the
    /// others after it.
    gray: bool,
}

impl<'a> Run<'a> {
    /// Of the loaded image, nothing done yet.
    pub fn new(canvas: &'a mut Canvas) -> Self {
        let [channels, height, width] = canvas.loaded;
        assert!(channels > 0, "an image is loaded before it is rendered");
        Self { canvas, size: [height, width], untouched: true, gray: false }
    }

    /// `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.canvas.loaded[0], self.size[0], self.size[1]]
    }

    /// Carries out all steps.
    pub fn all(&mut self, mut steps: &[Step]) {
        while !steps.is_empty() {
            steps = self.step(steps);
        }
    }

    /// Carries out steps up to those that [`Run::finish`] can do, which are returned. They leave
    /// the shape as it is.
    pub fn all_but_last<'s>(&mut self, steps: &'s [Step]) -> &'s [Step] {
        let end = steps.iter().rposition(|step| !is_identity(step)).map_or(0, |last| last + 1);
        let mut rest = &steps[..end];
        // A second or fourth channel is not changed with the others.
        let opaque = matches!(self.canvas.loaded[0], 1 | 3);
        let is_last = |rest: &[Step]| match rest {
            [] | [Step::Blur { .. }] => true,
            rest => opaque && rest.iter().all(colour::is_pixelwise),
        };
        while !is_last(rest) {
            rest = self.step(rest);
        }
        rest
    }

    /// Carries out the last steps and delivers what they make.
    pub fn finish(mut self, last: &[Step], mut writing: Writing<'_>) {
        let (level, size, channels) = (self.canvas.level, self.size, self.canvas.loaded[0]);
        let pixels = size[0] * size[1];
        match last {
            [] => {
                let gray = self.gray;
                let planes = self.different();
                for channel in 0..channels {
                    let plane = if gray { 0 } else { channel };
                    writing.write(channel, 0, &planes[plane * pixels..][..pixels]);
                }
            }
            [Step::Blur { kernel, sigma }] => {
                let planes = self.plane_count();
                let canvas = &mut *self.canvas;
                let source = if self.untouched { &canvas.image } else { &canvas.front };
                let source = source.get(planes * pixels);
                let blurred = canvas.back.room(pixels);
                canvas.tools.blur.prepare(size, *kernel, *sigma);
                for (channel, source) in source.chunks_exact(pixels).enumerate() {
                    canvas.tools.blur.plane(level, source, blurred);
                    let end = if self.gray { channels } else { channel + 1 };
                    (channel..end).for_each(|channel| writing.write(channel, 0, blurred));
                }
            }
            pixelwise => {
                let gray = self.gray;
                colour::run(level, self.image(), channels, gray, pixelwise, |first, planes| {
                    for channel in 0..channels {
                        writing.write(channel, first, planes.channel(channel));
                    }
                });
            }
        }
        writing.finish();
    }

    /// Intensities, plane after plane.
    pub fn into_planes(mut self) -> &'a [f32] {
        self.expand();
        let len = self.shape().iter().product();
        let canvas = self.canvas;
        let values = if self.untouched { &canvas.image } else { &canvas.front };
        values.get(len)
    }

    /// Carries out the first of `steps`, and what of the others goes with it; the steps left.
    fn step<'s>(&mut self, steps: &'s [Step]) -> &'s [Step] {
        let (step, after) = steps.split_first().expect("at least one step");
        let level = self.canvas.level;
        let channels = self.canvas.loaded[0];
        let size = self.size;
        if colour::is_pixelwise(step) {
            let more = after.iter().take_while(|step| colour::is_pixelwise(step)).count();
            let (run, gray) = (&steps[..=more], self.gray);
            self.gray = colour::run(level, self.image(), channels, gray, run, |_, _| {});
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
            Step::Blur { .. } if is_identity(step) => {}
            Step::Blur { kernel, sigma } => {
                let pixels = size[0] * size[1];
                self.redraw(size, |tools, source, out| {
                    tools.blur.prepare(size, kernel, sigma);
                    let planes = source.chunks_exact(pixels).zip(out.chunks_exact_mut(pixels));
                    planes.for_each(|(source, out)| tools.blur.plane(level, source, out));
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
                self.expand();
                erase::erase(self.image(), size, area, fill);
            }
        }
        after
    }

    /// How many planes there are.
    fn plane_count(&self) -> usize {
        if self.gray { 1 } else { self.canvas.loaded[0] }
    }

    /// The planes that there are.
    fn different(&self) -> &[f32] {
        let values = if self.untouched { &self.canvas.image } else { &self.canvas.front };
        values.get(self.plane_count() * self.size[0] * self.size[1])
    }

    /// Makes all planes of a gray image.
    fn expand(&mut self) {
        if self.gray {
            let pixels = self.size[0] * self.size[1];
            let (first, others) = self.canvas.front.room(3 * pixels).split_at_mut(pixels);
            others.chunks_exact_mut(pixels).for_each(|plane| plane.copy_from_slice(first));
            self.gray = false;
        }
    }

    /// The planes that there are, to be changed in place.
    fn image(&mut self) -> &mut [f32] {
        let len = self.plane_count() * self.size[0] * self.size[1];
        let canvas = &mut *self.canvas;
        let image = canvas.front.room(len);
        if self.untouched {
            image.copy_from_slice(canvas.image.get(len));
            self.untouched = false;
        }
        image
    }

    /// Makes a new image of size `to` from the one that there is, plane by plane.
    fn redraw(&mut self, to: [usize; 2], draw: impl FnOnce(&mut Tools, &[f32], &mut [f32])) {
        assert!(to[0] > 0 && to[1] > 0, "a view has at least one pixel");
        let planes = self.plane_count();
        let canvas = &mut *self.canvas;
        let (from, pixels) = (planes * self.size[0] * self.size[1], to[0] * to[1]);
        let source = if self.untouched { &canvas.image } else { &canvas.front };
        let out = canvas.back.room(canvas.loaded[0] * pixels);
        draw(&mut canvas.tools, source.get(from), &mut out[..planes * pixels]);
        std::mem::swap(&mut canvas.front, &mut canvas.back);
        self.untouched = false;
        self.size = to;
    }
}

/// Whether a step leaves every image as it is, to the bit.
fn is_identity(step: &Step) -> bool {
    matches!(*step, Step::Blur { kernel, sigma } if blur::is_identity(kernel, sigma))
}
