//! How a convolution lies on its images, and images laid out so that it can read them as they lie.
//!
//! Framed, images have zeros around them and are parted by the stride: every `stride`th pixel of
//! every `stride`th row is one plane. What lies under one place of the kernel, window by window, is
//! then a run of one plane, read from another first element: no product needs a copy of its own. Runs
//! go on from one row to the next and from one image to the next; what lies between is multiplied by
//! zeros, or never looked at. At stride 1 the zeros behind a row are those before the next one, and
//! those below an image those above the next.

/// The sizes of a convolution, of one group, and how many images are framed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Channels of the images, and of what comes of them.
    pub inside: usize,
    pub outside: usize,
    /// Height and width of an image, of what comes of it, and of the kernel.
    pub image: [usize; 2],
    pub places: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Zeros before the first row and column.
    pub before: [usize; 2],
    /// Images framed together.
    pub many: usize,
}

/// Elements that framed images and what comes of them may have together: a mebibyte.
const TOGETHER: usize = 1 << 18;

/// Parts that all images should be divided into, at least, so that threads have something to do.
const SPREAD: usize = 16;

/// Channels and columns that are turned at a time.
const FEW: usize = 8;

/// Elements of a cache line.
pub(super) const LINE: usize = 16;

impl Frame {
    /// The same for as many of `images` together as fit a cache.
    pub fn for_images(self, images: usize) -> Self {
        let one = self.phases() * self.plane() * self.inside + self.plane() * self.outside;
        let many = (TOGETHER / one.max(1)).clamp(1, images.div_ceil(SPREAD).max(1));
        Self { many, ..self }
    }

    /// The convolution that the gradient goes back through, where it is one: at stride 1, with no
    /// more padding than the kernel reaches.
    pub fn turned(&self) -> Option<Self> {
        let behind = |axis: usize| self.reach(axis).checked_sub(self.before[axis]);
        let before = [behind(0)?, behind(1)?];
        (self.stride == [1, 1]).then_some(Self {
            inside: self.outside,
            outside: self.inside,
            image: self.places,
            places: self.image,
            before,
            ..*self
        })
    }

    /// Places of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Weights of one channel of what comes of the images: for each of their channels, the places
    /// of the kernel.
    pub fn columns(&self) -> usize {
        self.inside * self.taps()
    }

    /// Elements of an image.
    pub fn image_len(&self) -> usize {
        self.inside * self.image[0] * self.image[1]
    }

    /// Elements of what comes of one.
    pub fn made_len(&self) -> usize {
        self.outside * self.places[0] * self.places[1]
    }

    /// Where what each of [`Frame::columns`] is multiplied with begins in framed images.
    pub fn under(&self) -> Vec<usize> {
        let one = |column: usize| {
            column / self.taps() * self.channel() + self.offset(column % self.taps())
        };
        (0..self.columns()).map(one).collect()
    }

    fn phases(&self) -> usize {
        self.stride[0] * self.stride[1]
    }

    /// Height and width of one plane of one image.
    fn plane_sizes(&self) -> [usize; 2] {
        let along = |axis: usize| {
            let (places, before) = (self.places[axis], self.before[axis]);
            if self.stride == [1, 1] {
                let zeros_shared = (places + self.reach(axis)).saturating_sub(before);
                return zeros_shared.max(before + self.image[axis]).max(places);
            }
            places + self.reach(axis) / self.stride[axis]
        };
        [along(0), along(1)]
    }

