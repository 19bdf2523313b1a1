//! Lookups.

use qembed::gpu::{BoundLookup, Counts, Lookup, LookupArgs, Table};
use qembed::half::f16;
use qembed::wgpu::Buffer;
use qembed::{
    LookupPlan, LookupSpec, LookupStatus, Output, PackedTable, Pooling, Session, Weighting,
};

use super::super::batch::Batches;
use super::super::check::{Sample, right, written};
use super::super::point::Point;
use super::super::ready::{Ready, in_turn, nothing};
use super::super::refusal::Refusal;
use super::super::scale::Scale;
use super::super::tables;
use super::super::traffic::Traffic;
use super::{Gpu, clear, poisoned};

pub fn prepare<'a>(
    (session, clock): Gpu<'a>,
    (spec, plan): (LookupSpec, Option<LookupPlan>),
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    let packed = tables::packed(spec.format, point.rows, point.dim)?;
    let row_bytes = u64::from(spec.format.row_bytes(point.dim));
    let batches = Batches::new(point, row_bytes, scale.touched_bytes)?;
    let device = Inputs::new(session, spec, (&packed, &batches))?;
    let kernel = match plan {
        None => session.kernels().lookup(spec)?,
        Some(plan) => session.kernels().lookup_by(spec, plan)?,
    };
    let bound: Vec<_> = (0..batches.indices.len())
        .map(|batch| device.bind(&kernel, batch))
        .collect::<Result<_, _>>()?;
    session.submit(|pass| bound[0].record(pass))?;
    device.check(session, &Sample::new(spec, &packed, &batches)?, spec)?;
    Ok(Ready {
        run: in_turn(clock, bound, BoundLookup::record),
        traffic: Traffic::lookup(spec, &packed, &batches),
        items: point.indices(),
        after: nothing(),
    })
}

/// A table and batches on the device.
struct Inputs {
    table: Table,
    indices: Vec<(Buffer, u32)>,
    offsets: Option<(Buffer, u32)>,
    weights: Option<Buffer>,
    output: Buffer,
    status: Buffer,
}

impl Inputs {
    fn new(
        session: &Session,
        spec: LookupSpec,
        (packed, batches): (&PackedTable, &Batches),
    ) -> Result<Self, Refusal> {
        let table = session.upload(packed)?;
        let upload = |name, words: &[u32]| session.filled(name, bytemuck::cast_slice(words));
        let indices = batches.indices.iter().map(|indices| {
            let count = indices.len() as u32;
            upload("indices", indices).map(|buffer| (buffer, count))
        });
        let indices: Vec<_> = indices.collect::<Result<_, _>>()?;
        let bags = batches.offsets.len() as u32 - 1;
        let (offsets, output_rows) = match spec.pooling {
            Pooling::None => (None, indices[0].1),
            _ => (Some((upload("offsets", &batches.offsets)?, bags)), bags),
        };
        let weights = match spec.weighting {
            Weighting::Unweighted => None,
            Weighting::Weighted => Some(upload("weights", bytemuck::cast_slice(&batches.weights))?),
        };
        let output_bytes = u64::from(output_rows) * u64::from(packed.dim()) * spec.output.bytes();
        Ok(Self {
            table,
            indices,
            offsets,
            weights,
            output: poisoned(session, "output", output_bytes.next_multiple_of(4))?,
            status: session.filled("status", bytemuck::bytes_of(&LookupStatus::CLEAR))?,
        })
    }

    fn bind(&self, kernel: &Lookup, batch: usize) -> Result<BoundLookup, Refusal> {
        let (indices, count) = &self.indices[batch];
        let args = LookupArgs {
            counts: Counts::Host {
                bags: self.offsets.as_ref().map_or(0, |(_, bags)| *bags),
                indices: *count,
            },
            indices: Some(indices.as_entire_buffer_binding()),
            offsets: self
                .offsets
                .as_ref()
                .map(|(offsets, _)| offsets.as_entire_buffer_binding()),
            weights: self.weights.as_ref().map(Buffer::as_entire_buffer_binding),
            output: Some(self.output.as_entire_buffer_binding()),
            status: Some(self.status.as_entire_buffer_binding()),
        };
        Ok(kernel.bind(&self.table, args)?)
    }

    /// Compares what was written with the reference.
    fn check(&self, session: &Session, sample: &Sample, spec: LookupSpec) -> Result<(), Refusal> {
        clear(session, &self.status)?;
        let words = session.read(&self.output, 0, self.output.size())?;
        let label = spec.label();
        right(&label, written(&words))?;
        let values: Vec<f32> = match spec.output {
            Output::F32 => bytemuck::cast_vec(words),
            Output::F16 => {
                let halves = bytemuck::cast_slice::<u32, f16>(&words).iter();
                halves.map(|half| half.to_f32()).collect()
            }
        };
        right(&label, sample.compare(&values))
    }
}
