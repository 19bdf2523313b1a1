//! The tables of a batch, in one buffer on the device.

use std::sync::Arc;

use super::TableDesc;
use super::arguments::{Range, check_binding_size};
use super::kernels::Kernels;
use super::scope::{alive, buffer, checked};
use crate::batched::check_remap;
use crate::table::check_written;
use crate::{BatchedTable, Error, PackedTable, Result};

/// A table begins at a multiple of so many words, 128 bytes, as those of FBGEMM's inference TBE do.
const ALIGN_WORDS: u64 = 32;

/// Tables of any dims and formats in one buffer, for [`Kernels::batched`]. Cloning shares the buffer.
///
/// It is for the kernels that it was made with, and their clones.
#[derive(Clone, Debug)]
pub struct Arena {
    kernels: Kernels,
    buffer: wgpu::Buffer,
    offset: u64,
    bytes: u64,
    tables: Arc<[ArenaTable]>,
}

/// A table of an arena, and where its parts begin, in words from the arena's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaTable {
    /// Shape of the table.
    pub desc: TableDesc,
    /// First word of its rows.
    pub first_word: u32,
    /// Codebooks and block ids of [`crate::Format::Blocks`]; `None` in other formats.
    pub blocks: Option<ArenaBlocks>,
    /// What its indices stand for; `None` where they are rows.
    pub remap: Option<ArenaRemap>,
}

/// Codebooks and block ids in an arena: the words of [`crate::Blocks::words`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaBlocks {
    /// Number of blocks, at least 1. A block id beyond the last reads the last.
    pub count: u32,
    /// First word.
    pub first_word: u32,
}

/// A remap in an arena: for every index an i32, its row or [`crate::PRUNED`]; an entry that is neither is a bad index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaRemap {
    /// Number of entries, at least 1.
    pub len: u32,
    /// First word.
    pub first_word: u32,
}

impl ArenaTable {
    /// How many indices it knows.
    pub fn indices(&self) -> u32 {
        self.remap.map_or(self.desc.rows, |remap| remap.len)
    }

    /// Checks its parts; gives the word behind the last of them.
    fn checked_end(&self) -> Result<u64> {
        self.desc.check()?;
        let blocks_bytes = self
            .desc
            .check_blocks(self.blocks.map(|blocks| blocks.count))?;
        if let Some(ArenaRemap { len: 0, .. }) = self.remap {
            return Err(Error::Shape {
                argument: "remap",
                needed: "at least one entry; None where indices are rows".into(),
                got: "none".into(),
            });
        }
        let end = |first: u32, words: u64| u64::from(first) + words;
        let blocks = self
            .blocks
            .map(|blocks| end(blocks.first_word, blocks_bytes / 4));
        let remap = self
            .remap
            .map(|remap| end(remap.first_word, remap.len.into()));
        let rows = end(self.first_word, self.desc.bytes() / 4);
        Ok(rows.max(blocks.unwrap_or(0)).max(remap.unwrap_or(0)))
    }
}

impl Arena {
    /// Tables in the caller's own memory, which nobody copies.
    ///
    /// `words` needs the usage `STORAGE`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a dim out of range, blocks that are missing or not wanted, and an empty remap;
    /// [`Error::Unsupported`] for a format that does not exist; [`Error::BufferTooSmall`] where a part lies beyond the
    /// range; [`Error::BufferUsage`], [`Error::Misaligned`], [`Error::Limit`].
    ///
    /// # Cost
    /// Allocates, compiles, submits and waits for nothing on the device.
    pub fn from_buffer(
        kernels: &Kernels,
        tables: &[ArenaTable],
        words: wgpu::BufferBinding<'_>,
    ) -> Result<Self> {
        let mut end = 0;
        for table in tables {
            end = end.max(table.checked_end()?);
        }
        check_binding_size("arena", 4 * end, kernels.limits())?;
        Range::storage("arena", &words, 4 * end, kernels.limits())?;
        Ok(Self {
            kernels: kernels.clone(),
            buffer: words.buffer.clone(),
            offset: words.offset,
            bytes: (4 * end).max(4),
            tables: tables.into(),
        })
    }

    /// The tables, in the order of their numbers.
    pub fn tables(&self) -> &[ArenaTable] {
        &self.tables
    }

