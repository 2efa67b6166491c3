//! The two inner loops of convolutions: products of rows that are read where they lie, without
//! being packed first.
//!
//! Both keep a block of results in registers and go along the rows; multiplications and additions
//! are fused where the processor can, so low bits depend on its family and on nothing else.

use super::frame::LINE;

/// Several `f32` that are computed with at once.
trait Vector: Copy {
    /// How many they are, at most [`LINE`].
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
    /// The sum of all of them, halves first.
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
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64 as arch;

    use super::Vector;

    /// # Safety
    /// The processor has AVX.
    #[inline(always)]
    unsafe fn total_of_eight(x: arch::__m256) -> f32 {
        // SAFETY: by the caller's promise.
        unsafe {
            let four = arch::_mm_add_ps(
                arch::_mm256_castps256_ps128(x),
                arch::_mm256_extractf128_ps::<1>(x),
            );
            let two = arch::_mm_add_ps(four, arch::_mm_movehl_ps(four, four));
            let one = arch::_mm_add_ss(two, arch::_mm_movehdup_ps(two));
            arch::_mm_cvtss_f32(one)
        }
    }

    macro_rules! vector {
        ($name:ident, $inner:ty, $lanes:literal, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident, $total:path) => {
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
                    // SAFETY: by the caller's promise.
                    unsafe { $total(self.0) }
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
        _mm256_add_ps,
        total_of_eight
    );
    vector!(
        Avx512,
        arch::__m512,
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        arch::_mm512_reduce_add_ps
    );
}

/// Rows of weights that are packed together.
pub(super) const ROWS: usize = 8;

/// Vectors of a row that a block of an [`outer`] product has.
const WIDTH: usize = 3;

/// Places, of which the last is known: it is asked for at every product, and they are many.
#[derive(Clone, Copy)]
pub(super) struct Offsets<'a> {
    all: &'a [usize],
    last: usize,
}

impl<'a> Offsets<'a> {
    pub fn of(all: &'a [usize]) -> Self {
        Self { all, last: all.iter().copied().max().unwrap_or(0) }
    }
}

/// What a block of an [`outer`] product is made of.
#[derive(Clone, Copy)]
pub(super) struct Outer<'a> {
    /// For each of `offsets`, the weights of [`ROWS`] rows.
    pub weights: &'a [[f32; ROWS]],
    /// Where what they are multiplied with begins in `source`.
    pub offsets: Offsets<'a>,
    pub source: &'a [f32],
    /// Elements of a row.
    pub span: usize,
}

/// # Safety
/// The processor has V's instructions; every offset and `span` together lie within `source`, and
/// `rows` rows of `span` elements, `step` apart, within `target`.
#[inline(always)]
unsafe fn outer_by<V: Vector, const R: usize, const ADD: bool>(
    of: Outer<'_>,
    target: *mut f32,
    step: usize,
    rows: usize,
) {
    let mut from = 0;
    // As many rows at a time as there are registers for.
    while from < rows {
        let count = R.min(rows - from);
        // SAFETY: these rows are among those that the caller promised.
        unsafe { outer_rows::<V, R, ADD>(of, from, target.add(from * step), step, count) };
        from += R;
    }
}

/// The `rows` rows from `from` on; `target` is where they begin.
///
/// # Safety
/// As [`outer_by`].
#[inline(always)]
unsafe fn outer_rows<V: Vector, const R: usize, const ADD: bool>(
    of: Outer<'_>,
    from: usize,
    target: *mut f32,
    step: usize,
    rows: usize,
) {
    let span = of.span;
    let mut at = 0;
    // SAFETY: every place that is read or written is below `span`, by the caller's promise.
    unsafe {
        loop {
            // Four vectors are better two and two than three and one.
            match (span - at) / V::LANES {
                0 => break,
                1 => outer_part::<V, R, 1, ADD>(of, from, target, step, rows, &mut at),
                2 | 4 => outer_part::<V, R, 2, ADD>(of, from, target, step, rows, &mut at),
                _ => outer_part::<V, R, WIDTH, ADD>(of, from, target, step, rows, &mut at),
            }
        }
        if at < span && span >= V::LANES {
            // The last vector goes over elements that are there already, so that it is a whole one.
            let place = span - V::LANES;
            let block = sums::<V, R, 1>(of, from, place);
            for (r, [sum]) in block.iter().enumerate().take(rows) {
                let mut lanes = [0.0_f32; LINE];
                sum.store(lanes.as_mut_ptr());
                for at in at..span {
                    let (out, sum) = (target.add(r * step + at), lanes[at - place]);
                    *out = if ADD { *out + sum } else { sum };
                }
            }
            at = span;
        }
        for at in at..span {
            for r in 0..rows {
                let products = of.weights.iter().zip(of.offsets.all);
                let sum: f32 =
                    products.map(|(w, offset)| w[from + r] * of.source[offset + at]).sum();
                let out = target.add(r * step + at);
                *out = if ADD { *out + sum } else { sum };
            }
        }
    }
}

