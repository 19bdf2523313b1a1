//! Every check of a buffer range, in one place, so that wgpu has nothing left to complain about.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::Table;
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use super::scope::{checked, filled_buffer};
use crate::shader::{Access, Binding, grid};
use crate::{Error, Format, Result};

/// Storage ranges are whole words.
const WORD_BYTES: u64 = 4;

/// A range that passed every check.
#[derive(Clone, Debug)]
pub(super) struct Range<'a> {
    name: &'static str,
    buffer: &'a wgpu::Buffer,
    offset: u64,
    size: NonZeroU64,
}

/// Kernels address words with 32 bits and count elements below 2^31.
const MAX_BYTES: u64 = 1 << 32;

/// The largest range that a kernel takes on a device.
pub(crate) fn max_binding_bytes(limits: &wgpu::Limits) -> u64 {
    limits.max_storage_buffer_binding_size.min(MAX_BYTES)
}

/// Bytes in a range that the caller gave.
///
/// # Errors
/// [`Error::BufferTooSmall`] where it reaches past its buffer.
fn range_bytes(name: &'static str, binding: &wgpu::BufferBinding<'_>) -> Result<u64> {
    let rest = binding.buffer.size().saturating_sub(binding.offset);
    let asked = binding.size.map_or(rest, NonZeroU64::get);
    if asked > rest {
        return Err(Error::BufferTooSmall {
            argument: name,
            needed_bytes: asked,
            got_bytes: rest,
        });
    }
    Ok(asked)
}

/// How many elements of so many bytes a caller's range holds and the device binds.
///
/// # Errors
/// [`Error::Shape`] where there is no range, [`Error::BufferTooSmall`] where it holds less than so many.
pub(super) fn held(
    name: &'static str,
    binding: &Option<wgpu::BufferBinding<'_>>,
    (bytes, least): (u64, u64),
    limits: &wgpu::Limits,
) -> Result<u64> {
    let binding = binding.as_ref().ok_or_else(|| missing(name))?;
    let got_bytes = range_bytes(name, binding)?;
    match got_bytes.min(max_binding_bytes(limits)) / bytes {
        held if held >= least => Ok(held),
        _ => Err(Error::BufferTooSmall {
            argument: name,
            needed_bytes: bytes * least,
            got_bytes,
        }),
    }
}

impl<'a> Range<'a> {
    /// Trims a caller's storage range to the bytes that the work needs, which are not none.
    pub(super) fn storage(
        name: &'static str,
        binding: &wgpu::BufferBinding<'a>,
        needed_bytes: u64,
        limits: &wgpu::Limits,
    ) -> Result<Self> {
        let needed = needed_bytes.next_multiple_of(WORD_BYTES).max(WORD_BYTES);
        let got_bytes = range_bytes(name, binding)?;
        if got_bytes < needed {
            return Err(Error::BufferTooSmall {
                argument: name,
                needed_bytes: needed,
                got_bytes,
            });
        }
        check_binding_size(name, needed, limits)?;
        if !binding.buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return Err(Error::BufferUsage {
                argument: name,
                missing: "STORAGE",
            });
        }
        let align_bytes = u64::from(limits.min_storage_buffer_offset_alignment).max(WORD_BYTES);
        if !binding.offset.is_multiple_of(align_bytes) {
            return Err(Error::Misaligned {
                argument: name,
                offset_bytes: binding.offset,
                align_bytes,
            });
        }
        Ok(Self::own(name, binding.buffer, binding.offset, needed))
    }

    /// A caller's uniform range.
    pub(super) fn uniform(
        name: &'static str,
        binding: &wgpu::BufferBinding<'a>,
        needed_bytes: u64,
        limits: &wgpu::Limits,
    ) -> Result<Self> {
        let got_bytes = range_bytes(name, binding)?;
        if got_bytes < needed_bytes {
            return Err(Error::BufferTooSmall {
                argument: name,
                needed_bytes,
                got_bytes,
            });
        }
        if !binding.buffer.usage().contains(wgpu::BufferUsages::UNIFORM) {
            return Err(Error::BufferUsage {
                argument: name,
                missing: "UNIFORM",
            });
        }
        let align_bytes = u64::from(limits.min_uniform_buffer_offset_alignment);
        if !binding.offset.is_multiple_of(align_bytes) {
            return Err(Error::Misaligned {
                argument: name,
                offset_bytes: binding.offset,
                align_bytes,
            });
        }
        Ok(Self::own(
            name,
            binding.buffer,
            binding.offset,
            needed_bytes,
        ))
    }

    /// A range of a buffer made in this wing.
    pub(super) fn own(
        name: &'static str,
        buffer: &'a wgpu::Buffer,
        offset: u64,
        size: u64,
    ) -> Self {
        Self {
            name,
            buffer,
            offset,
            size: NonZeroU64::new(size).unwrap_or(NonZeroU64::MIN),
        }
    }

    /// All of a buffer made in this wing.
    pub(super) fn whole(name: &'static str, buffer: &'a wgpu::Buffer) -> Self {
        Self::own(name, buffer, 0, buffer.size())
    }

    /// The same bytes under the name of another argument.
    pub(super) fn renamed(&self, name: &'static str) -> Self {
        Self {
            name,
            ..self.clone()
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether both hold a byte.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.buffer == other.buffer && self.offset < other.end() && other.offset < self.end()
    }

    fn end(&self) -> u64 {
        self.offset + self.size.get()
    }
}

