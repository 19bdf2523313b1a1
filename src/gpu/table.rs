//! A packed table on the device.

use std::ops::Range as Rows;

use super::arguments::{Range, check_binding_size, max_binding_bytes};
use super::chain::check_overlaps;
use super::kernels::Kernels;
use super::scope::{buffer, checked, filled_buffer};
use crate::format::{check_dim, codebook_words, id_bits, id_words};
use crate::shader::{RowRangeUniform, TableUniform};
use crate::{Error, Format, PackedTable, Result};

/// Usages of the memory that these kernels allocate for tables.
const OWN: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_DST)
    .union(wgpu::BufferUsages::COPY_SRC);

/// A table on the device. Cloning shares the buffers.
///
/// It is for the kernels that it was made with, and their clones.
#[derive(Clone, Debug)]
pub struct Table {
    kernels: Kernels,
    desc: TableDesc,
    /// At least one, which holds no row where the table has none.
    shards: Vec<OwnShard>,
    uniform: wgpu::Buffer,
    blocks: Option<BlocksRange>,
}

/// Some of a table's rows on the device.
#[derive(Clone, Debug)]
struct OwnShard {
    rows: Rows<u32>,
    buffer: wgpu::Buffer,
    offset: u64,
}

/// Codebooks and block ids on the device.
#[derive(Clone, Debug)]
struct BlocksRange {
    count: u32,
    buffer: wgpu::Buffer,
    offset: u64,
    bytes: u64,
}

/// Shape of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDesc {
    /// Format of its rows.
    pub format: Format,
    /// Number of rows.
    pub rows: u32,
    /// Number of columns, 1 to 8192.
    pub dim: u32,
}

/// The caller's own memory for a table.
#[derive(Clone, Debug)]
pub struct TableBuffers<'a> {
    /// The packed rows, [`TableDesc::bytes`] bytes; 4 where there are no rows. Usage `STORAGE`.
    pub rows: wgpu::BufferBinding<'a>,
    /// Codebooks and block ids of [`Format::Blocks`]; `None` in other formats.
    pub blocks: Option<BlocksBuffer<'a>>,
}

/// Some of a table's rows, and the range that holds them: a table that is larger than one binding lies in several.
#[derive(Clone, Debug)]
pub struct Shard<'a> {
    /// Which rows of the table.
    pub rows: Rows<u32>,
    /// The packed rows, [`TableDesc::bytes_of`] bytes; 4 where there are no rows. Usage `STORAGE`.
    pub words: wgpu::BufferBinding<'a>,
}

/// The caller's own memory for codebooks and block ids.
#[derive(Clone, Debug)]
pub struct BlocksBuffer<'a> {
    /// Number of blocks, at least 1.
    pub count: u32,
    /// The words of [`crate::Blocks::words`]. Usage `STORAGE`. A block id beyond the last reads the last.
    pub words: wgpu::BufferBinding<'a>,
}

