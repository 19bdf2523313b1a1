//! Values to codes: sixteen rows at a time, one to a lane of the vector unit, in parallel over blocks of them.

mod block;
mod cast;
mod clipping;
mod columns;
mod encode;
pub(super) mod grid;
mod histogram;
mod kmeans;
mod kmeans_cls;
mod least_squares;
mod scan;
mod search;
mod symmetric;

use pulp::Arch;
use rayon::prelude::*;

use super::lanes::{self, LANES, Lanes};
use block::Block;
use columns::Columns;
use encode::{RowGrid, encode};
use grid::{Grids, Rule};
use histogram::Errors;
use scan::{RowRange, scan};
use search::Keep;

use crate::format::{Bits, Format, Params};
use crate::reference::RowProblem;
use crate::table::rows_of;
use crate::{Method, PackedTable, QuantizeStatus, Result};

/// Quantizes `[rows, dim]` values; rows with a problem are stored as zeros and counted.
///
/// # Errors
/// [`crate::Error::Shape`] where `dim` is not 1 to 8192 or `values` is not whole rows, and what
/// [`Method::check`] says; for [`Method::KmeansCls`] also where there are more blocks than rows, and a row
/// with a problem.
///
/// # Cost
/// Allocates the table; to search, also sixteen rows a thread, and for the histogram methods `8 * bins^2`
/// bytes. Blocks on all cores.
pub fn quantize_counting(
    values: &[f32],
    dim: usize,
    format: Format,
    method: Method,
) -> Result<(PackedTable, QuantizeStatus)> {
    method.check(format)?;
    let rows = rows_of(values, dim)? as usize;
    if let (Method::KmeansCls { blocks, iterations }, Format::Blocks { bits }) = (method, format) {
        let table = kmeans_cls::quantize(values, dim, bits, blocks, iterations)?;
        return Ok((table, QuantizeStatus::CLEAR));
    }
    let row_words = format.row_words(dim as u32) as usize;
    let mut words = vec![0; rows * row_words];
    let work = Work::new(format, method, dim);
    let problems: Vec<_> = words
        .par_chunks_mut(LANES * row_words)
        .zip(values.par_chunks(LANES * dim))
        .enumerate()
        .flat_map_iter(|(block, (words, values))| {
            let problems = work.block(values, words);
            let problem = move |(lane, problem)| Some(((block * LANES + lane) as u32, problem?));
            problems.into_iter().enumerate().filter_map(problem)
        })
        .collect();
    let mut status = QuantizeStatus::CLEAR;
    problems
        .into_iter()
        .for_each(|(row, problem)| status.count(row, problem));
    Ok((PackedTable::from_words(format, dim, words)?, status))
}

/// What is the same for every block of a table.
struct Work {
    format: Format,
    method: Method,
    dim: usize,
    arch: Arch,
    /// Of the histogram methods alone.
    errors: Option<Errors>,
}

/// What became of the rows of a block.
type Problems = [Option<RowProblem>; LANES];

impl Work {
    fn new(format: Format, method: Method, dim: usize) -> Self {
        let errors = match (method, format.bits()) {
            (Method::HistApprox { bins } | Method::HistBrute { bins }, Some(bits)) => {
                Some(Errors::new(bins, bits))
            }
            _ => None,
        };
        Self {
            format,
            method,
            dim,
            arch: Arch::new(),
            errors,
        }
    }

    /// Quantizes up to sixteen rows under the best instruction set that the machine has.
    fn block(&self, values: &[f32], words: &mut [u32]) -> Problems {
        match self.format {
            Format::Affine { bits, params } => self.arch.dispatch(
                #[inline(always)]
                || self.affine(values, (bits, params), words),
            ),
            Format::Symmetric { bits, params } => self.arch.dispatch(
                #[inline(always)]
                || {
                    self.row_by_row(
                        values,
                        words,
                        #[inline(always)]
                        |values, words| symmetric::quantize_row(values, (bits, params), words),
                    )
                },
            ),
            Format::Float(float) => self.arch.dispatch(
                #[inline(always)]
                || {
                    self.row_by_row(
                        values,
                        words,
                        #[inline(always)]
                        |values, words| cast::quantize_row(values, float, words),
                    )
                },
            ),
            Format::Codebook { .. } | Format::Blocks { .. } => {
                self.row_by_row(values, words, |values, words| {
                    kmeans::quantize_row(values, self.format, words)
                })
            }
        }
    }

    #[inline(always)]
    fn affine(&self, values: &[f32], codes: (Bits, Params), words: &mut [u32]) -> Problems {
        let mut problems = [None; LANES];
        let mut ranges = [None; LANES];
        for (lane, row) in values.chunks_exact(self.dim).enumerate() {
            match scan(row) {
                Ok(range) => ranges[lane] = Some(range),
                Err(problem) => problems[lane] = Some(problem),
            }
        }
        let grids = self.grids(values, codes, &ranges);
        let row_words = words.len() / (values.len() / self.dim);
        let rows = values
            .chunks_exact(self.dim)
            .zip(words.chunks_exact_mut(row_words));
        for (lane, (row, words)) in rows.enumerate() {
            match (ranges[lane], grids[lane]) {
                (Some(_), Some(grid)) => encode(row, grid, codes, words),
                (Some(range), None) => problems[lane] = Some(range.problem()),
                (None, _) => {}
            }
        }
        problems
    }

