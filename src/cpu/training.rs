//! A run of training on the CPU.

use super::{lookup, update};
use crate::reference::{Staged, StepArgs, UpdateArgs};
use crate::training::{
    BadInput, Batch, Checkpoint, LearnedSteps, StagedBatch, TrainingSpec, UpdateStatus,
    no_learned_steps, nothing_staged, refuse,
};
use crate::{LookupRequest, OutOfRange, Output, PackedTable, Pooling, Result};

/// A table in training; the same calls as [`crate::Session::train`]'s, and the same bits.
///
/// A step of LPT is `forward`, the caller's own model, `backward_update`.
/// A step of ALPT is `forward`, `backward_stage`, `forward_staged`, `backward_steps`.
///
/// A call that fails leaves table, state and step number as they were.
#[derive(Clone, Debug)]
pub struct Training {
    run: Checkpoint,
    staged: Option<(StagedBatch, Staged)>,
}

impl Training {
    /// Begins a run.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for a format or parameters that are not trained; [`crate::Error::Step`] where a step is
    /// not positive and finite.
    pub fn new(table: PackedTable, spec: TrainingSpec) -> Result<Self> {
        Self::resume(Checkpoint::start(table, spec))
    }

    /// Goes on with a run, bit for bit.
    ///
    /// # Errors
    /// As [`Training::new`], and [`crate::Error::Shape`] for states of another length.
    pub fn resume(run: Checkpoint) -> Result<Self> {
        run.check()?;
        Ok(Self { run, staged: None })
    }

    /// The run as it is, to be saved (`io::CheckpointFile`). Between the halves of a step of ALPT it is no run
    /// to go on from: its state is ahead of its table.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.run
    }

    /// The table as it is.
    pub fn table(&self) -> &PackedTable {
        &self.run.table
    }

    /// Looks the batch up, `[bags, dim]`.
    ///
    /// # Errors
    /// Those of [`super::lookup`].
    pub fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        self.look_up(&self.run.table, batch, batch.indices)
    }

    /// Updates the rows of the batch by the gradient of what [`Training::forward`] gave, `[bags, dim]`. A step
    /// that was staged is dropped, also where the call fails.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] for lengths that do not fit and numbers out of range, [`crate::Error::Unsupported`] for a max;
    /// [`crate::Error::Offsets`], and unless skipped [`crate::Error::IndexOutOfRange`], [`crate::Error::Gradient`].
    pub fn backward_update(
        &mut self,
        batch: &Batch<'_>,
        gradient: &[f32],
        learning_rate: f32,
    ) -> Result<UpdateStatus> {
        self.staged = None;
        let args = self.args(batch, gradient, learning_rate)?;
        let run = &mut self.run;
        let status = update::update(&mut run.table, &mut run.state, args)?;
        refuse(&status, run.spec.bad_input, batch, run.table.rows())?;
        run.number += 1;
        Ok(status)
    }

    /// The first half of a step of ALPT: moves the batch's rows by the gradient of [`Training::forward`], in
    /// scratch; the table stays as it is, the state of the rows' optimizer goes on. A step that was staged
    /// before is dropped, also where the call fails.
    ///
    /// # Errors
    /// As [`Training::backward_update`].
    pub fn backward_stage(
        &mut self,
        batch: &Batch<'_>,
        gradient: &[f32],
        learning_rate: f32,
    ) -> Result<UpdateStatus> {
        self.staged = None;
        self.learned()?;
        let args = self.args(batch, gradient, learning_rate)?;
        let run = &mut self.run;
        let (staged, status) = update::stage(&run.table, &mut run.state, args)?;
        refuse(&status, run.spec.bad_input, batch, run.table.rows())?;
        self.staged = Some((StagedBatch::of(batch), staged));
        Ok(status)
    }

    /// Looks the batch up in the rows that [`Training::backward_stage`] moved, rounded to nearest with their
    /// old steps; `batch` is the same.
    ///
    /// # Errors
    /// As [`Training::forward`]; [`crate::Error::Unsupported`] where nothing was staged, [`crate::Error::Shape`] for a
    /// batch of another size.
    pub fn forward_staged(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        let staged = self.staged(batch)?;
        self.look_up(&staged.packed, batch, &staged.ranks)
    }

    /// The second half: learns the steps from the gradient of what [`Training::forward_staged`] gave, and
    /// stores the moved rows with them.
    ///
    /// # Errors
    /// As [`Training::backward_update`]; [`crate::Error::Unsupported`] where nothing was staged, [`crate::Error::Shape`] for a
    /// batch of another size.
    pub fn backward_steps(
        &mut self,
        batch: &Batch<'_>,
        gradient: &[f32],
        learning_rate: f32,
    ) -> Result<UpdateStatus> {
        let learned = self.learned()?;
        let update = self.args(batch, gradient, 0.0)?;
        let (shape, staged) = self.staged.as_ref().ok_or_else(nothing_staged)?;
        StagedBatch::check(Some(*shape), batch)?;
        let run = &mut self.run;
        let args = StepArgs {
            update,
            learned,
            learning_rate,
        };
        let status = update::learn_steps(&mut run.table, &mut run.step_state, staged, args)?;
        refuse(&status, run.spec.bad_input, batch, run.table.rows())?;
        run.number += 1;
        self.staged = None;
        Ok(status)
    }

    /// The gradient of every weight, `[indices]`; 0 where the index is bad.
    ///
    /// # Errors
    /// [`crate::Error::Shape`], [`crate::Error::Unsupported`], [`crate::Error::Offsets`], and unless skipped
    /// [`crate::Error::IndexOutOfRange`].
    pub fn weight_gradient(&self, batch: &Batch<'_>, gradient: &[f32]) -> Result<Vec<f32>> {
        let table = &self.run.table;
        let (values, status) = update::weight_gradient(table, batch, gradient)?;
        refuse(&status, self.run.spec.bad_input, batch, table.rows())?;
        Ok(values)
    }

    fn staged(&self, batch: &Batch<'_>) -> Result<&Staged> {
        let (shape, staged) = self.staged.as_ref().ok_or_else(nothing_staged)?;
        StagedBatch::check(Some(*shape), batch)?;
        Ok(staged)
    }

    fn look_up(&self, table: &PackedTable, batch: &Batch<'_>, indices: &[u32]) -> Result<Vec<f32>> {
        let request = LookupRequest {
            pooling: batch.pooling,
            indices,
            offsets: batch.offsets,
            weights: batch.weights,
            output: Output::F32,
            out_of_range: match self.run.spec.bad_input {
                BadInput::Refuse => OutOfRange::Error,
                BadInput::Skip => OutOfRange::Skip,
            },
        };
        Ok(lookup(table, request)?.values.into_f32())
    }

    fn args<'a>(
        &self,
        batch: &Batch<'a>,
        gradient: &'a [f32],
        learning_rate: f32,
    ) -> Result<UpdateArgs<'a>> {
        if batch.pooling == Pooling::Max {
            batch.check()?;
        }
        let spec = &self.run.spec;
        Ok(UpdateArgs {
            batch: *batch,
            gradient,
            spec: spec.update_spec(self.run.table.format()),
            step: spec.next_step(self.run.number, learning_rate)?,
            steps: &[],
        })
    }

    fn learned(&self) -> Result<LearnedSteps> {
        self.run.spec.learned.ok_or_else(no_learned_steps)
    }
}
