//! The gradient of a row: every occurrence of it in the batch, in the order of positions.

use std::collections::BTreeMap;

use super::exact;
use crate::training::{Batch, CHUNK, UpdateStatus, check_format, check_gradient};
use crate::{PackedTable, Pooling, Result};

/// One position of a batch that holds a row of the table and lies in a bag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occurrence {
    /// Where in `indices`.
    pub position: u32,
    /// The bag that it lies in.
    pub bag: u32,
    /// What the bag's gradient is multiplied by: the weight, or 1, divided by the bag's length for a mean.
    /// NaN where the weight is not finite.
    pub coefficient: f32,
}

/// The rows of a batch and where they occur; bad indices and bags are counted.
///
/// Positions in no bag do not occur. Nothing does where a bag is bad.
///
/// # Errors
/// Those of a batch's shape.
pub fn occurrences(
    batch: &Batch<'_>,
    rows: u32,
    status: &mut UpdateStatus,
) -> Result<BTreeMap<u32, Vec<Occurrence>>> {
    batch.check()?;
    let mut found: BTreeMap<u32, Vec<Occurrence>> = BTreeMap::new();
    for bag in 0..batch.bags() {
        let (begin, end) = match batch.offsets {
            None => (bag, bag + 1),
            Some(offsets) => (offsets[bag] as usize, offsets[bag + 1] as usize),
        };
        if begin > end || end > batch.indices.len() {
            status.bad_bags += 1;
            status.first_bag = status.first_bag.min(bag as u32);
            continue;
        }
        for position in begin..end {
            let row = batch.indices[position];
            if row >= rows {
                status.bad_indices += 1;
                status.first_position = status.first_position.min(position as u32);
                continue;
            }
            found.entry(row).or_default().push(Occurrence {
                position: position as u32,
                bag: bag as u32,
                coefficient: coefficient(batch, position, end - begin),
            });
        }
    }
    if status.bad_bags > 0 {
        found.clear();
    }
    Ok(found)
}

fn coefficient(batch: &Batch<'_>, position: usize, bag_len: usize) -> f32 {
    let weight = batch.weights.map_or(1.0, |weights| weights[position]);
    if !weight.is_finite() {
        return f32::NAN;
    }
    match batch.pooling {
        Pooling::Mean => exact::div(exact::input(weight), exact::integer(bag_len as u32)),
        Pooling::None | Pooling::Sum | Pooling::Max => exact::input(weight),
    }
}

/// `sum over occurrences of coefficient * gradient[bag, column]`: chunks of 256 occurrences, each summed in
/// order, then the chunks' sums in order. `None` where a factor, a term or a sum is not finite.
pub fn gradient_of(
    occurrences: &[Occurrence],
    gradient: &[f32],
    (dim, column): (usize, usize),
) -> Option<f32> {
    let mut total = 0.0;
    for chunk in occurrences.chunks(CHUNK as usize) {
        let mut sum = 0.0;
        for occurrence in chunk {
            let element = exact::input(gradient[occurrence.bag as usize * dim + column]);
            let term = exact::mul(occurrence.coefficient, element);
            sum = exact::add(sum, term);
            if !element.is_finite() || !sum.is_finite() {
                return None;
            }
        }
        total = exact::add(total, sum);
    }
    total.is_finite().then_some(total)
}

/// The gradient of every position's weight: `sum over columns of gradient[bag, column] * value[row, column]`, in
/// 16 partial sums by column ([`exact::sum16`]), for a mean times the rounded reciprocal of the bag's length.
///
/// 0 where the index is bad or the position lies in no bag; one NaN, 0x7fc00000, where the result is not finite.
///
/// # Errors
/// [`crate::Error::Unsupported`] for a format that is not trained, those of a batch's shape, and
/// [`crate::Error::Shape`] for a gradient that is not `[bags, dim]`.
pub fn weight_gradient(
    table: &PackedTable,
    batch: &Batch<'_>,
    gradient: &[f32],
) -> Result<(Vec<f32>, UpdateStatus)> {
    let dim = table.dim() as usize;
    let mut status = UpdateStatus::CLEAR;
    // The weights themselves do not enter.
    let unweighted = Batch {
        weights: None,
        ..*batch
    };
    check_format(table.format())?;
    batch.check()?;
    check_gradient(batch, table.dim(), gradient)?;
    let found = occurrences(&unweighted, table.rows(), &mut status)?;
    let mut out = vec![0.0; batch.indices.len()];
    for (row, occurrences) in found {
        for occurrence in occurrences {
            let terms = (0..dim).map(|column| {
                let element = exact::input(gradient[occurrence.bag as usize * dim + column]);
                let value = super::super::dequantize::row_value(table.row(row as usize), column);
                exact::mul(element, value)
            });
            let product = exact::mul(exact::sum16(terms), occurrence.coefficient);
            let finite = product.is_finite();
            out[occurrence.position as usize] = if finite { product } else { f32::NAN };
        }
    }
    Ok((out, status))
}
