//! The kernels on a GPU as a device under test: every range lies in the middle of a larger buffer,
//! outputs are poisoned, and sentinels stand on both sides of what is written.

mod arena;
mod batched;
mod training;

use half::f16;

use self::arena::Arena;
use super::batched::{BatchedData, BatchedVariant};
use super::compare::{Fill, Outcome};
use super::shapes::Batch;
use super::training::{Learned, Updated, Weighed};
use super::{Engine, Lookup, Quantized};
use crate::gpu::{
    BlocksBuffer, Counts, DequantizeArgs, LookupArgs, QuantizeArgs, Table, TableBuffers, TableDesc,
};
use crate::reference::quantize::Solver;
use crate::reference::{StepArgs, UpdateArgs};
use crate::shader::BatchedPlan;
use crate::table::rows_of;
use crate::{
    Format, IndexType, LookupPlan, LookupSpec, LookupStatus, Method, Output, PackedTable, Pooling,
    QuantizeSpec, QuantizeStatus, Result, Session, Weighting,
};

/// The kernels on a session's device.
#[derive(Clone, Copy, Debug)]
pub struct GpuEngine<'a> {
    session: &'a Session,
}

impl<'a> GpuEngine<'a> {
    /// Tests the kernels on this session's device.
    pub fn new(session: &'a Session) -> Self {
        Self { session }
    }

    fn upload_arena(&self, arena: &Arena) -> Result<wgpu::Buffer> {
        self.session
            .filled("arena", bytemuck::cast_slice(arena.words()))
    }
}

