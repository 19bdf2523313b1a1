//! The batch of an update on the device: where its rows occur, and the gradient of each.

use std::sync::Arc;

use super::Table;
use super::arguments::{Dispatch, Range, Work, check_binding_size, read_range};
use super::chain::{Given, check_overlaps, check_scratch};
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use super::scope::{buffer, filled_buffer};
use super::sort::{Sort, SortArgs, SortBuffers};
use crate::shader::{self, BatchUniform, Pass};
use crate::training::{BadInput, UpdateStatus, no_update_of_max};
use crate::{Error, Pooling, Result, Weighting};

/// The lookup whose gradient is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchSpec {
    /// How bags were pooled; a max has no update.
    pub pooling: Pooling,
    /// With or without weights.
    pub weighting: Weighting,
}

/// Buffer ranges of a batch. Each needs the usage `STORAGE` and the device's offset alignment; longer ones than
/// needed are fine, and one whose length would be zero may be `None`.
#[derive(Clone, Debug)]
pub struct BatchArgs<'a> {
    /// Number of bags; of a gather, of positions.
    pub bags: u32,
    /// Number of positions, that is, of indices.
    pub positions: u32,
    /// `[positions]` u32.
    pub indices: Option<wgpu::BufferBinding<'a>>,
    /// `[bags + 1]` u32; `None` for a gather.
    pub offsets: Option<wgpu::BufferBinding<'a>>,
    /// `[positions]` f32; `None` where the spec is unweighted.
    pub weights: Option<wgpu::BufferBinding<'a>>,
}

impl<'a> BatchArgs<'a> {
    /// The ranges of the table and of the batch, by name.
    pub(super) fn given<'b>(&'b self, rows: &'b wgpu::BufferBinding<'a>) -> [Given<'b, 'a>; 4] {
        [
            ("rows", Some(rows)),
            ("indices", self.indices.as_ref()),
            ("offsets", self.offsets.as_ref()),
            ("weights", self.weights.as_ref()),
        ]
    }
}

/// Scratch of updates, for batches of at most so many positions: sorted positions, and a gradient of `dim` f32
/// for every unique row.
///
/// One update at a time: the next overwrites it.
#[derive(Clone, Debug)]
pub struct UpdateBuffers {
    pub(super) sort: SortBuffers,
    pub(super) keys: wgpu::Buffer,
    pub(super) occurrences: wgpu::Buffer,
    pub(super) sums: wgpu::Buffer,
    /// What a kernel binds where it has no state.
    pub(super) nothing: wgpu::Buffer,
    dim: u32,
}

impl Kernels {
    /// Scratch for updates of tables of `dim` columns by batches of at most `positions` positions.
    ///
    /// # Errors
    /// [`Error::Shape`] for more than [`SortBuffers::MOST`] positions or a dim that is not 1 to 8192;
    /// [`Error::Limit`] where the device cannot bind a gradient for every position; [`Error::OutOfMemory`];
    /// [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates what [`Kernels::sort_buffers`] does, and `positions * (4 * dim + 12)` bytes. Compiles, submits
    /// and waits for nothing.
    pub fn update_buffers(&self, positions: u32, dim: u32) -> Result<UpdateBuffers> {
        crate::format::check_dim(dim as usize)?;
        let sums_bytes = 4 * u64::from(positions) * u64::from(dim);
        check_binding_size("positions", sums_bytes, self.limits())?;
        let words = |name, words: u64| scratch(self, name, 4 * words);
        let slots = u64::from(positions);
        Ok(UpdateBuffers {
            sort: self.sort_buffers(positions)?,
            keys: words("keys", slots)?,
            // Never less than one, which is the least that can be bound.
            occurrences: words("occurrences", 2 * slots.max(1))?,
            sums: scratch(self, "sums", sums_bytes)?,
            nothing: words("state", 1)?,
            dim,
        })
    }
}

/// A storage buffer of these kernels' own; never empty, so that it can be bound.
pub(super) fn scratch(kernels: &Kernels, name: &'static str, bytes: u64) -> Result<wgpu::Buffer> {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    buffer(kernels.device(), name, bytes.max(4), usage)
}

impl UpdateBuffers {
    /// The most positions of a batch.
    pub fn capacity(&self) -> u32 {
        self.sort.capacity()
    }

    /// The batch in order of its rows, once an update has run.
    pub fn sorted(&self) -> &SortBuffers {
        &self.sort
    }

    /// Bytes of device memory that it takes.
    pub fn bytes(&self) -> u64 {
        let own = [&self.keys, &self.occurrences, &self.sums, &self.nothing];
        self.sort.bytes() + own.map(wgpu::Buffer::size).iter().sum::<u64>()
    }
}

