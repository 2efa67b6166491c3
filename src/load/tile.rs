//! Delivered images as people look at them.

use std::borrow::Cow;

use super::batch::Images;
use crate::recipe::{Dtype, Layout};
use crate::view::sheet::Tile;

impl Images {
    /// One image for a contact sheet. Floats are shown as the intensities that they are, 0 to 1.
    ///
    /// # Panics
    /// If there is no such sample or view.
    #[must_use]
    pub fn tile(&self, sample: usize, view: usize) -> Tile {
        let [_, _, c, h, w] = self.shape_nchw();
        Tile::new(&self.levels(sample, view), c, h, w, self.layout() == Layout::Nhwc)
    }

    /// One image as bytes.
    fn levels(&self, sample: usize, view: usize) -> Cow<'_, [u8]> {
        let bytes = self.view_bytes(sample, view);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let level = |x: f32| (x.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        match self.dtype() {
            Dtype::U8 => Cow::Borrowed(bytes),
            Dtype::F32 => bytes
                .chunks_exact(4)
                .map(|b| level(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                .collect(),
            Dtype::F16 => bytes
                .chunks_exact(2)
                .map(|b| level(half::f16::from_le_bytes([b[0], b[1]]).to_f32()))
                .collect(),
        }
    }
}
