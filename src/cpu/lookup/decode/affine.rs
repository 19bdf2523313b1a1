//! Rows with a scale and a bias, or with a step: `scale * code + bias`, `step * code`.

use std::marker::PhantomData;

use super::super::super::lanes::{Lanes, flush};
use super::super::codes::{self, word};
use super::super::isa::Isa;
use super::{Decode, table, weighed};
use crate::Params;

/// The type of a header's numbers.
pub(super) trait Number: Copy + Send + Sync {
    /// Scale and bias; subnormal ones count as zero.
    fn pair<I: Isa>(isa: I, bytes: &[u8]) -> [f32; 2];
}

/// f16, none of which is a subnormal f32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half;

/// f32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Single;

impl Number for Half {
    #[inline(always)]
    fn pair<I: Isa>(isa: I, bytes: &[u8]) -> [f32; 2] {
        isa.pair(word(bytes, 0))
    }
}

impl Number for Single {
    #[inline(always)]
    fn pair<I: Isa>(isa: I, bytes: &[u8]) -> [f32; 2] {
        let bytes = &bytes[..8];
        isa.normal([word(bytes, 0), word(bytes, 4)])
    }
}

/// Scale, bias and unsigned codes of so many bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine<H, const BITS: usize>(PhantomData<H>);

impl<H, const BITS: usize> Affine<H, BITS> {
    pub(super) const NEW: Self = Self(PhantomData);
}

/// What a row's codes stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    scale: f32,
    bias: f32,
    /// Every code's value, where the instruction set looks them up.
    table: Lanes,
}

impl<H: Number, const BITS: usize> Decode for Affine<H, BITS> {
    type Levels = Header;
    const GROUP_BYTES: usize = 2 * BITS;

    #[inline(always)]
    fn levels<I: Isa>(self, isa: I, _row: u32, bytes: &[u8]) -> Header {
        let [scale, bias] = H::pair(isa, bytes);
        let table = table::<I, BITS>(
            #[inline(always)]
            |code| scale * code as f32 + bias,
        );
        Header { scale, bias, table }
    }

    #[inline(always)]
    fn weigh<I: Isa>(levels: &mut Self::Levels, weight: f32) {
        if Self::is_picked::<I>() {
            levels.table = weighed(levels.table, weight);
        }
    }

    #[inline(always)]
    fn is_picked<I: Isa>() -> bool {
        BITS <= I::PICKED_BITS
    }

    #[inline(always)]
    fn values<I: Isa>(isa: I, header: &Header, codes: &[u8]) -> Lanes {
        if Self::is_picked::<I>() {
            return isa.pick::<BITS>(&header.table, &codes::unmasked::<BITS>(codes));
        }
        let codes = codes::unsigned::<BITS>(codes);
        Lanes::new(
            #[inline(always)]
            |lane| header.scale * codes[lane] as f32 + header.bias,
        )
    }

    /// A product of an integer and a normal number is zero or normal; what is left of a sum that cancels is
    /// flushed, and so is the sign of a zero.
    #[inline(always)]
    fn exact(values: Lanes) -> Lanes {
        flushed(values)
    }

    #[inline(always)]
    fn in_order(values: Lanes) -> Lanes {
        codes::in_order::<BITS>(values)
    }
}

/// A step and signed codes of so many bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symmetric<const BITS: usize> {
    params: Params,
}

impl<const BITS: usize> Symmetric<BITS> {
    pub(super) fn new(params: Params) -> Self {
        Self { params }
    }
}

/// What a row's codes stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    step: f32,
    /// As of [`Header`].
    table: Lanes,
}

impl<const BITS: usize> Decode for Symmetric<BITS> {
    type Levels = Step;
    const GROUP_BYTES: usize = 2 * BITS;

    #[inline(always)]
    fn levels<I: Isa>(self, isa: I, _row: u32, bytes: &[u8]) -> Step {
        let word = word(bytes, 0);
        let step = match self.params {
            Params::F16 => isa.pair(word)[0],
            Params::F32 => flush(f32::from_bits(word)),
        };
        let half = 1 << (BITS - 1);
        let table = table::<I, BITS>(
            #[inline(always)]
            |code| step * ((code ^ half) - half) as f32,
        );
        Step { step, table }
    }

    #[inline(always)]
    fn weigh<I: Isa>(levels: &mut Self::Levels, weight: f32) {
        if Self::is_picked::<I>() {
            levels.table = weighed(levels.table, weight);
        }
    }

    #[inline(always)]
    fn is_picked<I: Isa>() -> bool {
        BITS <= I::PICKED_BITS
    }

    #[inline(always)]
    fn values<I: Isa>(isa: I, levels: &Step, codes: &[u8]) -> Lanes {
        if Self::is_picked::<I>() {
            return isa.pick::<BITS>(&levels.table, &codes::unmasked::<BITS>(codes));
        }
        let codes = codes::signed::<BITS>(codes);
        Lanes::new(
            #[inline(always)]
            |lane| levels.step * codes[lane] as f32,
        )
    }

    /// Nothing is subnormal; a zero loses its sign.
    #[inline(always)]
    fn exact(values: Lanes) -> Lanes {
        flushed(values)
    }

    #[inline(always)]
    fn in_order(values: Lanes) -> Lanes {
        codes::in_order::<BITS>(values)
    }
}

#[inline(always)]
fn flushed(values: Lanes) -> Lanes {
    values.map(flush)
}
