//! Answers, held against the reference on a sample: what is fast and wrong is not measured.

use qembed::reference::{self, LookupArgs, Pooled};
use qembed::verify::compare::{self, Fill, Outcome};
use qembed::{LookupSpec, PackedTable, Pooling, Weighting};

use super::batch::Batches;
use super::refusal::Refusal;
use crate::failure::Failure;

/// Elements that the reference computes at the most, where a bag does not have more.
const MOST_ELEMENTS: usize = 1 << 18;

/// Some of the output rows of a lookup, and what they must be.
pub struct Sample {
    spec: LookupSpec,
    dim: usize,
    rows: Vec<usize>,
    expected: Pooled,
}

impl Sample {
    /// Of the first batch.
    pub fn new(spec: LookupSpec, table: &PackedTable, batches: &Batches) -> Result<Self, Refusal> {
        let dim = table.dim() as usize;
        let indices = &batches.indices[0];
        let length = match spec.pooling {
            Pooling::None => 1,
            _ => batches.offsets.get(1).map_or(1, |length| *length as usize),
        };
        let rows = evenly(indices.len() / length, MOST_ELEMENTS / (length * dim));
        let of_rows = |at: &usize| at * length..(at + 1) * length;
        let positions: Vec<_> = rows.iter().flat_map(of_rows).collect();
        let taken: Vec<_> = positions.iter().map(|at| indices[*at]).collect();
        let weights: Vec<_> = positions.iter().map(|at| batches.weights[*at]).collect();
        let offsets: Vec<_> = (0..=rows.len()).map(|bag| (bag * length) as u32).collect();
        let args = LookupArgs {
            pooling: spec.pooling,
            indices: &taken,
            offsets: (spec.pooling != Pooling::None).then_some(&offsets),
            weights: (spec.weighting == Weighting::Weighted).then_some(&weights),
        };
        Ok(Self {
            spec,
            dim,
            rows,
            expected: reference::lookup(table, args)?,
        })
    }

    /// Compares the whole output of the first batch.
    pub fn compare(&self, output: &[f32]) -> Outcome {
        let row = |row: &usize| output.get(row * self.dim..(row + 1) * self.dim);
        let got: Vec<f32> = self
            .rows
            .iter()
            .filter_map(row)
            .flatten()
            .copied()
            .collect();
        compare::lookup(&self.expected, self.spec.pooling, self.spec.output, &got)
    }
}

/// At most `most` of `count` places, at least one, evenly spaced, the first and the last among them.
pub fn evenly(count: usize, most: usize) -> Vec<usize> {
    let taken = count.min(most.max(1));
    let last = count.saturating_sub(1) as u128;
    let place = |at: usize| (at as u128 * last / taken.saturating_sub(1).max(1) as u128) as usize;
    (0..taken).map(place).collect()
}

/// Whether every word of an output was written: it was filled before.
pub fn written(words: &[u32]) -> Outcome {
    match words.iter().position(|word| *word == Fill::Poison.word()) {
        Some(at) => Outcome::fail(format!("word {at} of the output was not written")),
        None => Outcome::PASS,
    }
}

/// # Errors
/// Where a comparison failed.
pub fn right(label: &str, outcome: Outcome) -> Result<(), Refusal> {
    match outcome.failure {
        None => Ok(()),
        Some(failure) => Err(Refusal::Fail(Failure::Failed(format!(
            "{label}: a wrong answer, so nothing is measured: {failure}; `qembed verify` tells more"
        )))),
    }
}

#[cfg(test)]
mod tests {
    use qembed::{Bits, Format, Output, cpu};

    use super::super::point::Point;
    use super::super::tables;
    use super::*;

    #[test]
    fn places_are_spaced_evenly() {
        assert_eq!(evenly(10, 4), [0, 3, 6, 9]);
        assert_eq!(evenly(3, 9), [0, 1, 2]);
        assert_eq!(evenly(5, 1), [0]);
        assert_eq!(evenly(5, 0), [0]);
        assert_eq!(evenly(0, 4), [0; 0]);
    }

    /// A wrong element in any row of the sample, a word that nobody wrote, an output that is too short.
    #[test]
    fn wrong_answers_are_found() {
        let point = Point {
            rows: 20,
            dim: 6,
            bags: 5,
            bag_length: 3,
            zipf: 0.0,
        };
        let table = tables::packed(Format::affine(Bits::B4), 20, 6).unwrap();
        let batches = Batches::new(&point, 8, 1).unwrap();
        for spec in LookupSpec::all() {
            if spec.format != table.format() || spec.output == Output::F16 {
                continue;
            }
            let sample = Sample::new(spec, &table, &batches).unwrap();
            let request = super::super::cpu::request(&spec, &batches, 0);
            let good = cpu::lookup(&table, request).unwrap().values.into_f32();
            let label = spec.label();
            assert_eq!(sample.compare(&good).failure, None, "{label}");
            for row in [0, good.len() / 6 - 1] {
                let mut bad = good.clone();
                bad[row * 6 + 2] += 1.0;
                assert!(sample.compare(&bad).failure.is_some(), "{label}");
            }
            assert!(sample.compare(&good[1..]).failure.is_some(), "{label}");
        }
        assert!(written(&[0, Fill::Poison.word()]).failure.is_some());
        assert!(right("label", Outcome::fail("bad".into())).is_err());
    }
}
