//! Values to codes, one row at a time.

mod cast;
mod clipping;
mod greedy;
mod grid;
mod histogram;
mod kmeans;
mod least_squares;
mod symmetric;

use half::f16;

use super::exact;
use crate::format::{Format, put_code};
use crate::{Error, Method, QuantizeStatus, Result};

pub use cast::write_floats;
pub(in crate::reference) use grid::stored;
pub use grid::{Grid, Rule};
pub use kmeans::{exact_centroids, lloyd_centroids, nearest};
pub use symmetric::{absmax_step, signed_code, write_symmetric};

/// Where the values of a row lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The smallest.
    pub low: f32,
    /// The largest.
    pub high: f32,
}

/// How the centroids of [`Method::Kmeans`] are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solver {
    /// The optimum, as on a CPU: [`exact_centroids`].
    Exact,
    /// Lloyd's algorithm, as on a GPU: [`lloyd_centroids`].
    Lloyd,
}

/// Why a row was stored as zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowProblem {
    /// The first column that holds a NaN or an infinity.
    NotFinite {
        /// The column.
        column: usize,
    },
    /// The header's type cannot hold the scale or the bias, the step or a centroid, a row of floats a value, or
    /// an f32 scale's reciprocal counts as zero.
    OutOfRange {
        /// The row's minimum.
        low: f32,
        /// The row's maximum.
        high: f32,
    },
}

/// Quantizes one row into zeroed words; a row with a problem stays zeros.
///
/// f32 subnormals count as zero, unless the values stay floats ([`write_floats`]). The solver is that of [`Method::Kmeans`] alone.
///
/// # Panics
/// Where [`Method::check`] refuses the method or the format, and for [`Method::KmeansCls`], which is not row by
/// row.
pub fn quantize_row(
    values: &[f32],
    format: Format,
    (method, solver): (Method, Solver),
    words: &mut [u32],
) -> Option<RowProblem> {
    method
        .check(format)
        .expect("a method and a format that Method::check accepts");
    let given = values;
    let (values, range) = match checked_row(given) {
        Ok(checked) => checked,
        Err(problem) => return Some(problem),
    };
    match format {
        Format::Affine { bits, params } => {
            let rule = Rule { bits, params };
            match choose(&values, range, rule, method) {
                Some(grid) => write_affine(&values, grid, rule, words),
                None => return Some(range.problem()),
            }
        }
        Format::Symmetric { bits, params } => match absmax_step(range, bits, params) {
            Some(step) => write_symmetric(&values, step, (bits, params), words),
            None => return Some(range.problem()),
        },
        Format::Codebook { bits } => {
            if exact::to_f16(range.low).is_infinite() || exact::to_f16(range.high).is_infinite() {
                return Some(range.problem());
            }
            let centroids = match (solver, method) {
                (Solver::Lloyd, Method::Kmeans { iterations }) => {
                    lloyd_centroids(&values, range, bits, iterations)
                }
                _ => exact_centroids(&values, bits),
            };
            write_codebook(&values, &centroids, format, words);
        }
        Format::Blocks { .. } => panic!("shared codebooks are not made row by row"),
        Format::Float(float) => {
            if !write_floats(given, float, words) {
                words.fill(0);
                return Some(range.problem());
            }
        }
    }
    None
}

/// A row's values, subnormals flushed, and where they lie.
///
/// # Errors
/// [`RowProblem::NotFinite`].
pub(crate) fn checked_row(values: &[f32]) -> std::result::Result<(Vec<f32>, Range), RowProblem> {
    if let Some(column) = values.iter().position(|x| !x.is_finite()) {
        return Err(RowProblem::NotFinite { column });
    }
    let values: Vec<_> = values.iter().map(|&x| exact::input(x)).collect();
    // `total_cmp` orders -0 below +0, so that the bias has one sign whatever the order of columns.
    let low = values.iter().copied().min_by(f32::total_cmp);
    let high = values.iter().copied().max_by(f32::total_cmp);
    let range = Range {
        low: low.unwrap_or(0.0),
        high: high.unwrap_or(0.0),
    };
    Ok((values, range))
}

