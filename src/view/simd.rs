//! The same plain Rust, compiled for several instruction sets and chosen at run time.
//!
//! A kernel is written once, as loops that the compiler vectorises. Wider vectors change how many
//! pixels are done at a time and never how one is computed: products and sums are not contracted
//! (Rust does not), and reductions have a fixed number of accumulators. So every set gives the
//! same bits.

/// An instruction set. A value is proof that this machine has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(Set);

/// The sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// What every machine of the target has: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 as in x86-64-v4.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The widest that this machine has.
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self(Set::Baseline))
    }

    /// All that this machine has, narrowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let mut sets = [Some(Set::Baseline), None, None];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            sets[1] = avx2.then_some(Set::Avx2);
            sets[2] = avx512.then_some(Set::Avx512);
        }
        sets.into_iter().flatten().map(Self)
    }

    pub fn set(self) -> Set {
        self.0
    }
}

/// Defines a function that takes a [`Level`] before its own arguments and runs the body compiled
/// for it.
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name(level: $crate::view::simd::Level, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn baseline($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                baseline($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                baseline($($arg),*)
            }

            match level.set() {
                $crate::view::simd::Set::Baseline => baseline($($arg),*),
                // SAFETY: a `Level` is only made where the machine has its instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::view::simd::Set::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::view::simd::Set::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    };
}
pub(crate) use kernel;

/// Defines a function that takes a [`Level`] before its own arguments and runs a function that is
/// generic over its [`Vector`](super::vector::Vector), compiled for the level's.
macro_rules! vector_kernel {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $generic:ident
    ) => {
        $(#[$meta])*
        $vis fn $name(level: $crate::view::simd::Level, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $ty),*) {
                // SAFETY: this is compiled for the vector's instructions.
                unsafe { $generic::<std::arch::x86_64::__m256>($($arg),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $ty),*) {
                // SAFETY: as above.
                unsafe { $generic::<std::arch::x86_64::__m512>($($arg),*) }
            }

            match level.set() {
                // SAFETY: plain vectors need nothing.
                $crate::view::simd::Set::Baseline => unsafe {
                    $generic::<$crate::view::vector::Plain>($($arg),*)
                },
                // SAFETY: a `Level` is only made where the machine has its instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::view::simd::Set::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::view::simd::Set::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    };
}
pub(super) use vector_kernel;
