//! Sixteen rows, column by column, and what storing them costs.

use super::grid::Grids;
use super::lanes::{LANES, Lanes, add, code, flush};
use super::scan::input;

/// Partial sums of every row, by column mod 16.
const PARTIALS: usize = 16;

/// The values of sixteen rows, transposed.
pub(super) struct Columns(Vec<Lanes>);

/// Sums over the columns of every row that a least-squares fit needs.
pub(super) struct Sums {
    pub(super) codes: [u32; LANES],
    pub(super) squared_codes: [u32; LANES],
    pub(super) distances: Lanes,
    pub(super) products: Lanes,
}

impl Columns {
    /// Loads rows; lanes that have none get zeros.
    #[inline(always)]
    pub(super) fn new(rows: &[Option<&[f32]>; LANES], dim: usize) -> Self {
        let mut columns = vec![Lanes::splat(0.0); dim];
        for (lane, row) in rows.iter().enumerate() {
            for (column, x) in columns.iter_mut().zip(row.unwrap_or_default()) {
                column[lane] = input(*x);
            }
        }
        Self(columns)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Sums of squared errors. Partial sums by column mod 16, each in order, then lane `i` takes lane
    /// `i + 8`'s, `i + 4`'s, `i + 2`'s, `i + 1`'s.
    ///
    /// What is flushed elsewhere need not be here: a searched row spans more than 2^-50, so that what a
    /// subnormal distance, product or value could change is the square of less than 2^-63.
    #[inline(always)]
    pub(super) fn losses(&self, grids: &Grids, max_code: f32) -> Lanes {
        let mut partials = [Lanes::splat(0.0); PARTIALS];
        for columns in self.0.chunks(PARTIALS) {
            for (column, partial) in columns.iter().zip(&mut partials) {
                for lane in 0..LANES {
                    partial[lane] += squared_error(column[lane], lane, grids, max_code);
                }
            }
        }
        reduced(&mut partials, |a, b| a + b)
    }

    /// Distances, summed in order of columns.
    #[inline(always)]
    pub(super) fn losses_in_order(&self, grids: &Grids, max_code: f32) -> Lanes {
        let mut sum = Lanes::splat(0.0);
        for column in &self.0 {
            for lane in 0..LANES {
                sum[lane] += squared_error(column[lane], lane, grids, max_code);
            }
        }
        Lanes::new(|lane| sum[lane].sqrt())
    }

    /// What a least-squares fit of scale and bias to the codes of `grids` needs.
    #[inline(always)]
    pub(super) fn sums(&self, grids: &Grids, max_code: f32) -> Sums {
        let mut codes = [0; LANES];
        let mut squared_codes = [0; LANES];
        let mut distances = [Lanes::splat(0.0); PARTIALS];
        let mut products = [Lanes::splat(0.0); PARTIALS];
        for columns in self.0.chunks(PARTIALS) {
            for (i, column) in columns.iter().enumerate() {
                for lane in 0..LANES {
                    let distance = flush(column[lane] - grids.bias[lane]);
                    let q = code(distance * grids.codes_per_unit[lane], max_code);
                    let integer = q as i32 as u32;
                    codes[lane] += integer;
                    squared_codes[lane] += integer * integer;
                    distances[i][lane] = add(distances[i][lane], distance);
                    // A code is an integer: the product is no smaller than the distance, or zero.
                    products[i][lane] = add(products[i][lane], q * distance);
                }
            }
        }
        Sums {
            codes,
            squared_codes,
            distances: reduced(&mut distances, add),
            products: reduced(&mut products, add),
        }
    }

    /// Sums of a term of every value, in the order of [`Columns::losses`].
    #[inline(always)]
    pub(super) fn sum_of(&self, term: impl Fn(f32, usize) -> f32) -> Lanes {
        let mut partials = [Lanes::splat(0.0); PARTIALS];
        for columns in self.0.chunks(PARTIALS) {
            for (column, partial) in columns.iter().zip(&mut partials) {
                for lane in 0..LANES {
                    partial[lane] = add(partial[lane], term(column[lane], lane));
                }
            }
        }
        reduced(&mut partials, add)
    }
}

#[inline(always)]
fn squared_error(x: f32, lane: usize, grids: &Grids, max_code: f32) -> f32 {
    let steps = (x - grids.bias[lane]) * grids.codes_per_unit[lane];
    let stored = grids.scale[lane] * code(steps, max_code) + grids.bias[lane];
    squared(x - stored)
}

/// The square; zero where it would be below the normals.
#[inline(always)]
pub(super) fn squared(error: f32) -> f32 {
    const SMALLEST: f32 = 1.0 / (1u64 << 63) as f32;
    if error.abs() < SMALLEST {
        0.0
    } else {
        error * error
    }
}

#[inline(always)]
fn reduced(partials: &mut [Lanes; PARTIALS], add: impl Fn(f32, f32) -> f32) -> Lanes {
    for stride in [8, 4, 2, 1] {
        for i in 0..stride {
            partials[i] = partials[i].zip(partials[i + stride], &add);
        }
    }
    partials[0]
}