/// W vectors of those rows; `at` is where they begin, and then where they end.
///
/// # Safety
/// As [`outer_by`], and the vectors lie below `span`.
#[inline(always)]
unsafe fn outer_part<V: Vector, const R: usize, const W: usize, const ADD: bool>(
    of: Outer<'_>,
    from: usize,
    target: *mut f32,
    step: usize,
    rows: usize,
    at: &mut usize,
) {
    // SAFETY: by the caller's promise.
    unsafe {
        let block = sums::<V, R, W>(of, from, *at);
        for (r, block) in block.iter().enumerate().take(rows) {
            for (part, sum) in block.iter().enumerate() {
                let out = target.add(r * step + *at + part * V::LANES);
                let sum = if ADD { sum.plus(V::load(out)) } else { *sum };
                sum.store(out);
            }
        }
    }
    *at += W * V::LANES;
}

/// The sums of R rows of weights, from row `from` on, for W vectors from `at` on.
///
/// # Safety
/// The processor has V's instructions, and the vectors lie within `source` for every offset.
#[inline(always)]
unsafe fn sums<V: Vector, const R: usize, const W: usize>(
    of: Outer<'_>,
    from: usize,
    at: usize,
) -> [[V; W]; R] {
    let source = of.source.as_ptr();
    // SAFETY: by the caller's promise.
    unsafe {
        let mut block = [[V::splat(0.0); W]; R];
        for (weights, &offset) in of.weights.iter().zip(of.offsets.all) {
            let row = source.add(offset + at);
            let mut vectors = [V::splat(0.0); W];
            for (part, vector) in vectors.iter_mut().enumerate() {
                *vector = V::load(row.add(part * V::LANES));
            }
            for (r, block) in block.iter_mut().enumerate() {
                let weight = V::splat(weights[(from + r) % ROWS]);
                for (sum, vector) in block.iter_mut().zip(vectors) {
                    *sum = weight.times_plus(vector, *sum);
                }
            }
        }
        block
    }
}

/// Rows on either side of a block of [`inner`] products.
pub(super) const LEFT: usize = 4;
pub(super) const RIGHT: usize = 6;

/// A block of sums.
pub(super) type Inner = [[f32; RIGHT]; LEFT];

/// What both sides of [`inner`] may be read beyond their rows: the rest of a vector.
pub(super) const BEYOND: usize = LINE;

