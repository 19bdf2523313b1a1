//! Samples: a label, and for every field a bag of table rows.

mod fetch;
mod movielens;
mod split;
mod synthetic;

pub use movielens::movielens;
pub use split::Split;
pub use synthetic::{Synthetic, synthetic};

/// All samples of a data set. All fields share one table; each has a range of rows of its own.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Fields of a sample.
    pub fields: usize,
    /// Rows of the table.
    pub rows: usize,
    labels: Vec<f32>,
    indices: Vec<u32>,
    /// Where the bags begin, `[samples * fields + 1]`.
    offsets: Vec<u32>,
}

/// Some samples, as a lookup takes them: bag `sample * fields + field`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// 1 for a click, `[samples]`.
    pub labels: Vec<f32>,
    /// Fields of a sample.
    pub fields: usize,
    /// Rows of the table.
    pub indices: Vec<u32>,
    /// Where the bags begin, `[samples * fields + 1]`.
    pub offsets: Vec<u32>,
}

impl Samples {
    /// None yet.
    pub fn new(fields: usize, rows: usize) -> Self {
        Self {
            fields,
            rows,
            labels: vec![],
            indices: vec![],
            offsets: vec![0],
        }
    }

    /// Appends a sample of as many bags as there are fields.
    pub fn push<'a>(&mut self, clicked: bool, bags: impl IntoIterator<Item = &'a [u32]>) {
        self.labels.push(f32::from(clicked));
        for bag in bags {
            self.indices.extend_from_slice(bag);
            self.offsets.push(self.indices.len() as u32);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Part of all samples that are clicks.
    pub fn clicks(&self) -> f64 {
        let clicks: f64 = self.labels.iter().copied().map(f64::from).sum();
        clicks / self.len().max(1) as f64
    }

    /// Samples by number.
    pub fn batch(&self, numbers: &[u32]) -> Batch {
        let mut batch = Batch {
            labels: numbers.iter().map(|at| self.labels[*at as usize]).collect(),
            fields: self.fields,
            indices: vec![],
            offsets: vec![0],
        };
        for &number in numbers {
            let first = number as usize * self.fields;
            for bag in self.offsets[first..=first + self.fields].windows(2) {
                let range = bag[0] as usize..bag[1] as usize;
                batch.indices.extend_from_slice(&self.indices[range]);
                batch.offsets.push(batch.indices.len() as u32);
            }
        }
        batch
    }
}

impl Batch {
    /// Bags of all samples.
    pub fn bags(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Bag after bag, its rows.
    pub fn rows_of_bags(&self) -> impl Iterator<Item = &[u32]> {
        let ends = self.offsets.windows(2);
        ends.map(|bag| &self.indices[bag[0] as usize..bag[1] as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_the_bags_of_its_samples() {
        let mut samples = Samples::new(2, 10);
        samples.push(true, [&[1][..], &[5, 6]]);
        samples.push(false, [&[2][..], &[]]);
        let batch = samples.batch(&[1, 0]);
        assert_eq!(batch.labels, [0.0, 1.0]);
        assert_eq!(batch.indices, [2, 1, 5, 6]);
        assert_eq!(batch.offsets, [0, 1, 1, 2, 4]);
        assert_eq!(samples.clicks(), 0.5);
    }
}
