//! The hot parts of a training step, for the CPU provider: what in standard operators would be many
//! passes over tensors as large as the images of a layer.
//!
//! Each is an operator of its own in the step graph and does exactly what the rule of the `graph`
//! room would otherwise write down in standard ones, up to rounding. Sums have an order of their
//! own, whatever the number of threads.

mod conv;
mod frame;
mod fused;
mod norm;
mod relu;
mod scratch;
#[cfg(test)]
mod tests;

use crate::runtime::Operator;

/// All of them, for a session.
pub(super) const KERNELS: [Operator; 6] =
    [conv::FORWARD, conv::IMAGE, conv::WEIGHT, norm::FORWARD, norm::BACKWARD, relu::BACKWARD];

/// Numbers that several threads write, each its own.
#[derive(Clone, Copy)]
struct Shared(*mut f32, usize);

// SAFETY: threads only reach elements through `part`, whose callers give each thread its own.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn of(elements: &mut [f32]) -> Self {
        Self(elements.as_mut_ptr(), elements.len())
    }

    /// Elements `from..from + len`.
    ///
    /// # Safety
    /// No other thread may use them while the slice lives.
    #[allow(clippy::mut_from_ref)]
    unsafe fn part(&self, from: usize, len: usize) -> &mut [f32] {
        assert!(from <= self.1 && len <= self.1 - from, "inside");
        // SAFETY: inside, and nobody else's by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(from), len) }
    }
}
