//! Symmetric rows: steps, and for every value the nearest multiple of its row's.

use pulp::Arch;
use rayon::prelude::*;

use super::encode::pack_row;
use super::lanes::{div, to_f16};
use super::scan::{RowRange, input, scan};
use crate::format::{Bits, Format, Params, write_step};
use crate::reference::RowProblem;
use crate::table::rows_of;
use crate::{Error, PackedTable, Result};

/// Quantizes one row into zeroed words, the step from its largest magnitude.
///
/// # Errors
/// What is wrong with the row.
#[inline(always)]
pub(super) fn quantize_row(
    values: &[f32],
    codes: (Bits, Params),
    words: &mut [u32],
) -> Result<(), RowProblem> {
    let range = scan(values)?;
    let step = absmax_step(range, codes).ok_or(range.problem())?;
    encode(values, step, codes, words);
    Ok(())
}

/// `None` where the header cannot hold it; 1 where it would be 0, which cannot be divided by.
#[inline(always)]
fn absmax_step(range: RowRange, (bits, params): (Bits, Params)) -> Option<f32> {
    let largest = range.low.abs().max(range.high.abs());
    let step = stored(div(largest, *bits.signed_codes().end() as f32), params);
    let step = if step == 0.0 { 1.0 } else { step };
    (step < f32::INFINITY).then_some(step)
}

#[inline(always)]
fn stored(step: f32, params: Params) -> f32 {
    match params {
        Params::F16 => to_f16(step),
        Params::F32 => step,
    }
}

/// Writes a row's step and codes into zeroed words.
#[inline(always)]
fn encode(values: &[f32], step: f32, (bits, params): (Bits, Params), words: &mut [u32]) {
    write_step(words, params, step);
    let codes = Codes::of(bits);
    pack_row(
        values,
        Format::Symmetric { bits, params },
        words,
        #[inline(always)]
        |x| codes.nearest(input(x), step),
    );
}

/// The codes of a width.
#[derive(Clone, Copy)]
struct Codes {
    least: f32,
    most: f32,
    mask: u32,
}

impl Codes {
    #[inline(always)]
    fn of(bits: Bits) -> Self {
        let (least, most) = bits.signed_codes().into_inner();
        Self {
            least: least as f32,
            most: most as f32,
            mask: bits.max_code(),
        }
    }

    /// The bits of the code of the nearest multiple of a step.
    #[inline(always)]
    fn nearest(self, x: f32, step: f32) -> u32 {
        // Units of 2^23 are integers; halfway to the next power of two there is room on both sides.
        const INTEGERS: f32 = 12_582_912.0;
        let steps = div(x, step);
        let above = if steps > self.least {
            steps
        } else {
            self.least
        };
        let clamped = if above < self.most { above } else { self.most };
        (clamped + INTEGERS)
            .to_bits()
            .wrapping_sub(INTEGERS.to_bits())
            & self.mask
    }
}

impl PackedTable {
    /// Quantizes f32 rows to the nearest multiples of given steps, on the CPU, in parallel over rows: symmetric
    /// rows whose steps are learned, or known from elsewhere.
    ///
    /// A step is rounded to the header's type first. A value beyond the outermost codes becomes one of them; of
    /// two multiples that are equally near it becomes the even one; f32 subnormals count as zero.
    ///
    /// # Shapes
    /// `values` is `[rows, dim]`, row-major; `steps` has one for every row, or one for all.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where `format` is not [`Format::Symmetric`] or has 3 bits; [`Error::Shape`] where
    /// `dim` is not 1 to 8192, `values` is not whole rows, or `steps` has another length; [`Error::Step`] for
    /// the first step that is not positive and finite, before it is rounded or after; [`Error::NotFinite`] for
    /// the first NaN or infinity.
    ///
    /// # Examples
    /// ```
    /// use qembed::{Bits, Format, PackedTable, Params};
    ///
    /// let format = Format::Symmetric { bits: Bits::B4, params: Params::F32 };
    /// let table = PackedTable::with_steps(&[0.25, -0.3, 9.0, 0.0], 2, format, &[0.25])?;
    /// assert_eq!(table.dequantize(), [0.25, -0.25, 1.75, 0.0]);
    /// # Ok::<(), qembed::Error>(())
    /// ```
    pub fn with_steps(values: &[f32], dim: usize, format: Format, steps: &[f32]) -> Result<Self> {
        let Format::Symmetric { bits, params } = format else {
            return Err(Error::Unsupported {
                what: format!("a step beside rows of {format}"),
                instead: "take Format::Symmetric",
            });
        };
        format.check()?;
        let rows = rows_of(values, dim)? as usize;
        let steps = checked_steps(steps, rows, params)?;
        let row_words = format.row_words(dim as u32) as usize;
        let mut words = vec![0; rows * row_words];
        let arch = Arch::new();
        let error = words
            .par_chunks_exact_mut(row_words)
            .zip(values.par_chunks_exact(dim))
            .enumerate()
            .find_map_first(|(row, (words, values))| {
                if let Err(problem) = scan(values) {
                    return Some(problem.error(row, values, format));
                }
                let step = steps[row % steps.len()];
                arch.dispatch(
                    #[inline(always)]
                    || encode(values, step, (bits, params), words),
                );
                None
            });
        match error {
            Some(error) => Err(error),
            None => Self::from_words(format, dim, words),
        }
    }
}

/// One step for every row, or one for all, as the header holds them.
fn checked_steps(steps: &[f32], rows: usize, params: Params) -> Result<Vec<f32>> {
    if steps.len() != rows && steps.len() != 1 {
        return Err(Error::Shape {
            argument: "steps",
            needed: format!("{rows}, one for every row, or one for all"),
            got: steps.len().to_string(),
        });
    }
    let checked = |(row, &step): (usize, &f32)| {
        let held = stored(input(step), params);
        match held > 0.0 && held < f32::INFINITY {
            true => Ok(held),
            false => Err(Error::Step { row, step, params }),
        }
    };
    steps.iter().enumerate().map(checked).collect()
}
