//! A run of training on the device.

use super::Session;
use crate::gpu::{
    BatchArgs, BatchSpec, LearnArgs, LearnBuffers, LearnSpec, Table, UpdateArgs, UpdateBuffers,
    WeighArgs,
};
use crate::shader::HyperUniform;
use crate::training::{
    BadInput, Batch, Checkpoint, LearnedSteps, StagedBatch, TrainingSpec, UpdateStatus, UpdateStep,
    check_gradient, no_learned_steps, nothing_staged, refuse,
};
use crate::{Error, LookupRequest, OutOfRange, Output, PackedTable, Result, Weighting};

/// A table in training on a device; the same calls as [`crate::cpu::Training`]'s, and the same bits for the same
/// gradients.
///
/// A step of LPT is `forward`, the caller's own model, `backward_update`.
/// A step of ALPT is `forward`, `backward_stage`, `forward_staged`, `backward_steps`.
///
/// A call that fails leaves table, state and step number as they were, unless it fails after its work was submitted:
/// with [`Error::Unfinished`], [`Error::DeviceLost`], or where the status cannot be read back.
/// The device holds the packed table, the optimizers' state and scratch for the largest batch so far
/// ([`Training::memory`]); no table of f32.
#[derive(Debug)]
pub struct Training<'s> {
    session: &'s Session,
    spec: TrainingSpec,
    number: u32,
    table: Table,
    state: wgpu::Buffer,
    step_state: wgpu::Buffer,
    hyper: wgpu::Buffer,
    status: wgpu::Buffer,
    scratch: Option<Scratch>,
    batch_bytes: u64,
    staged: Option<StagedBatch>,
}

/// Scratch of a run.
#[derive(Debug)]
struct Scratch {
    /// Those of `learn`, where there are any.
    update: UpdateBuffers,
    /// Where steps are learned.
    learn: Option<LearnBuffers>,
}

impl Scratch {
    fn bytes(&self) -> u64 {
        match &self.learn {
            None => self.update.bytes(),
            Some(learn) => learn.bytes(),
        }
    }
}

/// Bytes of device memory that a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingMemory {
    /// The packed table.
    pub table_bytes: u64,
    /// The optimizers' state.
    pub state_bytes: u64,
    /// Scratch for the largest batch so far.
    pub scratch_bytes: u64,
    /// The largest batch so far: indices, offsets, weights, gradient.
    pub batch_bytes: u64,
}

impl TrainingMemory {
    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        self.table_bytes + self.state_bytes + self.scratch_bytes + self.batch_bytes
    }
}

/// A batch on the device.
struct Uploaded {
    indices: wgpu::Buffer,
    offsets: Option<wgpu::Buffer>,
    weights: Option<wgpu::Buffer>,
    gradient: wgpu::Buffer,
}

impl Uploaded {
    fn args(&self, batch: &Batch<'_>) -> BatchArgs<'_> {
        BatchArgs {
            bags: batch.bags() as u32,
            positions: batch.indices.len() as u32,
            indices: Some(self.indices.as_entire_buffer_binding()),
            offsets: self
                .offsets
                .as_ref()
                .map(wgpu::Buffer::as_entire_buffer_binding),
            weights: self
                .weights
                .as_ref()
                .map(wgpu::Buffer::as_entire_buffer_binding),
        }
    }
}

impl Session {
    /// Begins a run: copies the table to the device, with a state of zeros.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a format or parameters that are not trained; [`Error::Step`] where a step is
    /// not positive and finite; [`Error::Limit`], also where one binding does not hold the table;
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn train(&self, table: &PackedTable, spec: TrainingSpec) -> Result<Training<'_>> {
        self.resume(&Checkpoint::start(table.clone(), spec))
    }

    /// Goes on with a run, bit for bit.
    ///
    /// # Errors
    /// As [`Session::train`], and [`Error::Shape`] for states of another length.
    pub fn resume(&self, run: &Checkpoint) -> Result<Training<'_>> {
        run.check()?;
        let table = self.upload(&run.table)?;
        table.only_shard()?;
        self.check_state("state", &run.state)?;
        self.check_state("step_state", &run.step_state)?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let hyper_bytes = size_of::<HyperUniform>() as u64;
        Ok(Training {
            session: self,
            spec: run.spec,
            number: run.number,
            table,
            state: self.filled("state", bytemuck::cast_slice(&run.state))?,
            step_state: self.filled("step_state", bytemuck::cast_slice(&run.step_state))?,
            hyper: crate::gpu::buffer(&self.device, "hyper", hyper_bytes, usage)?,
            status: self.filled("status", bytemuck::bytes_of(&UpdateStatus::CLEAR))?,
            scratch: None,
            batch_bytes: 0,
            staged: None,
        })
    }
}