/// # Errors
/// [`Error::Limit`] where the device cannot bind that many bytes.
pub(super) fn check_binding_size(
    name: &'static str,
    bytes: u64,
    limits: &wgpu::Limits,
) -> Result<()> {
    if bytes > limits.max_storage_buffer_binding_size {
        return Err(Error::Limit {
            argument: name,
            name: "max_storage_buffer_binding_size",
            needed: bytes,
            available: limits.max_storage_buffer_binding_size,
        });
    }
    if bytes > MAX_BYTES {
        return Err(Error::Limit {
            argument: name,
            name: "32-bit addresses (bytes)",
            needed: bytes,
            available: MAX_BYTES,
        });
    }
    Ok(())
}

/// Refuses a table of other kernels and one that the kernel was not made for.
pub(super) fn check_table(kernels: &Kernels, table: &Table, format: Format) -> Result<()> {
    kernels.check_owner("table", table.kernels())?;
    let desc = table.desc();
    if desc.format == format {
        return Ok(());
    }
    Err(Error::Shape {
        argument: "table",
        needed: format!("{format} rows (the kernel's spec)"),
        got: format!("{} rows", desc.format),
    })
}

/// The caller's status, or scratch that nobody reads: the kernel always has one to write.
pub(super) fn status_range<'a>(
    kernels: &Kernels,
    given: Option<&wgpu::BufferBinding<'a>>,
    clear: &[u8],
    scratch: &'a mut Option<wgpu::Buffer>,
) -> Result<Range<'a>> {
    if let Some(given) = given {
        return Range::storage("status", given, clear.len() as u64, kernels.limits());
    }
    let usage = wgpu::BufferUsages::STORAGE;
    let scratch = scratch.insert(filled_buffer(
        kernels.device(),
        "qembed.status",
        usage,
        clear,
    )?);
    Ok(Range::whole("status", scratch))
}

/// Refuses rows that do not lie in the table.
pub(super) fn check_rows(table: &Table, rows: &std::ops::Range<u32>) -> Result<()> {
    if rows.start <= rows.end && rows.end <= table.desc().rows {
        return Ok(());
    }
    Err(Error::Shape {
        argument: "rows",
        needed: format!("a range within 0..{}", table.desc().rows),
        got: format!("{rows:?}"),
    })
}

/// A range that the work needs and the caller did not give.
pub(super) fn missing(argument: &'static str) -> Error {
    Error::Shape {
        argument,
        needed: "a range".into(),
        got: "None".into(),
    }
}

