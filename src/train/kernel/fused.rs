//! The two inner loops of convolutions: products of rows that are read where they lie, without
//! being packed first.
//!
//! Both keep a block of results in registers and go along the rows; multiplications and additions
//! are fused where the processor can, so low bits depend on its family and on nothing else.

/// Several `f32` that are computed with at once.
trait Vector: Copy {
    /// How many they are.
    const LANES: usize;
    /// # Safety
    /// The processor has the instructions, and `LANES` elements are at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// As [`Vector::load`], to be written.
    unsafe fn store(self, to: *mut f32);
    /// # Safety
    /// The processor has the instructions.
    unsafe fn splat(value: f32) -> Self;
    /// self · b + c.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn times_plus(self, b: Self, c: Self) -> Self;
    /// # Safety
    /// The processor has the instructions.
    unsafe fn plus(self, b: Self) -> Self;
    /// The sum of all of them.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn total(self) -> f32;
}

/// Of any processor.
#[derive(Clone, Copy)]
struct Plain([f32; 4]);

impl Vector for Plain {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: by the caller's promise.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: by the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    unsafe fn times_plus(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] * b.0[lane] + c.0[lane]))
    }
    #[inline(always)]
    unsafe fn plus(self, b: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] + b.0[lane]))
    }
    #[inline(always)]
    unsafe fn total(self) -> f32 {
        self.0.iter().sum()
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64 as arch;

    use super::Vector;

    macro_rules! vector {
        ($name:ident, $inner:ty, $lanes:literal, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident) => {
            #[derive(Clone, Copy)]
            pub struct $name($inner);

            impl Vector for $name {
                const LANES: usize = $lanes;
                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: by the caller's promise.
                    Self(unsafe { arch::$load(from) })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: by the caller's promise.
                    unsafe { arch::$store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn splat(value: f32) -> Self {
                    // SAFETY: by the caller's promise.
                    Self(unsafe { arch::$splat(value) })
                }
                #[inline(always)]
                unsafe fn times_plus(self, b: Self, c: Self) -> Self {
                    // SAFETY: by the caller's promise.
                    Self(unsafe { arch::$fma(self.0, b.0, c.0) })
                }
                #[inline(always)]
                unsafe fn plus(self, b: Self) -> Self {
                    // SAFETY: by the caller's promise.
                    Self(unsafe { arch::$add(self.0, b.0) })
                }
                #[inline(always)]
                unsafe fn total(self) -> f32 {
                    let mut lanes = [0.0_f32; $lanes];
                    // SAFETY: there is room for all of them.
                    unsafe { self.store(lanes.as_mut_ptr()) };
                    lanes.iter().sum()
                }
            }
        };
    }

    vector!(
        Avx2,
        arch::__m256,
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps
    );
    vector!(
        Avx512,
        arch::__m512,
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps
    );
}

/// Rows of weights that a block of an [`outer`] product has.
pub(super) const ROWS: usize = 6;

/// What a block of an [`outer`] product is made of.
#[derive(Clone, Copy)]
pub(super) struct Outer<'a> {
    /// For each of `offsets`, the weights of [`ROWS`] rows.
    pub weights: &'a [[f32; ROWS]],
    /// Where what they are multiplied with begins in `source`.
    pub offsets: &'a [usize],
    pub source: &'a [f32],
    /// Elements of a row.
    pub span: usize,
}

