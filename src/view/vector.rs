//! Vectors of values by name, for sums of many terms: the compiler does not keep those of plain
//! loops in registers.
//!
//! All operations round as those of `f32` do, so vectors of any width give the same bits.

/// Neighbouring values.
///
/// # Safety
/// Methods may only be called where the machine has the instructions of the type, inside of a
/// function that is compiled for them.
pub(super) trait Vector: Copy {
    /// How many.
    const LANES: usize;

    /// # Safety
    /// There are so many values at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// There are so many places at `to`.
    unsafe fn store(self, to: *mut f32);
    /// A [store](Self::store) past the caches, where there is one.
    ///
    /// # Safety
    /// There are so many places at `to`, which is a multiple of the vector's size, and the thread
    /// [settles](settle) them before it lets others see them.
    unsafe fn stream(self, to: *mut f32);
    unsafe fn all(x: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// As [`super::unit`].
    unsafe fn unit(self) -> Self;
}

/// Waits until all [streams](Vector::stream) of this thread are where other threads see them.
pub(super) fn settle() {
    // SAFETY: every x86-64 machine has the instruction.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// What the compiler makes of it on any machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain([f32; 8]);

impl Plain {
    #[inline(always)]
    fn map(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Plain {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller says that there are so many.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller says that there are so many.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) };
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { self.store(to) };
    }

    #[inline(always)]
    unsafe fn all(x: f32) -> Self {
        Self([x; 8])
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.map(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.map(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn unit(self) -> Self {
        self.map(self, |x, _| super::unit(x))
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! vector {
    ($type:ty, $lanes:literal, $load:ident, $store:ident, $stream:ident, $all:ident, $add:ident, $mul:ident, $max:ident, $min:ident) => {
        impl Vector for $type {
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: instructions and values are there, says the caller.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: as above.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn stream(self, to: *mut f32) {
                // SAFETY: as above.
                unsafe { $stream(to, self) }
            }

            #[inline(always)]
            unsafe fn all(x: f32) -> Self {
                // SAFETY: as above.
                unsafe { $all(x) }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { $mul(self, other) }
            }

            #[inline(always)]
            unsafe fn unit(self) -> Self {
                // SAFETY: as above.
                unsafe { $min($max(self, $all(0.0)), $all(1.0)) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    vector!(
        __m256,
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_stream_ps,
        _mm256_set1_ps,
        _mm256_add_ps,
        _mm256_mul_ps,
        _mm256_max_ps,
        _mm256_min_ps
    );
    vector!(
        __m512,
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_stream_ps,
        _mm512_set1_ps,
        _mm512_add_ps,
        _mm512_mul_ps,
        _mm512_max_ps,
        _mm512_min_ps
    );
}
