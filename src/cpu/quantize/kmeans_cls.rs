//! Rows in blocks, and a codebook for each block.

use rayon::prelude::*;

use super::kmeans::{best_centroids, nearest, store_codebook};
use super::lanes::{LANES, to_f16};
use super::scan::{input, scan};
use crate::format::{codebook_words, id_bits, put_code};
use crate::{Bits, Blocks, Error, Format, PackedTable, Params, QuantizeStatus, Result};

/// The most points that the dynamic programming of a block sees; more values are first merged with
/// their neighbours.
const MOST_POINTS: usize = 1 << 16;

/// Quantizes a whole table.
///
/// # Errors
/// [`Error::Shape`] where there are more blocks than rows; what is wrong with the first row that has a
/// problem.
pub(super) fn quantize(
    values: &[f32],
    dim: usize,
    bits: Bits,
    blocks: Option<u32>,
    iterations: u32,
) -> Result<PackedTable> {
    let format = Format::Blocks { bits };
    let rows = values.len() / dim;
    check_rows(values, dim, format)?;
    let count = match blocks {
        None => blocks_of_uniform_size(rows as u32, bits),
        Some(count) if count as usize <= rows.max(1) => count,
        Some(count) => {
            return Err(Error::Shape {
                argument: "blocks",
                needed: format!("at most as many as rows ({rows})"),
                got: count.to_string(),
            });
        }
    };
    let ids = cluster(values, dim, count as usize, iterations);
    let members = members(&ids, count as usize);
    let codebooks: Vec<Vec<f32>> = members
        .par_iter()
        .map(|members| codebook(values, dim, members, bits))
        .collect();
    let mut codebook_store = vec![0; count as usize * codebook_words(bits) as usize];
    let stored = codebook_store.chunks_exact_mut(codebook_words(bits) as usize);
    for (codebook, words) in codebooks.iter().zip(stored) {
        store_codebook(codebook, words);
    }
    let row_words = format.row_words(dim as u32) as usize;
    let mut words = vec![0; rows * row_words];
    words
        .par_chunks_exact_mut(row_words)
        .zip(values.par_chunks_exact(dim))
        .zip(&ids)
        .for_each(|((words, row), id)| {
            for (column, x) in row.iter().enumerate() {
                let code = nearest(input(*x), &codebooks[*id as usize]);
                put_code(words, format, column, code);
            }
        });
    PackedTable::from_blocks(dim, words, Blocks::new(bits, codebook_store, &ids)?)
}

/// The most blocks with which the table is no larger than with a scale and a bias in f16 for every row:
/// their 32 bits hold a row's block id and its part of the codebooks.
fn blocks_of_uniform_size(rows: u32, bits: Bits) -> u32 {
    let uniform = Format::Affine {
        bits,
        params: Params::F16,
    };
    let header_bits = u64::from(rows) * 32 * u64::from(uniform.header_words());
    let codebook_bits = 32 * u64::from(codebook_words(bits));
    let size = |blocks: u32| {
        u64::from(blocks) * codebook_bits + u64::from(rows) * u64::from(id_bits(blocks))
    };
    // The size grows with the blocks.
    let (mut fitting, mut last) = (1, rows.max(1));
    while fitting < last {
        let middle = last - (last - fitting) / 2;
        match size(middle) <= header_bits {
            true => fitting = middle,
            false => last = middle - 1,
        }
    }
    fitting
}

fn check_rows(values: &[f32], dim: usize, format: Format) -> Result<()> {
    let mut status = QuantizeStatus::CLEAR;
    for (row, values) in values.chunks_exact(dim).enumerate() {
        let problem = match scan(values) {
            Ok(range) if to_f16(range.low).is_infinite() || to_f16(range.high).is_infinite() => {
                Some(range.problem())
            }
            Ok(_) => None,
            Err(problem) => Some(problem),
        };
        if let Some(problem) = problem {
            status.count(row as u32, problem);
        }
    }
    status.refuse(values, dim, format)
}

/// k-means over rows: from rows at equal distances in the table, until no row changes its block. A block
/// without rows keeps its centre.
fn cluster(values: &[f32], dim: usize, count: usize, iterations: u32) -> Vec<u32> {
    let rows = values.len() / dim;
    let mut centres: Vec<f32> = (0..count)
        .flat_map(|block| &values[block * rows / count * dim..][..dim.min(values.len())])
        .map(|x| input(*x))
        .collect();
    let mut ids = vec![0; rows];
    for _ in 0..=iterations {
        let before = ids;
        ids = nearest_centres(values, dim, &centres);
        if ids == before {
            break;
        }
        let members = members(&ids, count);
        centres
            .par_chunks_exact_mut(dim)
            .zip(&members)
            .for_each(|(centre, members)| mean_row(values, members, centre));
    }
    ids
}

/// Rows that are compared with a group of centres while it lies in the first cache.
const TILE: usize = 16;
/// Rows whose distances to a group are summed at once.
const ROWS: usize = 4;