/// A range to read, or a stand-in that is never empty where it has no bytes.
pub(super) fn read_range<'a>(
    name: &'static str,
    binding: Option<&wgpu::BufferBinding<'a>>,
    bytes: u64,
    stand_in: &Range<'a>,
    limits: &wgpu::Limits,
) -> Result<Range<'a>> {
    match (bytes, binding) {
        (0, _) => Ok(stand_in.renamed(name)),
        (_, Some(binding)) => Range::storage(name, binding, bytes, limits),
        (_, None) => Err(missing(name)),
    }
}

/// A kernel with its buffers, ready to be recorded.
#[derive(Clone, Debug)]
pub(super) struct Dispatch {
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
    work: Work,
}

/// How many workgroups.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Known now.
    Groups([u32; 3]),
    /// In a buffer, at this byte.
    Indirect(wgpu::Buffer, u64),
}

impl Work {
    /// # Errors
    /// [`Error::Limit`] where a two-dimensional grid does not hold that many workgroups.
    pub(super) fn groups(argument: &'static str, groups: u64) -> Result<Self> {
        grid(groups).map(Self::Groups).ok_or(Error::Limit {
            argument,
            name: "max_compute_workgroups_per_dimension, squared",
            needed: groups,
            available: u64::from(crate::shader::GRID_WIDTH).pow(2),
        })
    }
}

impl Dispatch {
    /// Binds to every binding of the kernel the range that bears its name.
    ///
    /// # Errors
    /// [`Error::Aliased`] where a written range shares its buffer with a read one or overlaps
    /// another written one.
    pub(super) fn new(
        device: &wgpu::Device,
        pipeline: &Arc<Pipeline>,
        ranges: &[Range<'_>],
        work: Work,
    ) -> Result<Self> {
        let bound: Vec<_> = pipeline
            .bindings
            .iter()
            .filter_map(|binding| {
                Some((
                    binding,
                    ranges.iter().find(|range| range.name == binding.name)?,
                ))
            })
            .collect();
        check_aliases(&bound)?;
        let entries: Vec<_> = bound
            .iter()
            .map(|(binding, range)| wgpu::BindGroupEntry {
                binding: binding.number,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: range.buffer,
                    offset: range.offset,
                    size: Some(range.size),
                }),
            })
            .collect();
        let bind_group = checked(device, "bind group", 0, || {
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&pipeline.label),
                layout: &pipeline.layout,
                entries: &entries,
            })
        })?;
        Ok(Self {
            pipeline: pipeline.clone(),
            bind_group,
            work,
        })
    }

    /// Sets the pipeline and bind group 0, dispatches; leaves everything else in the pass alone.
    #[inline]
    pub(super) fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        match &self.work {
            Work::Groups([x, y, z]) => pass.dispatch_workgroups(*x, *y, *z),
            Work::Indirect(buffer, offset) => pass.dispatch_workgroups_indirect(buffer, *offset),
        }
    }
}

/// A buffer that is written under one name and read under another.
pub(super) fn read_and_written(argument: &'static str, other: &'static str) -> Error {
    Error::Aliased {
        argument,
        other,
        overlap: "a buffer",
        remedy: "one dispatch cannot read and write one buffer; use another one",
    }
}

fn check_aliases(bound: &[(&Binding, &Range<'_>)]) -> Result<()> {
    for (i, (binding, range)) in bound.iter().enumerate() {
        if binding.access != Access::ReadWrite {
            continue;
        }
        for (j, (other_binding, other)) in bound.iter().enumerate() {
            if i == j || range.buffer != other.buffer {
                continue;
            }
            if other_binding.access != Access::ReadWrite {
                return Err(read_and_written(range.name, other.name));
            }
            if range.overlaps(other) {
                return Err(Error::Aliased {
                    argument: range.name,
                    other: other.name,
                    overlap: "bytes",
                    remedy: "give each a range of its own",
                });
            }
        }
    }
    Ok(())
}
