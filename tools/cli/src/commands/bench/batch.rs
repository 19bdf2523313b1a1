//! Batches of indices.

use qembed::verify::shapes::Random;

use super::point::Point;
use super::refusal::{Refusal, host_memory};
use super::traffic::SECTOR_BYTES;

/// The most batches that are taken in turn.
const MOST_BATCHES: u64 = 32;

/// Batches of one shape, taken in turn: together they touch more than a cache holds, which one that is repeated
/// need not.
#[derive(Clone, Debug)]
pub struct Batches {
    /// Where bags begin, bags + 1 entries; of every batch.
    pub offsets: Vec<u32>,
    /// `[batches, indices]`
    pub indices: Vec<Vec<u32>>,
    /// One for every index of any batch.
    pub weights: Vec<f32>,
}

impl Batches {
    /// As many batches as touch `touched_bytes`, each index a row of so many.
    pub fn new(point: &Point, row_bytes: u64, touched_bytes: u64) -> Result<Self, Refusal> {
        let count = u32::try_from(point.indices()).map_err(|_| {
            let (bags, length) = (point.bags, point.bag_length);
            Refusal::Skip(format!(
                "{bags} bags of {length} are more than 2^32 indices"
            ))
        })?;
        let of_one = u64::from(count) * row_bytes.next_multiple_of(SECTOR_BYTES);
        let batches = touched_bytes.div_ceil(of_one.max(1)).clamp(1, MOST_BATCHES);
        let offsets = u64::from(point.bags) + 1;
        host_memory("indices", 4 * (u64::from(count) * (batches + 1) + offsets))?;
        let mut random = Random::new(u64::from(count));
        let zipf = Zipf::new(point.rows, point.zipf);
        let mut batch = |_| (0..count).map(|_| zipf.row(&mut random)).collect();
        let indices = (0..batches).map(&mut batch).collect();
        let length = point.bag_length.max(1);
        Ok(Self {
            offsets: (0..=point.bags).map(|bag| bag * length).collect(),
            indices,
            weights: (0..count).map(|_| 2.0 * random.signed()).collect(),
        })
    }
}

/// Rows whose ranks follow Zipf's law, the ranks in no order of rows.
///
/// Drawn by inversion of a hat function and rejection, which needs no table. Source: Hörmann and Derflinger 1996,
/// "Rejection-inversion to generate variates from monotone discrete distributions".
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    rows: u32,
    exponent: f64,
    /// Of the hat's integral, where ranks begin and where they end.
    ends: (f64, f64),
}

impl Zipf {
    /// A law over so many rows; exponent 0 is no law at all.
    pub fn new(rows: u32, exponent: f64) -> Self {
        let mut zipf = Self {
            rows,
            exponent,
            ends: (0.0, 0.0),
        };
        zipf.ends = (
            zipf.integral(1.5) - 1.0,
            zipf.integral(f64::from(rows) + 0.5),
        );
        zipf
    }

    /// A row.
    pub fn row(&self, random: &mut Random) -> u32 {
        if self.exponent == 0.0 {
            return random.below(self.rows);
        }
        // A prime, so that every row has a rank; far from a power of two and a round number, so that ranks that
        // are near each other are rows that are not.
        const STRIDE: u64 = 2_654_435_761;
        let rank = u64::from(self.rank(random)) - 1;
        (rank * STRIDE % u64::from(self.rows)) as u32
    }

    /// A rank, from 1.
    fn rank(&self, random: &mut Random) -> u32 {
        let (first, last) = self.ends;
        loop {
            let draw = (f64::from(random.word()) + 0.5) / 2.0f64.powi(32);
            let place = last + draw * (first - last);
            let rank = self.inverse(place).round().clamp(1.0, f64::from(self.rows));
            if place >= self.integral(rank + 0.5) - rank.powf(-self.exponent) {
                return rank as u32;
            }
        }
    }

    /// Of `x^-exponent`.
    fn integral(&self, x: f64) -> f64 {
        match 1.0 - self.exponent {
            0.0 => x.ln(),
            power => (x.powf(power) - 1.0) / power,
        }
    }

    fn inverse(&self, y: f64) -> f64 {
        match 1.0 - self.exponent {
            0.0 => y.exp(),
            power => (1.0 + y * power).powf(1.0 / power),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows come as often as the law says: each within six deviations.
    #[test]
    fn rows_follow_the_law() {
        const DRAWS: u32 = 200_000;
        for exponent in [0.0, 0.5, 1.0, 1.05, 1.15, 3.0] {
            for rows in [1u32, 7, 100] {
                let zipf = Zipf::new(rows, exponent);
                let mut random = Random::new(1);
                let mut counts = vec![0u32; rows as usize];
                for _ in 0..DRAWS {
                    counts[zipf.row(&mut random) as usize] += 1;
                }
                counts.sort_unstable_by(|a, b| b.cmp(a));
                let weight = |rank: usize| (rank as f64 + 1.0).powf(-exponent);
                let total: f64 = (0..rows as usize).map(weight).sum();
                for (rank, count) in counts.iter().enumerate() {
                    let expected = f64::from(DRAWS) * weight(rank) / total;
                    let far = (f64::from(*count) - expected).abs();
                    let allowed = 6.0 * expected.sqrt().max(1.0);
                    assert!(
                        far < allowed,
                        "{exponent} {rows} {rank}: {count} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn batches_touch_more_than_a_cache() {
        let point = Point {
            rows: 10,
            dim: 4,
            bags: 3,
            bag_length: 2,
            zipf: 0.0,
        };
        // A row of 8 bytes touches a sector.
        let batches = Batches::new(&point, 8, 500).unwrap();
        assert_eq!(batches.indices.len(), 3);
        assert_eq!(batches.offsets, [0, 2, 4, 6]);
        assert!(batches.indices.iter().flatten().all(|row| *row < 10));
        let many = Point {
            bags: u32::MAX,
            ..point
        };
        assert!(matches!(Batches::new(&many, 8, 100), Err(Refusal::Skip(_))));
    }
}
