//! Lookups in many tables at once on a GPU, with every range in the middle of a larger buffer.

use half::f16;

use super::GpuEngine;
use super::arena::Arena;
use crate::gpu::{self, ArenaTable, BatchedSpec, Counts, LookupArgs};
use crate::verify::Lookup;
use crate::verify::batched::{BatchedData, BatchedVariant};
use crate::verify::compare::Fill;
use crate::{IndexType, LookupStatus, Output, Result, Weighting};

impl GpuEngine<'_> {
    /// What [`crate::verify::Engine::batched`] gives.
    pub(super) fn run_batched(
        &self,
        variant: &BatchedVariant,
        data: &BatchedData,
    ) -> Result<Lookup> {
        let arena = self.arena_in_the_middle(data)?;
        let spec = BatchedSpec {
            features: &data.features,
            places: data.places.as_deref(),
            weighting: variant.weighting,
            output: variant.output,
            index: variant.index,
        };
        let kernels = self.session.kernels();
        let kernel = match variant.plan {
            None => kernels.batched(&arena, spec)?,
            Some(plan) => kernels.batched_by(&arena, spec, plan)?,
        };
        let mut inputs = Arena::default();
        let indices = inputs.push(&typed(variant.index, &data.indices));
        let offsets = inputs.push(&typed(variant.index, &data.offsets));
        let weights = inputs.push(bytemuck::cast_slice(&data.weights));
        let mut outputs = Arena::default();
        let elements = kernel.output_elements(data.bags);
        let output_words = (elements * variant.output.bytes()).div_ceil(4) as usize;
        let output = outputs.push(&vec![Fill::Poison.word(); output_words]);
        let status = outputs.push(bytemuck::cast_slice(&[LookupStatus::CLEAR]));
        let inputs = self.upload_arena(&inputs)?;
        let written = self.upload_arena(&outputs)?;
        let bound = kernel.bind(LookupArgs {
            counts: Counts::Host {
                bags: data.bags,
                indices: data.indices.len() as u32,
            },
            indices: indices.of(&inputs),
            offsets: offsets.of(&inputs),
            weights: weights
                .of(&inputs)
                .filter(|_| variant.weighting == Weighting::Weighted),
            output: output.of(&written),
            status: status.of(&written),
        })?;
        self.session.submit(|pass| bound.record(pass))?;
        let memory = self
            .session
            .read(&written, 0, 4 * outputs.words().len() as u64)?;
        let (words, output_guards) = output.check(&memory);
        let (status, status_guards) = status.check(&memory);
        let values = match variant.output {
            Output::F32 => words.iter().map(|word| f32::from_bits(*word)).collect(),
            Output::F16 => {
                let halves = bytemuck::cast_slice::<u32, f16>(words);
                halves.iter().map(|half| half.to_f32()).collect()
            }
        };
        Ok(Lookup {
            values,
            status: bytemuck::pod_read_unaligned(bytemuck::cast_slice(status)),
            guards: output_guards.and(status_guards),
        })
    }

    /// The tables of a batch as [`gpu::Kernels::upload_arena`] lays them out, in the middle of a larger buffer.
    fn arena_in_the_middle(&self, data: &BatchedData) -> Result<gpu::Arena> {
        let uploaded = self.session.upload_arena(&data.tables())?;
        let range = uploaded.words();
        let bytes = range.size.map_or(0, std::num::NonZeroU64::get);
        let words = self.session.read(range.buffer, range.offset, bytes)?;
        let mut outer = Arena::default();
        let place = outer.push(&words);
        let buffer = self.upload_arena(&outer)?;
        let tables: Vec<ArenaTable> = uploaded.tables().to_vec();
        let words = place
            .of(&buffer)
            .unwrap_or(buffer.as_entire_buffer_binding());
        gpu::Arena::from_buffer(self.session.kernels(), &tables, words)
    }
}

/// Numbers in the words of an index type.
fn typed(index: IndexType, numbers: &[u32]) -> Vec<u32> {
    match index {
        IndexType::U32 => numbers.to_vec(),
        // Of those that are none every second is beyond 32 bits, some below zero.
        IndexType::I64 => numbers
            .iter()
            .enumerate()
            .flat_map(|(at, number)| match *number {
                u32::MAX => [at as u32 % 3, [0, 1, u32::MAX][at % 3].max(1)],
                number => [number, 0],
            })
            .collect(),
    }
}