/// The grid of a row, by a method that writes affine rows; `None` where the header cannot hold the range.
fn choose(values: &[f32], range: Range, rule: Rule, method: Method) -> Option<Grid> {
    let full = Grid::of_range(range, rule)?;
    let symmetric = range.symmetric();
    if let Method::Sym | Method::Gss = method {
        // Refused rather than clipped: the range that was asked for cannot be stored.
        let grid = Grid::of_range(symmetric, rule)?;
        return Some(match method {
            Method::Gss if range.is_searchable() => {
                clipping::golden_section(values, symmetric, rule)
            }
            _ => grid,
        });
    }
    if !range.is_searchable() {
        return Some(full);
    }
    Some(match method {
        Method::Asym => full,
        Method::Aciq => clipping::aciq(values, range, rule),
        Method::HistApprox { bins } => histogram::approximate(values, range, rule, bins),
        Method::HistBrute { bins } => histogram::brute(values, range, rule, bins),
        Method::Greedy(search) => greedy::best_visited(values, range, rule, search),
        Method::GreedyTorch(search) => greedy::torch(values, range, rule, search),
        Method::GreedyPaper(search) => greedy::paper(values, range, rule, search),
        Method::Lsq { search, iterations } => {
            least_squares::lsq(values, range, rule, search, iterations)
        }
        Method::Best { search, iterations } => {
            least_squares::best(values, range, rule, search, iterations)
        }
        Method::Sym
        | Method::Gss
        | Method::Kmeans { .. }
        | Method::KmeansCls { .. }
        | Method::Absmax
        | Method::Cast => unreachable!("handled above, or refused by Method::check"),
    })
}

fn write_affine(values: &[f32], grid: Grid, rule: Rule, words: &mut [u32]) {
    grid.header.write(words, rule.params);
    for (column, x) in values.iter().enumerate() {
        put_code(words, rule.format(), column, grid.code(*x));
    }
}

/// Writes centroids and the code of the nearest one for every value.
fn write_codebook(values: &[f32], centroids: &[f32], format: Format, words: &mut [u32]) {
    for (at, centroid) in centroids.iter().enumerate() {
        words[at / 2] |= u32::from(f16::from_f32(*centroid).to_bits()) << (at % 2 * 16);
    }
    for (column, x) in values.iter().enumerate() {
        put_code(words, format, column, nearest(*x, centroids));
    }
}

impl Range {
    fn problem(self) -> RowProblem {
        RowProblem::OutOfRange {
            low: self.low,
            high: self.high,
        }
    }

    /// From `-max|x|` to `max|x|`.
    fn symmetric(self) -> Self {
        let high = self.low.abs().max(self.high.abs());
        Self { low: -high, high }
    }

    fn span(self) -> f32 {
        exact::sub(self.high, self.low)
    }

    /// Whether f32 holds the squared errors of such rows, and their sum. Others keep the full range.
    pub fn is_searchable(self) -> bool {
        let largest = self.low.abs().max(self.high.abs());
        largest < 2.0f32.powi(50) && self.span() > 0.5f32.powi(50)
    }
}

impl RowProblem {
    /// The error that names this problem in row `row`, whose values are given.
    pub(crate) fn error(self, row: usize, values: &[f32], format: Format) -> Error {
        let (low, high) = match self {
            Self::NotFinite { column } => {
                let value = values[column];
                return Error::NotFinite { row, column, value };
            }
            Self::OutOfRange { low, high } => (low, high),
        };
        match format {
            Format::Affine { params, .. } => Error::HeaderRange {
                row,
                low,
                high,
                params,
            },
            Format::Symmetric { .. } => Error::StepRange { row, low, high },
            Format::Codebook { .. } | Format::Blocks { .. } => {
                Error::CentroidRange { row, low, high }
            }
            Format::Float(float) => Error::FloatRange {
                row,
                low,
                high,
                float,
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
    /// [`Error::NotFinite`], or [`Error::HeaderRange`], [`Error::StepRange`], [`Error::CentroidRange`] or
    /// [`Error::FloatRange`], for the first row with a problem.
    pub(crate) fn refuse(&self, values: &[f32], dim: usize, format: Format) -> Result<()> {
        if self.unfinished > 0 {
            return Err(Error::Unfinished {
                row: self.first_unfinished as usize,
            });
        }
        let first = self.first_not_finite.min(self.first_out_of_range);
        if first == u32::MAX {
            return Ok(());
        }
        let row = first as usize;
        let values = &values[row * dim..][..dim];
        let problem = match checked_row(values) {
            Ok((_, range)) => range.problem(),
            Err(problem) => problem,
        };
        Err(problem.error(row, values, format))
    }
}