    /// The range that holds them.
    pub fn words(&self) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: self.offset,
            size: std::num::NonZeroU64::new(self.bytes),
        }
    }

    /// Writes rows over those of a table from `first_row` on; the others keep every bit.
    ///
    /// What was submitted before reads the old rows, what is submitted after the new ones, whatever is bound to the
    /// arena already.
    ///
    /// # Errors
    /// [`Error::Shape`] where there is no such table, or `rows` have another format or dim, or do not all lie in it;
    /// [`Error::Unsupported`] for [`crate::Format::Blocks`]; [`Error::BufferUsage`] where the buffer is the caller's own and
    /// lacks `COPY_DST`; [`Error::OutOfMemory`], [`Error::DeviceLost`].
    ///
    /// # Panics
    /// wgpu's error handler panics where `queue` is not the queue of the kernels' device.
    ///
    /// # Cost
    /// That of [`super::Table::write_rows`].
    pub fn write_rows(
        &self,
        queue: &wgpu::Queue,
        (table, first_row): (usize, u32),
        rows: &PackedTable,
    ) -> Result<()> {
        let Some(placed) = self.tables.get(table) else {
            return Err(Error::Shape {
                argument: "table",
                needed: format!("a table below {}", self.tables.len()),
                got: table.to_string(),
            });
        };
        let desc = placed.desc;
        check_written((desc.format, desc.rows, desc.dim), first_row, rows)?;
        if rows.rows() == 0 {
            return Ok(());
        }
        if !self.buffer.usage().contains(wgpu::BufferUsages::COPY_DST) {
            return Err(Error::BufferUsage {
                argument: "arena",
                missing: "COPY_DST",
            });
        }
        alive(self.kernels.device())?;
        let first = u64::from(first_row) * u64::from(desc.format.row_words(desc.dim));
        self.write(queue, u64::from(placed.first_word) + first, rows.bytes())
    }

    fn write(&self, queue: &wgpu::Queue, word: u64, bytes: &[u8]) -> Result<()> {
        checked(self.kernels.device(), "arena", bytes.len() as u64, || {
            queue.write_buffer(&self.buffer, self.offset + 4 * word, bytes);
        })
    }

    pub(super) fn range(&self) -> Range<'_> {
        Range::own("rows", &self.buffer, self.offset, self.bytes)
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.kernels
    }
}

/// Where the parts of tables lie one after the other, and how many words they take.
fn placed(tables: &[BatchedTable<'_>]) -> (Vec<ArenaTable>, u64) {
    let mut end = 0u64;
    let mut next = |words: u64| {
        let first = end;
        end = (end + words).next_multiple_of(ALIGN_WORDS);
        // What lies beyond 32 bits is refused before anybody reads it.
        first as u32
    };
    let tables = tables.iter().map(|table| {
        let desc = TableDesc::of(table.rows);
        ArenaTable {
            desc,
            first_word: next(desc.bytes() / 4),
            blocks: table.rows.blocks().map(|blocks| ArenaBlocks {
                count: blocks.count(),
                first_word: next(blocks.words().len() as u64),
            }),
            remap: table.remap.map(|remap| ArenaRemap {
                len: remap.len() as u32,
                first_word: next(remap.len() as u64),
            }),
        }
    });
    let tables = tables.collect();
    (tables, end)
}

impl Kernels {
    /// Copies the tables of a batch into one buffer on the device; they arrive with the queue's next submit.
    ///
    /// # Errors
    /// [`Error::Remap`] for an entry that is no row, [`Error::Shape`] for an empty remap; [`Error::Limit`] where one
    /// binding cannot hold all tables, [`Error::OutOfMemory`], [`Error::DeviceLost`].
    ///
    /// # Panics
    /// wgpu's error handler panics where `queue` is not the queue of the kernels' device.
    ///
    /// # Cost
    /// Allocates the arena, in which a table begins at a multiple of 128 bytes, and wgpu's staging copy. Submits and
    /// waits for nothing.
    pub fn upload_arena(&self, queue: &wgpu::Queue, tables: &[BatchedTable<'_>]) -> Result<Arena> {
        for (number, table) in tables.iter().enumerate() {
            if let Some(remap) = table.remap {
                check_remap(number, remap, table.rows.rows())?;
            }
        }
        let (places, words) = placed(tables);
        check_binding_size("arena", 4 * words, self.limits())?;
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::COPY_SRC;
        let buffer = buffer(self.device(), "arena", 4 * words, usage)?;
        let arena = Arena::from_buffer(self, &places, buffer.as_entire_buffer_binding())?;
        for (table, place) in tables.iter().zip(&places) {
            arena.write(queue, place.first_word.into(), table.rows.bytes())?;
            if let (Some(blocks), Some(place)) = (table.rows.blocks(), place.blocks) {
                let words = bytemuck::cast_slice(blocks.words());
                arena.write(queue, place.first_word.into(), words)?;
            }
            if let (Some(remap), Some(place)) = (table.remap, place.remap) {
                arena.write(queue, place.first_word.into(), bytemuck::cast_slice(remap))?;
            }
        }
        Ok(arena)
    }
}
