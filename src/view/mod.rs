//! Images to views: what the generator made becomes what the consumer gets.
//!
//! A [`Canvas`] reads an image in the generator's element type, value range and layout, carries
//! out the steps of a view on it and writes it through a [`Delivery`] in the delivered ones. Where
//! a view has no steps, a delivery alone does it in one pass. Values that no image may have (NaN,
//! infinity) are refused. The room is pure: rows in, bytes out; equal inputs give equal bytes on
//! every machine.

mod affine;
mod blur;
mod canvas;
mod colour;
mod crop;
mod deliver;
mod erase;
mod load;
mod permute;
mod planes;
mod resample;
mod run;
pub mod sheet;
pub(crate) mod simd;
mod slide;
mod store;
mod taps;
pub(crate) mod unpack;
mod vector;
mod writing;

pub use canvas::Canvas;
pub use deliver::{BadValue, Delivery};

/// Makes room for `len` values without giving back what there is.
fn grow(values: &mut Vec<f32>, len: usize) {
    if values.len() < len {
        values.resize(len, 0.0);
    }
}

/// Values that begin at a cache line, so that no vector of a row of whole lines lies across two.
#[derive(Debug, Default)]
struct Lines {
    values: Vec<f32>,
    begin: usize,
}

impl Lines {
    /// Values of a cache line of 64 bytes.
    const LINE: usize = 16;

    /// The first `len` values. What they were is lost where that is more than ever before.
    fn room(&mut self, len: usize) -> &mut [f32] {
        if self.values.len() < self.begin + len {
            self.values = vec![0.0; len + Self::LINE];
            let bytes = size_of::<[f32; Self::LINE]>();
            self.begin = self.values.as_ptr().align_offset(bytes).min(Self::LINE);
        }
        &mut self.values[self.begin..][..len]
    }

    /// The first `len` values, for which there is room already.
    fn get(&self, len: usize) -> &[f32] {
        &self.values[self.begin..][..len]
    }
}

/// `x` cut to `[0, 1]`, NaN to zero. Written as selections, which are one instruction each and,
/// unlike `f32::max`, leave nothing open about the sign of a zero.
#[inline(always)]
fn unit(x: f32) -> f32 {
    let x = if x > 0.0 { x } else { 0.0 };
    if x < 1.0 { x } else { 1.0 }
}
