//! Learn step sizes: the two halves of a step of ALPT.

use std::sync::Arc;

use super::arguments::{Dispatch, Range, check_table};
use super::batch::{BatchArgs, BatchSpec, Batches, UpdateBuffers, scratch};
use super::chain::check_scratch;
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use super::update::{BoundUpdate, RowArgs, named, row_passes, row_ranges};
use super::{Table, TableBuffers, TableDesc};
use crate::shader;
use crate::training::{BadInput, Granularity, LearnedSteps, Parameters, UpdateSpec};
use crate::{Error, Format, Result};

/// The compiled kernels of learned steps; see [`Kernels::learn`].
#[derive(Clone, Debug)]
pub struct Learn {
    batches: Batches,
    spec: LearnSpec,
    stage: Arc<Pipeline>,
    learn: Vec<Arc<Pipeline>>,
}

/// Which learning of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnSpec {
    /// The update of the rows: symmetric ones, whose parameters are frozen.
    pub update: UpdateSpec,
    /// How steps are learned.
    pub learned: LearnedSteps,
}

/// Scratch of learned steps: that of an update, the rows of the batch as the second forward sees them, and a
/// second gradient of `dim` f32 for every unique row.
#[derive(Clone, Debug)]
pub struct LearnBuffers {
    update: UpdateBuffers,
    staged: Table,
    staged_rows: wgpu::Buffer,
    step_sums: wgpu::Buffer,
    gradients: wgpu::Buffer,
    new_step: wgpu::Buffer,
}

/// Arguments of [`Learn::bind_stage`] and [`Learn::bind_steps`].
#[derive(Clone, Debug)]
pub struct LearnArgs<'a> {
    /// The lookup; the same in both halves.
    pub batch: BatchArgs<'a>,
    /// The gradient of the output of the first forward, or of the second, `[bags, dim]` f32.
    pub gradient: Option<wgpu::BufferBinding<'a>>,
    /// Read and written: the state of the rows' optimizer, `[rows, state_len]` f32, or that of the steps',
    /// `[rows, state_len(1)]`, one row of it where the table has one step; `None` where it has none.
    pub state: Option<wgpu::BufferBinding<'a>>,
    /// A [`shader::HyperUniform`] of the rows' optimizer, or of the steps' ([`shader::HyperUniform::learned`]).
    pub hyper: wgpu::BufferBinding<'a>,
    /// Written: a [`crate::training::UpdateStatus`] that the caller set to its `CLEAR` before each half.
    pub status: wgpu::BufferBinding<'a>,
    /// What bad indices and bad rows do.
    pub bad_input: BadInput,
}

impl Kernels {
    /// The kernels of learned steps; compiled at the first call for them, then cached.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for rows that are not symmetric, parameters that are not frozen and a max;
    /// [`Error::Device`], [`Error::DeviceLost`].
    pub fn learn(&self, spec: LearnSpec, batch: BatchSpec) -> Result<Learn> {
        spec.update.check()?;
        let Format::Symmetric { .. } = spec.update.format else {
            return Err(crate::training::no_steps_of(spec.update.format));
        };
        if spec.update.parameters != Parameters::Frozen {
            return Err(Error::Unsupported {
                what: format!("learning steps that are {}", spec.update.parameters.name()),
                instead: "take frozen parameters",
            });
        }
        let format = spec.update.format;
        let learned = spec.learned;
        let stage = shader::stage(format, spec.update.optimizer);
        let learn = shader::learn(format, learned.optimizer, learned.granularity);
        Ok(Learn {
            batches: Batches::new(self, batch)?,
            spec,
            stage: self.training_pipeline(stage)?,
            learn: learn
                .into_iter()
                .map(|variant| self.training_pipeline(variant))
                .collect::<Result<_>>()?,
        })
    }

