//! The update of packed rows by one batch.

mod gradient;
mod optimizer;
mod store;

pub use gradient::{Occurrence, gradient_of, occurrences, weight_gradient};
pub use optimizer::advance;
pub use store::{NewHeader, Ruler, header, is_rounded_up, write};

use super::exact;
use crate::reference::row_value;
use crate::training::{
    Batch, Optimizer, Parameters, UpdateSpec, UpdateStatus, UpdateStep, check_gradient,
};
use crate::{Error, PackedTable, Result};

/// What a table is updated by.
#[derive(Clone, Copy, Debug)]
pub struct UpdateArgs<'a> {
    /// The lookup.
    pub batch: Batch<'a>,
    /// The gradient of its output, `[bags, dim]`.
    pub gradient: &'a [f32],
    /// Which update; its format is the table's.
    pub spec: UpdateSpec,
    /// What changes from step to step.
    pub step: UpdateStep,
    /// A step for every row of the table, where [`Parameters::Given`]; else empty.
    pub steps: &'a [f32],
}

/// A row of a batch after the optimizer, before it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// The row of the table.
    pub row: u32,
    /// Its new values and its new state; `None` where they are not finite.
    pub moved: Option<(Vec<f32>, Vec<f32>)>,
}

/// Updates the rows that a batch holds, in place; `state` is `[rows, state_len]`.
///
/// For every row, in any order: its gradient ([`gradient_of`]), weight decay and optimizer ([`advance`]), header
/// ([`header`]), codes ([`write()`]). Nothing else changes by one bit; see [`crate::training::BadInput`] for
/// what is refused or skipped.
///
/// # Errors
/// [`Error::Unsupported`] for a spec or a pooling that has no update, [`Error::Shape`] for lengths that do
/// not fit, and those of [`Optimizer::constants`].
pub fn update(
    table: &mut PackedTable,
    state: &mut [f32],
    args: UpdateArgs<'_>,
) -> Result<UpdateStatus> {
    check(table, state, &args)?;
    let mut status = UpdateStatus::CLEAR;
    let mut stored = Vec::new();
    for Moved { row, moved } in advance_rows(table, state, &args, &mut status)? {
        let given = args.steps.get(row as usize).copied();
        let words = moved.as_ref().and_then(|(values, _)| {
            let old = table.row(row as usize);
            let parts = header(values, old, (args.spec.format, args.spec.parameters), given)?;
            let mut words = vec![0; table.row_words(row as usize).len()];
            let draw = |column| args.step.key.draw(row, column);
            let rounding = (args.step.rounding, draw);
            write(values, args.spec.format, parts, rounding, &mut words);
            Some(words)
        });
        match (moved, words) {
            (Some((_, new_state)), Some(words)) => stored.push((row, words, new_state)),
            _ => report_row(&mut status, row),
        }
    }
    if status.refuses(args.step.bad_input) {
        return Ok(status);
    }
    for (row, words, new_state) in stored {
        table.row_words_mut(row as usize).copy_from_slice(&words);
        let len = new_state.len();
        state[row as usize * len..][..len].copy_from_slice(&new_state);
    }
    Ok(status)
}

/// Gradient and optimizer of every row of a batch, in order of rows.
///
/// # Errors
/// As [`update`].
pub fn advance_rows(
    table: &PackedTable,
    state: &[f32],
    args: &UpdateArgs<'_>,
    status: &mut UpdateStatus,
) -> Result<Vec<Moved>> {
    let dim = table.dim() as usize;
    let optimizer = args.spec.optimizer;
    let state_len = optimizer.state_len(table.dim()) as usize;
    let constants = args.step.constants(optimizer)?;
    let found = occurrences(&args.batch, table.rows(), status)?;
    let moved = found.into_iter().map(|(row, occurrences)| {
        let values: Vec<f32> = (0..dim)
            .map(|column| row_value(table.row(row as usize), column))
            .collect();
        let gradient: Option<Vec<f32>> = (0..dim)
            .map(|column| gradient_of(&occurrences, args.gradient, (dim, column)))
            .collect();
        let state = &state[row as usize * state_len..][..state_len];
        let moved = gradient
            .and_then(|gradient| advance(optimizer, &constants, (&values, &gradient, state)));
        Moved { row, moved }
    });
    Ok(moved.collect())
}

pub(super) fn report_row(status: &mut UpdateStatus, row: u32) {
    status.bad_rows += 1;
    status.first_row = status.first_row.min(row);
}

pub(crate) fn check(table: &PackedTable, state: &[f32], args: &UpdateArgs<'_>) -> Result<()> {
    args.spec.check()?;
    if table.format() != args.spec.format {
        return Err(Error::Shape {
            argument: "table",
            needed: format!("{} rows (the spec's)", args.spec.format),
            got: format!("{} rows", table.format()),
        });
    }
    args.batch.check()?;
    check_gradient(&args.batch, table.dim(), args.gradient)?;
    check_state("state", table, args.spec.optimizer, state.len())?;
    let needed = match args.spec.parameters {
        Parameters::Given => table.rows() as usize,
        Parameters::Frozen | Parameters::Refreshed => 0,
    };
    if args.steps.len() != needed {
        return Err(Error::Shape {
            argument: "steps",
            needed: format!("{needed} ({} parameters)", args.spec.parameters.name()),
            got: args.steps.len().to_string(),
        });
    }
    Ok(())
}

/// # Errors
/// [`Error::Shape`] where a state is not `[rows, state_len]`.
fn check_state(
    argument: &'static str,
    table: &PackedTable,
    optimizer: Optimizer,
    got: usize,
) -> Result<()> {
    let len = optimizer.state_len(table.dim()) as usize;
    let needed = table.rows() as usize * len;
    if got == needed {
        return Ok(());
    }
    Err(Error::Shape {
        argument,
        needed: format!(
            "{needed} numbers: {} rows, {len} each for {}",
            table.rows(),
            optimizer.name()
        ),
        got: got.to_string(),
    })
}
