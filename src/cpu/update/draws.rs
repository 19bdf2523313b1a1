//! Random bits of stochastic rounding, eight quads of columns at a time.

use super::super::lanes::{LANES, array};
use crate::philox::{MULTIPLIERS, ROUNDS, RandomKey, WEYL};

/// Counters that are worked on together.
const QUADS: usize = 8;
/// Quads of columns in a group of sixteen.
const QUADS_PER_GROUP: usize = LANES / 4;

/// The draws of a block of rows.
pub(super) struct Draws {
    /// Groups of sixteen columns in a row.
    width: usize,
    quads: Vec<u32>,
    rows: Vec<u32>,
    draws: Vec<u32>,
}

impl Draws {
    /// Room for so many rows.
    pub(super) fn new(rows: usize, width: usize) -> Self {
        let counters = (rows * width * QUADS_PER_GROUP).next_multiple_of(QUADS);
        Self {
            width,
            quads: vec![0; counters],
            rows: vec![0; counters],
            draws: vec![0; 4 * counters],
        }
    }

    /// Draws for every column of these rows.
    #[inline(always)]
    pub(super) fn fill(&mut self, key: RandomKey, rows: impl ExactSizeIterator<Item = u32>) {
        let per_row = self.width * QUADS_PER_GROUP;
        let used = (rows.len() * per_row).next_multiple_of(QUADS);
        let counters = self.rows.chunks_exact_mut(per_row);
        let counters = counters.zip(self.quads.chunks_exact_mut(per_row));
        for ((rows, quads), row) in counters.zip(rows) {
            rows.fill(row);
            for (quad, at) in quads.iter_mut().enumerate() {
                *at = quad as u32;
            }
        }
        let quads = self.quads[..used].as_chunks::<QUADS>().0;
        let rows = self.rows.as_chunks::<QUADS>().0;
        let draws = self.draws.as_chunks_mut::<{ 4 * QUADS }>().0;
        for ((quads, rows), draws) in quads.iter().zip(rows).zip(draws) {
            eight(key, quads, rows, draws);
        }
    }

    /// Those of one group of columns of a row of the block.
    #[inline(always)]
    pub(super) fn group(&self, row: usize, group: usize) -> &[u32; LANES] {
        &self.draws.as_chunks().0[row * self.width + group]
    }
}

/// Philox for eight counters that differ in quad and row.
#[inline(always)]
fn eight(key: RandomKey, quads: &[u32; QUADS], rows: &[u32; QUADS], draws: &mut [u32; 4 * QUADS]) {
    let mut words = [[0; QUADS]; 4];
    for quad in 0..QUADS {
        let counter = [quads[quad], rows[quad], key.table, key.step];
        let drawn = philox(counter, key.seed);
        (0..4).for_each(|word| words[word][quad] = drawn[word]);
    }
    for (quad, draws) in draws.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *draws = array(|word| words[word][quad]);
    }
}

/// A word stays in the low half of 64 bits, where a multiplication takes it; what the high half holds nobody
/// reads.
#[inline(always)]
fn philox(counter: [u32; 4], seed: u64) -> [u32; 4] {
    let low = |x: u64| x & u64::from(u32::MAX);
    let [mut a, mut b, mut c, mut d] = counter.map(u64::from);
    let mut keys = [seed as u32, (seed >> 32) as u32];
    for _ in 0..ROUNDS {
        let even = low(a) * u64::from(MULTIPLIERS[0]);
        let odd = low(c) * u64::from(MULTIPLIERS[1]);
        (a, b) = ((odd >> 32) ^ b ^ u64::from(keys[0]), odd);
        (c, d) = ((even >> 32) ^ d ^ u64::from(keys[1]), even);
        keys = [keys[0].wrapping_add(WEYL[0]), keys[1].wrapping_add(WEYL[1])];
    }
    [a as u32, b as u32, c as u32, d as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_the_key() {
        let key = RandomKey {
            seed: 0x0123_4567_89ab_cdef,
            table: 7,
            step: u32::MAX,
        };
        for width in [1, 2, 3] {
            let mut draws = Draws::new(5, width);
            let rows = [0, 3, 4, u32::MAX, 1 << 31];
            draws.fill(key, rows.into_iter());
            for (at, row) in rows.into_iter().enumerate() {
                for column in 0..width * LANES {
                    let got = draws.group(at, column / LANES)[column % LANES];
                    assert_eq!(got, key.draw(row, column as u32), "row {row}, {column}");
                }
            }
        }
    }
}
