//! The embedding table: what the network sees of it, and how it learns.

mod emulated;
mod full;

pub use emulated::{Emulated, Learning};
pub use full::Full;

use crate::data::Batch;
use crate::failure::Result;

/// Columns of the table.
pub const DIM: usize = 16;

/// The gradient of the loss with respect to pooled vectors, where the network is now.
pub type Again<'a> = dyn FnMut(&[f32]) -> Result<Vec<f32>> + 'a;

/// A table that can be trained.
pub trait Embedding {
    /// The mean of every bag's rows, `[bags, DIM]`.
    fn forward(&self, batch: &Batch) -> Result<Vec<f32>>;

    /// Learns from the gradient of the loss with respect to what `forward` gave. The network has learned
    /// already; a table that goes through it a second time asks `again`.
    fn learn(&mut self, batch: &Batch, gradient: &[f32], again: &mut Again<'_>) -> Result<()>;

    /// Bytes of its rows, without the optimizer's state.
    fn bytes(&self) -> u64;

    /// The step of every row, where it has steps.
    fn steps(&self) -> Result<Option<Vec<f32>>>;
}

/// How rows are learned.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// How far a column moves at most, or so.
    pub learning_rate: f32,
    /// Times the value, added to its gradient.
    pub weight_decay: f32,
}

impl Adam {
    const BETA1: f32 = 0.9;
    const BETA2: f32 = 0.999;
    const EPSILON: f32 = 1e-8;

    /// The value after a step, the `time`-th of the table, which counts from 1.
    fn updated(self, value: f32, gradient: f32, moments: &mut [f32; 2], time: i32) -> f32 {
        let gradient = gradient + self.weight_decay * value;
        moments[0] = Self::BETA1 * moments[0] + (1.0 - Self::BETA1) * gradient;
        moments[1] = Self::BETA2 * moments[1] + (1.0 - Self::BETA2) * gradient * gradient;
        let first = self.learning_rate / (1.0 - Self::BETA1.powi(time));
        let second = (1.0 - Self::BETA2.powi(time)).sqrt();
        value - first * moments[0] / (moments[1].sqrt() / second + Self::EPSILON)
    }
}

/// Means of bags of rows.
fn pooled<'a>(batch: &Batch, row: impl Fn(usize) -> &'a [f32]) -> Vec<f32> {
    let mut output = vec![0.0; batch.bags() * DIM];
    for (rows, output) in batch.rows_of_bags().zip(output.chunks_mut(DIM)) {
        for &index in rows {
            let values = row(index as usize);
            for (sum, value) in output.iter_mut().zip(values) {
                *sum += value / rows.len() as f32;
            }
        }
    }
    output
}

/// The rows of a batch, each once, with the sum of its gradients.
fn gradients_of_rows(batch: &Batch, gradient: &[f32], rows: usize) -> Vec<(usize, [f32; DIM])> {
    let mut places = vec![usize::MAX; rows];
    let mut found: Vec<(usize, [f32; DIM])> = vec![];
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
