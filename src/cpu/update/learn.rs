//! The second half of learning steps: their optimizer.

use super::super::lanes::{LANES, Lanes, flush};
use super::decode::Scale;
use super::optimizer::{Moving, StateShape, advance, is_sound_in};
use super::rewrite::NewRow;
use super::steps::{StepGradient, total};
use super::task::BadRows;
use crate::PackedTable;
use crate::format::Params;
use crate::training::{LearnedSteps, MIN_STEP, Optimizer, OptimizerConstants};

/// What becomes of a table.
pub(super) struct Learned {
    /// In order of rows.
    pub(super) rows: Vec<NewRow>,
    pub(super) bad: BadRows,
    /// Rows of the state, and their numbers.
    owners: Vec<u32>,
    states: Vec<f32>,
}

impl Learned {
    pub(super) fn store_states(&self, state: &mut [f32]) {
        let len = self.states.len() / self.owners.len().max(1);
        for (at, &owner) in self.owners.iter().enumerate() {
            let new = &self.states[at * len..][..len];
            state[owner as usize * len..][..len].copy_from_slice(new);
        }
    }
}

/// How steps move: sixteen at a time, one to a lane.
pub(super) struct Learning {
    optimizer: Optimizer,
    constants: OptimizerConstants,
    params: Params,
    shape: StateShape,
}

impl Learning {
    pub(super) fn new(
        learned: &LearnedSteps,
        constants: OptimizerConstants,
        params: Params,
    ) -> Self {
        // A row of one number: its mean square is its square.
        let optimizer = match learned.optimizer {
            Optimizer::RowwiseAdagrad { epsilon } => Optimizer::Adagrad { epsilon },
            other => other,
        };
        Self {
            optimizer,
            constants,
            params,
            shape: StateShape::new(optimizer, 1),
        }
    }

    /// A step for every row that has a gradient.
    pub(super) fn of_rows(
        &self,
        table: &PackedTable,
        state: &[f32],
        rows: &[u32],
        gradients: &[StepGradient],
    ) -> Learned {
        let len = self.shape.len();
        let mut learned = Learned {
            rows: vec![],
            bad: BadRows::NONE,
            owners: vec![],
            states: vec![],
        };
        let (mut steps, mut sums) = (vec![], vec![]);
        for (segment, (&row, gradient)) in rows.iter().zip(gradients).enumerate() {
            match gradient {
                StepGradient::Left => {}
                StepGradient::Bad => learned.bad.add(row),
                StepGradient::Of(gradient) => {
                    steps.push(step_of(table, row));
                    sums.push(*gradient);
                    learned.owners.push(row);
                    learned.states.extend(&state[row as usize * len..][..len]);
                    learned.rows.push(NewRow {
                        row,
                        step: 0.0,
                        staged: Some(segment),
                    });
                }
            }
        }
        self.learn(&mut steps, &sums, &mut learned.states);
        for (row, step) in learned.rows.iter_mut().zip(steps) {
            row.step = step;
        }
        self.without_bad(learned)
    }

    /// Drops the rows whose step could not be learned, and counts them.
    fn without_bad(&self, mut learned: Learned) -> Learned {
        if learned.rows.iter().all(|row| !row.step.is_nan()) {
            return learned;
        }
        let len = self.shape.len();
        let good: Vec<bool> = learned.rows.iter().map(|row| !row.step.is_nan()).collect();
        let bad = learned.rows.iter().filter(|row| row.step.is_nan());
        bad.for_each(|row| learned.bad.add(row.row));
        let (mut rows, mut owners) = (good.iter(), good.iter());
        let mut at = 0..;
        learned.rows.retain(|_| *rows.next().unwrap_or(&false));
        learned.owners.retain(|_| *owners.next().unwrap_or(&false));
        learned
            .states
            .retain(|_| at.next().is_some_and(|at: usize| good[at / len]));
        learned
    }