    /// Scratch for steps learned by batches of at most `positions` positions, of tables of a format and `dim`
    /// columns.
    ///
    /// # Errors
    /// As [`Kernels::update_buffers`].
    ///
    /// # Cost
    /// Allocates what [`Kernels::update_buffers`] does, a packed row, `4 * dim` bytes and 4 bytes for every
    /// position. Compiles, submits and waits for nothing.
    pub fn learn_buffers(&self, positions: u32, format: Format, dim: u32) -> Result<LearnBuffers> {
        let update = self.update_buffers(positions, dim)?;
        let desc = TableDesc {
            format,
            rows: positions,
            dim,
        };
        let staged_rows = scratch(self, "staged", desc.bytes())?;
        let buffers = TableBuffers {
            rows: staged_rows.as_entire_buffer_binding(),
            blocks: None,
        };
        Ok(LearnBuffers {
            staged: Table::from_buffers(self, desc, buffers)?,
            staged_rows,
            step_sums: scratch(self, "sums", update.sums.size())?,
            gradients: scratch(self, "gradients", 4 * u64::from(positions))?,
            new_step: scratch(self, "new_step", 8)?,
            update,
        })
    }
}

impl LearnBuffers {
    /// The scratch of the update.
    pub fn update(&self) -> &UpdateBuffers {
        &self.update
    }

    /// The rows of the batch after the first half, rounded to nearest with their old steps, one for every
    /// segment: the table of the second forward.
    pub fn staged(&self) -> &Table {
        &self.staged
    }

    /// `[positions]` u32, the segment of every position: the indices of the second forward.
    /// `u32::MAX` where a position has no row, which contributes nothing.
    pub fn ranks(&self) -> &wgpu::Buffer {
        self.update.sort.ranks()
    }

    /// Bytes of device memory that it takes.
    pub fn bytes(&self) -> u64 {
        let own = [
            &self.staged_rows,
            &self.step_sums,
            &self.gradients,
            &self.new_step,
        ];
        self.update.bytes() + own.map(wgpu::Buffer::size).iter().sum::<u64>()
    }
}

impl Learn {
    /// What it computes.
    pub fn spec(&self) -> LearnSpec {
        self.spec
    }

    /// Binds the first half: gradient and optimizer of the batch's rows, whose new values stay in `buffers`; the
    /// state is updated, the table is not.
    ///
    /// # Errors
    /// As [`super::Update::bind`].
    ///
    /// # Cost
    /// As [`super::Update::bind`].
    pub fn bind_stage(
        &self,
        table: &Table,
        buffers: &LearnBuffers,
        args: LearnArgs<'_>,
    ) -> Result<BoundUpdate> {
        let scratch = &buffers.update;
        let rows = RowArgs {
            optimizer: self.spec.update.optimizer,
            gradient: args.gradient.as_ref(),
            state: args.state.as_ref(),
            state_rows: (table.desc().rows, table.desc().dim),
            hyper: &args.hyper,
            status: &args.status,
        };
        self.check(table, buffers, (&args.batch, &rows))?;
        let mut dispatches = self
            .batches
            .bind(table, scratch, &args.batch, &args.status)?;
        if args.batch.positions == 0 || table.desc().rows == 0 {
            return Ok(BoundUpdate { dispatches });
        }
        let mut ranges = row_ranges(&self.batches, table, (scratch, &args.batch), &rows)?;
        let sums = (scratch, &scratch.sums);
        let read = (&args.batch, rows.gradient);
        let written = named(&ranges, &["state", "status"]);
        dispatches.push(self.batches.bind_sums(table, sums, read, &written)?);
        ranges.push(Range::whole("sums", &scratch.sums));
        ranges.push(Range::whole("staged", &buffers.staged_rows));
        let bound = (&ranges[..], &args.batch);
        let teams = (self.segments(table, &args), args.bad_input);
        dispatches.extend(row_passes(&self.batches, &self.stage, bound, teams)?);
        Ok(BoundUpdate { dispatches })
    }

