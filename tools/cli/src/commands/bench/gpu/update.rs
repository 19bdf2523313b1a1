//! Updates.

use qembed::gpu::{BatchArgs, BatchSpec, BoundUpdate, UpdateArgs, UpdateBuffers};
use qembed::shader::HyperUniform;
use qembed::training::{UpdateSpec, UpdateStatus};
use qembed::verify::compare::Outcome;
use qembed::wgpu::Buffer;
use qembed::{Pooling, Session, Weighting, gpu};

use super::super::check::right;
use super::super::point::Point;
use super::super::ready::{Ready, in_turn};
use super::super::refusal::Refusal;
use super::super::scale::Scale;
use super::super::updates::Inputs;
use super::{Gpu, bindable, uniform};

pub fn prepare<'a>(
    (session, clock): Gpu<'a>,
    spec: UpdateSpec,
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    let inputs = Inputs::new(spec, (point, scale))?;
    let device = OnDevice::new(session, &inputs)?;
    let bound: Vec<_> = (0..inputs.batches.indices.len())
        .map(|batch| device.bind(session, &inputs, batch))
        .collect::<Result<_, _>>()?;
    session.submit(|pass| bound[0].record(pass))?;
    device.check(session, &inputs)?;
    Ok(Ready {
        run: in_turn(clock, bound, BoundUpdate::record),
        traffic: inputs.traffic(),
        items: point.indices(),
        after: Box::new(move || device.done(session, spec)),
    })
}

/// A table, its state, and what does not change from batch to batch.
struct OnDevice {
    table: gpu::Table,
    buffers: UpdateBuffers,
    state: Option<Buffer>,
    steps: Option<Buffer>,
    offsets: Buffer,
    gradient: Buffer,
    hyper: Buffer,
    status: Buffer,
}

impl OnDevice {
    fn new(session: &Session, inputs: &Inputs) -> Result<Self, Refusal> {
        let filled = |name, words| session.filled(name, words);
        let rows = inputs.table.rows();
        let state_bytes = 4 * inputs.state_len(rows) as u64;
        bindable(session, "state", state_bytes)?;
        bindable(session, "gradient", 4 * inputs.gradient.len() as u64)?;
        let state = (state_bytes > 0).then(|| session.buffer("state", state_bytes));
        let steps = bytemuck::cast_slice(&inputs.steps);
        let steps = (!inputs.steps.is_empty()).then(|| filled("steps", steps));
        let numbers = HyperUniform::new(inputs.spec.optimizer, &inputs.args(0).step)?;
        let positions = inputs.batches.indices[0].len() as u32;
        let kernels = session.kernels();
        Ok(Self {
            table: session.upload(&inputs.table)?,
            buffers: kernels.update_buffers(positions, inputs.table.dim())?,
            state: state.transpose()?,
            steps: steps.transpose()?,
            offsets: filled("offsets", bytemuck::cast_slice(&inputs.batches.offsets))?,
            gradient: filled("gradient", bytemuck::cast_slice(&inputs.gradient))?,
            hyper: uniform(session, &numbers)?,
            status: filled("status", bytemuck::bytes_of(&UpdateStatus::CLEAR))?,
        })
    }

    fn bind(
        &self,
        session: &Session,
        inputs: &Inputs,
        batch: usize,
    ) -> Result<BoundUpdate, Refusal> {
        let indices = &inputs.batches.indices[batch];
        let (bags, positions) = (
            inputs.batches.offsets.len() as u32 - 1,
            indices.len() as u32,
        );
        let indices = session.filled("indices", bytemuck::cast_slice(indices))?;
        let args = UpdateArgs {
            batch: BatchArgs {
                bags,
                positions,
                indices: Some(indices.as_entire_buffer_binding()),
                offsets: Some(self.offsets.as_entire_buffer_binding()),
                weights: None,
            },
            gradient: Some(self.gradient.as_entire_buffer_binding()),
            state: self.state.as_ref().map(Buffer::as_entire_buffer_binding),
            steps: self.steps.as_ref().map(Buffer::as_entire_buffer_binding),
            hyper: self.hyper.as_entire_buffer_binding(),
            status: self.status.as_entire_buffer_binding(),
            bad_input: inputs.args(batch).step.bad_input,
        };
        let batch = BatchSpec {
            pooling: Pooling::Sum,
            weighting: Weighting::Unweighted,
        };
        let update = session.kernels().update(inputs.spec, batch)?;
        Ok(update.bind(&self.table, &self.buffers, args)?)
    }

    fn status(&self, session: &Session) -> Result<UpdateStatus, Refusal> {
        let words = session.read(&self.status, 0, self.status.size())?;
        Ok(bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words)))
    }

    /// A batch that is refused changes nothing, and takes less time.
    fn done(&self, session: &Session, spec: UpdateSpec) -> Result<(), Refusal> {
        let clear = self.status(session)? == UpdateStatus::CLEAR;
        let refused = || Outcome::fail("a batch was refused while it was timed".into());
        right(&spec.label(), if clear { Outcome::PASS } else { refused() })
    }

    fn check(&self, session: &Session, inputs: &Inputs) -> Result<(), Refusal> {
        let expected = inputs.expected()?;
        let status = self.status(session)?;
        let table = session.download(&self.table)?;
        let words = &table.words()[..expected.words.len()];
        let state = match &self.state {
            None => vec![],
            Some(state) => session.read(state, 0, 4 * expected.state.len() as u64)?,
        };
        right(
            &inputs.spec.label(),
            expected.compare(&status, (words, &state)),
        )
    }
}
