//! The table in f32: what the others are compared with.

use qembed::training::{Optimizer, OptimizerConstants};

use super::{Again, DIM, Embedding};
use crate::data::Batch;
use crate::failure::Result;

/// Rows in f32, and the lazy Adam that packed rows have.
#[derive(Debug)]
pub struct Full {
    values: Vec<f32>,
    moments: Vec<[f32; 2]>,
    learning_rate: f32,
    steps_done: u32,
}

impl Full {
    /// A table of values.
    pub fn new(values: Vec<f32>, learning_rate: f32) -> Self {
        Self {
            moments: vec![[0.0; 2]; values.len()],
            values,
            learning_rate,
            steps_done: 0,
        }
    }
}

impl Embedding for Full {
    fn forward(&self, batch: &Batch) -> Result<Vec<f32>> {
        let mut output = vec![0.0; batch.bags() * DIM];
        for (rows, output) in batch.rows_of_bags().zip(output.chunks_mut(DIM)) {
            for &row in rows {
                let values = &self.values[row as usize * DIM..][..DIM];
                for (sum, value) in output.iter_mut().zip(values) {
                    *sum += value / rows.len() as f32;
                }
            }
        }
        Ok(output)
    }

    fn learn(&mut self, batch: &Batch, gradient: &[f32], _: &mut Again<'_>) -> Result<()> {
        self.steps_done += 1;
        let constants = Optimizer::ADAM.constants(self.learning_rate, 0.0, self.steps_done)?;
        for (row, gradient) in sums_of_rows(batch, gradient, self.values.len() / DIM) {
            for (at, gradient) in (row * DIM..).zip(gradient) {
                self.values[at] -= advance(&constants, gradient, &mut self.moments[at]);
            }
        }
        Ok(())
    }

    fn bytes(&self) -> Result<u64> {
        Ok(size_of_val(self.values.as_slice()) as u64)
    }

    fn steps(&self) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }
}

/// How far Adam moves a value.
fn advance(adam: &OptimizerConstants, gradient: f32, moments: &mut [f32; 2]) -> f32 {
    let [first, second] = moments;
    *first = adam.decay1 * *first + adam.fresh1 * gradient;
    *second = adam.decay2 * *second + adam.fresh2 * (gradient * gradient);
    adam.learning_rate * (*first / (second.sqrt() / adam.correction + adam.epsilon))
}

/// The rows of a batch, each once, with the sum of its gradients.
fn sums_of_rows(batch: &Batch, gradient: &[f32], rows: usize) -> Vec<(usize, [f32; DIM])> {
    let mut places = vec![usize::MAX; rows];
    let mut found = vec![];
    for (bag, gradient) in batch.rows_of_bags().zip(gradient.chunks(DIM)) {
        for &row in bag {
            let place = &mut places[row as usize];
            if *place == usize::MAX {
                *place = found.len();
                found.push((row as usize, [0.0; DIM]));
            }
            for (sum, gradient) in found[*place].1.iter_mut().zip(gradient) {
                *sum += gradient / bag.len() as f32;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Samples;
    use crate::device::Device;
    use crate::embedding::{Quantized, Way};
    use qembed::Bits;
    use qembed::training::Rounding;

    /// Three samples of two fields: bags of one row, of two, and of none; row 1 comes twice.
    fn batch() -> Batch {
        let mut samples = Samples::new(2, 6);
        samples.push(true, [&[0][..], &[1, 2]]);
        samples.push(false, [&[1][..], &[3]]);
        samples.push(false, [&[4][..], &[]]);
        samples.batch(&[0, 1, 2])
    }

    #[test]
    fn bags_are_means() {
        let values = (0..6 * DIM).map(|at| (at / DIM) as f32).collect();
        let output = Full::new(values, 0.1).forward(&batch()).unwrap();
        let firsts: Vec<_> = output.iter().step_by(DIM).copied().collect();
        assert_eq!(firsts, [0.0, 1.5, 1.0, 3.0, 4.0, 0.0]);
    }

    /// Codes of 8 bits with a fine step are as good as f32: the two tables are trained by the same rules.
    #[test]
    fn it_learns_as_packed_rows_do() {
        const STEP: f32 = 1e-3;
        let values: Vec<f32> = (0..6 * DIM)
            .map(|at| (at % 7) as f32 * 16.0 * STEP)
            .collect();
        let way = Way::Fixed(Rounding::Nearest);
        let mut packed =
            Quantized::new(&Device::Cpu, (&values, STEP), Bits::B8, 5e-3, way, 1).unwrap();
        let mut full = Full::new(values, 5e-3);
        let gradient: Vec<f32> = (0..6 * DIM).map(|at| (at % 5) as f32 - 2.0).collect();
        for _ in 0..3 {
            let tables: [&mut dyn Embedding; 2] = [&mut full, &mut packed];
            for table in tables {
                table
                    .learn(&batch(), &gradient, &mut |_| Ok(vec![]))
                    .unwrap();
            }
        }
        let (one, two) = (
            full.forward(&batch()).unwrap(),
            packed.forward(&batch()).unwrap(),
        );
        let apart = one.iter().zip(&two).map(|(a, b)| (a - b).abs());
        let apart = apart.fold(0.0, f32::max);
        assert!(apart <= 1.6 * STEP, "{apart}");
        assert_eq!(packed.bytes().unwrap(), 6 * 20);
        assert_eq!(packed.steps().unwrap(), Some(vec![STEP; 6]));
    }
}
