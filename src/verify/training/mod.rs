//! The kernels that train against the reference, bit for bit.

mod shapes;

pub use shapes::{
    TrainingData, TrainingShape, state, training_data, training_shapes, training_table,
};

use super::compare::{self, Outcome};
use super::{Case, Engine};
use crate::reference::{self, Staged, StepArgs, UpdateArgs};
use crate::training::{
    Boundary, GradientScale, Granularity, LearnedSteps, Optimizer, Parameters, Rounding,
    UpdateSpec, UpdateStatus, training_formats,
};
use crate::{Format, PackedTable, Result};

/// What an engine's update gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// The packed rows of the whole table.
    pub rows: Vec<u32>,
    /// The optimizer's state of every row.
    pub state: Vec<f32>,
    /// What was wrong.
    pub status: UpdateStatus,
    /// What the device's own guards found.
    pub guards: Outcome,
}

/// What both halves of an engine's step of ALPT gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// The packed rows of the whole table, after both halves.
    pub rows: Vec<u32>,
    /// State of the rows' optimizer.
    pub state: Vec<f32>,
    /// State of the steps' optimizer.
    pub step_state: Vec<f32>,
    /// What was wrong in the first half.
    pub staging: UpdateStatus,
    /// What was wrong in the second; `None` where the first was refused, and nothing was staged.
    pub status: Option<UpdateStatus>,
    /// The packed rows that the second forward sees.
    pub staged: Vec<u32>,
    /// The segment of every position.
    pub ranks: Vec<u32>,
    /// What the device's own guards found.
    pub guards: Outcome,
}

/// What an engine's gradient of weights gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// One for every index.
    pub values: Vec<f32>,
    /// What was wrong.
    pub status: UpdateStatus,
    /// What the device's own guards found.
    pub guards: Outcome,
}

