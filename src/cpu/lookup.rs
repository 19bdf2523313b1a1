//! Look rows up and pool them.

use rayon::prelude::*;

use crate::reference::{self, LookupArgs};
use crate::request::{Looked, LookupRequest, Values, check_request, refuse};
use crate::{LookupStatus, OutOfRange, PackedTable, Result};

/// Output rows that one task computes.
const ROWS_PER_TASK: usize = 64;

/// Any lookup, in parallel over output rows. A sum is that of f64, rounded to f32
/// and from there to f16 where that is the output.
///
/// # Errors
/// Those of [`crate::Session::lookup`] that are not of a device.
///
/// # Cost
/// Allocates the result; blocks on all cores.
pub fn lookup(table: &PackedTable, request: LookupRequest<'_>) -> Result<Looked> {
    let (rows, offsets) = check_request(&request)?;
    let starts: Vec<_> = (0..rows as usize).step_by(ROWS_PER_TASK).collect();
    let parts: Vec<_> = starts
        .into_par_iter()
        .map(|start| {
            let end = (start + ROWS_PER_TASK).min(rows as usize);
            part(table, &request, offsets, start..end)
        })
        .collect::<Result<_>>()?;

    let mut status = LookupStatus::CLEAR;
    let mut values = Vec::with_capacity(rows as usize * table.dim() as usize);
    for (part, found) in parts {
        values.extend(part);
        status = status.and(found);
    }
    if request.out_of_range == OutOfRange::Error {
        refuse(&status, &request, table.rows())?;
    }
    let values = Values::rounded(values, request.output);
    Ok(Looked { values, status })
}

/// The output rows of a range, and the status in positions and bags of the whole.
fn part(
    table: &PackedTable,
    request: &LookupRequest<'_>,
    offsets: Option<&[u32]>,
    rows: std::ops::Range<usize>,
) -> Result<(Vec<f32>, LookupStatus)> {
    let first = rows.start as u32;
    let part = request.part(offsets, rows);
    let args = LookupArgs {
        pooling: request.pooling,
        indices: part.indices,
        offsets: part.offsets,
        weights: part.weights,
    };
    let pooled = reference::lookup(table, args)?;
    let values = pooled.output.into_iter().map(|x| x as f32).collect();
    Ok((values, part.status_in_whole(pooled.status, first)))
}
