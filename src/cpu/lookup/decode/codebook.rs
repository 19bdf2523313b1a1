//! Rows of codes that name f16 centroids, in a codebook of the row's own or of its block.

use super::super::super::lanes::{Lanes, array};
use super::super::codes;
use super::super::isa::Isa;
use super::{Decode, weighed};
use crate::Blocks;

/// Codebooks of so many bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Codebook<'a, const BITS: usize> {
    /// Where rows share them.
    blocks: Option<&'a Blocks>,
}

impl<'a, const BITS: usize> Codebook<'a, BITS> {
    pub(super) fn new(blocks: Option<&'a Blocks>) -> Self {
        Self { blocks }
    }
}

impl<const BITS: usize> Decode for Codebook<'_, BITS> {
    /// The centroid of every code.
    type Levels = Lanes;
    const GROUP_BYTES: usize = 2 * BITS;

    #[inline(always)]
    fn levels<I: Isa>(self, isa: I, row: u32, bytes: &[u8]) -> Lanes {
        let bytes = match self.blocks {
            None => bytes,
            Some(blocks) => {
                let all: &[u8] = bytemuck::cast_slice(blocks.codebook_words());
                &all[blocks.id(row) as usize * (2 << BITS)..]
            }
        };
        let bytes = &bytes[..2 << BITS];
        isa.halves(&array(
            #[inline(always)]
            |entry| {
                let at = 2 * (entry % (1 << BITS));
                u16::from_le_bytes([bytes[at], bytes[at + 1]])
            },
        ))
    }

    #[inline(always)]
    fn weigh<I: Isa>(centroids: &mut Lanes, weight: f32) {
        *centroids = weighed(*centroids, weight);
    }

    #[inline(always)]
    fn is_picked<I: Isa>() -> bool {
        true
    }

    #[inline(always)]
    fn values<I: Isa>(isa: I, centroids: &Lanes, codes: &[u8]) -> Lanes {
        isa.pick::<BITS>(centroids, &codes::unmasked::<BITS>(codes))
    }

    /// An f16 is never a subnormal f32, and a zero keeps its sign.
    #[inline(always)]
    fn exact(values: Lanes) -> Lanes {
        values
    }

    #[inline(always)]
    fn in_order(values: Lanes) -> Lanes {
        codes::in_order::<BITS>(values)
    }
}