/// The compiled kernels that find and sort a batch's rows and add up its gradients.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    kernels: Kernels,
    spec: BatchSpec,
    locate: Arc<Pipeline>,
    sort: Sort,
    accumulate: Arc<Pipeline>,
}

impl Batches {
    /// # Errors
    /// [`Error::Unsupported`] for a max; what compiling gives.
    pub(super) fn new(kernels: &Kernels, spec: BatchSpec) -> Result<Self> {
        if spec.pooling == Pooling::Max {
            return Err(no_update_of_max());
        }
        let BatchSpec { pooling, weighting } = spec;
        Ok(Self {
            kernels: kernels.clone(),
            spec,
            locate: kernels.pipeline(&shader::locate(pooling, weighting))?,
            sort: kernels.sort()?,
            accumulate: kernels.pipeline(&shader::accumulate(pooling, weighting))?,
        })
    }

    /// Binds what finds the rows of a batch that was checked, and what puts them in order; nothing for a batch
    /// of nothing.
    pub(super) fn bind(
        &self,
        table: &Table,
        buffers: &UpdateBuffers,
        args: &BatchArgs<'_>,
        status: &wgpu::BufferBinding<'_>,
    ) -> Result<Vec<Dispatch>> {
        let mut dispatches = self.bind_locate(table, buffers, args, status)?;
        if args.positions == 0 {
            return Ok(dispatches);
        }
        let sort = SortArgs {
            count: args.positions,
            rows: table.desc().rows,
            keys: buffers.keys.as_entire_buffer_binding(),
        };
        dispatches.extend(self.sort.bind(&buffers.sort, sort)?.into_dispatches());
        Ok(dispatches)
    }

    /// Binds what finds the rows of a batch that was checked.
    pub(super) fn bind_locate(
        &self,
        table: &Table,
        buffers: &UpdateBuffers,
        args: &BatchArgs<'_>,
        status: &wgpu::BufferBinding<'_>,
    ) -> Result<Vec<Dispatch>> {
        let lanes = u64::from(args.positions.max(args.bags));
        if lanes == 0 {
            return Ok(vec![]);
        }
        let [indices, offsets, weights] = self.ranges(buffers, args)?;
        let uniform = self.uniform(args, Pass::Check)?;
        let ranges = [
            table.uniform_range(),
            Range::whole("work", &uniform),
            indices,
            offsets,
            weights,
            Range::whole("keys", &buffers.keys),
            Range::whole("occurrences", &buffers.occurrences),
            self.status(status)?,
        ];
        let work = Work::groups("positions", lanes.div_ceil(shader::WORKGROUP.into()))?;
        let locate = Dispatch::new(self.kernels.device(), &self.locate, &ranges, work)?;
        Ok(vec![locate])
    }

