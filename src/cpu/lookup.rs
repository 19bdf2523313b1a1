//! Look rows up and pool them.

use rayon::prelude::*;

use crate::reference::{self, LookupArgs};
use crate::request::{Looked, LookupRequest, Values, check_request, refuse};
use crate::{LookupStatus, OutOfRange, PackedTable, Pooling, Result, Row};

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
    let (values, status) = match (part.offsets, request.pooling) {
        (Some(offsets), Pooling::Sum | Pooling::Mean) => sums(table, args, offsets),
        _ => {
            let pooled = reference::lookup(table, args)?;
            let values = pooled.output.into_iter().map(|x| x as f32).collect();
            (values, pooled.status)
        }
    };
    Ok((values, part.status_in_whole(status, first)))
}

/// Sums and means, in f64 and in the reference's order, without what its error bound needs.
fn sums(table: &PackedTable, args: LookupArgs<'_>, offsets: &[u32]) -> (Vec<f32>, LookupStatus) {
    let mut status = LookupStatus::CLEAR;
    let mut values = Vec::with_capacity((offsets.len() - 1) * table.dim() as usize);
    let mut sums = vec![0.0; table.dim() as usize];
    for (bag, ends) in offsets.windows(2).enumerate() {
        let (begin, end) = (ends[0] as usize, ends[1] as usize);
        sums.fill(0.0);
        let mut divisor = 1.0;
        if begin > end || end > args.indices.len() {
            status.bad_bags = status.bad_bags.wrapping_add(1);
            status.first_bag = status.first_bag.min(bag as u32);
        } else {
            if args.pooling == Pooling::Mean {
                divisor = (end - begin).max(1) as f64;
            }
            for position in begin..end {
                let index = args.indices[position];
                if index < table.rows() {
                    let weight = args.weights.map_or(1.0, |weights| weights[position]);
                    add_row(table.row(index as usize), weight, &mut sums);
                } else {
                    status.bad_indices = status.bad_indices.wrapping_add(1);
                    status.first_position = status.first_position.min(position as u32);
                }
            }
        }
        values.extend(sums.iter().map(|sum| (sum / divisor) as f32));
    }
    (values, status)
}

fn add_row(row: Row<'_>, weight: f32, sums: &mut [f64]) {
    for (column, sum) in sums.iter_mut().enumerate() {
        *sum += f64::from(reference::row_value(row, column)) * f64::from(weight);
    }
}
