//! Philox 4x32-10: random bits that are a function of a key and a counter alone.
//!
//! # Source
//! Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Random123).

pub(crate) const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
pub(crate) const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
pub(crate) const ROUNDS: usize = 10;

/// Four words for a counter of four and a key of two.
pub const fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let mut round = 0;
    while round < ROUNDS {
        let even = MULTIPLIERS[0] as u64 * counter[0] as u64;
        let odd = MULTIPLIERS[1] as u64 * counter[2] as u64;
        counter = [
            (odd >> 32) as u32 ^ counter[1] ^ key[0],
            odd as u32,
            (even >> 32) as u32 ^ counter[3] ^ key[1],
            even as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        round += 1;
    }
    counter
}

/// What the random bits of stochastic rounding depend on, beside row and column.
///
/// Nothing else enters: neither the launch nor the order or the company of a row in its batch. Two replicas
/// that round the same values with the same key get the same codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RandomKey {
    /// Seed of the run: Philox's key.
    pub seed: u64,
    /// Number of the table, so that tables of one model draw apart.
    pub table: u32,
    /// Number of the training step.
    pub step: u32,
}

impl RandomKey {
    /// The draws of columns `4 * quad` to `4 * quad + 3` of a row: the output of Philox for the counter
    /// `[quad, row, table, step]`.
    pub const fn draws(self, row: u32, quad: u32) -> [u32; 4] {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        philox4x32_10([quad, row, self.table, self.step], key)
    }

    /// The draw of one element: 32 random bits.
    pub const fn draw(self, row: u32, column: u32) -> u32 {
        self.draws(row, column / 4)[column as usize % 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kat_vectors` of Random123.
    #[test]
    fn published_known_answers() {
        assert_eq!(
            philox4x32_10([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32_10([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32_10(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn seed_step_table_row_and_column_all_matter() {
        let key = RandomKey {
            seed: 1 << 32,
            table: 2,
            step: 3,
        };
        let all = [
            key.draw(5, 9),
            key.draw(5, 8),
            key.draw(5, 13),
            key.draw(6, 9),
            RandomKey { seed: 1, ..key }.draw(5, 9),
            RandomKey { table: 3, ..key }.draw(5, 9),
            RandomKey { step: 2, ..key }.draw(5, 9),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
