//! The best codebook of a row: dynamic programming over its sorted values.

use half::f16;

use super::lanes::{sub, to_f16};
use super::scan::{input, scan};
use crate::Format;
use crate::format::put_code;
use crate::reference::RowProblem;

/// Quantizes one row into zeroed words.
///
/// # Errors
/// What is wrong with the row.
pub(super) fn quantize_row(
    values: &[f32],
    format: Format,
    words: &mut [u32],
) -> Result<(), RowProblem> {
    let range = scan(values)?;
    if to_f16(range.low).is_infinite() || to_f16(range.high).is_infinite() {
        return Err(range.problem());
    }
    let mut sorted: Vec<f32> = values.iter().map(|x| input(*x)).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let distinct = sorted.chunk_by(|a, b| a == b);
    let points: Vec<_> = distinct
        .map(|run| (f64::from(run[0]), run.len() as u32))
        .collect();
    let centroids = best_centroids(&points, format.column_mask() as usize + 1);
    store_codebook(&centroids, words);
    for (column, x) in values.iter().enumerate() {
        put_code(words, format, column, nearest(input(*x), &centroids));
    }
    Ok(())
}

/// Centroids as f16, two to a word.
pub(super) fn store_codebook(centroids: &[f32], words: &mut [u32]) {
    for (pair, word) in centroids.chunks_exact(2).zip(words) {
        let half = |x: f32| u32::from(f16::from_f32(x).to_bits());
        *word = half(pair[0]) | half(pair[1]) << 16;
    }
}

/// The first of the nearest of ascending centroids.
pub(super) fn nearest(x: f32, centroids: &[f32]) -> u32 {
    let distance = |code: usize| sub(x, centroids[code]).abs();
    let mut best = 0;
    for code in 1..centroids.len() {
        // Ascending, so that the distance falls, then grows; equal ones are the same centroid.
        if distance(code) < distance(best) {
            best = code;
        }
    }
    best as u32
}

/// `count` ascending centroids, rounded to f16, with the least squared distance to points `(value, weight)`
/// in ascending order; fewer points than that repeat the last.
///
/// The best last interval starts no earlier for a longer prefix, so that halving finds all of a layer in
/// `n log n`.
///
/// # Source
/// Wang and Song 2011, "Ckmeans.1d.dp"; the halving of Song and Zhong 2020.
pub(super) fn best_centroids(points: &[(f64, u32)], count: usize) -> Vec<f32> {
    let sums = Sums::new(points);
    let n = points.len();
    let mut cost: Vec<f64> = (0..=n).map(|end| sums.cost(0, end)).collect();
    let mut cuts = vec![vec![0; n + 1]];
    for _ in 1..count.min(n) {
        let mut layer = Layer {
            sums: &sums,
            before: &cost,
            cost: vec![f64::INFINITY; n + 1],
            starts: vec![0; n + 1],
        };
        layer.fill(1, n, 0, n - 1);
        let Layer {
            cost: next, starts, ..
        } = layer;
        cost = next;
        cuts.push(starts);
    }
    let mut centroids = vec![];
    let mut end = n;
    for starts in cuts.iter().rev() {
        let start = starts[end] as usize;
        if start < end {
            centroids.push(to_f16(sums.mean(start, end) as f32));
        }
        end = start;
    }
    centroids.reverse();
    let last = centroids.last().copied().unwrap_or(0.0);
    centroids.resize(count, last);
    centroids
}

/// One more interval than `before`.
struct Layer<'a> {
    sums: &'a Sums,
    before: &'a [f64],
    cost: Vec<f64>,
    starts: Vec<u32>,
}

impl Layer<'_> {
    /// Fills the prefixes `from..=to`, whose last intervals start within `first..=last`.
    fn fill(&mut self, from: usize, to: usize, first: usize, last: usize) {
        let end = from.midpoint(to);
        let mut best = (f64::INFINITY, first);
        for start in first..=last.min(end - 1) {
            let candidate = self.before[start] + self.sums.cost(start, end);
            if candidate < best.0 {
                best = (candidate, start);
            }
        }
        self.cost[end] = best.0;
        self.starts[end] = best.1 as u32;
        if from < end {
            self.fill(from, end - 1, first, best.1);
        }
        if end < to {
            self.fill(end + 1, to, best.1, last);
        }
    }
}

/// Running weights, sums and squares, relative to the middle point and outward from it: what is far away
/// and large is added last, so that it costs the near and small no digits.
struct Sums {
    middle: usize,
    origin: f64,
    outward: Vec<[f64; 3]>,
}

impl Sums {
    fn new(points: &[(f64, u32)]) -> Self {
        let middle = points.len() / 2;
        let origin = points.get(middle).map_or(0.0, |point| point.0);
        let mut outward = vec![[0.0; 3]; points.len() + 1];
        for i in middle..points.len() {
            outward[i + 1] = plus(outward[i], points[i], origin);
        }
        for i in (0..middle).rev() {
            outward[i] = plus(outward[i + 1], points[i], origin);
        }
        Self {
            middle,
            origin,
            outward,
        }
    }

    /// Squared distances of an interval's points from their mean; none of one point.
    fn cost(&self, start: usize, end: usize) -> f64 {
        if end - start < 2 {
            return 0.0;
        }
        let [weight, sum, squares] = self.between(start, end);
        (squares - sum * sum / weight).max(0.0)
    }

    fn mean(&self, start: usize, end: usize) -> f64 {
        let [weight, sum, _] = self.between(start, end);
        self.origin + sum / weight
    }

    /// Weight, sum and squares of an interval.
    fn between(&self, start: usize, end: usize) -> [f64; 3] {
        let (a, b) = (self.outward[start], self.outward[end]);
        if start >= self.middle {
            [b[0] - a[0], b[1] - a[1], b[2] - a[2]]
        } else if end <= self.middle {
            [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
        } else {
            [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
        }
    }
}

/// The sums with one more point.
fn plus(sum: [f64; 3], (value, weight): (f64, u32), origin: f64) -> [f64; 3] {
    let (x, weight) = (value - origin, f64::from(weight));
    [
        sum[0] + weight,
        sum[1] + weight * x,
        sum[2] + weight * x * x,
    ]
}
