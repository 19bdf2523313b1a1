//! Learned step sizes: the second half of ALPT's update.
//!
//! # Source
//! ALPT: Li et al., "Adaptive Low-Precision Training for Embeddings in Click-Through Rate Prediction", AAAI
//! 2023; its gradient is that of LSQ, Esser et al. 2020.

use super::exact;
use super::update::{
    Moved, NewHeader, Ruler, UpdateArgs, advance, advance_rows, check, gradient_of, header,
    occurrences, report_row, write,
};
use crate::format::{Bits, Levels, Params};
use crate::reference::quantize::stored;
use crate::training::{
    Boundary, Granularity, LearnedSteps, MIN_STEP, OptimizerConstants, Rounding, UpdateStatus,
    UpdateStep, check_gradient, no_steps_of,
};
use crate::{Error, Format, PackedTable, Result};

/// The rows of a batch after the optimizer, before they are stored: `[segments, dim]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Staged {
    /// The row of the table of every segment, ascending.
    pub rows: Vec<u32>,
    /// Their new values, NaN where a row could not be updated.
    pub values: Vec<f32>,
    /// The same rounded to nearest with the old steps, as the second forward sees them; a row that
    /// could not be updated is as it was.
    pub packed: PackedTable,
    /// The segment of every position of the batch: the indices of the second forward. `u32::MAX` where the
    /// position has no row.
    pub ranks: Vec<u32>,
}

/// The first half: gradient and optimizer. Updates the state, leaves the table alone.
///
/// # Errors
/// Those of [`super::update`], and [`Error::Unsupported`] for rows that are not symmetric.
pub fn stage(
    table: &PackedTable,
    state: &mut [f32],
    args: UpdateArgs<'_>,
) -> Result<(Staged, UpdateStatus)> {
    check(table, state, &args)?;
    check_symmetric(table.format())?;
    let mut status = UpdateStatus::CLEAR;
    let all = advance_rows(table, state, &args, &mut status)?;
    let (mut rows, mut values, mut words) = (vec![], vec![], vec![]);
    let mut new_states = vec![];
    for Moved { row, moved } in all {
        rows.push(row);
        let old = table.row(row as usize);
        let spec = (args.spec.format, args.spec.parameters);
        let stored = moved.and_then(|(moved, state)| {
            let parts = header(&moved, old, spec, None)?;
            let mut packed = vec![0; table.row_words(row as usize).len()];
            let nearest = (Rounding::Nearest, |_| 0);
            write(&moved, args.spec.format, parts, nearest, &mut packed);
            Some((moved, packed, state))
        });
        match stored {
            Some((moved, packed, new_state)) => {
                values.extend(moved);
                words.extend(packed);
                new_states.push((row, new_state));
            }
            None => {
                report_row(&mut status, row);
                values.extend(vec![f32::NAN; table.dim() as usize]);
                words.extend(table.row_words(row as usize));
            }
        }
    }
    if !status.refuses(args.step.bad_input) {
        for (row, new_state) in new_states {
            let len = new_state.len();
            state[row as usize * len..][..len].copy_from_slice(&new_state);
        }
    }
    let found = occurrences(&args.batch, table.rows(), &mut UpdateStatus::CLEAR.clone())?;
    let mut ranks = vec![u32::MAX; args.batch.indices.len()];
    for (segment, occurrences) in found.values().enumerate() {
        for occurrence in occurrences {
            ranks[occurrence.position as usize] = segment as u32;
        }
    }
    let packed = PackedTable::from_words(table.format(), table.dim() as usize, words)?;
    let staged = Staged {
        rows,
        values,
        packed,
        ranks,
    };
    Ok((staged, status))
}

/// How the steps are learned, and with which of their own constants.
#[derive(Clone, Copy, Debug)]
pub struct StepArgs<'a> {
    /// The batch and the gradient of the second forward's output, with the rounding and the key of the write.
    pub update: UpdateArgs<'a>,
    /// How steps are learned.
    pub learned: LearnedSteps,
    /// Learning rate of the steps.
    pub learning_rate: f32,
}

