//! Values to codes, one row at a time.

use half::f16;

use super::exact;
use crate::format::{Format, Header, Params, put_code};
use crate::{Error, QuantizeStatus, Result};

/// Why a row was stored as zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowProblem {
    /// The first column that holds a NaN or an infinity.
    NotFinite {
        /// The column.
        column: usize,
    },
    /// The header's type cannot hold the scale or the bias, or an f32 scale's reciprocal counts as zero.
    OutOfRange {
        /// The row's minimum.
        low: f32,
        /// The row's maximum.
        high: f32,
    },
}

/// Quantizes one row into zeroed words; a row with a problem stays zeros.
///
/// # Source
/// PyTorch `embedding_bag_{byte,4bit,2bit}_prepack` and FBGEMM's rowwise quantizers, on the CPU.
/// 8 bits with an f32 header follow the byte operator, everything else the n-bit one, without its
/// casts where the header is f32. Departures: f32 subnormals count as zero, and what FBGEMM stores
/// as infinity is a [`RowProblem`].
pub fn quantize_row(values: &[f32], format: Format, words: &mut [u32]) -> Option<RowProblem> {
    if let Some(column) = values.iter().position(|x| !x.is_finite()) {
        return Some(RowProblem::NotFinite { column });
    }
    let values = || values.iter().map(|&x| exact::input(x));
    // `total_cmp` orders -0 below +0, so that the bias has one sign whatever the order of columns.
    let low = values().min_by(f32::total_cmp).unwrap_or(0.0);
    let high = values().max_by(f32::total_cmp).unwrap_or(0.0);
    let max_code = format.bits().max_code();

    let (header, per_unit) = match (max_code, format.params()) {
        (255, Params::F32) => byte_params(low, high),
        (_, params) => nbit_params(low, high, max_code, params),
    };
    if !fits(header, format.params()) {
        return Some(RowProblem::OutOfRange { low, high });
    }
    header.write(words, format.params());
    for (column, x) in values().enumerate() {
        let steps = exact::mul(exact::sub(x, header.bias), per_unit);
        let code = steps.round_ties_even().clamp(0.0, max_code as f32) as u32;
        put_code(words, format, column, code);
    }
    None
}

/// Header and codes per unit of value, as PyTorch's 8-bit operator chooses them.
fn byte_params(low: f32, high: f32) -> (Header, f32) {
    let range = exact::sub(high, low);
    let header = Header {
        scale: exact::div(range, 255.0),
        bias: low,
    };
    (header, exact::div(255.0, exact::add(range, 1e-8)))
}

/// Header and codes per unit of value, as FBGEMM's n-bit operator chooses them: the bias is
/// rounded to the header's type before the range is taken, and codes use the stored scale.
fn nbit_params(low: f32, high: f32, max_code: u32, params: Params) -> (Header, f32) {
    let stored = |x: f32| match params {
        Params::F16 => f16::from_f32(x).to_f32(),
        Params::F32 => x,
    };
    let bias = stored(low);
    let range = exact::sub(high, bias);
    let mut scale = if range == 0.0 {
        1.0
    } else {
        stored(exact::div(range, max_code as f32))
    };
    if scale == 0.0 {
        scale = 1.0;
    }
    (Header { scale, bias }, exact::div(1.0, scale))
}

/// Whether the header can be stored, and its scale divided by.
fn fits(header: Header, params: Params) -> bool {
    let limit = match params {
        Params::F16 => f16::MAX.to_f32(),
        // The reciprocal of a larger scale counts as zero.
        Params::F32 => 2.0f32.powi(126),
    };
    header.scale.abs() <= limit && header.bias.is_finite()
}

impl RowProblem {
    /// The error that names this problem in row `row`, whose values are given.
    fn error(self, row: usize, values: &[f32], format: Format) -> Error {
        match self {
            Self::NotFinite { column } => Error::NotFinite {
                row,
                column,
                value: values[column],
            },
            Self::OutOfRange { low, high } => Error::HeaderRange {
                row,
                low,
                high,
                params: format.params(),
            },
        }
    }
}

impl QuantizeStatus {
    /// Counts a problem of one row.
    pub(crate) fn count(&mut self, row: u32, problem: RowProblem) {
        let (count, first) = match problem {
            RowProblem::NotFinite { .. } => (&mut self.not_finite, &mut self.first_not_finite),
            RowProblem::OutOfRange { .. } => (&mut self.out_of_range, &mut self.first_out_of_range),
        };
        *count = count.wrapping_add(1);
        *first = (*first).min(row);
    }

    /// # Errors
    /// [`Error::NotFinite`] or [`Error::HeaderRange`] for the first row with a problem.
    pub(crate) fn refuse(&self, values: &[f32], dim: usize, format: Format) -> Result<()> {
        let first = self.first_not_finite.min(self.first_out_of_range);
        if first == u32::MAX {
            return Ok(());
        }
        let row = first as usize;
        let values = &values[row * dim..][..dim];
        let mut words = vec![0; format.row_words(dim as u32) as usize];
        Err(match quantize_row(values, format, &mut words) {
            Some(problem) => problem.error(row, values, format),
            None => Error::Device(format!("row {row} was refused, though it can be quantized")),
        })
    }
}
