//! The rows of a table as bytes, a block of columns at a time.

use super::columns::GROUPS_MAX;
use super::decode::{Decode, GROUP_BYTES_MAX};
use super::isa::Isa;
use super::prefetch::Span;
use crate::PackedTable;

/// What no format's header exceeds: sixteen f16.
const HEADER_BYTES_MAX: usize = 32;

/// Room for a row's header and the codes of a block.
pub(super) type Copied = [u8; HEADER_BYTES_MAX + GROUPS_MAX * GROUP_BYTES_MAX];

/// Room that nothing was copied to.
pub(super) const NOT_COPIED: Copied = [0; HEADER_BYTES_MAX + GROUPS_MAX * GROUP_BYTES_MAX];

/// A table's rows, and how they are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a, D> {
    decode: D,
    header_bytes: usize,
    bytes: &'a [u8],
    row_bytes: u32,
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
            row_bytes: format.row_bytes(table.dim()),
            count: table.rows(),
            dim: table.dim() as usize,
        }
    }

    /// `N` groups of every row's columns, from a group on.
    #[inline(always)]
    pub(super) fn part<const N: usize>(&self, group: usize) -> RowsPart<'a, D, N> {
        let Self {
            bytes, row_bytes, ..
        } = *self;
        let start = group * D::GROUP_BYTES;
        let len = self.header_bytes + N * D::GROUP_BYTES;
        RowsPart {
            decode: self.decode,
            bytes,
            row_bytes,
            count: self.count,
            header_bytes: self.header_bytes,
            first: self.header_bytes + start,
            span: Span::new(bytes, row_bytes as usize, start, len),
        }
    }
}

/// Some columns of every row: [`Rows::part`].
#[derive(Clone, Copy, Debug)]
pub(super) struct RowsPart<'a, D, const N: usize> {
    decode: D,
    bytes: &'a [u8],
    row_bytes: u32,
    count: u32,
    header_bytes: usize,
    /// Where their codes begin in a row.
    first: usize,
    /// What is read of a row, and of a later block as many bytes before it as of the first, which are the header
    /// there.
    span: Span,
}

impl<'a, D: Decode, const N: usize> RowsPart<'a, D, N> {
    /// What stands for the codes of a row, and these; `None` where an index is no row, and where
    /// [`RowsPart::copy`] is to be asked.
    ///
    /// A row that ends among them is read on into the next, for columns that nobody stores.
    #[inline(always)]
    pub(super) fn read<I: Isa>(&self, isa: I, index: u32) -> Option<(D::Levels, &'a [u8])> {
        // An index that is no row lies beyond the last byte, and so is found where the last rows are.
        let start = u64::from(index) * u64::from(self.row_bytes);
        let bytes = self.bytes.get(usize::try_from(start).ok()?..)?;
        let codes = bytes.get(self.first..)?.get(..N * D::GROUP_BYTES)?;
        Some((self.decode.levels(isa, index, bytes), codes))
    }

    /// Copies the row of an index, one that [`RowsPart::read`] does not give: one of the last, which have no next.
    /// Zeros follow it. Whether the index is that of a row.
    #[cold]
    #[inline(never)]
    pub(super) fn copy(&self, index: u32, copied: &mut Copied) -> bool {
        if index >= self.count {
            return false;
        }
        let row = &self.bytes[index as usize * self.row_bytes as usize..];
        copied.fill(0);
        let (header, codes) = copied.split_at_mut(self.header_bytes);
        header.copy_from_slice(&row[..self.header_bytes]);
        let row = &row[self.first..];
        let len = row.len().min(N * D::GROUP_BYTES);
        codes[..len].copy_from_slice(&row[..len]);
        true
    }

    /// The row that was copied, whatever the index.
    #[inline(always)]
    pub(super) fn of_copied(self, copied: &[u8]) -> RowsPart<'_, D, N>
    where
        D: 'a,
    {
        RowsPart {
            bytes: copied,
            row_bytes: 0,
            first: self.header_bytes,
            ..self
        }
    }

    /// Asks for what [`RowsPart::read`] will read of a row; any number is taken for one.
    #[inline(always)]
    pub(super) fn prefetch(&self, index: u32) {
        let row = (index as usize).wrapping_mul(self.row_bytes as usize);
        let most = HEADER_BYTES_MAX + N * D::GROUP_BYTES;
        self.span.prefetch(self.bytes, row, most);
    }
}
