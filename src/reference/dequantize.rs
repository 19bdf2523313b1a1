//! Codes back to values.

use super::exact;
use crate::{Levels, PackedTable, Row};

/// The value of one column: `rn(rn(scale * code) + bias)`, `rn(step * code)`, the code's centroid, or the float
/// itself.
///
/// Subnormal headers count as zero, and so does a float that is subnormal in f32, which keeps its sign; a zero value of an affine or a symmetric row is +0; NaN and infinity
/// propagate.
///
/// # Source
/// The two roundings of `scale * code + bias` in f32. With an f16 header the product is exact, so
/// a fused multiply-add gives the same bits; with an f32 header it may not (PyTorch fuses it).
/// A symmetric row has the product alone: one rounding, with an f16 step none.
pub fn row_value(row: Row<'_>, column: usize) -> f32 {
    match row.levels() {
        Levels::Affine(header) => {
            let product = exact::mul(exact::input(header.scale), row.code(column) as f32);
            exact::add(product, exact::input(header.bias))
        }
        Levels::Symmetric { step } => {
            exact::mul(exact::input(step), row.signed_code(column) as f32)
        }
        Levels::Codebook(codebook) => codebook.value(row.code(column)),
        Levels::Float(float) => exact::input(float.widened(row.code(column))),
    }
}

/// Every value of the table, `[rows, dim]`, row-major.
pub fn dequantize(table: &PackedTable) -> Vec<f32> {
    let mut values = Vec::with_capacity(table.rows() as usize * table.dim() as usize);
    for row in 0..table.rows() as usize {
        for column in 0..table.dim() as usize {
            values.push(row_value(table.row(row), column));
        }
    }
    values
}
