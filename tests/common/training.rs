//! Tables of literal rows, batches and steps for the tests of training.

use qembed::half::f16;
use qembed::philox::RandomKey;
use qembed::reference::{self, Staged, StepArgs, UpdateArgs};
use qembed::training::{
    BadInput, Batch, Checkpoint, Optimizer, Parameters, Rounding, UpdateSpec, UpdateStatus,
    UpdateStep,
};
use qembed::verify::shapes::Random;
use qembed::{Bits, Format, PackedTable, Params, Pooling, Result};

/// Symmetric rows of these bits.
pub const fn symmetric_format(bits: Bits, params: Params) -> Format {
    Format::Symmetric { bits, params }
}

/// Symmetric rows from literals: step, signed codes.
pub fn symmetric(format: Format, rows: &[(f32, &[i32])]) -> PackedTable {
    let dim = rows[0].1.len();
    let bits = format.bits().unwrap();
    let mut words = vec![];
    for (step, codes) in rows {
        let mut row = vec![0; format.row_words(dim as u32) as usize];
        row[0] = match format.params().unwrap() {
            Params::F16 => f16::from_f32(*step).to_bits().into(),
            Params::F32 => step.to_bits(),
        };
        for (column, code) in codes.iter().enumerate() {
            let bit = column * bits.count() as usize;
            row[1 + bit / 32] |= (*code as u32 & bits.max_code()) << (bit % 32);
        }
        words.extend(row);
    }
    PackedTable::from_words(format, dim, words).unwrap()
}

/// Any table of a format that is trained: headers within a factor of four, codes of the whole range.
pub fn random_table(
    format: Format,
    (rows, dim): (usize, usize),
    random: &mut Random,
) -> PackedTable {
    let scale = |random: &mut Random| 0.01 + 0.03 * random.signed().abs();
    let tables: Vec<_> = (0..rows)
        .map(|_| {
            let step = scale(random);
            let codes: Vec<u32> = (0..dim)
                .map(|_| random.word() & format.bits().unwrap().max_code())
                .collect();
            match format {
                Format::Symmetric { .. } => {
                    let codes: Vec<_> = codes.iter().map(|code| *code as i32).collect();
                    symmetric(format, &[(step, &codes)])
                }
                _ => super::table(format, &[(step, random.signed(), &codes)]),
            }
        })
        .collect();
    let words = tables.iter().flat_map(|table| table.words().to_vec());
    PackedTable::from_words(format, dim, words.collect()).unwrap()
}

/// The signed codes of a row, or the unsigned ones of an affine row.
pub fn codes(table: &PackedTable, row: usize) -> Vec<i32> {
    (0..table.dim() as usize)
        .map(|column| match table.format() {
            Format::Symmetric { .. } => table.row(row).signed_code(column),
            _ => table.row(row).code(column) as i32,
        })
        .collect()
}

/// A gather of these rows.
pub const fn gather(indices: &[u32]) -> Batch<'_> {
    Batch {
        pooling: Pooling::None,
        indices,
        offsets: None,
        weights: None,
    }
}

/// Bags of these rows.
pub const fn bags<'a>(pooling: Pooling, indices: &'a [u32], offsets: &'a [u32]) -> Batch<'a> {
    Batch {
        pooling,
        indices,
        offsets: Some(offsets),
        weights: None,
    }
}

/// A first step, rounded to nearest, without weight decay.
pub const fn nearest(learning_rate: f32) -> UpdateStep {
    UpdateStep {
        learning_rate,
        weight_decay: 0.0,
        rounding: Rounding::Nearest,
        key: RandomKey {
            seed: 7,
            table: 0,
            step: 1,
        },
        bad_input: BadInput::Refuse,
    }
}

/// A first step, rounded stochastically, without weight decay.
pub const fn stochastic(learning_rate: f32) -> UpdateStep {
    UpdateStep {
        rounding: Rounding::Stochastic,
        ..nearest(learning_rate)
    }
}

/// An update whose headers stay as they are.
pub const fn frozen(format: Format, optimizer: Optimizer) -> UpdateSpec {
    UpdateSpec {
        format,
        optimizer,
        parameters: Parameters::Frozen,
    }
}

/// Updates a table that has no given steps.
pub fn update(
    table: &mut PackedTable,
    state: &mut [f32],
    (batch, gradient): (Batch<'_>, &[f32]),
    (spec, step): (UpdateSpec, UpdateStep),
) -> Result<UpdateStatus> {
    let args = UpdateArgs {
        batch,
        gradient,
        spec,
        step,
        steps: &[],
    };
    reference::update(table, state, args)
}

/// The bits of floats.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// A run of the reference.
pub struct Run {
    pub run: Checkpoint,
    staged: Option<Staged>,
}

impl Run {
    pub fn new(run: Checkpoint) -> Self {
        Self { run, staged: None }
    }

    fn args<'a>(
        &self,
        batch: &Batch<'a>,
        gradient: &'a [f32],
        learning_rate: f32,
    ) -> UpdateArgs<'a> {
        let spec = self.run.spec;
        UpdateArgs {
            batch: *batch,
            gradient,
            spec: UpdateSpec {
                format: self.run.table.format(),
                optimizer: spec.optimizer,
                parameters: spec.parameters,
            },
            step: UpdateStep {
                learning_rate,
                weight_decay: spec.weight_decay,
                rounding: spec.rounding,
                key: RandomKey {
                    seed: spec.seed,
                    table: spec.table,
                    step: self.run.number + 1,
                },
                bad_input: spec.bad_input,
            },
            steps: &[],
        }
    }

    pub fn update(&mut self, batch: &Batch<'_>, gradient: &[f32], rate: f32) -> UpdateStatus {
        let args = self.args(batch, gradient, rate);
        let status = reference::update(&mut self.run.table, &mut self.run.state, args).unwrap();
        self.run.number += 1;
        status
    }

    pub fn stage(&mut self, batch: &Batch<'_>, gradient: &[f32], rate: f32) -> UpdateStatus {
        let args = self.args(batch, gradient, rate);
        let staged = reference::stage(&self.run.table, &mut self.run.state, args);
        let (staged, status) = staged.unwrap();
        self.staged = Some(staged);
        status
    }

    pub fn staged(&self) -> &Staged {
        self.staged.as_ref().unwrap()
    }

    pub fn learn(&mut self, batch: &Batch<'_>, gradient: &[f32], rate: f32) -> UpdateStatus {
        let args = StepArgs {
            update: self.args(batch, gradient, 0.0),
            learned: self.run.spec.learned.unwrap(),
            learning_rate: rate,
        };
        let staged = self.staged.take().unwrap();
        let run = &mut self.run;
        let status = reference::learn_steps(&mut run.table, &mut run.step_state, &staged, args);
        self.run.number += 1;
        status.unwrap()
    }
}