/// # Safety
/// The processor has V's instructions, and every row has `len` elements, rounded up to whole vectors.
#[inline(always)]
unsafe fn inner_by<V: Vector, const L: usize>(
    left: [*const f32; LEFT],
    right: [*const f32; RIGHT],
    len: usize,
) -> Inner {
    let mut sums = [[0.0; RIGHT]; LEFT];
    // As many rows at a time as there are registers for.
    for from in (0..LEFT).step_by(L) {
        // SAFETY: every place that is read is below `len`, rounded up, by the caller's promise.
        unsafe {
            let mut block = [[V::splat(0.0); RIGHT]; L];
            for at in (0..len).step_by(V::LANES) {
                let mut rows = [V::splat(0.0); L];
                for (l, row) in rows.iter_mut().enumerate() {
                    *row = V::load(left[(from + l) % LEFT].add(at));
                }
                for r in 0..RIGHT {
                    let x = V::load(right[r].add(at));
                    for l in 0..L {
                        block[l][r] = rows[l].times_plus(x, block[l][r]);
                    }
                }
            }
            for (sums, block) in sums[from..].iter_mut().zip(block) {
                for (sum, vector) in sums.iter_mut().zip(block) {
                    *sum = vector.total();
                }
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
            // With the second, vectors may be in any of the 32 registers whatever comes of them.
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
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
    ($features:literal, $vector:ty, $rows:literal, $left:literal, $outer:ident, $outer_add:ident, $inner:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        unsafe fn $outer(of: Outer<'_>, target: *mut f32, step: usize, rows: usize) {
            // SAFETY: by the caller's promise.
            unsafe { outer_by::<$vector, $rows, false>(of, target, step, rows) }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        unsafe fn $outer_add(of: Outer<'_>, target: *mut f32, step: usize, rows: usize) {
            // SAFETY: by the caller's promise.
            unsafe { outer_by::<$vector, $rows, true>(of, target, step, rows) }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        unsafe fn $inner(
            left: [*const f32; LEFT],
            right: [*const f32; RIGHT],
            len: usize,
        ) -> Inner {
            // SAFETY: by the caller's promise.
            unsafe { inner_by::<$vector, $left>(left, right, len) }
        }
    };
}
compiled!("avx2,fma", x86::Avx2, 4, 2, outer_avx2, outer_add_avx2, inner_avx2);
compiled!("avx512f,avx512vl", x86::Avx512, 8, 4, outer_avx512, outer_add_avx512, inner_avx512);

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
    assert!(of.weights.len() == of.offsets.all.len() && rows <= ROWS, "rows");
    assert!(of.offsets.last + of.span <= of.source.len(), "source");
    assert!(rows == 0 || (rows - 1) * step + of.span <= target.len(), "target");
    let target = target.as_mut_ptr();
    // SAFETY: everything lies within its slice, and `Set::best` found the instructions.
    unsafe {
        match (set, add) {
            (Set::Plain, false) => outer_by::<Plain, 4, false>(of, target, step, rows),
            (Set::Plain, true) => outer_by::<Plain, 4, true>(of, target, step, rows),
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

/// Σ over p of left[l][p] · right[r][p], each row `len` elements from its place in its slice. Both
/// sides are read to the end of the last vector, at most [`BEYOND`] elements further, where one of them must
/// be zeros and the other finite.
///
/// # Panics
/// If a row and what is read beyond it would lie outside of its slice.
pub(super) fn inner(
    set: Set,
    (left, left_at): (&[f32], [usize; LEFT]),
    (right, right_at): (&[f32], [usize; RIGHT]),
    len: usize,
) -> Inner {
    assert!(left_at.iter().all(|at| at + len + BEYOND <= left.len()), "left");
    assert!(right_at.iter().all(|at| at + len + BEYOND <= right.len()), "right");
    // SAFETY: every row lies within its slice, and `Set::best` found the instructions.
    unsafe {
        let left = left_at.map(|at| left.as_ptr().add(at));
        let right = right_at.map(|at| right.as_ptr().add(at));
        match set {
            Set::Plain => inner_by::<Plain, 2>(left, right, len),
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
                let offsets = Offsets::of(&offsets);
                let of = Outer { weights: &weights, offsets, source: &source, span };
                outer(set, of, &mut target, step, rows, add);
                for (at, (found, old)) in target.iter().zip(&before).enumerate() {
                    let (row, place) = (at / step, at % step);
                    if place >= span {
                        prop_assert_eq!(found, old, "between rows");
                        continue;
                    }
                    let products = weights.iter().zip(offsets.all);
                    let sum: f32 = products.map(|(w, offset)| w[row] * source[offset + place]).sum();
                    let expected = if add { old + sum } else { sum };
                    prop_assert!((found - expected).abs() < 1e-4, "{set:?}: {found}, {expected}");
                }
                let places = std::array::from_fn(|r| r * 3);
                // On the left, each row with zeros behind it.
                let left_at: [usize; LEFT] = std::array::from_fn(|l| l * (span + BEYOND));
                let mut left = vec![0.0; LEFT * (span + BEYOND)];
                for at in left_at {
                    left[at..at + span].copy_from_slice(&source[at % 7..][..span]);
                }
                let right = [&source[..], &[9.0; BEYOND]].concat();
                let sums = inner(set, (&left, left_at), (&right, places), span);
                for (l, row) in left_at.into_iter().zip(&sums) {
                    for (r, found) in places.into_iter().zip(row) {
                        let expected: f32 = (0..span).map(|p| left[l + p] * source[r + p]).sum();
                        prop_assert!((found - expected).abs() < 1e-4, "{set:?}: {found}, {expected}");
                    }
                }
            }
        }
    }
}
