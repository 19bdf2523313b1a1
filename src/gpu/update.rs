//! Update packed rows by the gradient of a batch.

use std::sync::Arc;

use super::Table;
use super::arguments::{Dispatch, Range, Work, check_table, missing};
use super::batch::{BatchArgs, BatchSpec, Batches, UpdateBuffers, passes};
use super::chain::Given;
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use crate::shader::{self, HyperUniform};
use crate::training::{BadInput, Optimizer, Parameters, UpdateSpec};
use crate::{Error, Result};

/// The compiled kernels of an update; see [`Kernels::update`].
#[derive(Clone, Debug)]
pub struct Update {
    batches: Batches,
    spec: UpdateSpec,
    pipeline: Arc<Pipeline>,
}

/// Arguments of [`Update::bind`]. Ranges need the usage `STORAGE` and the device's offset alignment.
#[derive(Clone, Debug)]
pub struct UpdateArgs<'a> {
    /// The lookup.
    pub batch: BatchArgs<'a>,
    /// The gradient of its output, `[bags, dim]` f32.
    pub gradient: Option<wgpu::BufferBinding<'a>>,
    /// Read and written: the optimizer's state, `[rows, state_len]` f32; `None` where it has none.
    pub state: Option<wgpu::BufferBinding<'a>>,
    /// `[rows]` f32, the step of every row of the table; `None` unless the parameters are given.
    pub steps: Option<wgpu::BufferBinding<'a>>,
    /// A [`HyperUniform`], 64 bytes, usage `UNIFORM`: the caller writes it before every step.
    pub hyper: wgpu::BufferBinding<'a>,
    /// Written: a [`crate::training::UpdateStatus`], eight u32 that the caller set to its `CLEAR`.
    pub status: wgpu::BufferBinding<'a>,
    /// What bad indices and bad rows do.
    pub bad_input: BadInput,
}

/// An update with its buffers, ready to be recorded any number of times.
#[derive(Clone, Debug)]
pub struct BoundUpdate {
    pub(super) dispatches: Vec<Dispatch>,
}

impl BoundUpdate {
    /// Records into the caller's pass. An update and the first half of learning steps: one dispatch that finds the
    /// batch's rows, those of [`super::BoundSort::record`], one that sums gradients and one that updates rows, two
    /// of these where bad input is refused. The second half: the same without the sort; where the table has one
    /// step, three that learn it in place of the last. Fewer where there are no positions or no rows.
    /// Sets the pipeline and bind group 0.
    ///
    /// # Cost
    /// Allocates, compiles, submits and waits for nothing; cannot fail.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        for dispatch in &self.dispatches {
            dispatch.record(pass);
        }
    }
}

impl Kernels {
    /// The kernels of an update; compiled at the first call for them, then cached.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a spec or a pooling that has no update; [`Error::Device`] where the driver
    /// refuses a shader; [`Error::DeviceLost`].
    pub fn update(&self, spec: UpdateSpec, batch: BatchSpec) -> Result<Update> {
        spec.check()?;
        Ok(Update {
            batches: Batches::new(self, batch)?,
            spec,
            pipeline: self.training_pipeline(shader::update(&spec))?,
        })
    }
}

impl Update {
    /// What it computes.
    pub fn spec(&self) -> UpdateSpec {
        self.spec
    }

    /// Checks every argument and binds them.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table of another format or of other kernels, for more positions than `buffers` hold,
    /// and for ranges that the spec does not take or misses; what is wrong with a range;
    /// [`Error::Aliased`] where a written range shares its buffer with one that the same dispatch reads (`rows`,
    /// `state` and `status` with `hyper` and `steps`, `status` with `indices`, `offsets` and `weights`), where it
    /// overlaps any other range, and where a range lies in `buffers`; [`Error::Limit`] for a table of several shards;
    /// [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates a bind group for every dispatch, a uniform of 16 bytes for every pass, and what
    /// [`super::Sort::bind`] does. Compiles, submits and waits for nothing.
    pub fn bind(
        &self,
        table: &Table,
        buffers: &UpdateBuffers,
        args: UpdateArgs<'_>,
    ) -> Result<BoundUpdate> {
        let kernels = self.batches.kernels();
        check_table(kernels, table, self.spec.format)?;
        let rows = RowArgs {
            optimizer: self.spec.optimizer,
            gradient: args.gradient.as_ref(),
            state: args.state.as_ref(),
            state_rows: (table.desc().rows, table.desc().dim),
            hyper: &args.hyper,
            status: &args.status,
        };
        let mut given = rows.given().to_vec();
        given.push(("steps", args.steps.as_ref()));
        self.batches.check(table, buffers, &args.batch, &given)?;
        let mut dispatches = self
            .batches
            .bind(table, buffers, &args.batch, &args.status)?;
        if args.batch.positions == 0 || table.desc().rows == 0 {
            return Ok(BoundUpdate { dispatches });
        }
        let mut ranges = row_ranges(&self.batches, table, (buffers, &args.batch), &rows)?;
        let sums = (buffers, &buffers.sums);
        let read = (&args.batch, rows.gradient);
        let written = named(&ranges, &["rows", "state", "status"]);
        dispatches.push(self.batches.bind_sums(table, sums, read, &written)?);
        ranges.push(Range::whole("sums", &buffers.sums));
        ranges.extend(self.steps_range(table, args.steps.as_ref())?);
        let segments = u64::from(args.batch.positions.min(table.desc().rows));
        dispatches.extend(row_passes(
            &self.batches,
            &self.pipeline,
            (&ranges, &args.batch),
            (segments, args.bad_input),
        )?);
        Ok(BoundUpdate { dispatches })
    }

