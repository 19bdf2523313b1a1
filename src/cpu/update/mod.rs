//! Training on packed rows: a few rows at a time go through each stage together, sixteen columns to a step of
//! the vector unit, in parallel over the rows of a batch.

mod block;
mod decode;
mod draws;
mod encode;
mod header;
mod learn;
mod occurrences;
mod optimizer;
mod rewrite;
mod sort;
mod stage;
mod steps;
mod store;
mod sums;
mod task;
mod weights;

use super::lanes::flush;
use block::Step;
use header::Headers;
use learn::Learning;
use occurrences::{Bags, Occurrences};
use rewrite::Rewriter;
use stage::{ranks, stage_rows};
use steps::Slopes;
use store::{Writer, update_rows};
use sums::Sums;
use task::{Kept, Rows};
use weights::Products;

use crate::reference::{
    Staged, StepArgs, UpdateArgs, check_learning, check_symmetric, check_update,
};
use crate::training::{
    BadInput, Batch, Granularity, UpdateStatus, UpdateStep, check_format, check_gradient,
};
use crate::{PackedTable, Result};

/// Updates the rows that a batch holds, in place; `state` is `[rows, state_len]`: the bits of
/// [`crate::reference::update`].
///
/// # Errors
/// [`crate::Error::Unsupported`] for a spec or a pooling that has no update, [`crate::Error::Shape`] for
/// lengths that do not fit, and those of [`crate::training::Optimizer::constants`].
///
/// # Cost
/// Allocates 28 bytes for every index; under [`BadInput::Refuse`] also as much as the rows of the batch and their state take,
/// which are put back where the batch is refused. Blocks on all cores.
pub fn update(
    table: &mut PackedTable,
    state: &mut [f32],
    args: UpdateArgs<'_>,
) -> Result<UpdateStatus> {
    check_update(table, state, &args)?;
    let mut status = UpdateStatus::CLEAR;
    let occurrences = Occurrences::new(&args.batch, table.rows(), &mut status)?;
    let step = step(table, &args, &occurrences)?;
    let writer = Writer {
        headers: headers(&args),
        rounding: args.step.rounding,
        key: args.step.key,
    };
    let (row_words, state_len) = (row_words(table), step.state_shape().len());
    let segments = &occurrences.segments;
    let mut kept = (args.step.bad_input == BadInput::Refuse).then(|| {
        let words = Kept::new(segments, row_words);
        (words, Kept::new(segments, state_len))
    });
    let keeping = kept
        .as_mut()
        .map(|(words, state)| (words.all(), state.all()));
    let words = Rows::all(table.words_mut(), row_words);
    let rows = (words, Rows::all(state, state_len));
    update_rows(&step, &writer, segments, rows, keeping).report(&mut status);
    if let Some((words, old_state)) = kept.filter(|_| status.refuses(args.step.bad_input)) {
        words.restore(segments, Rows::all(table.words_mut(), row_words));
        old_state.restore(segments, Rows::all(state, state_len));
    }
    Ok(status)
}

fn row_words(table: &PackedTable) -> usize {
    table.format().row_words(table.dim()) as usize
}

fn headers<'a>(args: &UpdateArgs<'a>) -> Headers<'a> {
    Headers {
        format: args.spec.format,
        parameters: args.spec.parameters,
        steps: args.steps,
    }
}

fn step<'a>(
    table: &PackedTable,
    args: &UpdateArgs<'a>,
    occurrences: &'a Occurrences,
) -> Result<Step<'a>> {
    let dim = table.dim() as usize;
    Ok(Step {
        format: table.format(),
        dim,
        optimizer: args.spec.optimizer,
        constants: args.step.constants(args.spec.optimizer)?,
        sums: Sums::new(occurrences, args.gradient, dim),
    })
}

