//! The columns of a row, in blocks whose sums the registers hold.

use super::super::lanes::LANES;
use super::isa::Isa;

/// Groups of sixteen columns that a block has at most: [`Isa::GROUPS`] of the widest.
pub(super) const GROUPS_MAX: usize = 8;

/// What is done with one block after the other.
pub(super) trait Blocks {
    /// Does it with `N` groups of sixteen columns from a group on; columns beyond the row's last are nobody's.
    fn block<I: Isa, const N: usize>(&mut self, isa: I, group: usize);
}

/// Goes through the columns of rows that have so many, at most `max` groups to a block. What comes out does not
/// depend on how blocks are cut.
#[inline(always)]
pub(super) fn each_block<I: Isa>(isa: I, dim: usize, max: usize, mut blocks: impl Blocks) {
    let groups = dim.div_ceil(LANES);
    let mut group = 0;
    while group < groups {
        // Two groups, or as many more as leave at most one that no column has.
        let block = match groups - group {
            ..=2 => 2,
            3..=6 => 4,
            _ => 8,
        };
        let block = block.min(max);
        match block {
            8 if max >= 8 => blocks.block::<I, 8>(isa, group),
            4 if max >= 4 => blocks.block::<I, 4>(isa, group),
            _ => blocks.block::<I, 2>(isa, group),
        }
        group += block;
    }
}

/// Does something with each of `N` groups, at most [`GROUPS_MAX`]. It is written out, because the compiler does
/// not unroll a loop over so much, and sums that a loop counts through are no registers.
#[inline(always)]
pub(super) fn each_group<const N: usize>(mut step: impl FnMut(usize)) {
    const { assert!(N <= GROUPS_MAX) };
    macro_rules! steps {
        ($($group:literal)*) => {
            $(if N > $group {
                step($group);
            })*
        };
    }
    steps!(0 1 2 3 4 5 6 7);
}