    /// One step for all rows; none where no row has a gradient.
    pub(super) fn of_table(
        &self,
        table: &PackedTable,
        state: &[f32],
        rows: &[u32],
        gradients: &[StepGradient],
    ) -> Learned {
        let mut learned = Learned {
            rows: vec![],
            bad: BadRows::NONE,
            owners: vec![],
            states: vec![],
        };
        for (row, gradient) in rows.iter().zip(gradients) {
            if *gradient == StepGradient::Bad {
                learned.bad.add(*row);
            }
        }
        let is_given = |gradient: &StepGradient| matches!(gradient, StepGradient::Of(_));
        if !gradients.iter().any(is_given) {
            return learned;
        }
        let mut step = [step_of(table, 0)];
        let mut new_state = state[..self.shape.len()].to_vec();
        self.learn(&mut step, &[total(gradients)], &mut new_state);
        if step[0].is_nan() {
            learned.bad.add(0);
            return learned;
        }
        learned.owners.push(0);
        learned.states = new_state;
        learned.rows = all_rows(table.rows(), step[0], rows, gradients);
        learned
    }

    /// Makes old steps new ones as they are stored, NaN where one cannot be learned, by the gradient of each;
    /// `states` holds `state_len` numbers for each.
    pub(super) fn learn(&self, steps: &mut [f32], gradients: &[f32], states: &mut [f32]) {
        let len = self.shape.len();
        let batches = steps.chunks_mut(LANES).zip(gradients.chunks(LANES));
        for (at, (steps, gradients)) in batches.enumerate() {
            let states = &mut states[at * LANES * len..][..steps.len() * len];
            self.sixteen(steps, gradients, states);
        }
    }

    fn sixteen(&self, steps: &mut [f32], gradients: &[f32], states: &mut [f32]) {
        let (len, second_at) = (self.shape.len(), self.shape.first);
        let count = steps.len();
        let mut moved = Lanes::padded(steps);
        let mut gradients = Lanes::padded(gradients);
        let moment = |at: usize, used: usize| {
            Lanes::new(|lane| match used {
                1 if lane < count => flush(states[lane * len + at]),
                _ => 0.0,
            })
        };
        let mut first = moment(0, self.shape.first);
        let mut second = moment(second_at, self.shape.second);
        let mut moving = Moving {
            values: std::slice::from_mut(&mut moved),
            gradients: std::slice::from_mut(&mut gradients),
            first: std::slice::from_mut(&mut first),
            second: std::slice::from_mut(&mut second),
        };
        advance(self.optimizer, &self.constants, (1, 1), &mut moving);
        for (lane, step) in steps.iter_mut().enumerate() {
            *step = self.stored(moved[lane], second[lane]);
            let state = &mut states[lane * len..][..len];
            let (first_moment, second_moment) = state.split_at_mut(second_at);
            first_moment.fill(first[lane]);
            second_moment.fill(second[lane]);
        }
    }

    fn stored(&self, moved: f32, second: f32) -> f32 {
        if !is_sound_in(moved, second) {
            return f32::NAN;
        }
        let step = moved.max(MIN_STEP);
        let step = match self.params {
            Params::F16 => half::f16::from_f32(step).to_f32(),
            Params::F32 => step,
        };
        if step < f32::INFINITY { step } else { f32::NAN }
    }
}

/// Every row of a table, with the segments of those that have a gradient.
fn all_rows(count: u32, step: f32, rows: &[u32], gradients: &[StepGradient]) -> Vec<NewRow> {
    let row = |row| NewRow {
        row,
        step,
        staged: None,
    };
    let mut all: Vec<_> = (0..count).map(row).collect();
    for (segment, (row, gradient)) in rows.iter().zip(gradients).enumerate() {
        if let StepGradient::Of(_) = gradient {
            all[*row as usize].staged = Some(segment);
        }
    }
    all
}

fn step_of(table: &PackedTable, row: u32) -> f32 {
    Scale::read(table.row_words(row as usize), table.format()).step
}
