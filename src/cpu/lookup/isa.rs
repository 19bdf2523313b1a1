//! Instruction sets: what is compiled for each, and the few instructions that plain loops do not become.

#![allow(
    unsafe_code,
    reason = "code for an instruction set that the build's target need not have, called where it was found"
)]

use super::super::lanes::{LANES, Lanes, flush, from_half_bits};

/// An instruction set; a value of it exists only where the machine has it.
pub(super) trait Isa: Copy {
    /// Groups of sixteen columns whose sums the registers hold.
    const GROUPS: usize;

    /// Codes of so many bits at most are looked up in a table of a row's values faster than they are computed.
    const PICKED_BITS: usize;

    /// Runs a task as compiled for the instruction set.
    fn run<T: Task>(self, task: T) -> T::Output;

    /// Two f16, the first in the low half.
    fn pair(self, word: u32) -> [f32; 2];

    /// Two f32, subnormal ones as zeros.
    fn normal(self, words: [u32; 2]) -> [f32; 2];

    /// Sixteen f16.
    fn halves(self, bits: &[u16; LANES]) -> Lanes;

    /// Entry `codes[i]` of a table for every lane `i`, which repeats after `2^BITS` entries: only so many low
    /// bits of a code count, at most 4.
    fn pick<const BITS: usize>(self, table: &Lanes, codes: &[i32; LANES]) -> Lanes;
}

/// What an instruction set runs. Everything that it calls is inlined into it, or is compiled for the baseline.
pub(super) trait Task {
    type Output;

    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

/// What the build's target has: SSE2 on x86-64, NEON on aarch64.
#[derive(Clone, Copy, Debug)]
pub(super) struct Baseline;

impl Isa for Baseline {
    const GROUPS: usize = if cfg!(target_arch = "aarch64") { 4 } else { 2 };
    const PICKED_BITS: usize = 0;

    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }

    #[inline(always)]
    fn pair(self, word: u32) -> [f32; 2] {
        [word as u16, (word >> 16) as u16].map(from_half_bits)
    }

    #[inline(always)]
    fn normal(self, words: [u32; 2]) -> [f32; 2] {
        words.map(
            #[inline(always)]
            |word| flush(f32::from_bits(word)),
        )
    }

    #[inline(always)]
    fn halves(self, bits: &[u16; LANES]) -> Lanes {
        Lanes::new(
            #[inline(always)]
            |lane| from_half_bits(bits[lane]),
        )
    }

    #[inline(always)]
    fn pick<const BITS: usize>(self, table: &Lanes, codes: &[i32; LANES]) -> Lanes {
        Lanes::new(
            #[inline(always)]
            |lane| table[codes[lane] as usize % LANES],
        )
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    use super::{Isa, LANES, Lanes, Task};

    /// AVX2 and F16C.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Avx2(());

    impl Avx2 {
        /// `None` where the machine lacks it.
        #[inline]
        pub(in super::super) fn find() -> Option<Self> {
            // All that `enter` enables.
            let found = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("f16c");
            found.then_some(Self(()))
        }

        /// Eight of sixteen entries.
        ///
        /// # Safety
        /// The machine has AVX2.
        #[inline(always)]
        unsafe fn pick8<const BITS: usize>(tables: [__m256; 2], codes: __m256i) -> __m256 {
            // SAFETY: the caller's word; no memory is touched.
            unsafe {
                let low = _mm256_permutevar8x32_ps(tables[0], codes);
                if BITS < 4 {
                    return low;
                }
                let high = _mm256_permutevar8x32_ps(tables[1], codes);
                // Bit 3 of the code goes to the sign, by which the blend chooses.
                let is_high = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(codes));
                _mm256_blendv_ps(low, high, is_high)
            }
        }
    }

    /// The two f16 of a word.
    ///
    /// # Safety
    /// The machine has F16C.
    #[inline(always)]
    unsafe fn pair(word: u32) -> [f32; 2] {
        // SAFETY: the caller's word; an array of four floats has a vector's size.
        unsafe {
            let both = _mm_cvtph_ps(_mm_cvtsi32_si128(word as i32));
            let [scale, bias, ..] = transmute::<__m128, [f32; 4]>(both);
            [scale, bias]
        }
    }

