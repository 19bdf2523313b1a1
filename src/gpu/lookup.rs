//! Look rows up and pool them.

use std::sync::Arc;

use super::Table;
use super::arguments::{
    Dispatch, Range, Work, check_table, held, missing, read_range, status_range,
};
use super::chain::check_buffers;
use super::collect::Collected;
use super::counts::prepare;
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use super::scope::filled_buffer;
use super::tuning::{BatchShape, Tuning};
use crate::shader::{self, CapacityUniform, CountsWords, lookup_lanes_per_two_rows};
use crate::{Error, IndexType, LookupPlan, LookupSpec, LookupStatus, Pooling, Result, Weighting};

/// A compiled lookup kernel; see [`Kernels::lookup`].
#[derive(Clone, Debug)]
pub struct Lookup {
    kernels: Kernels,
    spec: LookupSpec,
    index: IndexType,
    tuning: Tuning,
    /// The plan of most batches, compiled.
    usual: (LookupPlan, Arc<Pipeline>),
}

/// How many bags and indices there are.
#[derive(Clone, Debug)]
pub enum Counts<'a> {
    /// Known now.
    Host {
        /// Number of bags; not read by a gather.
        bags: u32,
        /// Number of indices.
        indices: u32,
    },
    /// In a buffer that an earlier kernel writes: `[bags, indices]`, two u32, usage `STORAGE`.
    ///
    /// They are clamped to what the bound ranges hold, so that one bind serves every batch; bags and
    /// indices beyond that are left out without a trace.
    Device(wgpu::BufferBinding<'a>),
}

/// Buffer ranges of a lookup. Each needs the usage `STORAGE` and the device's offset alignment.
///
/// A range whose length would be zero may be `None`.
/// Longer ranges than needed are fine.
/// `output` and `status` are written: their buffers may not be read by the same lookup.
#[derive(Clone, Debug)]
pub struct LookupArgs<'a> {
    /// How many bags and indices.
    pub counts: Counts<'a>,
    /// `[indices]` u32, or i64 ([`Lookup::reading`]).
    pub indices: Option<wgpu::BufferBinding<'a>>,
    /// `[bags + 1]` of the same type; `None` for a gather.
    pub offsets: Option<wgpu::BufferBinding<'a>>,
    /// `[indices]` f32; `None` where the spec is unweighted.
    pub weights: Option<wgpu::BufferBinding<'a>>,
    /// `[bags, dim]` (a gather: `[indices, dim]`) f32 or f16, row-major, rounded up to whole words;
    /// half a word left over is zeroed.
    pub output: Option<wgpu::BufferBinding<'a>>,
    /// [`LookupStatus`], four u32 that the caller set to [`LookupStatus::CLEAR`]; may be `None`.
    pub status: Option<wgpu::BufferBinding<'a>>,
}

impl LookupArgs<'_> {
    /// How many indices the ranges hold, with a weight each where they have weights; at least one.
    pub(super) fn held_indices(
        &self,
        index: IndexType,
        weighting: Weighting,
        limits: &wgpu::Limits,
    ) -> Result<u64> {
        let indices = held("indices", &self.indices, (index.bytes(), 1), limits)?;
        match weighting {
            Weighting::Unweighted => Ok(indices),
            Weighting::Weighted => Ok(indices.min(held("weights", &self.weights, (4, 1), limits)?)),
        }
    }
}

/// A lookup with its buffers, ready to be recorded any number of times.
#[derive(Clone, Debug)]
pub struct BoundLookup {
    dispatches: Vec<Dispatch>,
}

impl BoundLookup {
    pub(super) fn of(dispatches: Vec<Dispatch>) -> Self {
        Self { dispatches }
    }

    /// Records the lookup into the caller's pass: one dispatch, two where counts are on the device (one for a batch),
    /// none where there is no output; in a table of several shards one more for each of them, and one more again where
    /// counts are on the device. Sets the pipeline and bind group 0.
    ///
    /// # Cost
    /// Allocates, compiles, submits and waits for nothing; cannot fail.
    #[inline]
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        for dispatch in &self.dispatches {
            dispatch.record(pass);
        }
    }
}

