//! A run of training: what stays the same, and what a later one resumes from.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::format::Levels;
use crate::philox::RandomKey;
use crate::training::{
    BadInput, Batch, LearnedSteps, Optimizer, Parameters, Rounding, UpdateSpec, UpdateStatus,
    UpdateStep, no_steps_of,
};
use crate::{Error, Format, PackedTable, Result};

/// What stays the same over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingSpec {
    /// The rows' optimizer.
    pub optimizer: Optimizer,
    /// What an updated row's header becomes; [`Parameters::Frozen`] where steps are learned.
    pub parameters: Parameters,
    /// How steps are learned (ALPT); `None` where they are not (LPT).
    pub learned: Option<LearnedSteps>,
    /// L2 weight decay of the rows of a batch.
    pub weight_decay: f32,
    /// How new values become codes.
    pub rounding: Rounding,
    /// What bad indices and rows that cannot be updated do.
    pub bad_input: BadInput,
    /// Seed of the random bits.
    pub seed: u64,
    /// Number of the table among those of the model, so that each draws apart.
    pub table: u32,
}

impl TrainingSpec {
    /// LPT: headers stay as they are, values are rounded stochastically; no weight decay, bad input refused.
    pub const fn lpt(optimizer: Optimizer, seed: u64) -> Self {
        Self {
            optimizer,
            parameters: Parameters::Frozen,
            learned: None,
            weight_decay: 0.0,
            rounding: Rounding::Stochastic,
            bad_input: BadInput::Refuse,
            seed,
            table: 0,
        }
    }

    /// ALPT: LPT whose steps are learned.
    pub const fn alpt(optimizer: Optimizer, learned: LearnedSteps, seed: u64) -> Self {
        Self {
            learned: Some(learned),
            ..Self::lpt(optimizer, seed)
        }
    }

    /// The kernel of a format.
    pub(crate) fn update_spec(&self, format: Format) -> UpdateSpec {
        UpdateSpec {
            format,
            optimizer: self.optimizer,
            parameters: self.parameters,
        }
    }

    /// The step that follows those that are done.
    ///
    /// # Errors
    /// [`Error::Shape`] where their number does not fit a u32.
    pub(crate) fn next_step(&self, done: u32, learning_rate: f32) -> Result<UpdateStep> {
        let step = done.checked_add(1).ok_or_else(|| Error::Shape {
            argument: "step number",
            needed: format!("at most {} steps done", u32::MAX - 1),
            got: done.to_string(),
        })?;
        Ok(UpdateStep {
            learning_rate,
            weight_decay: self.weight_decay,
            rounding: self.rounding,
            key: RandomKey {
                seed: self.seed,
                table: self.table,
                step,
            },
            bad_input: self.bad_input,
        })
    }

    /// Numbers of state that the rows' optimizer has, and the steps'.
    pub(crate) fn state_lens(&self, rows: u32, dim: u32) -> (usize, usize) {
        let steps = self.learned.map_or(0, |learned| learned.state_len(rows));
        let len = self.optimizer.state_len(dim) as usize;
        (rows as usize * len, steps)
    }

    /// # Errors
    /// [`Error::Unsupported`] for formats and parameters that are not trained together;
    /// [`Error::Shape`] for constants that no step can be computed with;
    /// [`Error::Step`] where a symmetric row's step is not positive and finite.
    pub(crate) fn check(&self, table: &PackedTable) -> Result<()> {
        self.update_spec(table.format()).check()?;
        if self.parameters == Parameters::Given {
            return Err(Error::Unsupported {
                what: "a run whose steps are given".into(),
                instead: "freeze or learn them, or use the update kernel itself",
            });
        }
        self.check_constants(table)?;
        check_steps(table)
    }

    /// What every step of the run would refuse, however small its learning rate.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the steps of rows that have none are to be learned, and those of [`Optimizer::constants`] and [`crate::training::GradientScale::value`].
    fn check_constants(&self, table: &PackedTable) -> Result<()> {
        let bits = match (self.learned, table.format()) {
            (None, _) => None,
            (Some(_), Format::Symmetric { bits, .. }) => Some(bits),
            (Some(_), format) => return Err(no_steps_of(format)),
        };
        self.optimizer.constants(0.0, self.weight_decay, 1)?;
        if let (Some(learned), Some(bits)) = (self.learned, bits) {
            learned.optimizer.constants(0.0, learned.weight_decay, 1)?;
            learned.gradient_scale.value(bits, table.dim(), 1)?;
        }
        Ok(())
    }
}

