//! Planes of an image delivered piece by piece, as they are made.
//!
//! What has just been made is still in the nearest cache, which a whole image may not be.

use super::deliver::Delivery;
use super::simd::Level;
use super::store;
use super::vector::settle;
use crate::recipe::Dtype;

/// One image that is being written, all at once or, where it is [planar](Delivery::is_planar),
/// piece by piece.
pub(super) struct Writing<'a> {
    delivery: &'a Delivery,
    level: Level,
    out: &'a mut [u8],
}

impl<'a> Writing<'a> {
    pub fn new(delivery: &'a Delivery, level: Level, out: &'a mut [u8]) -> Self {
        Self { delivery, level, out }
    }

    /// Writes values of one channel, from pixel `first` on.
    pub fn write(&mut self, channel: usize, first: usize, values: &[f32]) {
        let Self { delivery, level, ref mut out } = *self;
        let past_caches = store::is_large(out.len());
        let (size, format) = (delivery.dtype().size(), delivery.format());
        let begin = channel * format.height * format.width + first;
        let out = &mut out[begin * size..][..values.len() * size];
        let (range, unit) = (delivery.range(), delivery.unit(channel));
        match delivery.dtype() {
            Dtype::U8 => store::bytes(level, values, range, out),
            Dtype::F32 => {
                let out = bytemuck::cast_slice_mut(out);
                store::floats(level, values, range, unit, past_caches, out);
            }
            Dtype::F16 => {
                store::halves(level, values, range, unit, bytemuck::cast_slice_mut(out));
            }
        }
    }

    /// Writes all planes.
    pub fn write_all(self, values: &[f32]) {
        self.delivery.write_planar(self.level, values, self.out);
    }

    /// After the last piece: makes other threads see all of them.
    pub fn finish(self) {
        if self.delivery.dtype() == Dtype::F32 && store::is_large(self.out.len()) {
            settle();
        }
    }
}
