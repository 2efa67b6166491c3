//! How a convolution lies on its images, and images laid out so that it can read them as they lie.
//!
//! Framed, images have zeros around them and are parted by the stride: every `stride`th pixel of
//! every `stride`th row is one plane. What lies under one place of the kernel, window by window, is
//! then a run of one plane, read from another first element: no product needs a copy of its own. Runs
//! go on from one row to the next and from one image to the next; what lies between is multiplied by
//! zeros, or never looked at.

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
        let reach = |axis: usize| (self.kernel[axis] - 1) * self.dilation[axis];
        let before = [reach(0).checked_sub(self.before[0])?, reach(1).checked_sub(self.before[1])?];
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
            let reach = (self.kernel[axis] - 1) * self.dilation[axis];
            self.places[axis] + reach / self.stride[axis]
        };
        [along(0), along(1)]
    }

    fn plane(&self) -> usize {
        let [height, width] = self.plane_sizes();
        height * width
    }

    /// Elements from one channel of the framed images to the next.
    pub fn channel(&self) -> usize {
        self.phases() * self.many * self.plane()
    }

    /// Elements of the framed images.
    pub fn framed_len(&self) -> usize {
        self.inside * self.channel()
    }

    /// Elements from one row of what comes of the images to the next.
    pub fn wide(&self) -> usize {
        self.many * self.plane()
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
                    let at = channel * self.channel()
                        + (plane * self.many + number) * self.plane()
                        + line * width;
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
        for (row, line) in made.chunks_exact(self.places[1]).enumerate() {
            let (channel, row) = (row / self.places[0], row % self.places[0]);
            let at = channel * self.wide() + number * self.plane() + row * width;
            wide[at..at + self.places[1]].copy_from_slice(line);
        }
    }

    /// The other way round.
    pub fn narrow(&self, wide: &[f32], number: usize, made: &mut [f32]) {
        let [_, width] = self.plane_sizes();
        for (row, line) in made.chunks_exact_mut(self.places[1]).enumerate() {
            let (channel, row) = (row / self.places[0], row % self.places[0]);
            let at = channel * self.wide() + number * self.plane() + row * width;
            line.copy_from_slice(&wide[at..at + self.places[1]]);
        }
    }
}