/// The first half of learning steps: gradient and optimizer. Updates the state, leaves the table alone: the bits
/// of [`crate::reference::stage`].
///
/// # Errors
/// Those of [`update`], and [`crate::Error::Unsupported`] for rows that are not symmetric.
///
/// # Cost
/// As [`update`], and allocates what it gives.
pub fn stage(
    table: &PackedTable,
    state: &mut [f32],
    args: UpdateArgs<'_>,
) -> Result<(Staged, UpdateStatus)> {
    check_update(table, state, &args)?;
    check_symmetric(table.format())?;
    let mut status = UpdateStatus::CLEAR;
    let occurrences = Occurrences::new(&args.batch, table.rows(), &mut status)?;
    let step = step(table, &args, &occurrences)?;
    // The old steps, whatever is given.
    let headers = Headers {
        steps: &[],
        ..headers(&args)
    };
    let segments = &occurrences.segments;
    let state_len = step.state_shape().len();
    let refuses = args.step.bad_input == BadInput::Refuse;
    let mut kept = refuses.then(|| Kept::new(segments, state_len));
    let keeping = kept.as_mut().map(Kept::all);
    let states = (Rows::all(&mut *state, state_len), keeping);
    let (values, words, bad) = stage_rows(&step, &headers, segments, table, states);
    bad.report(&mut status);
    if let Some(kept) = kept.filter(|_| status.refuses(args.step.bad_input)) {
        kept.restore(segments, Rows::all(state, state_len));
    }
    let staged = Staged {
        rows: segments.iter().map(|segment| segment.row).collect(),
        values,
        packed: PackedTable::from_words(table.format(), step.dim, words)?,
        ranks: ranks(&occurrences, args.batch.indices.len()),
    };
    Ok((staged, status))
}

/// The second half: the gradient of the steps, their optimizer, and the rows rounded with the new steps: the bits
/// of [`crate::reference::learn_steps`].
///
/// `state` is the steps' own, `[rows, state_len(1)]`, or one row of it where the table has one step.
///
/// # Errors
/// As [`stage`].
///
/// # Cost
/// Allocates 28 bytes for every index and as much for every row of the batch; where the table has one step, 24
/// for every row of the table, which are all written. Blocks on all cores.
pub fn learn_steps(
    table: &mut PackedTable,
    state: &mut [f32],
    staged: &Staged,
    args: StepArgs<'_>,
) -> Result<UpdateStatus> {
    let (bits, params) = check_learning(table, state, &args)?;
    let UpdateArgs {
        batch,
        gradient,
        step,
        ..
    } = args.update;
    let format = table.format();
    let constants = UpdateStep {
        learning_rate: args.learning_rate,
        weight_decay: args.learned.weight_decay,
        ..step
    }
    .constants(args.learned.optimizer)?;
    let bags = batch.bags() as u32;
    let scale = args.learned.gradient_scale;
    let scale = scale.value(bits, table.dim(), bags)?;
    let mut status = UpdateStatus::CLEAR;
    let occurrences = Occurrences::new(&batch, table.rows(), &mut status)?;
    let slopes = Slopes {
        table,
        staged,
        sums: Sums::new(&occurrences, gradient, table.dim() as usize),
        boundary: args.learned.boundary,
        scale: flush(scale),
    };
    let gradients = slopes.gradients(&occurrences.segments);
    let learning = Learning::new(&args.learned, constants, params);
    let learned = match args.learned.granularity {
        Granularity::Row => learning.of_rows(table, state, &staged.rows, &gradients),
        Granularity::Table => learning.of_table(table, state, &staged.rows, &gradients),
    };
    learned.bad.report(&mut status);
    if status.refuses(step.bad_input) {
        return Ok(status);
    }
    learned.store_states(state);
    let rewriter = Rewriter {
        format,
        dim: table.dim() as usize,
        staged,
        rounding: step.rounding,
        key: step.key,
    };
    let row_words = row_words(table);
    rewriter.rewrite(&learned.rows, Rows::all(table.words_mut(), row_words));
    Ok(status)
}

/// The gradient of every position's weight, and what was bad: the bits of
/// [`crate::reference::weight_gradient`].
///
/// # Errors
/// [`crate::Error::Unsupported`] for a format that is not trained, those of a batch's shape, and
/// [`crate::Error::Shape`] for a gradient that is not `[bags, dim]`.
///
/// # Cost
/// Allocates the result, and 24 bytes for every bag. Blocks on all cores.
pub fn weight_gradient(
    table: &PackedTable,
    batch: &Batch<'_>,
    gradient: &[f32],
) -> Result<(Vec<f32>, UpdateStatus)> {
    check_format(table.format())?;
    batch.check()?;
    check_gradient(batch, table.dim(), gradient)?;
    let mut status = UpdateStatus::CLEAR;
    let bags = Bags::new(batch, &mut status);
    bags.count_indices(table.rows(), &mut status);
    let positions = batch.indices.len();
    if status.bad_bags > 0 {
        return Ok((vec![0.0; positions], status));
    }
    let products = Products {
        table,
        bags,
        gradient,
    };
    Ok((products.all(positions), status))
}
