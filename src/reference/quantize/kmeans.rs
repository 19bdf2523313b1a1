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

/// `2^bits` centroids with the least squared error, ascending, rounded to f16; fewer distinct values than
/// that repeat the last.
///
/// Dynamic programming over the distinct values, in f64: the best cut of the first `n` of them into one
/// interval more than before. The best last interval of a longer prefix starts no earlier, so that
/// every prefix is searched between the starts of its neighbours, the middle one first; of equals the first.
/// The search is part of the specification: where rounding decides, it decides alike everywhere.
///
/// # Source
/// Wang and Song 2011, "Ckmeans.1d.dp"; the halving of Song and Zhong 2020.
pub fn exact_centroids(values: &[f32], bits: Bits) -> Vec<f32> {
    let count = bits.max_code() as usize + 1;
    let points = points(values);
    let sums = Sums::new(&points);
    let mut centroids: Vec<f32> = intervals(&sums, points.len(), count)
        .into_iter()
        .map(|(start, end)| exact::to_f16(sums.mean(start, end) as f32))
        .collect();
    let last = centroids.last().copied().unwrap_or(0.0);
    centroids.resize(count, last);
    centroids
}

/// Distinct values in ascending order, and how often each occurs.
fn points(values: &[f32]) -> Vec<(f64, u32)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let mut points: Vec<(f64, u32)> = vec![];
    for x in sorted {
        match points.last_mut() {
            Some((value, weight)) if *value == f64::from(x) => *weight += 1,
            _ => points.push((f64::from(x), 1)),
        }
    }
    points
}

/// The best cut of `n` points into at most `count` intervals.
fn intervals(sums: &Sums, n: usize, count: usize) -> Vec<(usize, usize)> {
    let mut cost: Vec<f64> = (0..=n).map(|end| sums.cost(0, end)).collect();
    let mut starts = vec![vec![0; n + 1]];
    for _ in 1..count.min(n) {
        let mut next = vec![f64::INFINITY; n + 1];
        let mut next_starts = vec![0; n + 1];
        halve(sums, &cost, (1, n), (0, n - 1), &mut |end, best, start| {
            next[end] = best;
            next_starts[end] = start;
        });
        cost = next;
        starts.push(next_starts);
    }
    let mut intervals = vec![];
    let mut end = n;
    for starts in starts.iter().rev() {
        if starts[end] < end {
            intervals.push((starts[end], end));
        }
        end = starts[end];
    }
    intervals.reverse();
    intervals
}

/// Finds the best last interval of the middle prefix, then of those before and behind it.
fn halve(
    sums: &Sums,
    before: &[f64],
    (from, to): (usize, usize),
    (first, last): (usize, usize),
    found: &mut impl FnMut(usize, f64, usize),
) {
    if from > to {
        return;
    }
    let end = (from + to) / 2;
    let mut best = (f64::INFINITY, first);
    for (start, before) in before
        .iter()
        .enumerate()
        .take(last.min(end - 1) + 1)
        .skip(first)
    {
        let candidate = before + sums.cost(start, end);
        if candidate < best.0 {
            best = (candidate, start);
        }
    }
    found(end, best.0, best.1);
    halve(sums, before, (from, end - 1), (first, best.1), found);
    halve(sums, before, (end + 1, to), (best.1, last), found);
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

    /// Squared distances from the mean, as they are defined.
    fn cost(points: &[(f64, u32)]) -> f64 {
        let weight: f64 = points.iter().map(|p| f64::from(p.1)).sum();
        let mean = points.iter().map(|p| p.0 * f64::from(p.1)).sum::<f64>() / weight;
        let distance = |p: &(f64, u32)| f64::from(p.1) * (p.0 - mean) * (p.0 - mean);
        points.iter().map(distance).sum()
    }

    /// By how much the sums may miss the cost of an interval: f64 rounds a running sum of n squares to 2^-53
    /// of it at each of n steps, and what it runs over lies no further from the middle than the interval.
    fn rounding(points: &[(f64, u32)], origin: f64, n: f64) -> f64 {
        match points {
            [] | [_] => 0.0,
            [first, .., last] => {
                let reach = (first.0 - origin).abs().max((last.0 - origin).abs());
                n * n * reach * reach * 0.5f64.powi(51)
            }
        }
    }

    /// The least cost of any cut, by trying all, which is quadratic in the points; and its rounding.
    fn least(
        points: &[(f64, u32)],
        count: usize,
        rounding: impl Fn(&[(f64, u32)]) -> f64,
    ) -> [f64; 2] {
        let n = points.len();
        let of = |points: &[(f64, u32)]| [cost(points), rounding(points)];
        let mut costs: Vec<[f64; 2]> = (1..=n).map(|end| of(&points[..end])).collect();
        costs.insert(0, [0.0; 2]);
        for _ in 1..count.min(n) {
            let best = |end: usize| {
                let candidates = (0..end).map(|start| {
                    let last = of(&points[start..end]);
                    [costs[start][0] + last[0], costs[start][1] + last[1]]
                });
                candidates.min_by(|a, b| a[0].total_cmp(&b[0])).unwrap()
            };
            costs = std::iter::once([0.0; 2]).chain((1..=n).map(best)).collect();
        }
        costs[n]
    }

    #[test]
    fn no_cut_is_better() {
        let mut random = crate::verify::shapes::Random::new(12);
        for round in 0..60 {
            let n = 1 + random.below(40);
            let mut values: Vec<f32> = (0..n)
                .map(|_| match round % 4 {
                    0 => random.signed(),
                    // Many of each, of no short binary fraction.
                    1 => (random.signed() * 4.0).round() * 0.211_764_68,
                    2 => random.signed() * 1e-3,
                    _ => 500.0 + random.signed(),
                })
                .collect();
            // A value far away, whose square would hide the others'.
            if round % 4 == 2 {
                values[0] = -60000.0;
            }
            for bits in [Bits::B2, Bits::B3, Bits::B4] {
                let points = points(&values);
                let count = bits.max_code() as usize + 1;
                let cut = intervals(&Sums::new(&points), points.len(), count);
                let found: f64 = cut.iter().map(|&(a, b)| cost(&points[a..b])).sum();
                let origin = points[points.len() / 2].0;
                let rounding = |points: &[_]| rounding(points, origin, f64::from(n));
                let [least, slack] = least(&points, count, rounding);
                let own: f64 = cut.iter().map(|&(a, b)| rounding(&points[a..b])).sum();
                let slack = slack + own;
                assert!(
                    found <= least + slack,
                    "round {round} at {bits:?}: {found:e}, {least:e}"
                );
            }
        }
    }

    #[test]
    fn ties_go_to_the_first_centroid() {
        assert_eq!(nearest(0.5, &[0.0, 1.0]), 0);
        assert_eq!(nearest(2.0, &[0.0, 2.0, 2.0]), 1);
    }
}
