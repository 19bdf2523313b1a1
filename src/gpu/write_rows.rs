//! Rows of a live table, written in place.

use super::scope::{alive, checked};
use super::{Shard, Table};
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
    /// [`Error::BufferUsage`] where a buffer of such rows is the caller's own and lacks `COPY_DST`;
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
        let written = first_row..first_row + rows.rows();
        let concerned =
            |shard: &Shard<'_>| shard.rows.start < written.end && written.start < shard.rows.end;
        let shards: Vec<_> = self.shards().filter(concerned).collect();
        let usages = |shard: &Shard<'_>| shard.words.buffer.usage();
        if shards
            .iter()
            .any(|shard| !usages(shard).contains(wgpu::BufferUsages::COPY_DST))
        {
            return Err(Error::BufferUsage {
                argument: "table",
                missing: "COPY_DST",
            });
        }
        let device = self.kernels().device();
        alive(device)?;
        let bytes = rows.bytes();
        checked(device, "rows", bytes.len() as u64, || {
            for shard in &shards {
                let part = shard.rows.start.max(written.start)..shard.rows.end.min(written.end);
                let from = desc.bytes_of(&(written.start..part.start)) as usize;
                let to = desc.bytes_of(&(written.start..part.end)) as usize;
                let at = desc.bytes_of(&(shard.rows.start..part.start));
                queue.write_buffer(
                    shard.words.buffer,
                    shard.words.offset + at,
                    &bytes[from..to],
                );
            }
        })
    }
}