/// The second half: the gradient of the steps, their optimizer, and the rows rounded with the new steps.
///
/// `state` is the steps' own, `[rows, state_len(1)]`, or one row of it where the table has one step.
///
/// # Errors
/// As [`stage`].
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
    let dim = table.dim() as usize;
    let constants = UpdateStep {
        learning_rate: args.learning_rate,
        weight_decay: args.learned.weight_decay,
        ..step
    }
    .constants(args.learned.optimizer)?;
    let bags = batch.bags() as u32;
    let scale = args.learned.gradient_scale;
    let scale = exact::input(scale.value(bits, table.dim(), bags)?);
    let mut status = UpdateStatus::CLEAR;
    let found = occurrences(&batch, table.rows(), &mut status)?;
    let values = |segment: usize| &staged.values[segment * dim..][..dim];
    // A row that the first half could not update is left alone without another word.
    let segments = (0..staged.rows.len()).filter(|&segment| values(segment)[0].is_finite());
    let gradients: Vec<(usize, Option<f32>)> = segments
        .map(|segment| {
            let row = staged.rows[segment];
            let ruler = Ruler::symmetric(step_of(table, row), format);
            let sums: Option<Vec<f32>> = (0..dim)
                .map(|column| gradient_of(found.get(&row)?, gradient, (dim, column)))
                .collect();
            let sum = sums.zip(ruler).map(|(sums, ruler)| {
                let terms = (0..dim).map(|column| {
                    let slope = slope(&ruler, values(segment)[column], args.learned.boundary);
                    exact::mul(sums[column], slope)
                });
                exact::mul(exact::sum16(terms), scale)
            });
            (segment, sum.filter(|sum| sum.is_finite()))
        })
        .collect();
    for (segment, gradient) in &gradients {
        if gradient.is_none() {
            report_row(&mut status, staged.rows[*segment]);
        }
    }
    let mut rows = vec![];
    let mut states = vec![];
    let len = args.learned.optimizer.state_len(1) as usize;
    match args.learned.granularity {
        Granularity::Row => {
            for (segment, gradient) in gradients {
                let Some(gradient) = gradient else { continue };
                let row = staged.rows[segment];
                let old = &state[row as usize * len..][..len];
                match learned(
                    &args.learned,
                    &constants,
                    (step_of(table, row), gradient, old),
                    params,
                ) {
                    Some((new_step, new_state)) => {
                        rows.push((row, values(segment).to_vec(), new_step));
                        states.push((row as usize, new_state));
                    }
                    None => report_row(&mut status, row),
                }
            }
        }
        Granularity::Table if gradients.iter().all(|(_, gradient)| gradient.is_none()) => {}
        Granularity::Table => {
            let total = total(staged.rows.len(), &gradients);
            let old = (step_of(table, 0), total, &state[..len]);
            match learned(&args.learned, &constants, old, params) {
                Some((new_step, new_state)) => {
                    states.push((0, new_state));
                    for row in 0..table.rows() {
                        let values = (0..dim)
                            .map(|column| super::row_value(table.row(row as usize), column))
                            .collect();
                        rows.push((row, values, new_step));
                    }
                    for (segment, gradient) in gradients {
                        if gradient.is_some() {
                            let row = staged.rows[segment] as usize;
                            rows[row].1 = values(segment).to_vec();
                        }
                    }
                }
                None => report_row(&mut status, 0),
            }
        }
    }
    if status.refuses(step.bad_input) {
        return Ok(status);
    }
    for (row, values, new_step) in rows {
        let Some(ruler) = Ruler::symmetric(new_step, format) else {
            continue;
        };
        let draw = |column| step.key.draw(row, column);
        let parts = (NewHeader::Step(new_step), ruler);
        let words = table.row_words_mut(row as usize);
        write(&values, format, parts, (step.rounding, draw), words);
    }
    for (row, new_state) in states {
        state[row * len..][..len].copy_from_slice(&new_state);
    }
    Ok(status)
}

