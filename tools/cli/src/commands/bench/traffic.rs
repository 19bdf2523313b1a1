//! Bytes that must move, each touched once for every index: rows with header and padding, what rows share,
//! indices, offsets, weights, output.

use qembed::{Format, LookupSpec, PackedTable, Pooling, Weighting};

use super::batch::Batches;

/// What a GPU's memory moves at a time.
pub const SECTOR_BYTES: u64 = 32;

/// Bytes of one repetition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Those that are needed.
    pub bytes: u64,
    /// Those of the sectors that they lie in.
    pub sector_bytes: u64,
}

impl Traffic {
    /// Bytes that lie one behind the other, from the beginning of a sector.
    pub fn stream(bytes: u64) -> Self {
        Self {
            bytes,
            sector_bytes: bytes.next_multiple_of(SECTOR_BYTES),
        }
    }

    /// Rows of so many bytes.
    pub fn rows<'a>(rows: impl IntoIterator<Item = &'a u32>, row_bytes: u64) -> Self {
        let mut traffic = Self::default();
        for &row in rows {
            let begin = u64::from(row) * row_bytes;
            let end = begin + row_bytes;
            let sectors = end.div_ceil(SECTOR_BYTES) - begin / SECTOR_BYTES;
            traffic.bytes += row_bytes;
            traffic.sector_bytes += sectors * SECTOR_BYTES;
        }
        traffic
    }

    /// Packed rows, and the codebook and the block id of each where rows share codebooks.
    pub fn packed<'a>(rows: impl IntoIterator<Item = &'a u32>, table: &PackedTable) -> Self {
        let row_bytes = u64::from(table.format().row_bytes(table.dim()));
        let mut traffic = Self::rows(rows, row_bytes);
        if let Format::Blocks { bits } = table.format() {
            // Codebooks are aligned to their size, which is no more than a sector; an id is one word.
            let codebook_bytes = 2u64 << bits.count();
            let count = traffic.bytes / row_bytes;
            traffic.bytes += count * (codebook_bytes + 4);
            traffic.sector_bytes += count * 2 * SECTOR_BYTES;
        }
        traffic
    }

    /// What a lookup of one batch moves, on average over the batches.
    pub fn lookup(spec: LookupSpec, table: &PackedTable, batches: &Batches) -> Self {
        let rows = Self::packed(batches.indices.iter().flatten(), table);
        rows.share(batches.indices.len() as u64)
            .and(Self::beside_rows(spec, table.dim(), batches))
    }

    /// Indices, offsets, weights and output of a lookup.
    pub fn beside_rows(spec: LookupSpec, dim: u32, batches: &Batches) -> Self {
        let indices = batches.indices[0].len() as u64;
        let bags = batches.offsets.len() as u64 - 1;
        let mut traffic = Self::stream(4 * indices);
        let mut output_rows = indices;
        if spec.pooling != Pooling::None {
            traffic = traffic.and(Self::stream(4 * (bags + 1)));
            output_rows = bags;
        }
        if spec.weighting == Weighting::Weighted {
            traffic = traffic.and(Self::stream(4 * indices));
        }
        traffic.and(Self::stream(
            output_rows * u64::from(dim) * spec.output.bytes(),
        ))
    }

    /// Both.
    pub fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            sector_bytes: self.sector_bytes + other.sector_bytes,
        }
    }

    /// So many times as much.
    pub fn times(self, count: u64) -> Self {
        Self {
            bytes: self.bytes * count,
            sector_bytes: self.sector_bytes * count,
        }
    }

    /// The part of one of so many.
    pub fn share(self, count: u64) -> Self {
        Self {
            bytes: self.bytes / count,
            sector_bytes: self.sector_bytes / count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of 68 bytes touches three sectors wherever it begins, one of 20 bytes one or two.
    #[test]
    fn sectors_by_hand() {
        let of = |row, bytes| Traffic::rows(&[row], bytes).sector_bytes;
        assert_eq!([of(0, 68), of(1, 68), of(7, 68)], [96, 96, 96]);
        assert_eq!([of(0, 20), of(1, 20), of(2, 20)], [32, 64, 32]);
        assert_eq!(Traffic::rows(&[0, 1], 32).sector_bytes, 64);
        let stream = Traffic::stream(33);
        assert_eq!((stream.bytes, stream.sector_bytes), (33, 64));
    }
}