    /// Binds the second half: the gradient of the steps and their optimizer; the rows that the first half left in
    /// `buffers` are stored with the new steps.
    ///
    /// Table and batch are those of the first half, and nothing else was sorted in `buffers` in between: nobody
    /// checks that. What a first half has refused, the second leaves alone.
    ///
    /// # Errors
    /// As [`super::Update::bind`].
    ///
    /// # Cost
    /// Allocates a bind group for every dispatch and a uniform of 16 bytes for every pass; compiles, submits and
    /// waits for nothing. Where the table has one step every row of it is read and written.
    pub fn bind_steps(
        &self,
        table: &Table,
        buffers: &LearnBuffers,
        args: LearnArgs<'_>,
    ) -> Result<BoundUpdate> {
        let scratch = &buffers.update;
        let state_rows = match self.spec.learned.granularity {
            Granularity::Row => table.desc().rows,
            Granularity::Table => 1,
        };
        let rows = RowArgs {
            optimizer: self.spec.learned.optimizer,
            gradient: args.gradient.as_ref(),
            state: args.state.as_ref(),
            state_rows: (state_rows, 1),
            hyper: &args.hyper,
            status: &args.status,
        };
        self.check(table, buffers, (&args.batch, &rows))?;
        // Counts what is wrong with the batch, as the first half did; its order is still there.
        let mut dispatches = self
            .batches
            .bind_locate(table, scratch, &args.batch, &args.status)?;
        if args.batch.positions == 0 || table.desc().rows == 0 {
            return Ok(BoundUpdate { dispatches });
        }
        let mut ranges = row_ranges(&self.batches, table, (scratch, &args.batch), &rows)?;
        let sums = (scratch, &buffers.step_sums);
        let read = (&args.batch, rows.gradient);
        let written = named(&ranges, &["rows", "state", "status"]);
        dispatches.push(self.batches.bind_sums(table, sums, read, &written)?);
        ranges.extend([
            Range::whole("sums", &buffers.step_sums),
            Range::whole("moved_values", &scratch.sums),
            Range::whole("gradients", &buffers.gradients),
            Range::whole("new_step", &buffers.new_step),
        ]);
        let teams = (self.segments(table, &args), args.bad_input);
        let bound = (&ranges[..], &args.batch);
        dispatches.extend(match self.spec.learned.granularity {
            Granularity::Row => row_passes(&self.batches, &self.learn[0], bound, teams)?,
            Granularity::Table => self.bind_table_step(table, bound, teams)?,
        });
        Ok(BoundUpdate { dispatches })
    }

    /// Looks at every row of the batch, learns the one step, and stores every row of the table with it.
    fn bind_table_step(
        &self,
        table: &Table,
        bound: (&[Range<'_>], &BatchArgs<'_>),
        (segments, bad_input): (u64, BadInput),
    ) -> Result<Vec<Dispatch>> {
        let pass = |pipeline, teams| row_passes(&self.batches, pipeline, bound, (teams, bad_input));
        let [gradients, step, restep] = &self.learn[..] else {
            return Ok(vec![]);
        };
        // The gradients' pass stores nothing, whatever it may; the others act on what was found.
        let mut dispatches = pass(gradients, segments)?;
        dispatches.truncate(1);
        dispatches.extend(pass(step, 1)?.pop());
        dispatches.extend(pass(restep, table.desc().rows.into())?.pop());
        Ok(dispatches)
    }

    fn segments(&self, table: &Table, args: &LearnArgs<'_>) -> u64 {
        args.batch.positions.min(table.desc().rows).into()
    }

    fn check(
        &self,
        table: &Table,
        buffers: &LearnBuffers,
        (batch, rows): (&BatchArgs<'_>, &RowArgs<'_, '_>),
    ) -> Result<()> {
        let kernels = self.batches.kernels();
        check_table(kernels, table, self.spec.update.format)?;
        let staged = buffers.staged.desc().format;
        if staged != self.spec.update.format {
            return Err(Error::Shape {
                argument: "buffers",
                needed: format!("buffers for {} rows", self.spec.update.format),
                got: format!("some for {staged} rows"),
            });
        }
        let given = rows.given();
        self.batches.check(table, &buffers.update, batch, &given)?;
        let staged = [("staged", &buffers.staged_rows)];
        check_scratch(&staged, &batch.given(&table.only_shard()?.words))?;
        check_scratch(&staged, &given)
    }
}
