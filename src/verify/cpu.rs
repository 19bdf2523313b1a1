//! The kernels on the CPU as a device under test.

use super::batched::{BatchedData, BatchedVariant};
use super::compare::Outcome;
use super::shapes::Batch;
use super::training::{self, Learned, Updated, Weighed};
use super::{Engine, Lookup, Quantized, reference_args};
use crate::reference::quantize::Solver;
use crate::reference::{StepArgs, UpdateArgs};
use crate::shader::BatchedPlan;
use crate::{
    BatchedRequest, Format, IndexType, LookupPlan, LookupRequest, LookupSpec, Method, OutOfRange,
    PackedTable, Result, Weighting, cpu,
};

/// The kernels on the CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuEngine;

impl Engine for CpuEngine {
    type Table = PackedTable;
    const SOLVER: Solver = Solver::Exact;
    const PLANS: &'static [LookupPlan] = &[];

    fn upload(&self, table: &PackedTable) -> Result<PackedTable> {
        Ok(table.clone())
    }

    fn lookup(
        &self,
        table: &PackedTable,
        (spec, _): (&LookupSpec, Option<LookupPlan>),
        batch: &Batch,
    ) -> Result<Lookup> {
        let args = reference_args(spec, batch);
        let request = LookupRequest {
            pooling: args.pooling,
            indices: args.indices,
            offsets: args.offsets,
            weights: args.weights,
            output: spec.output,
            out_of_range: OutOfRange::Skip,
        };
        let looked = cpu::lookup(table, request)?;
        Ok(Lookup {
            values: looked.values.into_f32(),
            status: looked.status,
            guards: Outcome::PASS,
        })
    }

    const BATCHED_PLANS: &'static [BatchedPlan] = &[];
    const INDEX_TYPES: &'static [IndexType] = &[IndexType::U32];

    fn batched(&self, variant: &BatchedVariant, data: &BatchedData) -> Result<Lookup> {
        let request = BatchedRequest {
            features: &data.features,
            places: data.places.as_deref(),
            indices: &data.indices,
            offsets: &data.offsets,
            weights: (variant.weighting == Weighting::Weighted).then_some(&data.weights),
            output: variant.output,
            out_of_range: OutOfRange::Skip,
        };
        let looked = cpu::batched(&data.tables(), request)?;
        Ok(Lookup {
            values: looked.values.into_f32(),
            status: looked.status,
            guards: Outcome::PASS,
        })
    }

    fn quantize(
        &self,
        values: &[f32],
        dim: usize,
        format: Format,
        method: Method,
    ) -> Result<Quantized> {
        let (table, status) = cpu::quantize_counting(values, dim, format, method)?;
        Ok(Quantized {
            words: table.words().to_vec(),
            status,
            guards: Outcome::PASS,
        })
    }

    fn dequantize(&self, table: &PackedTable) -> Result<(Vec<f32>, Outcome)> {
        Ok((cpu::dequantize(table), Outcome::PASS))
    }

    fn update(&self, table: PackedTable, state: &[f32], args: UpdateArgs<'_>) -> Result<Updated> {
        training::update_by(cpu::update, table, state, args)
    }

    fn learn(
        &self,
        table: PackedTable,
        states: [&[f32]; 2],
        halves: (UpdateArgs<'_>, StepArgs<'_>),
    ) -> Result<Learned> {
        training::learn_by((cpu::stage, cpu::learn_steps), table, states, halves)
    }

    fn weigh(
        &self,
        table: &PackedTable,
        batch: &crate::training::Batch<'_>,
        gradient: &[f32],
    ) -> Result<Weighed> {
        let (values, status) = cpu::weight_gradient(table, batch, gradient)?;
        Ok(Weighed {
            values,
            status,
            guards: Outcome::PASS,
        })
    }
}