/// # Safety
/// The processor has V's instructions; every offset and `span` together lie within `source`, and
/// `rows` rows of `span` elements, `step` apart, within `target`.
#[inline(always)]
unsafe fn outer_by<V: Vector, const ADD: bool>(
    of: Outer<'_>,
    target: *mut f32,
    step: usize,
    rows: usize,
) {
    let Outer { weights, offsets, source, span } = of;
    let source = source.as_ptr();
    let mut at = 0;
    // SAFETY: every place that is read or written is below `span`, by the caller's promise.
    unsafe {
        while at + 2 * V::LANES <= span {
            let mut block = [[V::splat(0.0); 2]; ROWS];
            for (weights, &offset) in weights.iter().zip(offsets) {
                let row = source.add(offset + at);
                let row = [V::load(row), V::load(row.add(V::LANES))];
                for (block, &weight) in block.iter_mut().zip(weights) {
                    let weight = V::splat(weight);
                    block[0] = weight.times_plus(row[0], block[0]);
                    block[1] = weight.times_plus(row[1], block[1]);
                }
            }
            for (r, block) in block.iter().enumerate().take(rows) {
                for (half, sum) in block.iter().enumerate() {
                    let out = target.add(r * step + at + half * V::LANES);
                    let sum = if ADD { sum.plus(V::load(out)) } else { *sum };
                    sum.store(out);
                }
            }
            at += 2 * V::LANES;
        }
        while at < span {
            let mut block = [0.0_f32; ROWS];
            for (weights, &offset) in weights.iter().zip(offsets) {
                let x = *source.add(offset + at);
                for (sum, &weight) in block.iter_mut().zip(weights) {
                    *sum += weight * x;
                }
            }
            for (r, sum) in block.iter().enumerate().take(rows) {
                let out = target.add(r * step + at);
                *out = if ADD { *out + sum } else { *sum };
            }
            at += 1;
        }
    }
}

/// Rows on either side of a block of [`inner`] products.
pub(super) const LEFT: usize = 3;
pub(super) const RIGHT: usize = 4;

/// A block of sums.
pub(super) type Inner = [[f32; RIGHT]; LEFT];

/// # Safety
/// The processor has V's instructions, and every row has `len` elements.
#[inline(always)]
unsafe fn inner_by<V: Vector>(
    left: [*const f32; LEFT],
    right: [*const f32; RIGHT],
    len: usize,
) -> Inner {
    let mut at = 0;
    let mut sums = [[0.0; RIGHT]; LEFT];
    // SAFETY: every place that is read is below `len`, by the caller's promise.
    unsafe {
        let mut block = [[V::splat(0.0); RIGHT]; LEFT];
        while at + V::LANES <= len {
            let left = left.map(|row| V::load(row.add(at)));
            for r in 0..RIGHT {
                let x = V::load(right[r].add(at));
                for l in 0..LEFT {
                    block[l][r] = left[l].times_plus(x, block[l][r]);
                }
            }
            at += V::LANES;
        }
        for l in 0..LEFT {
            for r in 0..RIGHT {
                let mut sum = block[l][r].total();
                for place in at..len {
                    sum += *left[l].add(place) * *right[r].add(place);
                }
                sums[l][r] = sum;
            }
        }
    }
    sums
}

/// Which loops this processor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Set {
    /// The best that there is.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Plain
    }
}

