//! What GPU and CPU share of updates: the batch, the step, and the rows that are checked.

use std::collections::BTreeSet;

use qembed::philox::RandomKey;
use qembed::reference::{self, UpdateArgs};
use qembed::training::{
    BadInput, Batch, Parameters, Rounding, UpdateSpec, UpdateStatus, UpdateStep,
};
use qembed::verify::compare::{self, Outcome};
use qembed::{PackedTable, Pooling};

use super::batch::Batches;
use super::point::Point;
use super::refusal::{Refusal, host_memory};
use super::scale::Scale;
use super::tables;
use super::traffic::Traffic;

/// The first rows of a table, which are checked; the row that comes most often is among them.
const CHECKED_ROWS: u32 = 1024;

/// A table and what it is updated by.
pub struct Inputs {
    pub spec: UpdateSpec,
    pub table: PackedTable,
    pub batches: Batches,
    /// `[bags, dim]`
    pub gradient: Vec<f32>,
    /// One for every row, where they are given.
    pub steps: Vec<f32>,
}

/// What the first rows must be after the first batch.
pub struct Expected {
    /// Words of the rows.
    pub words: Vec<u32>,
    /// Bits of their state.
    pub state: Vec<u32>,
}

impl Inputs {
    pub fn new(spec: UpdateSpec, (point, scale): (&Point, &Scale)) -> Result<Self, Refusal> {
        let state_bytes = 4 * u64::from(spec.optimizer.state_len(point.dim));
        let row_bytes = u64::from(spec.format.row_bytes(point.dim)) + state_bytes;
        host_memory("rows and state", u64::from(point.rows) * row_bytes)?;
        let batches = Batches::new(point, row_bytes, scale.touched_bytes)?;
        let values = u64::from(point.bags) * u64::from(point.dim);
        host_memory("gradient", 4 * values)?;
        Ok(Self {
            spec,
            table: tables::packed(spec.format, point.rows, point.dim)?,
            batches,
            gradient: tables::values(values as usize),
            steps: match spec.parameters {
                // An f16 holds it.
                Parameters::Given => vec![1.0 / 64.0; point.rows as usize],
                _ => vec![],
            },
        })
    }

    /// Numbers of state that so many rows have.
    pub fn state_len(&self, rows: u32) -> usize {
        rows as usize * self.spec.optimizer.state_len(self.table.dim()) as usize
    }

    /// The arguments of one batch.
    pub fn args(&self, batch: usize) -> UpdateArgs<'_> {
        UpdateArgs {
            batch: Batch {
                pooling: Pooling::Sum,
                indices: &self.batches.indices[batch],
                offsets: Some(&self.batches.offsets),
                weights: None,
            },
            gradient: &self.gradient,
            spec: self.spec,
            step: UpdateStep {
                learning_rate: 1e-3,
                weight_decay: 0.0,
                rounding: Rounding::Stochastic,
                key: RandomKey {
                    seed: 1,
                    table: 0,
                    step: 1,
                },
                bad_input: BadInput::Refuse,
            },
            steps: &self.steps,
        }
    }

    /// Rows that are checked.
    pub fn checked_rows(&self) -> u32 {
        self.table.rows().min(CHECKED_ROWS)
    }

    /// The reference's answer for the first rows, by the part of the first batch that is about them: a row does
    /// not depend on the others of its batch.
    pub fn expected(&self) -> Result<Expected, Refusal> {
        let rows = self.checked_rows();
        let dim = self.table.dim() as usize;
        let row_words = self.table.format().row_words(self.table.dim()) as usize;
        let words = self.table.words()[..rows as usize * row_words].to_vec();
        let mut table = PackedTable::from_words(self.table.format(), dim, words)?;
        let mut state = vec![0.0; self.state_len(rows)];
        let (mut indices, mut offsets) = (vec![], vec![0]);
        for bag in self.batches.offsets.windows(2) {
            let bag = &self.batches.indices[0][bag[0] as usize..bag[1] as usize];
            indices.extend(bag.iter().filter(|row| **row < rows));
            offsets.push(indices.len() as u32);
        }
        let mut args = self.args(0);
        args.batch.indices = &indices;
        args.batch.offsets = Some(&offsets);
        args.steps = args.steps.get(..rows as usize).unwrap_or_default();
        let status = reference::update(&mut table, &mut state, args)?;
        debug_assert_eq!(status, UpdateStatus::CLEAR);
        Ok(Expected {
            words: table.words().to_vec(),
            state: state.iter().map(|x| x.to_bits()).collect(),
        })
    }

    /// Indices, offsets and gradient read; rows and state of the batch read and written; given steps read.
    pub fn traffic(&self) -> Traffic {
        let batches = &self.batches;
        let state_bytes = 4 * u64::from(self.spec.optimizer.state_len(self.table.dim()));
        let step_bytes = if self.steps.is_empty() { 0 } else { 4 };
        let mut rows = Traffic::default();
        for indices in &batches.indices {
            let distinct: BTreeSet<_> = indices.iter().collect();
            let packed = Traffic::packed(distinct.iter().copied(), &self.table).times(2);
            let state = Traffic::rows(distinct.iter().copied(), state_bytes).times(2);
            let steps = Traffic::rows(distinct.iter().copied(), step_bytes);
            rows = rows.and(packed).and(state).and(steps);
        }
        let read = [
            batches.indices[0].len(),
            batches.offsets.len(),
            self.gradient.len(),
        ];
        let read = read.map(|words| Traffic::stream(4 * words as u64));
        let rows = rows.share(batches.indices.len() as u64);
        read.into_iter().fold(rows, Traffic::and)
    }
}

impl Expected {
    /// Compares status, words and state of the first rows.
    pub fn compare(&self, status: &UpdateStatus, (words, state): (&[u32], &[u32])) -> Outcome {
        let statuses = [
            bytemuck::bytes_of(&UpdateStatus::CLEAR),
            bytemuck::bytes_of(status),
        ];
        let [clear, status] = statuses.map(bytemuck::cast_slice);
        compare::words("status", clear, status)
            .and(compare::words("rows", &self.words, words))
            .and(compare::words("state", &self.state, state))
    }
}
