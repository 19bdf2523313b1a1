//! Counts that the device knows, and the grid of a kernel that goes by them.

use super::arguments::{Dispatch, Range, Work};
use super::kernels::Kernels;
use super::scope::filled_buffer;
use crate::Result;
use crate::shader::{self, CapacityUniform, CountsWords, PreparedWords};

/// Counts for a kernel, and what must be recorded before it.
pub(super) struct Prepared {
    /// Begins with [`CountsWords`].
    pub(super) counts: wgpu::Buffer,
    /// How many workgroups of the kernel they make.
    pub(super) work: Work,
    pub(super) dispatch: Dispatch,
}

/// Binds what clamps requested counts to a capacity and writes the indirect dispatch of a kernel.
pub(super) fn prepare(
    kernels: &Kernels,
    requested: &wgpu::BufferBinding<'_>,
    capacity: CapacityUniform,
) -> Result<Prepared> {
    let device = kernels.device();
    let bytes = size_of::<CountsWords>() as u64;
    let requested = Range::storage("counts", requested, bytes, kernels.limits())?;
    let usage = wgpu::BufferUsages::UNIFORM;
    let capacity = bytemuck::bytes_of(&capacity);
    let capacity = filled_buffer(device, "qembed.capacity", usage, capacity)?;
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::INDIRECT;
    let clear = [0; size_of::<PreparedWords>()];
    let counts = filled_buffer(device, "qembed.prepared", usage, &clear)?;
    let ranges = [
        Range::whole("capacity", &capacity),
        requested.renamed("requested"),
        Range::whole("prepared", &counts),
    ];
    let pipeline = kernels.pipeline(&shader::prepare())?;
    let dispatch = Dispatch::new(device, &pipeline, &ranges, Work::Groups([1, 1, 1]))?;
    let groups_at = std::mem::offset_of!(PreparedWords, groups) as u64;
    Ok(Prepared {
        work: Work::Indirect(counts.clone(), groups_at),
        counts,
        dispatch,
    })
}
