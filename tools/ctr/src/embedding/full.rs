//! The table in f32: what the others are compared with.

use super::{Adam, Again, DIM, Embedding, gradients_of_rows, pooled};
use crate::data::Batch;
use crate::failure::Result;

/// Rows in f32.
#[derive(Debug)]
pub struct Full {
    values: Vec<f32>,
    moments: Vec<[f32; 2]>,
    adam: Adam,
    time: i32,
}

impl Full {
    /// A table of values.
    pub fn new(values: Vec<f32>, adam: Adam) -> Self {
        Self {
            moments: vec![[0.0; 2]; values.len()],
            values,
            adam,
            time: 0,
        }
    }
}

impl Embedding for Full {
    fn forward(&self, batch: &Batch) -> Result<Vec<f32>> {
        Ok(pooled(batch, |row| &self.values[row * DIM..][..DIM]))
    }

    fn learn(&mut self, batch: &Batch, gradient: &[f32], _: &mut Again<'_>) -> Result<()> {
        self.time += 1;
        for (row, gradient) in gradients_of_rows(batch, gradient, self.values.len() / DIM) {
            for (at, gradient) in (row * DIM..).zip(gradient) {
                let moments = &mut self.moments[at];
                let value = self.values[at];
                self.values[at] = self.adam.updated(value, gradient, moments, self.time);
            }
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        size_of_val(self.values.as_slice()) as u64
    }

    fn steps(&self) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }
}
