//! A packed table on the device.

use super::arguments::{Range, check_binding_size};
use super::kernels::Kernels;
use super::scope::{buffer, checked, filled_buffer};
use crate::format::{check_dim, codebook_words, id_bits, id_words};
use crate::shader::TableUniform;
use crate::{Bits, Error, Format, PackedTable, Result};

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
    rows: wgpu::Buffer,
    offset: u64,
    uniform: wgpu::Buffer,
    blocks: Option<BlocksRange>,
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

/// The caller's own memory for codebooks and block ids.
#[derive(Clone, Debug)]
pub struct BlocksBuffer<'a> {
    /// Number of blocks, at least 1.
    pub count: u32,
    /// The words of [`crate::Blocks::words`]. Usage `STORAGE`. A block id beyond the last reads the last.
    pub words: wgpu::BufferBinding<'a>,
}

impl TableDesc {
    /// Bytes of all rows.
    pub fn bytes(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.format.row_bytes(self.dim))
    }

    /// Bytes of the codebooks of `blocks` blocks, and of the rows' block ids.
    pub(super) fn blocks_bytes(&self, bits: Bits, blocks: u32) -> u64 {
        let codebooks = u64::from(blocks) * u64::from(codebook_words(bits));
        4 * (codebooks + id_words(self.rows, id_bits(blocks)) as u64)
    }

    pub(super) fn check_shape(&self) -> Result<()> {
        check_dim(self.dim as usize)?;
        self.format.check()
    }

    fn check(&self, limits: &wgpu::Limits) -> Result<()> {
        self.check_shape()?;
        check_binding_size("table", self.bytes(), limits)
    }
}

impl Table {
    /// A table in the caller's own memory, which nobody copies.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where dim is out of range, [`crate::Error::Limit`] where the device
    /// cannot bind that many bytes, and what is wrong with a range: too small, misaligned, usage;
    /// [`crate::Error::Shape`] where `blocks` are missing, or given to a format that has none.
    ///
    /// # Cost
    /// Allocates a uniform of 24 bytes. Compiles, submits and waits for nothing.
    pub fn from_buffers(
        kernels: &Kernels,
        desc: TableDesc,
        buffers: TableBuffers<'_>,
    ) -> Result<Self> {
        desc.check(kernels.limits())?;
        Range::storage("rows", &buffers.rows, desc.bytes(), kernels.limits())?;
        let blocks = blocks_range(&desc, buffers.blocks.as_ref(), kernels.limits())?;
        let count = buffers.blocks.map_or(0, |blocks| blocks.count);
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
            rows: buffers.rows.buffer.clone(),
            offset: buffers.rows.offset,
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

    /// The range that holds the packed rows.
    pub fn rows(&self) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding {
            buffer: &self.rows,
            offset: self.offset,
            size: std::num::NonZeroU64::new(self.desc.bytes()),
        }
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

    pub(super) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(super) fn uniform_range(&self) -> Range<'_> {
        Range::whole("table", &self.uniform)
    }

    pub(super) fn rows_range(&self) -> Range<'_> {
        Range::own("rows", &self.rows, self.offset, self.desc.bytes().max(4))
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

/// The checked range of codebooks and block ids, where the format has them.
fn blocks_range(
    desc: &TableDesc,
    given: Option<&BlocksBuffer<'_>>,
    limits: &wgpu::Limits,
) -> Result<Option<BlocksRange>> {
    let (bits, blocks) = match (given, desc.format) {
        (Some(blocks), Format::Blocks { bits }) if blocks.count > 0 => (bits, blocks),
        (given, format) => {
            let needed = match format {
                Format::Blocks { .. } => format!("at least one block for {format} rows"),
                _ if given.is_none() => return Ok(None),
                _ => format!("None for {format} rows"),
            };
            return Err(Error::Shape {
                argument: "blocks",
                needed,
                got: given.map_or("None".into(), |blocks| format!("{} blocks", blocks.count)),
            });
        }
    };
    let bytes = desc.blocks_bytes(bits, blocks.count);
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
    /// A table of zeros on the device, to be quantized into.
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
        desc.check(self.limits())?;
        let rows = buffer(self.device(), "table", desc.bytes(), OWN)?;
        let rows = rows.as_entire_buffer_binding();
        Table::from_buffers(self, desc, TableBuffers { rows, blocks })
    }

    /// Copies a table to the device; it arrives with the queue's next submit.
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
        let desc = TableDesc {
            format: packed.format(),
            rows: packed.rows(),
            dim: packed.dim(),
        };
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
        self.write(queue, "table", &table.rows, packed.bytes())?;
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
