//! Values to codes.

use rayon::prelude::*;

use crate::format::Format;
use crate::reference::quantize_row;
use crate::table::rows_of;
use crate::{Method, PackedTable, QuantizeStatus, Result};

/// Quantizes `[rows, dim]` values; rows with a problem are stored as zeros and counted.
///
/// # Errors
/// [`crate::Error::Shape`] where `dim` is not 1 to 8192 or `values` is not whole rows.
///
/// # Cost
/// Allocates the table; blocks on all cores.
pub fn quantize_counting(
    values: &[f32],
    dim: usize,
    format: Format,
    method: Method,
) -> Result<(PackedTable, QuantizeStatus)> {
    let Method::Asym = method;
    let rows = rows_of(values, dim)? as usize;
    let row_words = format.row_words(dim as u32) as usize;
    let mut words = vec![0; rows * row_words];
    let problems: Vec<_> = words
        .par_chunks_exact_mut(row_words)
        .zip(values.par_chunks_exact(dim))
        .enumerate()
        .filter_map(|(row, (words, values))| {
            quantize_row(values, format, words).map(|problem| (row as u32, problem))
        })
        .collect();
    let mut status = QuantizeStatus::CLEAR;
    problems
        .into_iter()
        .for_each(|(row, problem)| status.count(row, problem));
    Ok((PackedTable::from_words(format, dim, words)?, status))
}

impl PackedTable {
    /// Quantizes f32 rows on the CPU, in parallel over rows.
    ///
    /// # Shapes
    /// `values` is `[rows, dim]`, row-major; any number of rows, none included.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where `dim` is not 1 to 8192 or `values` is not whole rows,
    /// [`crate::Error::NotFinite`] for the first NaN or infinity, [`crate::Error::HeaderRange`] for the first row
    /// whose scale or bias the header's type cannot hold.
    ///
    /// # Examples
    /// ```
    /// use qembed::{Bits, Format, Method, PackedTable};
    ///
    /// let values = [0.0, 0.5, 1.0, 1.5, -1.0, 0.0, 1.0, 2.0];
    /// let table = PackedTable::quantize(&values, 4, Format::affine(Bits::B2), Method::Asym)?;
    /// assert_eq!(table.rows(), 2);
    /// assert_eq!(table.dequantize(), values);
    /// # Ok::<(), qembed::Error>(())
    /// ```
    pub fn quantize(values: &[f32], dim: usize, format: Format, method: Method) -> Result<Self> {
        let (table, status) = quantize_counting(values, dim, format, method)?;
        status.refuse(values, dim, format)?;
        Ok(table)
    }
}