macro_rules! compiled {
    ($features:literal, $vector:ty, $outer:ident, $outer_add:ident, $inner:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        unsafe fn $outer(of: Outer<'_>, target: *mut f32, step: usize, rows: usize) {
            // SAFETY: by the caller's promise.
            unsafe { outer_by::<$vector, false>(of, target, step, rows) }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        unsafe fn $outer_add(of: Outer<'_>, target: *mut f32, step: usize, rows: usize) {
            // SAFETY: by the caller's promise.
            unsafe { outer_by::<$vector, true>(of, target, step, rows) }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        unsafe fn $inner(
            left: [*const f32; LEFT],
            right: [*const f32; RIGHT],
            len: usize,
        ) -> Inner {
            // SAFETY: by the caller's promise.
            unsafe { inner_by::<$vector>(left, right, len) }
        }
    };
}
compiled!("avx2,fma", x86::Avx2, outer_avx2, outer_add_avx2, inner_avx2);
compiled!("avx512f", x86::Avx512, outer_avx512, outer_add_avx512, inner_avx512);

/// Σ over k of weights[k][r] · source[offsets[k] + p], for p below `span`, into `rows` rows of
/// `target` that are `step` apart; added to what is there if `add`.
///
/// # Panics
/// If anything would lie outside of its slice.
pub(super) fn outer(
    set: Set,
    of: Outer<'_>,
    target: &mut [f32],
    step: usize,
    rows: usize,
    add: bool,
) {
    assert!(of.weights.len() == of.offsets.len() && rows <= ROWS, "rows");
    let last = of.offsets.iter().copied().max().unwrap_or(0);
    assert!(last + of.span <= of.source.len(), "source");
    assert!(rows == 0 || (rows - 1) * step + of.span <= target.len(), "target");
    let target = target.as_mut_ptr();
    // SAFETY: everything lies within its slice, and `Set::best` found the instructions.
    unsafe {
        match (set, add) {
            (Set::Plain, false) => outer_by::<Plain, false>(of, target, step, rows),
            (Set::Plain, true) => outer_by::<Plain, true>(of, target, step, rows),
            #[cfg(target_arch = "x86_64")]
            (Set::Avx2, false) => outer_avx2(of, target, step, rows),
            #[cfg(target_arch = "x86_64")]
            (Set::Avx2, true) => outer_add_avx2(of, target, step, rows),
            #[cfg(target_arch = "x86_64")]
            (Set::Avx512, false) => outer_avx512(of, target, step, rows),
            #[cfg(target_arch = "x86_64")]
            (Set::Avx512, true) => outer_add_avx512(of, target, step, rows),
        }
    }
}

/// Σ over p of left[l][p] · right[r][p], each row `len` elements from its place in its slice.
///
/// # Panics
/// If a row would lie outside of its slice.
pub(super) fn inner(
    set: Set,
    (left, left_at): (&[f32], [usize; LEFT]),
    (right, right_at): (&[f32], [usize; RIGHT]),
    len: usize,
) -> Inner {
    assert!(left_at.iter().all(|at| at + len <= left.len()), "left");
    assert!(right_at.iter().all(|at| at + len <= right.len()), "right");
    // SAFETY: every row lies within its slice, and `Set::best` found the instructions.
    unsafe {
        let left = left_at.map(|at| left.as_ptr().add(at));
        let right = right_at.map(|at| right.as_ptr().add(at));
        match set {
            Set::Plain => inner_by::<Plain>(left, right, len),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => inner_avx2(left, right, len),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => inner_avx512(left, right, len),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 37 + seed * 101) % 97) as f32 / 50.0 - 1.0).collect()
    }

    proptest! {
        /// Any set gives what single elements give.
        #[test]
        fn blocks_are_sums_of_products(
            span in 1..70_usize,
            count in 1..9_usize,
            rows in 1..=ROWS,
            add in any::<bool>(),
        ) {
            let source = numbers(span + 20, 1);
            let weights: Vec<[f32; ROWS]> =
                (0..count).map(|k| std::array::from_fn(|r| ((k * 7 + r * 3) % 5) as f32 - 2.0)).collect();
            let offsets: Vec<usize> = (0..count).map(|k| k * 5 % 20).collect();
            let step = span + 3;
            let before = numbers(rows * step, 2);
            for set in [Set::Plain, Set::best()] {
                let mut target = before.clone();
                let of = Outer { weights: &weights, offsets: &offsets, source: &source, span };
                outer(set, of, &mut target, step, rows, add);
                for (at, (found, old)) in target.iter().zip(&before).enumerate() {
                    let (row, place) = (at / step, at % step);
                    if place >= span {
                        prop_assert_eq!(found, old, "between rows");
                        continue;
                    }
                    let products = weights.iter().zip(&offsets);
                    let sum: f32 = products.map(|(w, offset)| w[row] * source[offset + place]).sum();
                    let expected = if add { old + sum } else { sum };
                    prop_assert!((found - expected).abs() < 1e-4, "{set:?}: {found}, {expected}");
                }
                let places = std::array::from_fn(|r| r * 4);
                let sums = inner(set, (&source, [3, 0, 7]), (&source, places), span);
                for (l, row) in [3, 0, 7].into_iter().zip(&sums) {
                    for (r, found) in places.into_iter().zip(row) {
                        let expected: f32 = (0..span).map(|p| source[l + p] * source[r + p]).sum();
                        prop_assert!((found - expected).abs() < 1e-4, "{set:?}: {found}, {expected}");
                    }
                }
            }
        }
    }
}
