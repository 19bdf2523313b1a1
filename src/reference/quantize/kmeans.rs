//! Codebooks: the best centroids of a row's values, and what a GPU makes of them.

use super::Range;
use crate::format::Bits;
use crate::reference::exact;

/// The first of the nearest centroids.
pub fn nearest(x: f32, centroids: &[f32]) -> u32 {
    let mut best = 0;
    for (code, &centroid) in centroids.iter().enumerate() {
        if exact::sub(x, centroid).abs() < exact::sub(x, centroids[best]).abs() {
            best = code;
        }
    }
    best as u32
}

/// `2^bits` centroids with the least squared error, ascending, rounded to f16; fewer values than that
/// repeat the last.
///
/// Dynamic programming over the sorted values, in f64: the best cut of the first `n` values into `k`
/// intervals, of equals the one whose last interval starts first. Quadratic in the number of values.
///
/// # Source
/// Wang and Song 2011, "Ckmeans.1d.dp".
pub fn exact_centroids(values: &[f32], bits: Bits) -> Vec<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let count = bits.max_code() as usize + 1;
    let sums = Sums::new(&sorted);
    let n = sorted.len();
    // cost[j]: of the first j values in as many intervals as rounds so far; cuts[k][j]: where the last starts.
    let mut cost: Vec<f64> = (0..=n).map(|end| sums.cost(0, end)).collect();
    let mut cuts = vec![vec![0; n + 1]];
    for _ in 1..count.min(n) {
        let mut next = vec![f64::INFINITY; n + 1];
        let mut starts = vec![0; n + 1];
        for end in 1..=n {
            for (start, before) in cost[..end].iter().enumerate() {
                let candidate = before + sums.cost(start, end);
                if candidate < next[end] {
                    (next[end], starts[end]) = (candidate, start);
                }
            }
        }
        cost = next;
        cuts.push(starts);
    }
    let mut centroids = vec![];
    let mut end = n;
    for starts in cuts.iter().rev() {
        let start = starts[end];
        if start < end {
            centroids.push(exact::to_f16(sums.mean(start, end) as f32));
        }
        end = start;
    }
    centroids.reverse();
    let last = centroids.last().copied().unwrap_or(0.0);
    centroids.resize(count, last);
    centroids
}

/// Running sums of sorted values and their squares, relative to the middle one.
struct Sums {
    middle: f64,
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn new(sorted: &[f32]) -> Self {
        let middle = sorted.get(sorted.len() / 2).map_or(0.0, |&x| f64::from(x));
        let running = |term: fn(f64) -> f64| {
            let terms = sorted.iter().scan(0.0, move |sum, &x| {
                *sum += term(f64::from(x) - middle);
                Some(*sum)
            });
            std::iter::once(0.0).chain(terms).collect()
        };
        Self {
            middle,
            values: running(|x| x),
            squares: running(|x| x * x),
        }
    }

    /// Squared distances of an interval's values from their mean.
    fn cost(&self, start: usize, end: usize) -> f64 {
        if start == end {
            return 0.0;
        }
        let sum = self.values[end] - self.values[start];
        let squares = self.squares[end] - self.squares[start];
        (squares - sum * sum / (end - start) as f64).max(0.0)
    }

    fn mean(&self, start: usize, end: usize) -> f64 {
        self.middle + (self.values[end] - self.values[start]) / (end - start) as f64
    }
}

/// Lloyd's algorithm from equally spaced centroids between minimum and maximum; rounded to f16 at the end.
///
/// A centroid becomes the mean of the values nearest to it, summed in order of columns; one without values
/// stays. Ends where nothing changes.
pub fn lloyd_centroids(values: &[f32], range: Range, bits: Bits, iterations: u32) -> Vec<f32> {
    let count = bits.max_code() + 1;
    let step = exact::div(range.span(), exact::integer(count - 1));
    let mut centroids: Vec<f32> = (0..count)
        .map(|k| exact::add(range.low, exact::mul(step, exact::integer(k))))
        .collect();
    for _ in 0..iterations {
        let next = means(values, &centroids);
        if next == centroids {
            break;
        }
        centroids = next;
    }
    centroids.into_iter().map(exact::to_f16).collect()
}

/// The mean of the values nearest to each centroid.
fn means(values: &[f32], centroids: &[f32]) -> Vec<f32> {
    let codes: Vec<_> = values.iter().map(|&x| nearest(x, centroids)).collect();
    let mean = |(code, &centroid): (usize, &f32)| {
        let members = || {
            values
                .iter()
                .zip(&codes)
                .filter(move |(_, c)| **c as usize == code)
        };
        let count = members().count() as u32;
        match count {
            0 => centroid,
            _ => exact::div(
                members().map(|(x, _)| *x).fold(0.0, exact::add),
                exact::integer(count),
            ),
        }
    };
    centroids.iter().enumerate().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_centroids_as_values_lose_nothing() {
        let values = [3.0, -1.0, 0.5, 3.0];
        assert_eq!(exact_centroids(&values, Bits::B2), [-1.0, 0.5, 3.0, 3.0]);
        assert_eq!(exact_centroids(&[2.0], Bits::B2), [2.0; 4]);
    }

    /// Every cut of ten values into four intervals, one by one.
    #[test]
    fn no_cut_is_better() {
        let values = [0.0, 0.1, 0.15, 1.0, 1.1, 2.0, 2.5, 2.6, 4.0, 4.25f32];
        let error = |centroids: &[f32]| -> f64 {
            let distance = |x: f32| f64::from(x - centroids[nearest(x, centroids) as usize]);
            values.iter().map(|&x| distance(x) * distance(x)).sum()
        };
        let found = error(&exact_centroids(&values, Bits::B2));
        let sums = Sums::new(&values);
        for a in 1..8 {
            for b in a + 1..9 {
                for c in b + 1..10 {
                    let cost: f64 = [(0, a), (a, b), (b, c), (c, 10)]
                        .iter()
                        .map(|&(start, end)| sums.cost(start, end))
                        .sum();
                    // f16 moves a centroid below 8 by at most 2^-9.
                    assert!(found <= cost + 10.0 * 0.5f64.powi(18), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn ties_go_to_the_first_centroid() {
        assert_eq!(nearest(0.5, &[0.0, 1.0]), 0);
        assert_eq!(nearest(2.0, &[0.0, 2.0, 2.0]), 1);
    }
}
