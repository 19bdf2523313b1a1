//! Generated samples: popular and rare ids, and clicks that follow a known model.

use super::Samples;
use crate::random::{Random, Stream};

/// The generator's own seed: the data are one for all methods and all seeds.
const SEED: u64 = 1;
/// Dimension of the vectors whose products decide about clicks.
const DIM: usize = 4;
/// Deviation of what pairs of ids add to a logit, all pairs of a sample together.
const PAIRS: f64 = 1.5;
/// Deviation of what ids add to a logit by themselves, all of a sample together.
const ALONE: f64 = 1.0;

/// How much to generate.
#[derive(Clone, Copy, Debug)]
pub struct Synthetic {
    /// Samples.
    pub samples: usize,
    /// Fields of a sample.
    pub fields: usize,
    /// Rows of the table, at least one for every field.
    pub rows: usize,
}

/// Generates samples: every field has as many ids, drawn by Zipf's law, and a click is drawn from a
/// factorization machine's probability.
pub fn synthetic(size: Synthetic) -> Samples {
    let per_field = size.rows / size.fields;
    let zipf = Zipf::new(per_field);
    let truth = Truth::new(size.fields, per_field);
    let mut random = Random::new(SEED, Stream::Samples, 0);
    let mut samples = Samples::new(size.fields, size.fields * per_field);
    for _ in 0..size.samples {
        let rows: Vec<u32> = (0..size.fields)
            .map(|field| (field * per_field + zipf.draw(&mut random)) as u32)
            .collect();
        let clicked = random.uniform() < sigmoid(truth.logit(&rows));
        samples.push(clicked, rows.chunks(1));
    }
    samples
}

/// Number `i` comes `1 / (i + 1)` times as often as number 0.
struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    fn new(ids: usize) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ids).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self {
            cumulative: weights.collect(),
        }
    }

    fn draw(&self, random: &mut Random) -> usize {
        let last = self.cumulative.len() - 1;
        let at = random.uniform() * self.cumulative[last];
        self.cumulative.partition_point(|sum| *sum <= at).min(last)
    }
}

/// The model that clicks follow.
struct Truth {
    alone: Vec<f32>,
    vectors: Vec<f32>,
}

impl Truth {
    fn new(fields: usize, per_field: usize) -> Self {
        let mut random = Random::new(SEED, Stream::Truth, 0);
        let rows = fields * per_field;
        let pairs = (fields * (fields - 1) / 2).max(1) as f64;
        // A product of two vectors has the deviation sqrt(DIM) * deviation^2.
        let deviation = (PAIRS / (pairs * DIM as f64).sqrt()).sqrt();
        Self {
            alone: random.normals(rows, ALONE / (fields as f64).sqrt()),
            vectors: random.normals(rows * DIM, deviation),
        }
    }

    fn logit(&self, rows: &[u32]) -> f64 {
        let alone: f32 = rows.iter().map(|row| self.alone[*row as usize]).sum();
        let column = |row: &u32, column| self.vectors[*row as usize * DIM + column];
        let pairs = (0..DIM).map(|at| {
            let sum: f32 = rows.iter().map(|row| column(row, at)).sum();
            let squares: f32 = rows.iter().map(|row| column(row, at).powi(2)).sum();
            (sum * sum - squares) / 2.0
        });
        f64::from(alone + pairs.sum::<f32>())
    }
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Synthetic = Synthetic {
        samples: 2000,
        fields: 3,
        rows: 100,
    };

    #[test]
    fn every_field_has_its_own_rows_and_low_ids_are_popular() {
        let samples = synthetic(SIZE);
        assert_eq!((samples.rows, samples.len()), (99, 2000));
        let rows = samples.indices.chunks(3);
        for row in rows.clone() {
            assert!((0..3).all(|field| row[field] as usize / 33 == field));
        }
        let first = rows.filter(|row| row[0] == 0).count();
        assert!((400..600).contains(&first), "{first}");
    }

    #[test]
    fn it_is_the_same_each_time() {
        let (one, two) = (synthetic(SIZE), synthetic(SIZE));
        assert_eq!(one.indices, two.indices);
        assert_eq!(one.labels, two.labels);
        assert!((0.3..0.7).contains(&one.clicks()));
    }
}