    fn steps_range<'a>(
        &self,
        table: &Table,
        steps: Option<&wgpu::BufferBinding<'a>>,
    ) -> Result<Option<Range<'a>>> {
        let bytes = 4 * u64::from(table.desc().rows);
        let limits = self.batches.kernels().limits();
        match (self.spec.parameters, steps) {
            (Parameters::Given, None) => Err(missing("steps")),
            (Parameters::Given, Some(steps)) => {
                Range::storage("steps", steps, bytes, limits).map(Some)
            }
            (_, None) => Ok(None),
            (parameters, Some(_)) => Err(Error::Shape {
                argument: "steps",
                needed: format!("None for {} parameters", parameters.name()),
                got: "a range".into(),
            }),
        }
    }
}

/// What all kernels that own segments bind.
pub(super) struct RowArgs<'a, 'b> {
    pub(super) optimizer: Optimizer,
    pub(super) gradient: Option<&'b wgpu::BufferBinding<'a>>,
    pub(super) state: Option<&'b wgpu::BufferBinding<'a>>,
    /// Rows and columns that the state is of.
    pub(super) state_rows: (u32, u32),
    pub(super) hyper: &'b wgpu::BufferBinding<'a>,
    pub(super) status: &'b wgpu::BufferBinding<'a>,
}

impl<'a, 'b> RowArgs<'a, 'b> {
    /// The ranges, by name.
    pub(super) fn given(&self) -> [Given<'b, 'a>; 4] {
        [
            ("gradient", self.gradient),
            ("state", self.state),
            ("hyper", Some(self.hyper)),
            ("status", Some(self.status)),
        ]
    }
}

/// The ranges of these names.
pub(super) fn named<'b, 'a>(ranges: &'b [Range<'a>], names: &[&str]) -> Vec<&'b Range<'a>> {
    let wanted = |range: &&Range<'_>| names.contains(&range.name());
    ranges.iter().filter(wanted).collect()
}

/// The ranges of a kernel that owns segments, without `sums` and those of its own.
pub(super) fn row_ranges<'a>(
    batches: &Batches,
    table: &'a Table,
    (buffers, batch): (&'a UpdateBuffers, &BatchArgs<'_>),
    args: &RowArgs<'a, '_>,
) -> Result<Vec<Range<'a>>> {
    let limits = batches.kernels().limits();
    // As many as the batch can have: all that the buffers hold may be more than the device binds.
    let segments = u64::from(batch.positions.min(table.desc().rows)) + 1;
    let (rows, dim) = args.state_rows;
    let state_bytes = 4 * u64::from(rows) * u64::from(args.optimizer.state_len(dim));
    let state = match (state_bytes, args.state) {
        (0, None) => Range::whole("state", &buffers.nothing),
        (0, Some(_)) => {
            return Err(Error::Shape {
                argument: "state",
                needed: format!("None: {} has no state", args.optimizer.name()),
                got: "a range".into(),
            });
        }
        (_, None) => return Err(missing("state")),
        (_, Some(state)) => Range::storage("state", state, state_bytes, limits)?,
    };
    let hyper_bytes = size_of::<HyperUniform>() as u64;
    Ok(vec![
        table.uniform_range(),
        Range::uniform("hyper", args.hyper, hyper_bytes, limits)?,
        table.rows_range(),
        Range::own("segments", buffers.sort.segments(), 0, 8 * segments),
        Range::whole("totals", buffers.sort.totals()),
        state,
        batches.status(args.status)?,
    ])
}

/// The passes of a kernel that has a team for every segment, or for every row.
pub(super) fn row_passes(
    batches: &Batches,
    pipeline: &Arc<Pipeline>,
    (ranges, batch): (&[Range<'_>], &BatchArgs<'_>),
    (teams, bad_input): (u64, BadInput),
) -> Result<Vec<Dispatch>> {
    let kernels = batches.kernels();
    let groups = teams.div_ceil(u64::from(kernels.training_workgroup() / shader::TEAM));
    let dispatch = |&pass| {
        let uniform = batches.uniform(batch, pass)?;
        let mut ranges = ranges.to_vec();
        ranges.push(Range::whole("work", &uniform));
        let work = Work::groups("positions", groups)?;
        Dispatch::new(kernels.device(), pipeline, &ranges, work)
    };
    passes(bad_input).iter().map(dispatch).collect()
}
