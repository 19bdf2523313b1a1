//! Codes back to values.

use super::lookup::all_values;
use crate::PackedTable;

/// Every value of a table, `[rows, dim]`, row-major; the reference's bits.
///
/// # Cost
/// Allocates the result; blocks on all cores.
pub fn dequantize(table: &PackedTable) -> Vec<f32> {
    all_values(table)
}

impl PackedTable {
    /// Every value, `[rows, dim]`, row-major: [`dequantize`].
    pub fn dequantize(&self) -> Vec<f32> {
        dequantize(self)
    }
}
