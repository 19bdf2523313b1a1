//! Codes back to values.

use rayon::prelude::*;

use crate::PackedTable;
use crate::reference::row_value;

/// Every value of a table, `[rows, dim]`, row-major; the reference's bits.
///
/// # Cost
/// Allocates the result; blocks on all cores.
pub fn dequantize(table: &PackedTable) -> Vec<f32> {
    let dim = table.dim() as usize;
    let mut values = vec![0.0; table.rows() as usize * dim];
    values
        .par_chunks_exact_mut(dim)
        .enumerate()
        .for_each(|(row, values)| {
            let row = table.row(row);
            for (column, value) in values.iter_mut().enumerate() {
                *value = row_value(row, column);
            }
        });
    values
}

impl PackedTable {
    /// Every value, `[rows, dim]`, row-major: [`dequantize`].
    pub fn dequantize(&self) -> Vec<f32> {
        dequantize(self)
    }
}
