//! The gradient of a batch's weights.

use std::sync::Arc;

use super::Table;
use super::arguments::{Dispatch, Range, Work, check_table, missing};
use super::batch::{BatchArgs, BatchSpec, Batches, UpdateBuffers};
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use crate::shader::{self, Pass};
use crate::{Format, Pooling, Result, Weighting};

/// The compiled kernels of the gradient of weights; see [`Kernels::weigh`].
#[derive(Clone, Debug)]
pub struct Weigh {
    batches: Batches,
    format: Format,
    pipeline: Arc<Pipeline>,
}

/// Arguments of [`Weigh::bind`].
#[derive(Clone, Debug)]
pub struct WeighArgs<'a> {
    /// The lookup; its weights do not enter and are `None`.
    pub batch: BatchArgs<'a>,
    /// The gradient of its output, `[bags, dim]` f32.
    pub gradient: Option<wgpu::BufferBinding<'a>>,
    /// Written: `[positions]` f32; 0 where the index is bad or the position lies in no bag, NaN where the
    /// gradient is not finite; all 0 where a bag is bad.
    pub weight_gradient: Option<wgpu::BufferBinding<'a>>,
    /// Written: a [`crate::training::UpdateStatus`] that the caller set to its `CLEAR`.
    pub status: wgpu::BufferBinding<'a>,
}

/// A gradient of weights with its buffers, ready to be recorded any number of times.
#[derive(Clone, Debug)]
pub struct BoundWeigh {
    dispatches: Vec<Dispatch>,
}

impl BoundWeigh {
    /// Records two dispatches, one without positions, none without bags too. Sets the pipeline and bind group 0.
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
    /// The kernels of the gradient of weights of a format that is trained; compiled at the first call, then
    /// cached.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for a format that is not trained and for a max; [`crate::Error::Device`],
    /// [`crate::Error::DeviceLost`].
    pub fn weigh(&self, format: Format, pooling: Pooling) -> Result<Weigh> {
        crate::training::check_format(format)?;
        let batch = BatchSpec {
            pooling,
            weighting: Weighting::Unweighted,
        };
        Ok(Weigh {
            batches: Batches::new(self, batch)?,
            format,
            pipeline: self.training_pipeline(shader::weigh(format))?,
        })
    }
}

impl Weigh {
    /// Checks every argument and binds them.
    ///
    /// # Errors
    /// As [`super::Update::bind`]; here `weight_gradient` and `status` are written, and share no buffer with `gradient`
    /// and the table.
    ///
    /// # Cost
    /// Allocates two bind groups and two uniforms of 16 bytes. Compiles, submits and waits for nothing.
    pub fn bind(
        &self,
        table: &Table,
        buffers: &UpdateBuffers,
        args: WeighArgs<'_>,
    ) -> Result<BoundWeigh> {
        let kernels = self.batches.kernels();
        check_table(kernels, table, self.format)?;
        let given = [
            ("gradient", args.gradient.as_ref()),
            ("weight_gradient", args.weight_gradient.as_ref()),
            ("status", Some(&args.status)),
        ];
        self.batches.check(table, buffers, &args.batch, &given)?;
        let mut dispatches = self
            .batches
            .bind_locate(table, buffers, &args.batch, &args.status)?;
        let positions = u64::from(args.batch.positions);
        if positions == 0 {
            return Ok(BoundWeigh { dispatches });
        }
        let read = (&args.batch, args.gradient.as_ref());
        let gradient = self.batches.gradient(table, buffers, read)?;
        let written = args.weight_gradient.as_ref();
        let written = written.ok_or_else(|| missing("weight_gradient"))?;
        let limits = kernels.limits();
        let written = Range::storage("weight_gradient", written, 4 * positions, limits)?;
        let status = self.batches.status(&args.status)?;
        let read = (&args.batch, &gradient);
        self.batches
            .check_overlaps(buffers, read, &[&written, &status])?;
        let uniform = self.batches.uniform(&args.batch, Pass::Check)?;
        let ranges = [
            table.uniform_range(),
            Range::whole("work", &uniform),
            table.rows_range(),
            Range::whole("keys", &buffers.keys),
            Range::whole("occurrences", &buffers.occurrences),
            gradient,
            written,
            status,
        ];
        let teams = u64::from(kernels.training_workgroup() / shader::TEAM);
        let work = Work::groups("positions", positions.div_ceil(teams))?;
        let weigh = Dispatch::new(kernels.device(), &self.pipeline, &ranges, work)?;
        dispatches.push(weigh);
        Ok(BoundWeigh { dispatches })
    }
}