/// An update on the host.
pub type UpdateFn = fn(&mut PackedTable, &mut [f32], UpdateArgs<'_>) -> Result<UpdateStatus>;
/// The first half of a step of ALPT on the host.
pub type StageFn = fn(&PackedTable, &mut [f32], UpdateArgs<'_>) -> Result<(Staged, UpdateStatus)>;
/// The second.
pub type LearnFn = fn(&mut PackedTable, &mut [f32], &Staged, StepArgs<'_>) -> Result<UpdateStatus>;

/// What an update on the host gives.
///
/// # Errors
/// The update's.
pub fn update_by(
    update: UpdateFn,
    mut table: PackedTable,
    state: &[f32],
    args: UpdateArgs<'_>,
) -> Result<Updated> {
    let mut state = state.to_vec();
    let status = update(&mut table, &mut state, args)?;
    Ok(Updated {
        rows: table.words().to_vec(),
        state,
        status,
        guards: Outcome::PASS,
    })
}

/// What both halves of a step of ALPT on the host give.
///
/// # Errors
/// Those of the halves.
pub fn learn_by(
    (stage, learn): (StageFn, LearnFn),
    mut table: PackedTable,
    [state, step_state]: [&[f32]; 2],
    (first, second): (UpdateArgs<'_>, StepArgs<'_>),
) -> Result<Learned> {
    let (mut state, mut step_state) = (state.to_vec(), step_state.to_vec());
    let (staged, staging) = stage(&table, &mut state, first)?;
    let refused = staging.refuses(first.step.bad_input);
    let status = match refused {
        true => None,
        false => Some(learn(&mut table, &mut step_state, &staged, second)?),
    };
    let kept = |words: Vec<u32>| if refused { vec![] } else { words };
    Ok(Learned {
        rows: table.words().to_vec(),
        state,
        step_state,
        staging,
        status,
        staged: kept(staged.packed.words().to_vec()),
        ranks: kept(staged.ranks),
        guards: Outcome::PASS,
    })
}

/// A kernel that trains, or two.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    Update(UpdateSpec),
    /// The format and how steps are learned.
    Learn(Format, Optimizer, Granularity),
    Weigh(Format),
}

impl Kernel {
    /// Every update, every learning of steps, every gradient of weights.
    fn all() -> impl Iterator<Item = Self> {
        let symmetric = |format: &Format| matches!(format, Format::Symmetric { .. });
        let learns = training_formats().filter(symmetric).flat_map(|format| {
            Optimizer::ALL.into_iter().flat_map(move |optimizer| {
                [Granularity::Row, Granularity::Table]
                    .map(|granularity| Self::Learn(format, optimizer, granularity))
            })
        });
        UpdateSpec::all()
            .map(Self::Update)
            .chain(learns)
            .chain(training_formats().map(Self::Weigh))
    }

    fn label(&self) -> String {
        match self {
            Self::Update(spec) => spec.label(),
            Self::Learn(format, optimizer, granularity) => {
                let granularity = match granularity {
                    Granularity::Row => "row",
                    Granularity::Table => "table",
                };
                format!("learn.{format}.{}.{granularity}", optimizer.name())
            }
            Self::Weigh(format) => format!("weigh.{format}"),
        }
    }

    fn format(&self) -> Format {
        match *self {
            Self::Update(UpdateSpec { format, .. })
            | Self::Learn(format, ..)
            | Self::Weigh(format) => format,
        }
    }
}

/// The cases whose name contains `filter`, those of a kernel together, so that it is compiled once it is needed.
fn cases(filter: &str) -> Vec<(Kernel, String, TrainingShape, u64)> {
    let shapes = training_shapes();
    let shapes = || shapes.iter().zip(0..);
    Kernel::all()
        .flat_map(|kernel| {
            let label = kernel.label();
            shapes().map(move |(shape, seed)| (kernel, label.clone(), shape.clone(), seed))
        })
        .filter(|(_, label, shape, _)| format!("{label}/{}", shape.name()).contains(filter))
        .collect()
}

/// Number of cases whose name contains `filter`.
pub(super) fn count(filter: &str) -> usize {
    cases(filter).len()
}

/// Runs every case whose name contains `filter`, and hands each to `done`.
///
/// # Errors
/// The first thing that the device refuses.
pub(super) fn run<E: Engine>(engine: &E, filter: &str, done: &mut impl FnMut(Case)) -> Result<()> {
    for (kernel, label, shape, seed) in cases(filter) {
        let table = training_table(&shape, kernel.format(), seed)?;
        let data = training_data(&shape, seed);
        let trial = Trial {
            engine,
            shape: &shape,
            table,
            data: &data,
            seed,
        };
        let outcome = match kernel {
            Kernel::Update(spec) => trial.update(spec)?,
            Kernel::Learn(format, optimizer, granularity) => {
                trial.learn(format, (optimizer, granularity))?
            }
            Kernel::Weigh(_) => trial.weigh()?,
        };
        done(Case {
            label,
            shape: shape.name(),
            outcome,
        });
    }
    Ok(())
}

/// One case at work.
struct Trial<'a, E> {
    engine: &'a E,
    shape: &'a TrainingShape,
    table: PackedTable,
    data: &'a TrainingData,
    seed: u64,
}

impl<E: Engine> Trial<'_, E> {
    fn args(&self, spec: UpdateSpec) -> UpdateArgs<'_> {
        let given = spec.parameters == Parameters::Given;
        UpdateArgs {
            batch: self.data.batch(),
            gradient: &self.data.gradients[0],
            spec,
            step: self.data.step,
            steps: if given { &self.data.steps } else { &[] },
        }
    }

    fn update(&self, spec: UpdateSpec) -> Result<Outcome> {
        let args = self.args(spec);
        let state = state(self.shape, spec.optimizer, self.table.dim(), self.seed);
        let expected = update_by(reference::update, self.table.clone(), &state, args)?;
        let table = self.engine.upload(&self.table)?;
        Ok(self.engine.update(table, &state, args)?.compare(&expected))
    }

    /// The rows' optimizer is another one for each of the steps'.
    fn learn(
        &self,
        format: Format,
        (optimizer, granularity): (Optimizer, Granularity),
    ) -> Result<Outcome> {
        let learned = LearnedSteps {
            optimizer,
            gradient_scale: GradientScale::BatchDim,
            weight_decay: 0.02,
            boundary: match self.data.step.rounding {
                Rounding::Stochastic => Boundary::Strict,
                Rounding::Nearest => Boundary::Inclusive,
            },
            granularity,
        };
        let first = self.args(UpdateSpec {
            format,
            optimizer: partner(optimizer),
            parameters: Parameters::Frozen,
        });
        let second = StepArgs {
            update: UpdateArgs {
                gradient: &self.data.gradients[1],
                ..first
            },
            learned,
            learning_rate: 0.003,
        };
        let rows = state(
            self.shape,
            first.spec.optimizer,
            self.table.dim(),
            self.seed,
        );
        let mut steps = state(self.shape, optimizer, 1, self.seed);
        steps.truncate(learned.state_len(self.table.rows()));
        let states = [&rows[..], &steps[..]];
        let halves = (first, second);
        let by: (StageFn, LearnFn) = (reference::stage, reference::learn_steps);
        let expected = learn_by(by, self.table.clone(), states, halves)?;
        let table = self.engine.upload(&self.table)?;
        let got = self.engine.learn(table, states, halves)?;
        Ok(got.compare(&expected))
    }

    fn weigh(&self) -> Result<Outcome> {
        let (batch, gradient) = (self.data.batch(), &self.data.gradients[0]);
        let (values, status) = reference::weight_gradient(&self.table, &batch, gradient)?;
        let table = self.engine.upload(&self.table)?;
        let got = self.engine.weigh(&table, &batch, gradient)?;
        let values = numbers("weight gradient", &values, &got.values);
        Ok(got
            .guards
            .and(same_status(&status, &got.status))
            .and(values))
    }
}