/// The centre nearest to each row, of equals the first: the one with the least `|c|^2 - 2 x c`.
fn nearest_centres(values: &[f32], dim: usize, centres: &[f32]) -> Vec<u32> {
    let groups: Vec<_> = centres
        .par_chunks(LANES * dim)
        .map(|centres| Group::new(centres, dim))
        .collect();
    let arch = pulp::Arch::new();
    values
        .par_chunks(TILE * dim)
        .flat_map_iter(|rows| {
            arch.dispatch(
                #[inline(always)]
                || nearest_of_tile(rows, dim, &groups),
            )
        })
        .collect()
}

/// Sixteen centres, column by column.
struct Group {
    columns: Vec<[f32; LANES]>,
    /// Squared norms; infinite where there is no centre.
    norms: [f32; LANES],
}

impl Group {
    fn new(centres: &[f32], dim: usize) -> Self {
        let mut columns = vec![[0.0; LANES]; dim];
        let mut norms = [f32::INFINITY; LANES];
        for (lane, centre) in centres.chunks_exact(dim).enumerate() {
            norms[lane] = centre.iter().map(|c| c * c).sum();
            for (column, c) in columns.iter_mut().zip(centre) {
                column[lane] = *c;
            }
        }
        Self { columns, norms }
    }
}

#[inline(always)]
fn nearest_of_tile(rows: &[f32], dim: usize, groups: &[Group]) -> Vec<u32> {
    let count = rows.len() / dim;
    let mut best = vec![(f32::INFINITY, 0); count];
    for (number, group) in groups.iter().enumerate() {
        for start in (0..count).step_by(ROWS) {
            // The last rows may be met twice, which changes nothing.
            let row = |i: usize| &rows[(start + i).min(count - 1) * dim..][..dim];
            let products = dots([row(0), row(1), row(2), row(3)], &group.columns);
            for (i, products) in products.iter().enumerate() {
                let best = &mut best[(start + i).min(count - 1)];
                for (lane, (norm, product)) in group.norms.iter().zip(products).enumerate() {
                    let distance = norm - 2.0 * product;
                    if distance < best.0 {
                        *best = (distance, (number * LANES + lane) as u32);
                    }
                }
            }
        }
    }
    best.into_iter().map(|(_, block)| block).collect()
}

/// The products of four rows with sixteen centres.
#[inline(always)]
fn dots(rows: [&[f32]; ROWS], columns: &[[f32; LANES]]) -> [[f32; LANES]; ROWS] {
    let mut sums = [[0.0f32; LANES]; ROWS];
    for (at, column) in columns.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(&rows) {
            for lane in 0..LANES {
                sum[lane] += row[at] * column[lane];
            }
        }
    }
    sums
}

/// The rows of every block, in order.
fn members(ids: &[u32], count: usize) -> Vec<Vec<u32>> {
    let mut members = vec![vec![]; count];
    for (row, id) in ids.iter().enumerate() {
        members[*id as usize].push(row as u32);
    }
    members
}

fn mean_row(values: &[f32], members: &[u32], centre: &mut [f32]) {
    if members.is_empty() {
        return;
    }
    let dim = centre.len();
    let mut sums = vec![0.0f64; dim];
    for row in members {
        let row = &values[*row as usize * dim..][..dim];
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += f64::from(*x);
        }
    }
    for (centre, sum) in centre.iter_mut().zip(sums) {
        *centre = (sum / members.len() as f64) as f32;
    }
}

/// The best centroids of all values of a block; of very many, after merging neighbours.
fn codebook(values: &[f32], dim: usize, members: &[u32], bits: Bits) -> Vec<f32> {
    let rows = members
        .iter()
        .map(|row| &values[*row as usize * dim..][..dim]);
    let mut sorted: Vec<f32> = rows.flatten().map(|x| input(*x)).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let merged = sorted.len().div_ceil(MOST_POINTS).max(1);
    let point = |run: &[f32]| {
        let sum: f64 = run.iter().map(|x| f64::from(*x)).sum();
        (sum / run.len() as f64, run.len() as u32)
    };
    let points: Vec<_> = sorted.chunks(merged).map(point).collect();
    best_centroids(&points, bits.max_code() as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paper's formula: codes, 32 K bytes of codebooks at 4 bits, an id of log2 K bits.
    #[test]
    fn blocks_fill_the_place_of_scale_and_bias() {
        let blocks = blocks_of_uniform_size(30522, Bits::B4);
        assert_eq!(blocks, 2384);
        let bytes = |blocks: u64| 32 * blocks + (30522 * 12u64).div_ceil(8);
        assert!(bytes(2384) <= 30522 * 4 && bytes(2385) > 30522 * 4);
        assert_eq!(blocks_of_uniform_size(1, Bits::B4), 1);
        assert_eq!(blocks_of_uniform_size(0, Bits::B4), 1);
    }
}
