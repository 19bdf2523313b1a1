//! From a row's bytes to values: one type for each way, and the one place that chooses it by the format.

mod affine;
mod codebook;
mod float;

use affine::{Affine, Half, Single, Symmetric};
use codebook::Codebook;
use float::{Bf16, F16, F32};

use super::super::lanes::Lanes;
use super::isa::Isa;
use crate::PackedTable;
use crate::format::{Bits, Float, Format, Params};

/// How rows of one format are read: what stands for a whole row once, then sixteen columns at a time.
pub(super) trait Decode: Copy + Send + Sync {
    /// What a row's codes stand for.
    type Levels: Copy;

    /// Bytes of sixteen columns' codes: at most [`GROUP_BYTES_MAX`].
    const GROUP_BYTES: usize;

    /// Reads what a row's codes stand for; `bytes` begin with the row, and end with it or later.
    fn levels<I: Isa>(self, isa: I, row: u32, bytes: &[u8]) -> Self::Levels;

    /// Multiplies what the values are, where that is less than the values: for all others it does nothing,
    /// and they are to be multiplied themselves ([`Decode::is_picked`]).
    fn weigh<I: Isa>(levels: &mut Self::Levels, weight: f32);

    /// Whether values are looked up in a row's table of them.
    fn is_picked<I: Isa>() -> bool;

    /// The values of sixteen columns, in any order of columns, as a sum takes them; `codes` begin with the
    /// first column's.
    fn values<I: Isa>(isa: I, levels: &Self::Levels, codes: &[u8]) -> Lanes;

    /// The reference's bits of these values.
    fn exact(values: Lanes) -> Lanes;

    /// Numbers in the order of [`Decode::values`] in that of columns.
    fn in_order(values: Lanes) -> Lanes;
}

/// What no format's group exceeds.
pub(super) const GROUP_BYTES_MAX: usize = 64;

/// Every value of a table times a weight, which rounds as the values of columns would.
#[inline(always)]
fn weighed(table: Lanes, weight: f32) -> Lanes {
    table.map(
        #[inline(always)]
        |value| weight * value,
    )
}

/// The value of every code of at most 4 bits, over and over to the last entry, so that the bits above a code do
/// not matter; anything where the instruction set does not look values up.
#[inline(always)]
fn table<I: Isa, const BITS: usize>(value: impl Fn(i32) -> f32) -> Lanes {
    if BITS > I::PICKED_BITS {
        return Lanes::splat(0.0);
    }
    Lanes::new(
        #[inline(always)]
        |entry| value((entry % (1 << BITS)) as i32),
    )
}

/// Something to be done with rows, however they are read.
pub(super) trait Visit {
    type Output;

    fn visit<D: Decode>(self, decode: D) -> Self::Output;
}

/// Chooses how the rows of a table are read.
pub(super) fn choose<V: Visit>(table: &PackedTable, visit: V) -> V::Output {
    match (table.format(), table.blocks()) {
        (Format::Affine { bits, params }, _) => match (bits, params) {
            (Bits::B2, Params::F16) => visit.visit(Affine::<Half, 2>::NEW),
            (Bits::B3, Params::F16) => visit.visit(Affine::<Half, 3>::NEW),
            (Bits::B4, Params::F16) => visit.visit(Affine::<Half, 4>::NEW),
            (Bits::B8, Params::F16) => visit.visit(Affine::<Half, 8>::NEW),
            (Bits::B2, Params::F32) => visit.visit(Affine::<Single, 2>::NEW),
            (Bits::B3, Params::F32) => visit.visit(Affine::<Single, 3>::NEW),
            (Bits::B4, Params::F32) => visit.visit(Affine::<Single, 4>::NEW),
            (Bits::B8, Params::F32) => visit.visit(Affine::<Single, 8>::NEW),
        },
        (Format::Symmetric { bits, params }, _) => match bits {
            Bits::B2 => visit.visit(Symmetric::<2>::new(params)),
            Bits::B4 => visit.visit(Symmetric::<4>::new(params)),
            Bits::B8 => visit.visit(Symmetric::<8>::new(params)),
            Bits::B3 => no_such_table(),
        },
        (Format::Float(float), _) => match float {
            Float::F32 => visit.visit(F32),
            Float::F16 => visit.visit(F16),
            Float::Bf16 => visit.visit(Bf16),
        },
        (Format::Codebook { bits } | Format::Blocks { bits }, blocks) => match bits {
            Bits::B2 => visit.visit(Codebook::<2>::new(blocks)),
            Bits::B3 => visit.visit(Codebook::<3>::new(blocks)),
            Bits::B4 => visit.visit(Codebook::<4>::new(blocks)),
            Bits::B8 => no_such_table(),
        },
    }
}

fn no_such_table() -> ! {
    unreachable!("tables check their format when they are made")
}