/// Two places further in the list of optimizers.
fn partner(optimizer: Optimizer) -> Optimizer {
    let all = Optimizer::ALL;
    let at = all.iter().position(|other| *other == optimizer);
    all[(at.unwrap_or(0) + 2) % all.len()]
}

/// Compares what two statuses say: of bad indices they say nothing where a bag is bad.
fn same_status(expected: &UpdateStatus, got: &UpdateStatus) -> Outcome {
    let words = |status: &UpdateStatus| {
        let mut said = *status;
        if expected.bad_bags > 0 {
            said.bad_indices = UpdateStatus::CLEAR.bad_indices;
            said.first_position = UpdateStatus::CLEAR.first_position;
        }
        bytemuck::cast::<_, [u32; 8]>(said)
    };
    compare::words("status", &words(expected), &words(got))
}

fn numbers(what: &str, expected: &[f32], got: &[f32]) -> Outcome {
    compare::words(
        what,
        bytemuck::cast_slice(expected),
        bytemuck::cast_slice(got),
    )
}

impl Updated {
    fn compare(self, expected: &Self) -> Outcome {
        self.guards
            .and(same_status(&expected.status, &self.status))
            .and(compare::words("rows", &expected.rows, &self.rows))
            .and(numbers("state", &expected.state, &self.state))
    }
}

impl Learned {
    fn compare(self, expected: &Self) -> Outcome {
        let clear = UpdateStatus::CLEAR;
        let status = match (expected.status, self.status) {
            (None, Some(_)) => Outcome::fail("the second half ran after a refused first".into()),
            (Some(_), None) => Outcome::fail("the first half was refused".into()),
            (expected, got) => same_status(&expected.unwrap_or(clear), &got.unwrap_or(clear)),
        };
        self.guards
            .and(same_status(&expected.staging, &self.staging))
            .and(status)
            .and(compare::words("ranks", &expected.ranks, &self.ranks))
            .and(compare::words(
                "staged rows",
                &expected.staged,
                &self.staged,
            ))
            .and(compare::words("rows", &expected.rows, &self.rows))
            .and(numbers("state", &expected.state, &self.state))
            .and(numbers(
                "state of the steps",
                &expected.step_state,
                &self.step_state,
            ))
    }
}
