//! How a convolution lies on its images, and images with zeros around them.
//!
//! Everything here is about one image and one group: `[C, H, W]` inside, `[O, H', W']` outside.
//! Framed, an image has rows of `width` and `height` of them, so that every window lies inside. At
//! stride 1, what lies under one place of the kernel is then the framed image itself, read from
//! another first element: no copy is needed for a product with it.

/// The sizes of a convolution, of one group of one image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Channels of the image, and of what comes of it.
    pub inside: usize,
    pub outside: usize,
    /// Height and width of the image, of what comes of it, and of the kernel.
    pub image: [usize; 2],
    pub places: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Zeros before the first row and column.
    pub before: [usize; 2],
}

impl Frame {
    /// Places of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Places of the windows.
    pub fn windows(&self) -> usize {
        self.places[0] * self.places[1]
    }

    /// Height and width of a framed image.
    pub fn framed(&self) -> [usize; 2] {
        let along = |axis: usize| {
            (self.places[axis] - 1) * self.stride[axis]
                + (self.kernel[axis] - 1) * self.dilation[axis]
                + 1
        };
        [along(0), along(1)]
    }

    /// Elements of a framed image.
    pub fn framed_len(&self) -> usize {
        let [height, width] = self.framed();
        self.inside * height * width
    }

    /// Whether an image is framed as it is.
    pub fn is_flush(&self) -> bool {
        self.framed() == self.image && self.before == [0, 0]
    }

    pub fn is_dense(&self) -> bool {
        self.stride == [1, 1]
    }

    /// Elements between the first and the last window of a framed image at stride 1, those between
    /// the rows counted too.
    pub fn span(&self) -> usize {
        (self.places[0] - 1) * self.framed()[1] + self.places[1]
    }

    /// The first element under place `tap` of the kernel.
    pub fn offset(&self, tap: usize) -> usize {
        let (row, column) = (tap / self.kernel[1], tap % self.kernel[1]);
        row * self.dilation[0] * self.framed()[1] + column * self.dilation[1]
    }

    /// Puts `image` into its frame.
    pub fn put(&self, image: &[f32], framed: &mut [f32]) {
        let [height, width] = self.framed();
        framed.fill(0.0);
        // A stride may leave over what no window reaches, at the end.
        let rows = self.image[0].min(height - self.before[0].min(height));
        let columns = self.image[1].min(width - self.before[1].min(width));
        for channel in 0..self.inside {
            for row in 0..rows {
                let from = (channel * self.image[0] + row) * self.image[1];
                let to = (channel * height + row + self.before[0]) * width + self.before[1];
                framed[to..to + columns].copy_from_slice(&image[from..from + columns]);
            }
        }
    }

    /// Takes the image out of its frame.
    pub fn take(&self, framed: &[f32], image: &mut [f32]) {
        let [height, width] = self.framed();
        let rows = self.image[0].min(height - self.before[0].min(height));
        let columns = self.image[1].min(width - self.before[1].min(width));
        for channel in 0..self.inside {
            for row in 0..self.image[0] {
                let to = (channel * self.image[0] + row) * self.image[1];
                let line = &mut image[to..to + self.image[1]];
                if row >= rows {
                    line.fill(0.0);
                    continue;
                }
                let from = (channel * height + row + self.before[0]) * width + self.before[1];
                line[..columns].copy_from_slice(&framed[from..from + columns]);
                line[columns..].fill(0.0);
            }
        }
    }

    /// Rows of `[O, H', W']` as far apart as those of a framed image, with zeros between: `[O, span]`.
    pub fn widen(&self, g: &[f32], wide: &mut [f32]) {
        let (width, span) = (self.framed()[1], self.span());
        wide.fill(0.0);
        for channel in 0..self.outside {
            for row in 0..self.places[0] {
                let from = (channel * self.places[0] + row) * self.places[1];
                let to = channel * span + row * width;
                wide[to..to + self.places[1]].copy_from_slice(&g[from..from + self.places[1]]);
            }
        }
    }

    /// What lies under place `tap` of every window of a framed image: `[C, H' · W']`.
    pub fn gather(&self, framed: &[f32], tap: usize, under: &mut [f32]) {
        let [height, width] = self.framed();
        let first = self.offset(tap);
        let mut lines = under.chunks_exact_mut(self.places[1]);
        for channel in 0..self.inside {
            for row in 0..self.places[0] {
                let Some(line) = lines.next() else { return };
                let from = channel * height * width + first + row * self.stride[0] * width;
                let line_of = framed[from..].iter().step_by(self.stride[1]);
                line.iter_mut().zip(line_of).for_each(|(to, from)| *to = *from);
            }
        }
    }

    /// The other way round: adds `[C, H' · W']` to where it lay under place `tap`.
    pub fn scatter(&self, under: &[f32], tap: usize, framed: &mut [f32]) {
        let [height, width] = self.framed();
        let first = self.offset(tap);
        let mut lines = under.chunks_exact(self.places[1]);
        for channel in 0..self.inside {
            for row in 0..self.places[0] {
                let Some(line) = lines.next() else { return };
                let from = channel * height * width + first + row * self.stride[0] * width;
                let line_of = framed[from..].iter_mut().step_by(self.stride[1]);
                line_of.zip(line).for_each(|(to, from)| *to += *from);
            }
        }
    }
}

/// A matrix: its first element, and how far apart its rows and columns are.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub elements: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    /// Elements from one row to the next, and from one column to the next.
    pub steps: [usize; 2],
}

impl Matrix<'_> {
    fn reach(&self) -> usize {
        match self.rows * self.columns {
            0 => 0,
            _ => (self.rows - 1) * self.steps[0] + (self.columns - 1) * self.steps[1] + 1,
        }
    }
}

/// C ← keep · C + A B. C has rows of `step` elements.
pub(super) fn product(keep: f32, a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32], step: usize) {
    let reach = if a.rows == 0 { 0 } else { (a.rows - 1) * step + b.columns };
    assert!(a.columns == b.rows && a.reach() <= a.elements.len(), "left");
    assert!(b.reach() <= b.elements.len() && reach <= c.len(), "right");
    // SAFETY: every element that is read lies within `reach` of its slice, and every one written
    // within that of `c`, whose rows do not overlap as `step` is at least their length.
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.columns,
            b.columns,
            1.0,
            a.elements.as_ptr(),
            a.steps[0] as isize,
            a.steps[1] as isize,
            b.elements.as_ptr(),
            b.steps[0] as isize,
            b.steps[1] as isize,
            keep,
            c.as_mut_ptr(),
            step as isize,
            1,
        );
    }
}
