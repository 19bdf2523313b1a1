//! Rows of a live table, written in place.

use super::Table;
use super::scope::{alive, checked};
use crate::table::check_written;
use crate::{Error, PackedTable, Result};

impl Table {
    /// Writes rows over those from `first_row` on; the others keep every bit.
    ///
    /// What was submitted before reads the old rows, what is submitted after the new ones, whatever is bound to the
    /// table already.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` have another format or dim than the table, or do not all lie in it;
    /// [`Error::Unsupported`] for [`crate::Format::Blocks`], whose codebooks belong to the whole table;
    /// [`Error::BufferUsage`] where the table's buffer is the caller's own and lacks `COPY_DST`;
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    ///
    /// # Panics
    /// wgpu's error handler panics where `queue` is not the queue of the kernels' device.
    ///
    /// # Cost
    /// Copies the rows to wgpu's staging, from where they arrive with the queue's next submit. Allocates no more than
    /// that and 4 bytes, which tell whether the device is there; submits and waits for nothing.
    pub fn write_rows(
        &self,
        queue: &wgpu::Queue,
        first_row: u32,
        rows: &PackedTable,
    ) -> Result<()> {
        let desc = self.desc();
        check_written((desc.format, desc.rows, desc.dim), first_row, rows)?;
        if rows.rows() == 0 {
            return Ok(());
        }
        let own = self.rows();
        if !own.buffer.usage().contains(wgpu::BufferUsages::COPY_DST) {
            return Err(Error::BufferUsage {
                argument: "table",
                missing: "COPY_DST",
            });
        }
        let device = self.kernels().device();
        alive(device)?;
        let row_bytes = u64::from(desc.format.row_bytes(desc.dim));
        let offset = own.offset + u64::from(first_row) * row_bytes;
        let bytes = rows.bytes();
        checked(device, "rows", bytes.len() as u64, || {
            queue.write_buffer(own.buffer, offset, bytes);
        })
    }
}