    /// The checked ranges of indices, offsets and weights; a stand-in for what is never read.
    pub(super) fn ranges<'a>(
        &self,
        buffers: &'a UpdateBuffers,
        args: &BatchArgs<'a>,
    ) -> Result<[Range<'a>; 3]> {
        let offsets = match self.spec.pooling {
            Pooling::None => 0,
            Pooling::Sum | Pooling::Mean | Pooling::Max => u64::from(args.bags) + 1,
        };
        let weights = match self.spec.weighting {
            Weighting::Unweighted => 0,
            Weighting::Weighted => args.positions.into(),
        };
        let unread = Range::whole("totals", buffers.sort.totals());
        let range = |name, binding: &Option<wgpu::BufferBinding<'a>>, words: u64| {
            let limits = self.kernels.limits();
            read_range(name, binding.as_ref(), 4 * words, &unread, limits)
        };
        Ok([
            range("indices", &args.indices, args.positions.into())?,
            range("offsets", &args.offsets, offsets)?,
            range("weights", &args.weights, weights)?,
        ])
    }

    /// Binds what adds up the gradient of every chunk of the sorted batch into `sums`.
    ///
    /// Refuses ranges that some dispatch behind it writes, `written`, where they overlap what is read here.
    pub(super) fn bind_sums(
        &self,
        table: &Table,
        (buffers, sums): (&UpdateBuffers, &wgpu::Buffer),
        (args, gradient): (&BatchArgs<'_>, Option<&wgpu::BufferBinding<'_>>),
        written: &[&Range<'_>],
    ) -> Result<Dispatch> {
        let gradient = self.gradient(table, buffers, (args, gradient))?;
        self.check_overlaps(buffers, (args, &gradient), written)?;
        let ranges = [
            table.uniform_range(),
            Range::whole("totals", buffers.sort.totals()),
            Range::whole("chunks", buffers.sort.chunks()),
            Range::whole("positions", buffers.sort.positions()),
            Range::whole("occurrences", &buffers.occurrences),
            gradient,
            Range::whole("sums", sums),
        ];
        let lanes = u64::from(args.positions) * u64::from(table.desc().dim.div_ceil(4));
        let work = Work::groups("positions", lanes.div_ceil(shader::WORKGROUP.into()))?;
        Dispatch::new(self.kernels.device(), &self.accumulate, &ranges, work)
    }

    /// Refuses written ranges that overlap each other, or what a batch and its gradient are read from.
    pub(super) fn check_overlaps(
        &self,
        buffers: &UpdateBuffers,
        (args, gradient): (&BatchArgs<'_>, &Range<'_>),
        written: &[&Range<'_>],
    ) -> Result<()> {
        let [indices, offsets, weights] = self.ranges(buffers, args)?;
        check_overlaps(written, &[&indices, &offsets, &weights, gradient])
    }

    /// The checked range of a gradient `[bags, dim]`; a stand-in where there are no bags.
    pub(super) fn gradient<'a>(
        &self,
        table: &Table,
        buffers: &'a UpdateBuffers,
        (args, gradient): (&BatchArgs<'_>, Option<&wgpu::BufferBinding<'a>>),
    ) -> Result<Range<'a>> {
        let elements = u64::from(args.bags) * u64::from(table.desc().dim);
        let unread = Range::whole("totals", buffers.sort.totals());
        let limits = self.kernels.limits();
        read_range("gradient", gradient, 4 * elements, &unread, limits)
    }

    /// The checked range of a status.
    pub(super) fn status<'a>(&self, status: &wgpu::BufferBinding<'a>) -> Result<Range<'a>> {
        let bytes = size_of::<UpdateStatus>() as u64;
        Range::storage("status", status, bytes, self.kernels.limits())
    }

    /// What a pass over the batch is told.
    pub(super) fn uniform(&self, args: &BatchArgs<'_>, pass: Pass) -> Result<wgpu::Buffer> {
        let uniform = BatchUniform {
            bags: args.bags,
            indices: args.positions,
            pass_kind: pass as u32,
            pad: 0,
        };
        let bytes = bytemuck::bytes_of(&uniform);
        let usage = wgpu::BufferUsages::UNIFORM;
        filled_buffer(self.kernels.device(), "qembed.batch", usage, bytes)
    }

    pub(super) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// Refuses buffers that are too small or for something else, ranges that the spec does not read, and those
    /// of the batch or of `others` that lie in the buffers.
    pub(super) fn check(
        &self,
        table: &Table,
        buffers: &UpdateBuffers,
        args: &BatchArgs<'_>,
        others: &[Given<'_, '_>],
    ) -> Result<()> {
        self.kernels.check_owner("table", table.kernels())?;
        let rows = table.only_shard()?.words;
        let shape = |argument, needed: String, got: String| {
            Err(Error::Shape {
                argument,
                needed,
                got,
            })
        };
        if !self.kernels.is(buffers.sort.kernels()) {
            let needed = "buffers made with these kernels or a clone of them".into();
            return shape("buffers", needed, "some made with others".into());
        }
        let dim = table.desc().dim;
        if buffers.dim != dim {
            let needed = format!("buffers for rows of {dim} columns");
            return shape("buffers", needed, format!("some for {}", buffers.dim));
        }
        if args.positions > buffers.capacity() {
            let needed = format!("at most {} (the buffers' capacity)", buffers.capacity());
            return shape("positions", needed, args.positions.to_string());
        }
        let gather = self.spec.pooling == Pooling::None;
        if gather && args.bags != args.positions {
            let needed = format!("{} (a bag for every position of a gather)", args.positions);
            return shape("bags", needed, args.bags.to_string());
        }
        if gather && args.offsets.is_some() {
            return shape("offsets", "None for a gather".into(), "a range".into());
        }
        if self.spec.weighting == Weighting::Unweighted && args.weights.is_some() {
            return shape("weights", "None where unweighted".into(), "a range".into());
        }
        let scratch = buffers.sort.outputs();
        check_scratch(&scratch, &args.given(&rows))?;
        check_scratch(&scratch, others)
    }
}

/// The passes over a batch's rows: one that stores what is good, or one that looks and one that stores.
pub(super) fn passes(bad_input: BadInput) -> &'static [Pass] {
    match bad_input {
        BadInput::Skip => &[Pass::StoreGood],
        BadInput::Refuse => &[Pass::Check, Pass::StoreUnlessBad],
    }
}
