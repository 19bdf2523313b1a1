//! A packed table on the device.

use super::arguments::{Range, check_binding_size};
use super::kernels::Kernels;
use super::scope::{buffer, checked, filled_buffer};
use crate::format::check_dim;
use crate::shader::TableUniform;
use crate::{Format, PackedTable, Result};

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
}

impl TableDesc {
    /// Bytes of all rows.
    pub fn bytes(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.format.row_bytes(self.dim))
    }

    fn check(&self, limits: &wgpu::Limits) -> Result<()> {
        check_dim(self.dim as usize)?;
        check_binding_size("table", self.bytes(), limits)
    }
}

impl Table {
    /// A table in the caller's own memory, which nobody copies.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where dim is out of range, [`crate::Error::Limit`] where the device
    /// cannot bind that many bytes, and what is wrong with the range: too small, misaligned, usage.
    ///
    /// # Cost
    /// Allocates a uniform of 16 bytes. Compiles, submits and waits for nothing.
    pub fn from_buffers(
        kernels: &Kernels,
        desc: TableDesc,
        buffers: TableBuffers<'_>,
    ) -> Result<Self> {
        desc.check(kernels.limits())?;
        Range::storage("rows", &buffers.rows, desc.bytes(), kernels.limits())?;
        let uniform = TableUniform {
            rows: desc.rows,
            dim: desc.dim,
            row_words: desc.format.row_words(desc.dim),
            zero: 0,
        };
        let usage = wgpu::BufferUsages::UNIFORM;
        Ok(Self {
            kernels: kernels.clone(),
            desc,
            rows: buffers.rows.buffer.clone(),
            offset: buffers.rows.offset,
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

    pub(super) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(super) fn uniform_range(&self) -> Range<'_> {
        Range::whole("table", &self.uniform)
    }

    pub(super) fn rows_range(&self) -> Range<'_> {
        Range::own("rows", &self.rows, self.offset, self.desc.bytes().max(4))
    }
}

impl Kernels {
    /// A table of zeros on the device, to be quantized into.
    ///
    /// # Errors
    /// [`crate::Error::Shape`], [`crate::Error::Limit`], [`crate::Error::OutOfMemory`],
    /// [`crate::Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates the rows and a uniform of 16 bytes. Compiles, submits and waits for nothing.
    pub fn allocate(&self, desc: TableDesc) -> Result<Table> {
        desc.check(self.limits())?;
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::COPY_SRC;
        let rows = buffer(self.device(), "table", desc.bytes(), usage)?;
        let rows = rows.as_entire_buffer_binding();
        Table::from_buffers(self, desc, TableBuffers { rows })
    }

    /// Copies a table to the device; it arrives with the queue's next submit.
    ///
    /// # Errors
    /// As [`Kernels::allocate`].
    ///
    /// # Panics
    /// wgpu's error handler panics where `queue` is not the queue of the kernels' device.
    ///
    /// # Cost
    /// Allocates the rows, a uniform of 16 bytes and wgpu's staging copy. Submits and waits for
    /// nothing.
    pub fn upload(&self, queue: &wgpu::Queue, packed: &PackedTable) -> Result<Table> {
        let table = self.allocate(TableDesc {
            format: packed.format(),
            rows: packed.rows(),
            dim: packed.dim(),
        })?;
        let bytes = packed.bytes();
        checked(self.device(), "table", bytes.len() as u64, || {
            queue.write_buffer(&table.rows, 0, bytes);
        })?;
        Ok(table)
    }
}