/// Rows that the bound ranges hold, and with it their lengths.
struct Extent {
    bags: u64,
    indices: u64,
}

/// A plan's kernel.
struct Planned {
    pipeline: Arc<Pipeline>,
    lanes_per_two_rows: u32,
}

impl Lookup {
    pub(super) fn new(kernels: Kernels, spec: LookupSpec, tuning: Tuning) -> Result<Self> {
        Self::of_type(kernels, (spec, IndexType::U32), tuning)
    }

    fn of_type(
        kernels: Kernels,
        (spec, index): (LookupSpec, IndexType),
        tuning: Tuning,
    ) -> Result<Self> {
        let plan = tuning.usual(&spec);
        let pipeline = kernels.pipeline(&shader::lookup(&spec, plan, index))?;
        Ok(Self {
            kernels,
            spec,
            index,
            tuning,
            usual: (plan, pipeline),
        })
    }

    /// The same lookup for indices and offsets of a type; those of [`Kernels::lookup`] are u32.
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Compiles the kernel at the first call for it.
    pub fn reading(&self, index: IndexType) -> Result<Self> {
        Self::of_type(self.kernels.clone(), (self.spec, index), self.tuning)
    }

    /// What it computes.
    pub fn spec(&self) -> LookupSpec {
        self.spec
    }

    /// Checks every argument and binds them.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table of another format or of other kernels and for ranges that the spec does not take or
    /// misses; [`Error::BufferTooSmall`], [`Error::BufferUsage`], [`Error::Misaligned`],
    /// [`Error::Aliased`], [`Error::Limit`] for ranges; [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates a bind group, 8 bytes of counts (device counts: 40 and a second bind group) and, where
    /// there is no status, 16 bytes of scratch.
    /// Compiles `prepare` at the first call with device counts, and another plan than the usual ([`LookupPlan`]) at
    /// the first call that takes it: for long bags, on software adapters also for tables of at most 32 columns, and
    /// for f16 rows of an odd length; submits and waits for nothing.
    ///
    /// Of a table of several shards the rows of all indices are first copied together: for that it allocates a packed row
    /// and an index's bytes for every index (device counts: for every index that the range holds), and the same must fit one
    /// binding; rows that share codebooks ([`crate::Format::Blocks`]) take a codebook each there. Further a bind group and
    /// 8 bytes for every shard, 32 bytes, and what a second `prepare` takes; and it compiles the kernel that copies, and
    /// for such rows the lookup of [`crate::Format::Codebook`], at the first call for each.
    pub fn bind(&self, table: &Table, args: LookupArgs<'_>) -> Result<BoundLookup> {
        self.bind_longest(table, args, None)
    }

    /// [`Lookup::bind`] by somebody who may know how many indices the longest bag has.
    pub(crate) fn bind_longest(
        &self,
        table: &Table,
        args: LookupArgs<'_>,
        longest: Option<u64>,
    ) -> Result<BoundLookup> {
        check_table(&self.kernels, table, self.spec.format)?;
        self.check_presence(&args)?;
        match &args.counts {
            Counts::Host { bags, indices } => {
                let extent = Extent {
                    bags: (*bags).into(),
                    indices: (*indices).into(),
                };
                if table.shards().len() > 1 {
                    return self.bind_shards(table, &args, &extent, longest);
                }
                self.bind_host(table, &args, &extent, longest)
            }
            Counts::Device(requested) => {
                let extent = self.capacity(table, &args)?;
                if table.shards().len() > 1 {
                    return self.bind_shards(table, &args, &extent, longest);
                }
                self.bind_device(table, &args, &extent, requested)
            }
        }
    }