    /// How far the kernel goes beyond its first place.
    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis]
    }

    fn plane(&self) -> usize {
        let [height, width] = self.plane_sizes();
        height * width
    }

    /// Elements from one channel of the framed images to the next.
    pub fn channel(&self) -> usize {
        self.phases() * self.many * self.plane()
    }

    /// Elements of the framed images, with zeros behind the last for windows that reach beyond it.
    pub fn framed_len(&self) -> usize {
        self.inside * self.channel() + self.beyond()
    }

    /// The same for images with the channels of a place together.
    pub fn turned_len(&self) -> usize {
        self.inside * (self.channel() + self.beyond())
    }

    /// Places of a channel that are read behind its last.
    fn beyond(&self) -> usize {
        let [_, width] = self.plane_sizes();
        (self.reach(0) + 1) * width + self.reach(1)
    }

    /// Elements from one row of what comes of the images to the next: whole cache lines, and one more
    /// that no row reaches, so that rows can be read in whole vectors.
    pub fn wide(&self) -> usize {
        (self.many * self.plane()).next_multiple_of(LINE) + LINE
    }

    /// Elements of `images` images, from the first window to the last.
    pub fn span(&self, images: usize) -> usize {
        let [_, width] = self.plane_sizes();
        (images - 1) * self.plane() + (self.places[0] - 1) * width + self.places[1]
    }

    /// Where what lies under place `tap` of the kernel begins, in a channel.
    pub fn offset(&self, tap: usize) -> usize {
        let at = [tap / self.kernel[1] * self.dilation[0], tap % self.kernel[1] * self.dilation[1]];
        let phase = at[0] % self.stride[0] * self.stride[1] + at[1] % self.stride[1];
        let [_, width] = self.plane_sizes();
        phase * self.many * self.plane() + at[0] / self.stride[0] * width + at[1] / self.stride[1]
    }

    /// For every row of pixels: `each(channel, row, first element, step)`, where its pixels go from
    /// column `from` on. A row whose pixels are in several planes comes once for each.
    fn rows(&self, number: usize, mut each: impl FnMut(usize, usize, usize, usize)) {
        let [height, width] = self.plane_sizes();
        let plane_len = height * width;
        for channel in 0..self.inside {
            for row in 0..self.image[0] {
                let framed = row + self.before[0];
                let (phase, line) = (framed % self.stride[0], framed / self.stride[0]);
                // A stride may leave over rows that no window reaches.
                if line >= height {
                    continue;
                }
                for column in 0..self.stride[1].min(self.image[1]) {
                    let framed = column + self.before[1];
                    let plane = phase * self.stride[1] + framed % self.stride[1];
                    let first = framed / self.stride[1];
                    let place = (channel * self.phases() + plane) * self.many + number;
                    let at = place * plane_len + line * width;
                    let pixel = (channel * self.image[0] + row) * self.image[1] + column;
                    if first < width {
                        each(pixel, at + first, width - first, column);
                    }
                }
            }
        }
    }

    /// Puts an image, `[C, H, W]`, into its frame as number `number`. The frame is of zeros.
    pub fn put(&self, image: &[f32], number: usize, framed: &mut [f32]) {
        self.rows(number, |pixel, at, room, column| {
            let count = (self.image[1] - column).div_ceil(self.stride[1]).min(room);
            let from = &image[pixel..];
            let to = &mut framed[at..at + count];
            if self.stride[1] == 1 {
                to.copy_from_slice(&from[..count]);
            } else {
                let from = from.iter().step_by(self.stride[1]);
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// As [`Frame::put`], with the channels of a place together: `[place, C]`. Channels and columns are taken
    /// a few at a time, so that what is read and what is written stay in the nearest cache.
    pub fn put_turned(&self, image: &[f32], number: usize, framed: &mut [f32]) {
        let (inside, step) = (self.inside, self.stride[1]);
        let pixels = self.image[0] * self.image[1];
        let one = Self { inside: 1, ..*self };
        one.rows(number, |pixel, at, room, column| {
            let count = (self.image[1] - column).div_ceil(step).min(room);
            for first in (0..inside).step_by(FEW) {
                for from in (0..count).step_by(FEW) {
                    for channel in first..inside.min(first + FEW) {
                        let line = &image[channel * pixels + pixel..];
                        for place in from..count.min(from + FEW) {
                            framed[(at + place) * inside + channel] = line[place * step];
                        }
                    }
                }
            }
        });
    }

    /// Where the windows of image `number` begin, among the places of framed images.
    pub fn windows(&self, number: usize) -> impl Iterator<Item = usize> {
        let [_, width] = self.plane_sizes();
        let (rows, columns) = (self.places[0], self.places[1]);
        let first = number * self.plane();
        (0..rows).flat_map(move |row| (0..columns).map(move |column| first + row * width + column))
    }

    /// Takes an image out of its frame. What no window reaches is zeros.
    pub fn take(&self, framed: &[f32], number: usize, image: &mut [f32]) {
        image.fill(0.0);
        self.rows(number, |pixel, at, room, column| {
            let count = (self.image[1] - column).div_ceil(self.stride[1]).min(room);
            let from = &framed[at..at + count];
            let to = &mut image[pixel..];
            if self.stride[1] == 1 {
                to[..count].copy_from_slice(from);
            } else {
                let to = to.iter_mut().step_by(self.stride[1]);
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Puts what comes of an image, `[O, H', W']`, into rows as those of the framed images.
    pub fn widen(&self, made: &[f32], number: usize, wide: &mut [f32]) {
        let [_, width] = self.plane_sizes();
        let (step, first) = (self.wide(), number * self.plane());
        for (row, line) in made.chunks_exact(self.places[1]).enumerate() {
            let (channel, row) = (row / self.places[0], row % self.places[0]);
            let at = channel * step + first + row * width;
            wide[at..at + self.places[1]].copy_from_slice(line);
        }
    }

    /// The other way round.
    pub fn narrow(&self, wide: &[f32], number: usize, made: &mut [f32]) {
        let [_, width] = self.plane_sizes();
        let (step, first) = (self.wide(), number * self.plane());
        for (row, line) in made.chunks_exact_mut(self.places[1]).enumerate() {
            let (channel, row) = (row / self.places[0], row % self.places[0]);
            let at = channel * step + first + row * width;
            line.copy_from_slice(&wide[at..at + self.places[1]]);
        }
    }
}