    /// The grids of the rows that have a range; `None` where the header cannot hold it.
    #[inline(always)]
    fn grids(
        &self,
        values: &[f32],
        (bits, params): (Bits, Params),
        ranges: &[Option<RowRange>; LANES],
    ) -> [Option<RowGrid>; LANES] {
        let rule = Rule::new(bits, params);
        let of = |ranges: &[Option<RowRange>; LANES]| {
            let low = Lanes::new(|lane| ranges[lane].map_or(0.0, |range| range.low));
            let high = Lanes::new(|lane| ranges[lane].map_or(0.0, |range| range.high));
            (low, high)
        };
        let (low, high) = of(ranges);
        let full = rule.of_ranges(low, high);
        let (mut start, mut searched) = (full, *ranges);
        if let Method::Sym | Method::Gss = self.method {
            searched = searched.map(|range| range.map(RowRange::symmetric));
            let (low, high) = of(&searched);
            start = rule.of_ranges(low, high);
        }
        let mut grids: [_; LANES] =
            std::array::from_fn(|lane| full.row(lane).and_then(|_| start.row(lane)));
        if let Method::Asym | Method::Sym = self.method {
            return grids;
        }
        let is_searched: [bool; LANES] = std::array::from_fn(|lane| {
            grids[lane].is_some() && ranges[lane].is_some_and(RowRange::is_searchable)
        });
        let rows = std::array::from_fn(|lane| {
            is_searched[lane].then(|| &values[lane * self.dim..][..self.dim])
        });
        for (lane, searched) in searched.iter_mut().enumerate() {
            *searched = searched.filter(|_| is_searched[lane]);
        }
        let columns = Columns::new(&rows, self.dim);
        let (low, high) = of(&searched);
        let block = Block {
            rule,
            bits,
            columns: &columns,
            low,
            high,
        };
        let found = self.search(&block, &rows, &searched);
        for (lane, grid) in grids
            .iter_mut()
            .enumerate()
            .filter(|(lane, _)| is_searched[*lane])
        {
            // The paper's choice may be a range that it never tried, which the header need not hold.
            *grid = found.row(lane).or(*grid);
        }
        grids
    }

    #[inline(always)]
    fn search(
        &self,
        block: &Block,
        rows: &[Option<&[f32]>; LANES],
        ranges: &[Option<RowRange>; LANES],
    ) -> Grids {
        match (self.method, &self.errors) {
            (Method::Gss, _) => clipping::golden_section(block),
            (Method::Aciq, _) => clipping::aciq(block),
            (Method::Greedy(search), _) => search::narrowed(block, search, Keep::Range),
            (Method::GreedyTorch(search), _) => search::torch(block, search),
            (Method::GreedyPaper(search), _) => search::narrowed(block, search, Keep::MovedEnd),
            (Method::Lsq { search, iterations }, _) => {
                least_squares::lsq(block, search, iterations)
            }
            (Method::Best { search, iterations }, _) => {
                least_squares::best(block, search, iterations)
            }
            (Method::HistApprox { .. }, Some(errors)) => {
                histogram::ranges(block, rows, ranges, errors, histogram::approximate)
            }
            (Method::HistBrute { .. }, Some(errors)) => {
                histogram::ranges(block, rows, ranges, errors, histogram::brute)
            }
            _ => unreachable!("not searched, or refused by Method::check"),
        }
    }

    /// Rows that have nothing to do with their neighbours.
    #[inline(always)]
    fn row_by_row(
        &self,
        values: &[f32],
        words: &mut [u32],
        quantize: impl Fn(&[f32], &mut [u32]) -> Result<(), RowProblem>,
    ) -> Problems {
        let mut problems = [None; LANES];
        let row_words = words.len() / (values.len() / self.dim);
        let rows = values
            .chunks_exact(self.dim)
            .zip(words.chunks_exact_mut(row_words));
        for (lane, (row, words)) in rows.enumerate() {
            problems[lane] = quantize(row, words).err();
        }
        problems
    }
}

impl RowRange {
    fn problem(self) -> RowProblem {
        RowProblem::OutOfRange {
            low: self.low,
            high: self.high,
        }
    }
}

impl PackedTable {
    /// Quantizes f32 rows on the CPU, in parallel over rows.
    ///
    /// # Shapes
    /// `values` is `[rows, dim]`, row-major; any number of rows, none included.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where `dim` is not 1 to 8192 or `values` is not whole rows, and what
    /// [`Method::check`] says,
    /// [`crate::Error::NotFinite`] for the first NaN or infinity, [`crate::Error::HeaderRange`],
    /// [`crate::Error::StepRange`] and [`crate::Error::CentroidRange`] for the first row whose scale or bias, step, or
    /// centroids, the header's type cannot hold, [`crate::Error::FloatRange`] for the first with a value that its
    /// type of floats cannot hold.
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
