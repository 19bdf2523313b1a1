//! Rows of floats: nothing stands for a row, and values are what is stored.

use super::super::super::lanes::{Lanes, array};
use super::super::codes::word;
use super::super::isa::Isa;
use super::Decode;

/// A word a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct F32;

/// Two columns to a word.
#[derive(Clone, Copy, Debug)]
pub(super) struct F16;

/// Two columns to a word, each the upper half of an f32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bf16;

/// A subnormal counts as a zero of its sign.
#[inline(always)]
fn input(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE {
        0.0f32.copysign(x)
    } else {
        x
    }
}

#[inline(always)]
fn half(bytes: &[u8], lane: usize) -> u16 {
    let bytes = &bytes[..32];
    u16::from_le_bytes([bytes[2 * lane], bytes[2 * lane + 1]])
}

/// What is the same for all: no levels, no table, columns in order, and values that are the reference's.
macro_rules! decode_float {
    ($float:ty, $group_bytes:literal, |$isa:ident, $bytes:ident| $values:expr) => {
        impl Decode for $float {
            type Levels = ();
            const GROUP_BYTES: usize = $group_bytes;

            #[inline(always)]
            fn levels<I: Isa>(self, _isa: I, _row: u32, _bytes: &[u8]) {}

            #[inline(always)]
            fn weigh<I: Isa>(_levels: &mut (), _weight: f32) {}

            #[inline(always)]
            fn is_picked<I: Isa>() -> bool {
                false
            }

            #[inline(always)]
            fn values<I: Isa>($isa: I, _levels: &(), $bytes: &[u8]) -> Lanes {
                $values
            }

            #[inline(always)]
            fn exact(values: Lanes) -> Lanes {
                values
            }

            #[inline(always)]
            fn in_order(values: Lanes) -> Lanes {
                values
            }
        }
    };
}

decode_float!(F32, 64, |_isa, bytes| Lanes::new(
    #[inline(always)]
    |lane| input(f32::from_bits(word(bytes, 4 * lane)))
));

decode_float!(F16, 32, |isa, bytes| isa.halves(&array(
    #[inline(always)]
    |lane| half(bytes, lane)
)));

decode_float!(Bf16, 32, |_isa, bytes| Lanes::new(
    #[inline(always)]
    |lane| input(f32::from_bits(u32::from(half(bytes, lane)) << 16))
));