    /// Collects the rows of all indices, and binds the lookup of them: the order of summation, and all else, is its own.
    fn bind_shards(
        &self,
        table: &Table,
        args: &LookupArgs<'_>,
        extent: &Extent,
        longest: Option<u64>,
    ) -> Result<BoundLookup> {
        if self.output_rows(extent) == 0 {
            return Ok(BoundLookup { dispatches: vec![] });
        }
        check_shared(table, args)?;
        let collected = Collected::bind(
            &self.kernels,
            table,
            args,
            (extent.indices as u32, self.index),
        )?;
        let spec = LookupSpec {
            format: collected.table.desc().format,
            ..self.spec
        };
        let args = LookupArgs {
            indices: Some(collected.indices.as_entire_buffer_binding()),
            ..args.clone()
        };
        let lookup = Self::of_type(self.kernels.clone(), (spec, self.index), self.tuning)?;
        let bound = lookup.bind_longest(&collected.table, args, longest)?;
        let mut dispatches = collected.dispatches;
        dispatches.extend(bound.dispatches);
        Ok(BoundLookup { dispatches })
    }

    fn bind_host(
        &self,
        table: &Table,
        args: &LookupArgs<'_>,
        extent: &Extent,
        longest: Option<u64>,
    ) -> Result<BoundLookup> {
        let rows = self.output_rows(extent);
        if rows == 0 {
            return Ok(BoundLookup { dispatches: vec![] });
        }
        let counts = filled_buffer(
            self.kernels.device(),
            "qembed.counts",
            wgpu::BufferUsages::STORAGE,
            bytemuck::bytes_of(&CountsWords {
                bags: extent.bags as u32,
                indices: extent.indices as u32,
            }),
        )?;
        let planned = self.planned(table, extent, longest)?;
        let lanes = (rows * u64::from(planned.lanes_per_two_rows)).div_ceil(2);
        let work = Work::groups("output", lanes.div_ceil(shader::WORKGROUP.into()))?;
        let lookup = self.dispatch(table, args, extent, (&planned, &counts, work))?;
        Ok(BoundLookup {
            dispatches: vec![lookup],
        })
    }

    fn bind_device(
        &self,
        table: &Table,
        args: &LookupArgs<'_>,
        extent: &Extent,
        requested: &wgpu::BufferBinding<'_>,
    ) -> Result<BoundLookup> {
        let planned = self.planned(table, extent, None)?;
        let capacity = CapacityUniform {
            bags: extent.bags as u32,
            indices: extent.indices as u32,
            lanes_per_two_rows: planned.lanes_per_two_rows,
            gather: (self.spec.pooling == Pooling::None).into(),
            workgroup: shader::WORKGROUP,
        };
        let prepared = prepare(&self.kernels, requested, capacity)?;
        let counted = (&planned, &prepared.counts, prepared.work);
        let lookup = self.dispatch(table, args, extent, counted)?;
        Ok(BoundLookup {
            dispatches: vec![prepared.dispatch, lookup],
        })
    }

    /// The plan for a batch, its pipeline and its lanes.
    fn planned(&self, table: &Table, extent: &Extent, longest: Option<u64>) -> Result<Planned> {
        let dim = table.desc().dim;
        let plan = self.tuning.plan(
            &self.spec,
            &BatchShape {
                dim,
                bags: extent.bags,
                mean_bag: extent.indices / extent.bags.max(1),
                longest_bag: longest,
            },
        );
        let (usual, pipeline) = &self.usual;
        Ok(Planned {
            pipeline: match plan == *usual {
                true => pipeline.clone(),
                false => self
                    .kernels
                    .pipeline(&shader::lookup(&self.spec, plan, self.index))?,
            },
            lanes_per_two_rows: lookup_lanes_per_two_rows(dim, self.spec.output, plan),
        })
    }

