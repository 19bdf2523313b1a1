//! The rows of a batch out of a table of several shards, side by side, so that a lookup takes them for a table.

#[cfg(feature = "session")]
use super::arguments::max_binding_bytes;
use super::arguments::{Dispatch, Range, Work, check_binding_size, missing};
use super::counts::{Prepared, prepare};
use super::kernels::Kernels;
use super::scope::{buffer, filled_buffer};
use super::{Counts, LookupArgs, Shard, Table, TableDesc};
use crate::shader::{
    self, CapacityUniform, CountsWords, ShardUniform, collect_lanes_per_row, collected,
};
use crate::{IndexType, Result};

/// Whose scratch it is, in errors.
const SCRATCH: &str = "the rows of all indices, collected";

/// A batch's rows in scratch, and what copies them there.
pub(super) struct Collected {
    /// Row `p` is the one at position `p` of the indices.
    pub(super) table: Table,
    /// Every position itself, or `u32::MAX` where the index there is no row; of the type of the caller's.
    pub(super) indices: wgpu::Buffer,
    /// One for every shard; before them one that prepares counts on the device.
    pub(super) dispatches: Vec<Dispatch>,
}

/// The most indices whose rows of a table fit scratch; `None` where a lookup needs none.
#[cfg(feature = "session")]
pub(crate) fn most_collected(table: &Table) -> Option<u64> {
    let limits = table.kernels().limits();
    let desc = table.desc();
    let row_bytes = u64::from(collected(desc.format).row_bytes(desc.dim));
    let most = max_binding_bytes(limits).min(limits.max_buffer_size) / row_bytes;
    (table.shards().len() > 1).then_some(most)
}

impl Collected {
    /// Allocates the scratch of a lookup of at most so many indices, and binds what fills it.
    pub(super) fn bind(
        kernels: &Kernels,
        table: &Table,
        args: &LookupArgs<'_>,
        (indices, index): (u32, IndexType),
    ) -> Result<Self> {
        let desc = TableDesc {
            format: collected(table.desc().format),
            rows: indices,
            dim: table.desc().dim,
        };
        check_binding_size(SCRATCH, desc.bytes(), kernels.limits())?;
        let usage = wgpu::BufferUsages::STORAGE;
        let rows = buffer(kernels.device(), SCRATCH, desc.bytes(), usage)?;
        let positions = index.bytes() * u64::from(indices);
        let positions = buffer(kernels.device(), SCRATCH, positions, usage)?;
        let shard = Shard {
            rows: 0..indices,
            words: rows.as_entire_buffer_binding(),
        };
        let mut all = Self {
            table: Table::from_shards(kernels, desc, &[shard], None)?,
            indices: positions,
            dispatches: vec![],
        };
        if indices > 0 {
            all.bind_shards(kernels, table, args, (indices, index))?;
        }
        Ok(all)
    }

    fn bind_shards(
        &mut self,
        kernels: &Kernels,
        table: &Table,
        args: &LookupArgs<'_>,
        (indices, index): (u32, IndexType),
    ) -> Result<()> {
        let given = args.indices.as_ref().ok_or_else(|| missing("indices"))?;
        let bytes = index.bytes() * u64::from(indices);
        let given = Range::storage("indices", given, bytes, kernels.limits())?;
        let (counts, work) = self.counts(kernels, table, &args.counts, indices)?;
        let counts = Range::own("counts", &counts, 0, size_of::<CountsWords>() as u64);
        let pipeline = kernels.pipeline(&shader::collect(table.desc().format, index))?;
        for (rows, words) in table.shard_ranges() {
            let usage = wgpu::BufferUsages::UNIFORM;
            let shard = ShardUniform {
                first_row: rows.start,
                rows: rows.end - rows.start,
            };
            let shard = bytemuck::bytes_of(&shard);
            let shard = filled_buffer(kernels.device(), "qembed.shard", usage, shard)?;
            let mut ranges = vec![
                table.uniform_range(),
                counts.clone(),
                words,
                given.clone(),
                Range::whole("shard", &shard),
                self.table.rows_range().renamed("collected"),
                Range::whole("collected_indices", &self.indices),
            ];
            ranges.extend(table.blocks_range());
            let dispatch = Dispatch::new(kernels.device(), &pipeline, &ranges, work.clone())?;
            self.dispatches.push(dispatch);
        }
        Ok(())
    }

    /// The buffer that says how many indices there are, and how many workgroups copy the rows at so many.
    fn counts(
        &mut self,
        kernels: &Kernels,
        table: &Table,
        counts: &Counts<'_>,
        indices: u32,
    ) -> Result<(wgpu::Buffer, Work)> {
        let lanes = collect_lanes_per_row(table.desc().format, table.desc().dim);
        match counts {
            Counts::Host { .. } => {
                let counts = CountsWords { bags: 0, indices };
                let counts = bytemuck::bytes_of(&counts);
                let usage = wgpu::BufferUsages::STORAGE;
                let counts = filled_buffer(kernels.device(), "qembed.counts", usage, counts)?;
                let lanes = u64::from(lanes) * u64::from(indices);
                let work = Work::groups("indices", lanes.div_ceil(shader::WORKGROUP.into()))?;
                Ok((counts, work))
            }
            Counts::Device(requested) => {
                let capacity = CapacityUniform {
                    bags: 0,
                    indices,
                    lanes_per_two_rows: 2 * lanes,
                    gather: 1,
                    workgroup: shader::WORKGROUP,
                };
                let Prepared {
                    counts,
                    work,
                    dispatch,
                } = prepare(kernels, requested, capacity)?;
                self.dispatches.push(dispatch);
                Ok((counts, work))
            }
        }
    }
}