    /// Two f32, subnormal ones as zeros.
    ///
    /// # Safety
    /// The machine has AVX.
    #[inline(always)]
    unsafe fn normal([low, high]: [u32; 2]) -> [f32; 2] {
        // SAFETY: the caller's word; an array of four floats has a vector's size.
        unsafe {
            let words = i64::from(low) | i64::from(high) << 32;
            let both = _mm_castsi128_ps(_mm_cvtsi64_si128(words));
            let magnitudes = _mm_andnot_ps(_mm_set1_ps(-0.0), both);
            // NaN is no less.
            let kept = _mm_cmpnlt_ps(magnitudes, _mm_set1_ps(f32::MIN_POSITIVE));
            let [low, high, ..] = transmute::<__m128, [f32; 4]>(_mm_and_ps(both, kept));
            [low, high]
        }
    }

    impl Isa for Avx2 {
        const GROUPS: usize = 4;
        const PICKED_BITS: usize = 3;

        #[inline(always)]
        fn run<T: Task>(self, task: T) -> T::Output {
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,f16c")]
            fn enter<T: Task>(isa: Avx2, task: T) -> T::Output {
                task.run(isa)
            }
            // SAFETY: a value of this type exists only where the features were found.
            unsafe { enter(self, task) }
        }

        #[inline(always)]
        fn pair(self, word: u32) -> [f32; 2] {
            // SAFETY: as in `run`.
            unsafe { pair(word) }
        }

        #[inline(always)]
        fn normal(self, words: [u32; 2]) -> [f32; 2] {
            // SAFETY: as in `run`.
            unsafe { normal(words) }
        }

        #[inline(always)]
        fn halves(self, bits: &[u16; LANES]) -> Lanes {
            // SAFETY: as in `run`; arrays of 32 and 64 bytes have the sizes of two vectors.
            unsafe {
                let bits = transmute::<[u16; LANES], [__m128i; 2]>(*bits);
                let values = [_mm256_cvtph_ps(bits[0]), _mm256_cvtph_ps(bits[1])];
                Lanes::from(transmute::<[__m256; 2], [f32; LANES]>(values))
            }
        }

        #[inline(always)]
        fn pick<const BITS: usize>(self, table: &Lanes, codes: &[i32; LANES]) -> Lanes {
            // SAFETY: as in `run`; arrays of 64 bytes have the size of two vectors.
            unsafe {
                let tables = transmute::<[f32; LANES], [__m256; 2]>(*table.as_array());
                let codes = transmute::<[i32; LANES], [__m256i; 2]>(*codes);
                let values = [
                    Self::pick8::<BITS>(tables, codes[0]),
                    Self::pick8::<BITS>(tables, codes[1]),
                ];
                Lanes::from(transmute::<[__m256; 2], [f32; LANES]>(values))
            }
        }
    }

    /// AVX-512 of the server processors since 2017: F, BW, CD, DQ, VL.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Avx512(());

    impl Avx512 {
        /// `None` where the machine lacks it.
        #[inline]
        pub(in super::super) fn find() -> Option<Self> {
            let found = Avx2::find().is_some()
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512cd")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            found.then_some(Self(()))
        }
    }

    impl Isa for Avx512 {
        const GROUPS: usize = 8;
        const PICKED_BITS: usize = 4;

        #[inline(always)]
        fn run<T: Task>(self, task: T) -> T::Output {
            #[target_feature(
                enable = "avx2,bmi1,bmi2,lzcnt,popcnt,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
            )]
            fn enter<T: Task>(isa: Avx512, task: T) -> T::Output {
                task.run(isa)
            }
            // SAFETY: a value of this type exists only where the features were found.
            unsafe { enter(self, task) }
        }

        #[inline(always)]
        fn pair(self, word: u32) -> [f32; 2] {
            // SAFETY: as in `run`.
            unsafe { pair(word) }
        }

        #[inline(always)]
        fn normal(self, words: [u32; 2]) -> [f32; 2] {
            // SAFETY: as in `run`.
            unsafe { normal(words) }
        }

        #[inline(always)]
        fn halves(self, bits: &[u16; LANES]) -> Lanes {
            // SAFETY: as in `run`; the arrays have the vectors' sizes.
            unsafe {
                let values = _mm512_cvtph_ps(transmute::<[u16; LANES], __m256i>(*bits));
                Lanes::from(transmute::<__m512, [f32; LANES]>(values))
            }
        }

        #[inline(always)]
        fn pick<const BITS: usize>(self, table: &Lanes, codes: &[i32; LANES]) -> Lanes {
            // SAFETY: as in `run`; the arrays have the vectors' sizes.
            unsafe {
                let table = transmute::<[f32; LANES], __m512>(*table.as_array());
                let codes = transmute::<[i32; LANES], __m512i>(*codes);
                let values = _mm512_permutexvar_ps(codes, table);
                Lanes::from(transmute::<__m512, [f32; LANES]>(values))
            }
        }
    }
}