    /// Checks the ranges against the extent and binds them. The buffer of counts begins with [`CountsWords`].
    fn dispatch(
        &self,
        table: &Table,
        args: &LookupArgs<'_>,
        extent: &Extent,
        (planned, counts, work): (&Planned, &wgpu::Buffer, Work),
    ) -> Result<Dispatch> {
        let device = self.kernels.device();
        let limits = self.kernels.limits();
        let counts = Range::own("counts", counts, 0, size_of::<CountsWords>() as u64);
        let read = |name, binding, bytes| read_range(name, binding, bytes, &counts, limits);
        let index_bytes = self.index.bytes();
        let output_bytes = self.output_rows(extent) * self.row_output_bytes(table);
        let mut scratch = None;
        let clear = bytemuck::bytes_of(&LookupStatus::CLEAR);
        let status = status_range(&self.kernels, args.status.as_ref(), clear, &mut scratch)?;
        let output = args.output.as_ref().ok_or_else(|| missing("output"))?;
        let mut ranges = vec![
            table.uniform_range(),
            table.rows_range(),
            read(
                "indices",
                args.indices.as_ref(),
                index_bytes * extent.indices,
            )?,
            read(
                "offsets",
                args.offsets.as_ref(),
                index_bytes * self.offsets_len(extent),
            )?,
            read(
                "weights",
                args.weights.as_ref(),
                4 * self.weights_len(extent),
            )?,
            Range::storage("output", output, output_bytes, limits)?,
            status,
            counts.clone(),
        ];
        ranges.extend(table.blocks_range());
        Dispatch::new(device, &planned.pipeline, &ranges, work)
    }

    /// What the ranges hold where the counts come from the device: at least one row of output.
    fn capacity(&self, table: &Table, args: &LookupArgs<'_>) -> Result<Extent> {
        let limits = self.kernels.limits();
        let indices = args.held_indices(self.index, self.spec.weighting, limits)?;
        let row_bytes = self.row_output_bytes(table);
        let one_row = (4, row_bytes.div_ceil(4));
        let output_rows = 4 * held("output", &args.output, one_row, limits)? / row_bytes;
        if self.spec.pooling == Pooling::None {
            let indices = indices.min(output_rows);
            return Ok(Extent { bags: 0, indices });
        }
        let one_bag = (self.index.bytes(), 2);
        let bags = held("offsets", &args.offsets, one_bag, limits)? - 1;
        let bags = bags.min(output_rows);
        Ok(Extent { bags, indices })
    }

    fn output_rows(&self, extent: &Extent) -> u64 {
        match self.spec.pooling {
            Pooling::None => extent.indices,
            Pooling::Sum | Pooling::Mean | Pooling::Max => extent.bags,
        }
    }

    fn row_output_bytes(&self, table: &Table) -> u64 {
        u64::from(table.desc().dim) * self.spec.output.bytes()
    }

    fn offsets_len(&self, extent: &Extent) -> u64 {
        match self.spec.pooling {
            Pooling::None => 0,
            Pooling::Sum | Pooling::Mean | Pooling::Max => extent.bags + 1,
        }
    }

    fn weights_len(&self, extent: &Extent) -> u64 {
        match self.spec.weighting {
            Weighting::Unweighted => 0,
            Weighting::Weighted => extent.indices,
        }
    }

    /// Refuses ranges that the spec does not read: they hint at a wrong spec.
    fn check_presence(&self, args: &LookupArgs<'_>) -> Result<()> {
        let unread = [
            (
                "offsets",
                args.offsets.is_some() && self.spec.pooling == Pooling::None,
            ),
            (
                "weights",
                args.weights.is_some() && self.spec.weighting == Weighting::Unweighted,
            ),
        ];
        match unread.into_iter().find(|(_, unread)| *unread) {
            None => Ok(()),
            Some((argument, _)) => Err(Error::Shape {
                argument,
                needed: format!("None for {}", self.spec.label()),
                got: "a range".into(),
            }),
        }
    }
}

/// Refuses a written range in a buffer that is read, though another dispatch reads it: one rule for all tables.
fn check_shared(table: &Table, args: &LookupArgs<'_>) -> Result<()> {
    let shards: Vec<_> = table.shards().collect();
    let blocks = table.blocks().map(|(_, words)| words);
    let mut read = vec![
        ("indices", args.indices.as_ref()),
        ("shared_words", blocks.as_ref()),
    ];
    read.extend(shards.iter().map(|shard| ("rows", Some(&shard.words))));
    let written = [
        ("output", args.output.as_ref()),
        ("status", args.status.as_ref()),
    ];
    check_buffers(&written, &read)
}
