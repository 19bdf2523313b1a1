//! The rows of a table as bytes, a block of columns at a time.

use super::columns::GROUPS_MAX;
use super::decode::{Decode, GROUP_BYTES_MAX};
use super::isa::Isa;
use super::prefetch::prefetch;
use crate::PackedTable;

/// What no format's header exceeds: sixteen f16.
const HEADER_BYTES_MAX: usize = 32;

/// Room for the codes of a block.
pub(super) type Copied = [u8; GROUPS_MAX * GROUP_BYTES_MAX];

/// Room that nothing was copied to.
pub(super) const NOT_COPIED: Copied = [0; GROUPS_MAX * GROUP_BYTES_MAX];

/// A table's rows, and how they are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a, D> {
    decode: D,
    header_bytes: usize,
    bytes: &'a [u8],
    row_bytes: usize,
    pub(super) count: u32,
    pub(super) dim: usize,
}

impl<'a, D: Decode> Rows<'a, D> {
    pub(super) fn new(table: &'a PackedTable, decode: D) -> Self {
        let format = table.format();
        Self {
            decode,
            header_bytes: 4 * format.header_words() as usize,
            bytes: table.bytes(),
            row_bytes: format.row_bytes(table.dim()) as usize,
            count: table.rows(),
            dim: table.dim() as usize,
        }
    }

    /// What stands for the codes of a row, and these, from a group on, of `N` groups.
    ///
    /// A row that ends among them is read on into the next, for columns that nobody stores; those of the
    /// table's last rows, which have no next, are copied, and zeros follow.
    #[inline(always)]
    pub(super) fn read<'c, I: Isa, const N: usize>(
        &self,
        isa: I,
        row: u32,
        group: usize,
        copied: &'c mut Copied,
    ) -> (D::Levels, &'c [u8])
    where
        'a: 'c,
    {
        let bytes = &self.bytes[row as usize * self.row_bytes..];
        let levels = self.decode.levels(isa, row, bytes);
        let first = self.header_bytes + group * D::GROUP_BYTES;
        let codes = match bytes.get(first..first + N * D::GROUP_BYTES) {
            Some(codes) => codes,
            None => {
                copy(&bytes[first..], copied);
                copied
            }
        };
        // Its length is known when this is compiled, wherever it lies.
        (levels, &codes[..N * D::GROUP_BYTES])
    }

    /// Asks for what [`Rows::read`] will read of a row, and of a later block as many bytes before it as of
    /// the first, which are the header there. Any number is taken for a row; those that are none ask for the
    /// last. Where the table ends nothing is asked for.
    #[inline(always)]
    pub(super) fn prefetch<const N: usize>(&self, index: u32, group: usize) {
        let row = index.min(self.count.saturating_sub(1)) as usize;
        let start = row * self.row_bytes + group * D::GROUP_BYTES;
        let end = start + self.header_bytes + N * D::GROUP_BYTES;
        if let Some(bytes) = self.bytes.get(start..end) {
            prefetch(bytes, HEADER_BYTES_MAX + N * D::GROUP_BYTES);
        }
    }
}

#[cold]
#[inline(never)]
fn copy(from: &[u8], to: &mut Copied) {
    let len = from.len().min(to.len());
    to.fill(0);
    to[..len].copy_from_slice(&from[..len]);
}