/// # Errors
/// [`Error::Step`] for the first symmetric row whose step is not positive and finite.
fn check_steps(table: &PackedTable) -> Result<()> {
    let Format::Symmetric { params, .. } = table.format() else {
        return Ok(());
    };
    for row in 0..table.rows() as usize {
        if let Levels::Symmetric { step } = table.row(row).levels()
            && !(step.is_normal() && step > 0.0)
        {
            return Err(Error::Step { row, step, params });
        }
    }
    Ok(())
}

/// A run between two steps: everything that the next step depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What stays the same over the run.
    pub spec: TrainingSpec,
    /// Steps done.
    pub number: u32,
    /// The table.
    pub table: PackedTable,
    /// State of the rows' optimizer, `[rows, state_len]`.
    pub state: Vec<f32>,
    /// State of the steps' optimizer, `[rows, state_len(1)]`, one row of it for a table's step.
    pub step_state: Vec<f32>,
}

impl Checkpoint {
    /// The beginning of a run: no step done, state of zeros.
    pub fn start(table: PackedTable, spec: TrainingSpec) -> Self {
        let (state, step_state) = spec.state_lens(table.rows(), table.dim());
        Self {
            spec,
            number: 0,
            table,
            state: vec![0.0; state],
            step_state: vec![0.0; step_state],
        }
    }

    /// # Errors
    /// Those of the table's format and steps; [`Error::Shape`] for states of another length.
    pub(crate) fn check(&self) -> Result<()> {
        self.spec.check(&self.table)?;
        let needed = self.spec.state_lens(self.table.rows(), self.table.dim());
        let lens = [
            ("state", needed.0, self.state.len()),
            ("step_state", needed.1, self.step_state.len()),
        ];
        for (argument, needed, got) in lens {
            if needed != got {
                return Err(Error::Shape {
                    argument,
                    needed: format!("{needed} numbers"),
                    got: got.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// What a refused batch is told with.
///
/// # Errors
/// [`Error::Offsets`], and under [`BadInput::Refuse`] [`Error::IndexOutOfRange`], [`Error::Unfinished`],
/// [`Error::Gradient`].
pub(crate) fn refuse(
    status: &UpdateStatus,
    bad_input: BadInput,
    batch: &Batch<'_>,
    rows: u32,
) -> Result<()> {
    if !status.refuses(bad_input) {
        return Ok(());
    }
    if let Some(offsets) = batch.offsets
        && status.bad_bags > 0
    {
        let bag = status.first_bag as usize;
        return Err(Error::Offsets {
            bag,
            begin: offsets[bag],
            end: offsets[bag + 1],
            indices: batch.indices.len(),
        });
    }
    if status.bad_indices > 0 {
        let position = status.first_position as usize;
        return Err(Error::IndexOutOfRange {
            position,
            index: batch.indices[position],
            rows,
        });
    }
    if status.unfinished > 0 {
        return Err(Error::Unfinished {
            row: status.first_unfinished as usize,
        });
    }
    Err(Error::Gradient {
        row: status.first_row as usize,
        rows: status.bad_rows,
    })
}

/// Which batch was staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StagedBatch {
    bags: usize,
    positions: usize,
    /// Of pooling, indices, offsets and weights.
    digest: u64,
}

impl StagedBatch {
    pub(crate) fn of(batch: &Batch<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        batch.pooling.hash(&mut hasher);
        batch.indices.hash(&mut hasher);
        batch.offsets.hash(&mut hasher);
        let weights: Option<&[u32]> = batch.weights.map(bytemuck::cast_slice);
        weights.hash(&mut hasher);
        Self {
            bags: batch.bags(),
            positions: batch.indices.len(),
            digest: hasher.finish(),
        }
    }

    /// # Errors
    /// [`Error::Unsupported`] where nothing was staged; [`Error::Shape`] where another batch was.
    pub(crate) fn check(staged: Option<Self>, batch: &Batch<'_>) -> Result<()> {
        let staged = staged.ok_or_else(nothing_staged)?;
        let got = Self::of(batch);
        if staged == got {
            return Ok(());
        }
        let shape = |of: Self| format!("{} bags, {} indices", of.bags, of.positions);
        let other = match (staged.bags, staged.positions) == (got.bags, got.positions) {
            true => "another one of that shape".into(),
            false => shape(got),
        };
        Err(Error::Shape {
            argument: "batch",
            needed: format!("the one that was staged ({})", shape(staged)),
            got: other,
        })
    }
}

pub(crate) fn nothing_staged() -> Error {
    Error::Unsupported {
        what: "the second half of a step before its first".into(),
        instead: "call backward_stage first",
    }
}

pub(crate) fn no_learned_steps() -> Error {
    Error::Unsupported {
        what: "learning steps in a run without them".into(),
        instead: "begin it with TrainingSpec::alpt",
    }
}
