//! Values to codes, one row at a time.

use half::f16;
use rayon::prelude::*;

use super::exact;
use crate::format::{Format, Header, Params, put_code};
use crate::table::rows_of;
use crate::{Error, PackedTable, Result};

/// How scale and bias are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Method {
    /// From the row's minimum to its maximum, as PyTorch and FBGEMM do it.
    #[default]
    Asym,
}

impl Method {
    /// Its name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asym => "asym",
        }
    }
}

/// Why a row was stored as zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowProblem {
    /// The first column that holds a NaN or an infinity.
    NotFinite {
        /// The column.
        column: usize,
    },
    /// The scale or the bias does not fit the header's type.
    OutOfRange(Header),
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
        return Some(RowProblem::OutOfRange(header));
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

impl PackedTable {
    /// Quantizes f32 rows on the CPU, in parallel over rows.
    ///
    /// # Shapes
    /// `values` is `[rows, dim]`, row-major; any number of rows, none included.
    ///
    /// # Errors
    /// [`Error::Shape`] where `dim` is not 1 to 8192 or `values` is not whole rows,
    /// [`Error::NotFinite`] for the first NaN or infinity, [`Error::HeaderRange`] for the first row
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
        let Method::Asym = method;
        let rows = rows_of(values, dim)? as usize;
        let row_words = format.row_words(dim as u32) as usize;
        let mut words = vec![0; rows * row_words];
        let problem = words
            .par_chunks_exact_mut(row_words)
            .zip(values.par_chunks_exact(dim))
            .enumerate()
            .filter_map(|(row, (words, values))| {
                quantize_row(values, format, words).map(|problem| (row, problem))
            })
            .find_first(|_| true);
        match problem {
            Some((row, problem)) => Err(problem.error(row, &values[row * dim..], format)),
            None => Self::from_words(format, dim, words),
        }
    }

    /// Every value, `[rows, dim]`, row-major, on the CPU.
    pub fn dequantize(&self) -> Vec<f32> {
        super::dequantize(self)
    }
}

impl RowProblem {
    /// The error that names this problem in row `row`, whose values are given.
    pub(crate) fn error(self, row: usize, values: &[f32], format: Format) -> Error {
        match self {
            Self::NotFinite { column } => Error::NotFinite {
                row,
                column,
                value: values[column],
            },
            Self::OutOfRange(header) => Error::HeaderRange {
                row,
                problem: format!(
                    "{} cannot hold its scale {:e} and bias {:e}",
                    format.params().name(),
                    header.scale,
                    header.bias
                ),
                remedy: match format.params() {
                    Params::F16 => "use f32 headers (--params f32) or scale the values down",
                    Params::F32 => "scale the values down",
                },
            },
        }
    }
}