/// `dQ/dD` of one value: what its stored value gains where the step grows by one.
pub fn slope(ruler: &Ruler, value: f32, boundary: Boundary) -> f32 {
    let steps = exact::div(value, ruler.step);
    let (below, above) = match boundary {
        Boundary::Strict => (steps < ruler.low, steps > ruler.high),
        Boundary::Inclusive => (steps <= ruler.low, steps >= ruler.high),
    };
    match (below, above) {
        (true, _) => ruler.low,
        (_, true) => ruler.high,
        _ => exact::sub(steps.round_ties_even(), steps),
    }
}

/// The sum of all rows' gradients: 64 partial sums by segment mod 64, each in order of segments, then lane `i`
/// takes lane `i + 32`'s, then `i + 16`'s, and so on.
fn total(segments: usize, gradients: &[(usize, Option<f32>)]) -> f32 {
    let mut terms = vec![0.0; segments];
    for (segment, gradient) in gradients {
        terms[*segment] = gradient.unwrap_or(0.0);
    }
    let mut partial = [0.0; 64];
    for (segment, term) in terms.into_iter().enumerate() {
        partial[segment % 64] = exact::add(partial[segment % 64], term);
    }
    for stride in [32, 16, 8, 4, 2, 1] {
        for lane in 0..stride {
            partial[lane] = exact::add(partial[lane], partial[lane + stride]);
        }
    }
    partial[0]
}

/// The new step as it is stored, positive, and its state; `None` where it is not finite.
fn learned(
    learned: &LearnedSteps,
    constants: &OptimizerConstants,
    (old, gradient, state): (f32, f32, &[f32]),
    params: Params,
) -> Option<(f32, Vec<f32>)> {
    let (moved, state) = advance(learned.optimizer, constants, (&[old], &[gradient], state))?;
    let step = stored(moved[0].max(MIN_STEP), params);
    step.is_finite().then_some((step, state))
}

/// The step of a row, subnormals flushed.
fn step_of(table: &PackedTable, row: u32) -> f32 {
    match table.row(row as usize).levels() {
        Levels::Symmetric { step } => exact::input(step),
        Levels::Affine(_) | Levels::Codebook(_) | Levels::Float(_) => f32::NAN,
    }
}

/// Bits of the codes and type of the steps.
pub(crate) fn check_learning(
    table: &PackedTable,
    state: &[f32],
    args: &StepArgs<'_>,
) -> Result<(Bits, Params)> {
    let symmetric = check_symmetric(table.format())?;
    let UpdateArgs {
        batch, gradient, ..
    } = args.update;
    batch.check()?;
    check_gradient(&batch, table.dim(), gradient)?;
    check_step_state(table, &args.learned, state.len())?;
    Ok(symmetric)
}

/// # Errors
/// [`Error::Shape`] where the state of the steps has another length.
fn check_step_state(table: &PackedTable, learned: &LearnedSteps, got: usize) -> Result<()> {
    let needed = learned.state_len(table.rows());
    if got == needed {
        return Ok(());
    }
    Err(Error::Shape {
        argument: "step_state",
        needed: format!(
            "{needed} numbers for {} and {} rows",
            learned.optimizer.name(),
            table.rows()
        ),
        got: got.to_string(),
    })
}

/// Bits of the codes and type of the step.
///
/// # Errors
/// [`Error::Unsupported`] where rows are not symmetric.
pub(crate) fn check_symmetric(format: Format) -> Result<(Bits, Params)> {
    match format {
        Format::Symmetric { bits, params } => Ok((bits, params)),
        _ => Err(no_steps_of(format)),
    }
}