impl TableDesc {
    /// Shape of a table on the host.
    pub fn of(table: &PackedTable) -> Self {
        Self {
            format: table.format(),
            rows: table.rows(),
            dim: table.dim(),
        }
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.format.row_bytes(self.dim))
    }

    /// Bytes of some of its rows.
    pub fn bytes_of(&self, rows: &Rows<u32>) -> u64 {
        rows.len() as u64 * u64::from(self.format.row_bytes(self.dim))
    }

    /// Bytes of the codebooks of so many blocks, and of the rows' block ids; none in formats without.
    ///
    /// # Errors
    /// [`Error::Shape`] where blocks are missing, or given to a format that has none.
    pub(super) fn check_blocks(&self, blocks: Option<u32>) -> Result<u64> {
        let format = self.format;
        let needed = match (format, blocks) {
            (Format::Blocks { bits }, Some(blocks @ 1..)) => {
                let codebooks = u64::from(blocks) * u64::from(codebook_words(bits));
                return Ok(4 * (codebooks + id_words(self.rows, id_bits(blocks)) as u64));
            }
            (Format::Blocks { .. }, _) => format!("at least one block for {format} rows"),
            (_, None) => return Ok(0),
            (_, Some(_)) => format!("None for {format} rows"),
        };
        Err(Error::Shape {
            argument: "blocks",
            needed,
            got: blocks.map_or("None".into(), |blocks| format!("{blocks} blocks")),
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        check_dim(self.dim as usize)?;
        self.format.check()
    }

    /// Its rows, in as few parts as each fit one binding of the device, and one buffer.
    fn split(&self, limits: &wgpu::Limits) -> Result<impl Iterator<Item = Rows<u32>> + use<>> {
        let row_bytes = u64::from(self.format.row_bytes(self.dim));
        check_binding_size("a row of the table", row_bytes, limits)?;
        let most = max_binding_bytes(limits).min(limits.max_buffer_size) / row_bytes;
        let (rows, most) = (self.rows, most.clamp(1, u32::MAX.into()) as u32);
        let parts = rows.div_ceil(most).max(1);
        Ok((0..parts).map(move |part| part * most..(part * most).saturating_add(most).min(rows)))
    }

    /// Refuses shards that do not hold every row once, in order.
    fn check_shards(&self, shards: &[Shard<'_>]) -> Result<()> {
        let mut first = 0;
        for Shard { rows, .. } in shards {
            let is_spare = rows.is_empty() && (self.rows > 0 || shards.len() > 1);
            if rows.start != first || rows.end < first || rows.end > self.rows || is_spare {
                return Err(Error::Shape {
                    argument: "shards",
                    needed: format!("rows within 0..{}, from {first} on", self.rows),
                    got: format!("{rows:?}"),
                });
            }
            first = rows.end;
        }
        if shards.is_empty() || first < self.rows {
            return Err(Error::Shape {
                argument: "shards",
                needed: format!("all rows within 0..{}", self.rows),
                got: format!("0..{first} in {} shards", shards.len()),
            });
        }
        Ok(())
    }
}

impl Table {
    /// A table in the caller's own memory, which nobody copies.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where dim is out of range, [`crate::Error::Limit`] where the device
    /// cannot bind that many bytes ([`Table::from_shards`] takes several ranges), and what is wrong with a range: too
    /// small, misaligned, usage; [`crate::Error::Shape`] where `blocks` are missing, or given to a format that has none.
    ///
    /// # Cost
    /// Allocates a uniform of 24 bytes. Compiles, submits and waits for nothing.
    pub fn from_buffers(
        kernels: &Kernels,
        desc: TableDesc,
        buffers: TableBuffers<'_>,
    ) -> Result<Self> {
        let shard = Shard {
            rows: 0..desc.rows,
            words: buffers.rows,
        };
        Self::from_shards(kernels, desc, &[shard], buffers.blocks)
    }

    /// A table in several ranges of the caller's own memory, which nobody copies: every row once, in order, and at least
    /// one row to a range; a table of no rows is one range of none.
    ///
    /// A lookup in several ranges costs more than one in one range ([`super::Lookup::bind`]), and such a table is not
    /// trained.
    ///
    /// # Errors
    /// Those of [`Table::from_buffers`]; [`crate::Error::Shape`] for shards of other rows, [`crate::Error::Aliased`]
    /// where ranges overlap.
    ///
    /// # Cost
    /// As [`Table::from_buffers`].
    pub fn from_shards(
        kernels: &Kernels,
        desc: TableDesc,
        shards: &[Shard<'_>],
        blocks: Option<BlocksBuffer<'_>>,
    ) -> Result<Self> {
        desc.check()?;
        desc.check_shards(shards)?;
        let own = own_shards(&desc, shards, kernels.limits())?;
        let count = blocks.as_ref().map_or(0, |blocks| blocks.count);
        let blocks = blocks_range(&desc, blocks.as_ref(), kernels.limits())?;
        let uniform = TableUniform {
            rows: desc.rows,
            dim: desc.dim,
            row_words: desc.format.row_words(desc.dim),
            zero: 0,
            blocks: count,
            id_bits: id_bits(count),
        };
        let usage = wgpu::BufferUsages::UNIFORM;
        Ok(Self {
            kernels: kernels.clone(),
            desc,
            shards: own,
            blocks,
            uniform: filled_buffer(
                kernels.device(),
                "qembed.table",
                usage,
                bytemuck::bytes_of(&uniform),
            )?,
        })
    }

    /// Shape of the table.
    pub fn desc(&self) -> TableDesc {
        self.desc
    }

    /// The ranges that hold the packed rows, in order: one, unless the table is larger than a binding of the device or
    /// was made of several.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = Shard<'_>> {
        self.shards.iter().map(|shard| Shard {
            rows: shard.rows.clone(),
            words: wgpu::BufferBinding {
                buffer: &shard.buffer,
                offset: shard.offset,
                size: std::num::NonZeroU64::new(self.desc.bytes_of(&shard.rows)),
            },
        })
    }

    /// Number of blocks, and the range that holds codebooks and block ids; `None` in formats without.
    pub fn blocks(&self) -> Option<(u32, wgpu::BufferBinding<'_>)> {
        let blocks = self.blocks.as_ref()?;
        let words = wgpu::BufferBinding {
            buffer: &blocks.buffer,
            offset: blocks.offset,
            size: std::num::NonZeroU64::new(blocks.bytes),
        };
        Some((blocks.count, words))
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(super) fn uniform_range(&self) -> Range<'_> {
        Range::whole("table", &self.uniform)
    }

    /// The rows of every shard, and the range that holds them.
    pub(super) fn shard_ranges(&self) -> impl Iterator<Item = (Rows<u32>, Range<'_>)> {
        self.shards.iter().map(|shard| {
            let bytes = self.desc.bytes_of(&shard.rows).max(4);
            let range = Range::own("rows", &shard.buffer, shard.offset, bytes);
            (shard.rows.clone(), range)
        })
    }

    /// Of a range of rows of the table: what lies in one shard after the other. An empty range lies in none.
    pub(super) fn parts(&self, rows: Rows<u32>) -> impl Iterator<Item = Part<'_>> {
        self.shard_ranges().filter_map(move |(shard, words)| {
            let part = rows.start.max(shard.start)..rows.end.min(shard.end);
            (!part.is_empty()).then(|| Part {
                range: RowRangeUniform {
                    first_row: part.start,
                    rows: part.end - part.start,
                    shard_row: shard.start,
                    values_row: rows.start,
                },
                words,
            })
        })
    }

    /// All rows, where they lie in one shard.
    ///
    /// # Errors
    /// [`Error::Limit`] where they lie in several.
    pub(crate) fn only_shard(&self) -> Result<Shard<'_>> {
        let mut shards = self.shards();
        match (shards.next(), shards.len()) {
            (Some(shard), 0) => Ok(shard),
            (_, more) => Err(Error::Limit {
                argument: "table",
                name: "bindings for a table that is trained",
                needed: more as u64 + 1,
                available: 1,
            }),
        }
    }

    /// The range of a table of one shard.
    pub(super) fn rows_range(&self) -> Range<'_> {
        let OwnShard { buffer, offset, .. } = &self.shards[0];
        Range::own("rows", buffer, *offset, self.desc.bytes().max(4))
    }

    /// Codebooks and block ids, where the format has them.
    pub(super) fn blocks_range(&self) -> Option<Range<'_>> {
        let blocks = self.blocks.as_ref()?;
        Some(Range::own(
            "shared_words",
            &blocks.buffer,
            blocks.offset,
            blocks.bytes,
        ))
    }
}