impl Engine for GpuEngine<'_> {
    type Table = Table;
    const SOLVER: Solver = Solver::Lloyd;
    const PLANS: &'static [LookupPlan] = &LookupPlan::ALL;

    /// The table lies in the middle of a larger buffer, as in an engine's own arena.
    fn upload(&self, packed: &PackedTable) -> Result<Table> {
        let mut arena = Arena::default();
        let rows = match packed.words() {
            [] => arena.push(&[0]),
            words => arena.push(words),
        };
        let shared = packed.blocks().map(|blocks| arena.push(blocks.words()));
        let buffer = self.upload_arena(&arena)?;
        let desc = TableDesc::of(packed);
        let rows = rows
            .of(&buffer)
            .unwrap_or(buffer.as_entire_buffer_binding());
        let blocks = packed.blocks().zip(shared).and_then(|(blocks, place)| {
            let count = blocks.count();
            Some(BlocksBuffer {
                count,
                words: place.of(&buffer)?,
            })
        });
        Table::from_buffers(self.session.kernels(), desc, TableBuffers { rows, blocks })
    }

    fn lookup(
        &self,
        table: &Table,
        (spec, plan): (&LookupSpec, Option<LookupPlan>),
        batch: &Batch,
    ) -> Result<Lookup> {
        let dim = table.desc().dim;
        let mut inputs = Arena::default();
        let indices = inputs.push(&batch.indices);
        let offsets = inputs.push(&batch.offsets);
        let weights = inputs.push(bytemuck::cast_slice(&batch.weights));
        let mut outputs = Arena::default();
        let output = outputs.push(&vec![Fill::Poison.word(); output_words(spec, batch, dim)]);
        let status = outputs.push(bytemuck::cast_slice(&[LookupStatus::CLEAR]));
        let inputs = self.upload_arena(&inputs)?;
        let written = self.upload_arena(&outputs)?;

        let kernels = self.session.kernels();
        let kernel = match plan {
            None => kernels.lookup(*spec)?,
            Some(plan) => kernels.lookup_by(*spec, plan)?,
        };
        let bound = kernel.bind(
            table,
            LookupArgs {
                counts: Counts::Host {
                    bags: batch.offsets.len() as u32 - 1,
                    indices: batch.indices.len() as u32,
                },
                indices: indices.of(&inputs),
                offsets: offsets
                    .of(&inputs)
                    .filter(|_| spec.pooling != Pooling::None),
                weights: weights
                    .of(&inputs)
                    .filter(|_| spec.weighting == Weighting::Weighted),
                output: output.of(&written),
                status: status.of(&written),
            },
        )?;
        self.session.submit(|pass| bound.record(pass))?;
        let memory = self
            .session
            .read(&written, 0, 4 * outputs.words().len() as u64)?;
        let (words, output_guards) = output.check(&memory);
        let (status, status_guards) = status.check(&memory);
        let mut values: Vec<f32> = match spec.output {
            Output::F32 => words.iter().map(|word| f32::from_bits(*word)).collect(),
            Output::F16 => {
                let halves = bytemuck::cast_slice::<u32, f16>(words);
                halves.iter().map(|half| half.to_f32()).collect()
            }
        };
        let left_over = values.split_off(output_len(spec, batch, dim));
        let left_over = match left_over.iter().any(|half| *half != 0.0) {
            true => Outcome::fail("half a word behind the output is not zero".into()),
            false => Outcome::PASS,
        };
        Ok(Lookup {
            values,
            status: bytemuck::pod_read_unaligned(bytemuck::cast_slice(status)),
            guards: output_guards.and(status_guards).and(left_over),
        })
    }

    const BATCHED_PLANS: &'static [BatchedPlan] = &BatchedPlan::ALL;
    const INDEX_TYPES: &'static [IndexType] = &IndexType::ALL;

    fn batched(&self, variant: &BatchedVariant, data: &BatchedData) -> Result<Lookup> {
        self.run_batched(variant, data)
    }

    fn quantize(
        &self,
        values: &[f32],
        dim: usize,
        format: Format,
        method: Method,
    ) -> Result<Quantized> {
        let rows = rows_of(values, dim)?;
        let dim = dim as u32;
        let mut outputs = Arena::default();
        let words = rows as usize * format.row_words(dim) as usize;
        let packed = outputs.push(&vec![Fill::Poison.word(); words.max(1)]);
        let status = outputs.push(bytemuck::cast_slice(&[QuantizeStatus::CLEAR]));
        let written = self.upload_arena(&outputs)?;
        let values = self
            .session
            .filled("values", bytemuck::cast_slice(values))?;

        let kernels = self.session.kernels();
        let range = packed
            .of(&written)
            .unwrap_or(written.as_entire_buffer_binding());
        let table = Table::from_buffers(
            kernels,
            TableDesc { format, rows, dim },
            TableBuffers {
                rows: range,
                blocks: None,
            },
        )?;
        let bound = kernels
            .quantize(QuantizeSpec {
                format,
                method,
                dim,
            })?
            .bind(
                &table,
                QuantizeArgs {
                    rows: 0..rows,
                    values: Some(values.as_entire_buffer_binding()),
                    status: status.of(&written),
                },
            )?;
        self.session.submit(|pass| bound.record(pass))?;
        let memory = self
            .session
            .read(&written, 0, 4 * outputs.words().len() as u64)?;
        let (status, status_guards) = status.check(&memory);
        let rows_guards = match rows {
            0 => Outcome::PASS,
            _ => packed.check(&memory).1,
        };
        Ok(Quantized {
            words: memory[packed.words()][..words].to_vec(),
            status: bytemuck::pod_read_unaligned(bytemuck::cast_slice(status)),
            guards: rows_guards.and(status_guards),
        })
    }

    fn dequantize(&self, table: &Table) -> Result<(Vec<f32>, Outcome)> {
        let desc = table.desc();
        let mut outputs = Arena::default();
        let elements = desc.rows as usize * desc.dim as usize;
        let values = outputs.push(&vec![Fill::Poison.word(); elements]);
        let written = self.upload_arena(&outputs)?;
        let bound = self.session.kernels().dequantize(desc.format)?.bind(
            table,
            DequantizeArgs {
                rows: 0..desc.rows,
                values: values.of(&written),
            },
        )?;
        self.session.submit(|pass| bound.record(pass))?;
        let memory = self
            .session
            .read(&written, 0, 4 * outputs.words().len() as u64)?;
        let (words, guards) = values.check(&memory);
        Ok((
            words.iter().map(|word| f32::from_bits(*word)).collect(),
            guards,
        ))
    }

    fn update(&self, table: Table, state: &[f32], args: UpdateArgs<'_>) -> Result<Updated> {
        training::update(self.session, &table, state, args)
    }

    fn learn(
        &self,
        table: Table,
        states: [&[f32]; 2],
        halves: (UpdateArgs<'_>, StepArgs<'_>),
    ) -> Result<Learned> {
        training::learn(self.session, &table, states, halves)
    }

    fn weigh(
        &self,
        table: &Table,
        batch: &crate::training::Batch<'_>,
        gradient: &[f32],
    ) -> Result<Weighed> {
        training::weigh(self.session, table, batch, gradient)
    }
}

/// Elements of a lookup's output.
fn output_len(spec: &LookupSpec, batch: &Batch, dim: u32) -> usize {
    let rows = match spec.pooling {
        Pooling::None => batch.indices.len(),
        Pooling::Sum | Pooling::Mean | Pooling::Max => batch.offsets.len() - 1,
    };
    rows * dim as usize
}

/// Words of a lookup's output.
fn output_words(spec: &LookupSpec, batch: &Batch, dim: u32) -> usize {
    let elements = output_len(spec, batch, dim);
    match spec.output {
        Output::F32 => elements,
        Output::F16 => elements.div_ceil(2),
    }
}