impl Session {
    /// # Errors
    /// [`Error::Limit`] where the device cannot bind a state.
    fn check_state(&self, argument: &'static str, state: &[f32]) -> Result<()> {
        let needed = size_of_val(state) as u64;
        let available = crate::gpu::max_binding_bytes(&self.device.limits());
        if needed <= available {
            return Ok(());
        }
        Err(Error::Limit {
            argument,
            name: "max_storage_buffer_binding_size",
            needed,
            available,
        })
    }
}

impl Training<'_> {
    /// The run as it is, read back, to be saved (`io::CheckpointFile`). Between the halves of a step of ALPT it
    /// is no run to go on from: its state is ahead of its table.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let desc = self.table.desc();
        let (state, step_state) = self.spec.state_lens(desc.rows, desc.dim);
        Ok(Checkpoint {
            spec: self.spec,
            number: self.number,
            table: self.table()?,
            state: self.numbers(&self.state, state)?,
            step_state: self.numbers(&self.step_state, step_state)?,
        })
    }

    /// The table as it is, read back.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn table(&self) -> Result<PackedTable> {
        self.session.download(&self.table)
    }

    /// The table on the device, for lookups of one's own.
    pub fn device_table(&self) -> &Table {
        &self.table
    }

    /// Device memory that the run takes now.
    pub fn memory(&self) -> TrainingMemory {
        TrainingMemory {
            table_bytes: self.table.desc().bytes(),
            state_bytes: self.state.size() + self.step_state.size(),
            scratch_bytes: self.scratch.as_ref().map_or(0, Scratch::bytes),
            batch_bytes: self.batch_bytes,
        }
    }

    /// Looks the batch up, `[bags, dim]`.
    ///
    /// # Errors
    /// Those of [`Session::lookup`].
    pub fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        self.look_up(&self.table, batch, batch.indices)
    }

    /// Updates the rows of the batch by the gradient of what [`Training::forward`] gave, `[bags, dim]`. A step
    /// that was staged is dropped, also where the call fails.
    ///
    /// # Errors
    /// [`Error::Shape`] for lengths that do not fit and numbers out of range, [`Error::Unsupported`] for a max;
    /// [`Error::Offsets`], and unless skipped [`Error::IndexOutOfRange`], [`Error::Gradient`],
    /// [`Error::Unfinished`]; [`Error::Limit`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn backward_update(
        &mut self,
        batch: &Batch<'_>,
        gradient: &[f32],
        learning_rate: f32,
    ) -> Result<UpdateStatus> {
        self.staged = None;
        let step = self.step(learning_rate)?;
        let spec = self.spec.update_spec(self.table.desc().format);
        let uploaded = self.upload(batch, gradient)?;
        self.write_hyper(&HyperUniform::new(spec.optimizer, &step)?)?;
        let update = self.session.kernels.update(spec, batch_spec(batch))?;
        let scratch = self.scratch(batch)?.update.clone();
        let args = UpdateArgs {
            batch: uploaded.args(batch),
            gradient: Some(uploaded.gradient.as_entire_buffer_binding()),
            state: self.state_binding(),
            steps: None,
            hyper: self.hyper.as_entire_buffer_binding(),
            status: self.status.as_entire_buffer_binding(),
            bad_input: self.spec.bad_input,
        };
        let bound = update.bind(&self.table, &scratch, args)?;
        let status = self.run(batch, |pass| bound.record(pass))?;
        self.number += 1;
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
        let spec = self.learn_spec()?;
        let step = self.step(learning_rate)?;
        let hyper = HyperUniform::new(spec.update.optimizer, &step)?;
        let uploaded = self.upload(batch, gradient)?;
        self.scratch(batch)?;
        let learn = self.session.kernels.learn(spec, batch_spec(batch))?;
        let args = self.learn_args(batch, &uploaded, self.state_binding());
        let bound = learn.bind_stage(&self.table, self.learn_buffers()?, args)?;
        self.write_hyper(&hyper)?;
        let status = self.run(batch, |pass| bound.record(pass))?;
        self.staged = Some(StagedBatch::of(batch));
        Ok(status)
    }

    /// Looks the batch up in the rows that [`Training::backward_stage`] moved, rounded to nearest with their
    /// old steps; `batch` is the same.
    ///
    /// # Errors
    /// As [`Training::forward`]; [`Error::Unsupported`] where nothing was staged, [`Error::Shape`] for a
    /// batch of another size.
    pub fn forward_staged(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        StagedBatch::check(self.staged, batch)?;
        let buffers = self.learn_buffers()?;
        let bytes = 4 * batch.indices.len() as u64;
        let ranks = self.session.read(buffers.ranks(), 0, bytes)?;
        self.look_up(buffers.staged(), batch, &ranks)
    }

    /// The second half: learns the steps from the gradient of what [`Training::forward_staged`] gave, and
    /// stores the moved rows with them.
    ///
    /// # Errors
    /// As [`Training::backward_update`]; [`Error::Unsupported`] where nothing was staged, [`Error::Shape`] for a
    /// batch of another size.
    pub fn backward_steps(
        &mut self,
        batch: &Batch<'_>,
        gradient: &[f32],
        learning_rate: f32,
    ) -> Result<UpdateStatus> {
        let spec = self.learn_spec()?;
        StagedBatch::check(self.staged, batch)?;
        let step = self.step(learning_rate)?;
        let desc = self.table.desc();
        let shape = (desc.format, desc.dim, batch.bags() as u32);
        let hyper = HyperUniform::learned(&spec.learned, &step, shape)?;
        let uploaded = self.upload(batch, gradient)?;
        let learn = self.session.kernels.learn(spec, batch_spec(batch))?;
        let has_state = spec.learned.optimizer.state_len(1) > 0;
        let state = has_state.then(|| self.step_state.as_entire_buffer_binding());
        let args = self.learn_args(batch, &uploaded, state);
        let bound = learn.bind_steps(&self.table, self.learn_buffers()?, args)?;
        self.write_hyper(&hyper)?;
        let status = self.run(batch, |pass| bound.record(pass))?;
        self.number += 1;
        self.staged = None;
        Ok(status)
    }

    /// The gradient of every weight, `[indices]`; 0 where the index is bad, NaN where the gradient of the bag
    /// is not finite. A step that was staged stays so.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Unsupported`], [`Error::Offsets`], and unless skipped
    /// [`Error::IndexOutOfRange`]; [`Error::Limit`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn weight_gradient(&mut self, batch: &Batch<'_>, gradient: &[f32]) -> Result<Vec<f32>> {
        let uploaded = self.upload(batch, gradient)?;
        let format = self.table.desc().format;
        let weigh = self.session.kernels.weigh(format, batch.pooling)?;
        let scratch = self.scratch_beside_staged(batch)?;
        let bytes = 4 * batch.indices.len() as u64;
        let written = self.session.buffer("weight_gradient", bytes)?;
        let args = WeighArgs {
            batch: BatchArgs {
                weights: None,
                ..uploaded.args(batch)
            },
            gradient: Some(uploaded.gradient.as_entire_buffer_binding()),
            weight_gradient: Some(written.as_entire_buffer_binding()),
            status: self.status.as_entire_buffer_binding(),
        };
        let bound = weigh.bind(&self.table, &scratch, args)?;
        self.run(batch, |pass| bound.record(pass))?;
        self.numbers(&written, batch.indices.len())
    }

    /// Records, submits, waits; a batch that was refused is an error.
    fn run(
        &self,
        batch: &Batch<'_>,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>),
    ) -> Result<UpdateStatus> {
        let clear = bytemuck::bytes_of(&UpdateStatus::CLEAR);
        self.session.checked("status", clear.len() as u64, || {
            self.session.queue.write_buffer(&self.status, 0, clear);
        })?;
        self.session.submit(record)?;
        let words = self.session.read(&self.status, 0, clear.len() as u64)?;
        let status: UpdateStatus = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words));
        refuse(&status, self.spec.bad_input, batch, self.table.desc().rows)?;
        Ok(status)
    }

    fn look_up(&self, table: &Table, batch: &Batch<'_>, indices: &[u32]) -> Result<Vec<f32>> {
        let request = LookupRequest {
            pooling: batch.pooling,
            indices,
            offsets: batch.offsets,
            weights: batch.weights,
            output: Output::F32,
            out_of_range: match self.spec.bad_input {
                BadInput::Refuse => OutOfRange::Error,
                BadInput::Skip => OutOfRange::Skip,
            },
        };
        Ok(self.session.lookup(table, request)?.values.into_f32())
    }

    fn step(&self, learning_rate: f32) -> Result<UpdateStep> {
        self.spec.next_step(self.number, learning_rate)
    }

    fn learn_spec(&self) -> Result<LearnSpec> {
        let learned: LearnedSteps = self.spec.learned.ok_or_else(no_learned_steps)?;
        Ok(LearnSpec {
            update: self.spec.update_spec(self.table.desc().format),
            learned,
        })
    }

    fn learn_args<'a>(
        &'a self,
        batch: &Batch<'_>,
        uploaded: &'a Uploaded,
        state: Option<wgpu::BufferBinding<'a>>,
    ) -> LearnArgs<'a> {
        LearnArgs {
            batch: uploaded.args(batch),
            gradient: Some(uploaded.gradient.as_entire_buffer_binding()),
            state,
            hyper: self.hyper.as_entire_buffer_binding(),
            status: self.status.as_entire_buffer_binding(),
            bad_input: self.spec.bad_input,
        }
    }

    /// Checks a batch and copies it to the device.
    fn upload(&mut self, batch: &Batch<'_>, gradient: &[f32]) -> Result<Uploaded> {
        batch.check()?;
        check_gradient(batch, self.table.desc().dim, gradient)?;
        let fits = |argument, length: usize| match u32::try_from(length) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Shape {
                argument,
                needed: format!("at most {} entries", u32::MAX),
                got: length.to_string(),
            }),
        };
        fits("indices", batch.indices.len())?;
        fits("offsets", batch.bags())?;
        let session = self.session;
        let filled =
            |name, bytes: Option<&[u8]>| bytes.map(|x| session.filled(name, x)).transpose();
        let uploaded = Uploaded {
            indices: session.filled("indices", bytemuck::cast_slice(batch.indices))?,
            offsets: filled("offsets", batch.offsets.map(bytemuck::cast_slice))?,
            weights: filled("weights", batch.weights.map(bytemuck::cast_slice))?,
            gradient: session.filled("gradient", bytemuck::cast_slice(gradient))?,
        };
        let optional = [&uploaded.offsets, &uploaded.weights].into_iter().flatten();
        let all = optional.chain([&uploaded.indices, &uploaded.gradient]);
        self.batch_bytes = self.batch_bytes.max(all.map(wgpu::Buffer::size).sum());
        Ok(uploaded)
    }

    /// Scratch for the batch; made anew where it is too small. A step that was staged lay in it and is lost.
    fn scratch(&mut self, batch: &Batch<'_>) -> Result<&Scratch> {
        self.staged = None;
        let positions = batch.indices.len() as u32;
        let desc = self.table.desc();
        let too_small = match &self.scratch {
            None => true,
            Some(scratch) => scratch.update.capacity() < positions,
        };
        if too_small {
            // Freed before its successor is made.
            self.scratch = None;
            let kernels = &self.session.kernels;
            let capacity = positions.max(1);
            self.scratch = Some(match self.spec.learned {
                None => Scratch {
                    update: kernels.update_buffers(capacity, desc.dim)?,
                    learn: None,
                },
                Some(_) => {
                    let learn = kernels.learn_buffers(capacity, desc.format, desc.dim)?;
                    Scratch {
                        update: learn.update().clone(),
                        learn: Some(learn),
                    }
                }
            });
        }
        self.scratch.as_ref().ok_or_else(nothing_staged)
    }

    /// Scratch for what leaves a staged step alone: of its own where the run's would have to be made anew.
    fn scratch_beside_staged(&mut self, batch: &Batch<'_>) -> Result<UpdateBuffers> {
        if self.staged.is_none() {
            return Ok(self.scratch(batch)?.update.clone());
        }
        let positions = batch.indices.len() as u32;
        let known = self.scratch.as_ref().map(|scratch| &scratch.update);
        match known.filter(|buffers| buffers.capacity() >= positions) {
            Some(buffers) => Ok(buffers.clone()),
            None => {
                let dim = self.table.desc().dim;
                self.session.kernels.update_buffers(positions, dim)
            }
        }
    }

    fn learn_buffers(&self) -> Result<&LearnBuffers> {
        let scratch = self.scratch.as_ref();
        let learn = scratch.and_then(|scratch| scratch.learn.as_ref());
        learn.ok_or_else(nothing_staged)
    }

    fn state_binding(&self) -> Option<wgpu::BufferBinding<'_>> {
        let has_state = self.spec.optimizer.state_len(1) > 0;
        has_state.then(|| self.state.as_entire_buffer_binding())
    }

    fn write_hyper(&self, hyper: &HyperUniform) -> Result<()> {
        let bytes = bytemuck::bytes_of(hyper);
        self.session.checked("hyper", bytes.len() as u64, || {
            self.session.queue.write_buffer(&self.hyper, 0, bytes);
        })
    }

    fn numbers(&self, buffer: &wgpu::Buffer, len: usize) -> Result<Vec<f32>> {
        let words = self.session.read(buffer, 0, 4 * len as u64)?;
        Ok(bytemuck::cast_vec(words))
    }
}

fn batch_spec(batch: &Batch<'_>) -> BatchSpec {
    BatchSpec {
        pooling: batch.pooling,
        weighting: match batch.weights {
            Some(_) => Weighting::Weighted,
            None => Weighting::Unweighted,
        },
    }
}