/// Rows of one shard, and the range of all of it.
pub(super) struct Part<'a> {
    pub(super) range: RowRangeUniform,
    pub(super) words: Range<'a>,
}

/// The checked ranges of shards that hold the table's rows.
fn own_shards(
    desc: &TableDesc,
    shards: &[Shard<'_>],
    limits: &wgpu::Limits,
) -> Result<Vec<OwnShard>> {
    let mut ranges = vec![];
    for shard in shards {
        let bytes = desc.bytes_of(&shard.rows);
        check_binding_size("table", bytes, limits)?;
        ranges.push(Range::storage("rows", &shard.words, bytes, limits)?);
    }
    check_overlaps(&ranges.iter().collect::<Vec<_>>(), &[])?;
    let own = shards.iter().map(|shard| OwnShard {
        rows: shard.rows.clone(),
        buffer: shard.words.buffer.clone(),
        offset: shard.words.offset,
    });
    Ok(own.collect())
}

/// The checked range of codebooks and block ids, where the format has them.
fn blocks_range(
    desc: &TableDesc,
    given: Option<&BlocksBuffer<'_>>,
    limits: &wgpu::Limits,
) -> Result<Option<BlocksRange>> {
    let bytes = desc.check_blocks(given.map(|blocks| blocks.count))?;
    let Some(blocks) = given else { return Ok(None) };
    check_binding_size("blocks", bytes, limits)?;
    Range::storage("blocks", &blocks.words, bytes, limits)?;
    Ok(Some(BlocksRange {
        count: blocks.count,
        buffer: blocks.words.buffer.clone(),
        offset: blocks.words.offset,
        bytes,
    }))
}

impl Kernels {
    /// A table of zeros on the device, to be quantized into; in several buffers where one binding does not hold it.
    ///
    /// # Errors
    /// [`crate::Error::Shape`], also for [`Format::Blocks`], which no kernel quantizes;
    /// [`crate::Error::Limit`], [`crate::Error::OutOfMemory`], [`crate::Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates the rows and a uniform of 24 bytes. Compiles, submits and waits for nothing.
    pub fn allocate(&self, desc: TableDesc) -> Result<Table> {
        self.with_blocks(desc, None)
    }

    /// A table of zeros with codebooks that lie elsewhere.
    fn with_blocks(&self, desc: TableDesc, blocks: Option<BlocksBuffer<'_>>) -> Result<Table> {
        desc.check()?;
        let own = |rows: Rows<u32>| {
            let bytes = desc.bytes_of(&rows);
            Ok((rows, buffer(self.device(), "table", bytes, OWN)?))
        };
        let own = desc.split(self.limits())?.map(own);
        let own = own.collect::<Result<Vec<_>>>()?;
        let shards = own.iter().map(|(rows, buffer)| Shard {
            rows: rows.clone(),
            words: buffer.as_entire_buffer_binding(),
        });
        Table::from_shards(self, desc, &shards.collect::<Vec<_>>(), blocks)
    }

    /// Copies a table to the device, into several buffers where one binding does not hold it; it arrives with the queue's
    /// next submit.
    ///
    /// # Errors
    /// [`crate::Error::Shape`], [`crate::Error::Limit`], [`crate::Error::OutOfMemory`],
    /// [`crate::Error::DeviceLost`].
    ///
    /// # Panics
    /// wgpu's error handler panics where `queue` is not the queue of the kernels' device.
    ///
    /// # Cost
    /// Allocates the rows, codebooks and block ids where there are any, a uniform of 24 bytes and wgpu's
    /// staging copy. Submits and waits for nothing.
    pub fn upload(&self, queue: &wgpu::Queue, packed: &PackedTable) -> Result<Table> {
        let desc = TableDesc::of(packed);
        let table = match packed.blocks() {
            None => self.allocate(desc)?,
            Some(blocks) => {
                let bytes: &[u8] = bytemuck::cast_slice(blocks.words());
                check_binding_size("blocks", bytes.len() as u64, self.limits())?;
                let words = buffer(self.device(), "blocks", bytes.len() as u64, OWN)?;
                self.write(queue, "blocks", &words, bytes)?;
                let blocks = BlocksBuffer {
                    count: blocks.count(),
                    words: words.as_entire_buffer_binding(),
                };
                self.with_blocks(desc, Some(blocks))?
            }
        };
        for shard in &table.shards {
            let start = desc.bytes_of(&(0..shard.rows.start)) as usize;
            let bytes = desc.bytes_of(&shard.rows) as usize;
            let bytes = &packed.bytes()[start..start + bytes];
            self.write(queue, "table", &shard.buffer, bytes)?;
        }
        Ok(table)
    }

    fn write(
        &self,
        queue: &wgpu::Queue,
        argument: &'static str,
        buffer: &wgpu::Buffer,
        bytes: &[u8],
    ) -> Result<()> {
        checked(self.device(), argument, bytes.len() as u64, || {
            queue.write_buffer(buffer, 0, bytes);
        })
    }
}
