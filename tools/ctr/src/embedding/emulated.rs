//! Rows of codes and steps, emulated in f32.

use super::{Adam, Again, DIM, Embedding, gradients_of_rows, pooled};
use crate::data::Batch;
use crate::failure::Result;
use crate::random::{Random, Stream};

/// How a row is written back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Learning {
    /// To the nearest code.
    Nearest,
    /// To one of two codes by chance.
    Stochastic,
    /// Stochastic, with steps that are learned: the rate.
    Steps(f32, f32),
}

/// Rows of codes and steps.
#[derive(Debug)]
pub struct Emulated {
    bits: u32,
    steps: Vec<f32>,
    values: Vec<f32>,
    moments: Vec<[f32; 2]>,
    step_moments: Vec<[f32; 2]>,
    adam: Adam,
    learning: Learning,
    random: Random,
    time: i32,
    scale: f32,
}

impl Emulated {
    pub fn new(values: &[f32], steps: Vec<f32>, bits: u32, adam: Adam, learning: Learning, seed: u64, scale: f32) -> Self {
        let mut random = Random::new(seed, Stream::Rounding, 0);
        let values = values.iter().enumerate().map(|(at, value)| {
            let step = steps[at / DIM];
            step * rounded(value / step, bits, Some(&mut random))
        });
        Self {
            values: values.collect(),
            moments: vec![[0.0; 2]; steps.len() * DIM],
            step_moments: vec![[0.0; 2]; steps.len()],
            bits,
            steps,
            adam,
            learning,
            random,
            time: 0,
            scale,
        }
    }

    fn store(&mut self, row: usize, new: [f32; DIM]) {
        let step = self.steps[row];
        for (at, value) in (row * DIM..).zip(new) {
            let random = (self.learning != Learning::Nearest).then_some(&mut self.random);
            self.values[at] = step * rounded(value / step, self.bits, random);
        }
    }
}

fn limits(bits: u32) -> (f32, f32) {
    let high = (1 << (bits - 1)) as f32;
    (-high, high - 1.0)
}

fn rounded(u: f32, bits: u32, random: Option<&mut Random>) -> f32 {
    let (low, high) = limits(bits);
    let u = u.clamp(low, high);
    match random {
        None => u.round_ties_even(),
        Some(random) => u.floor() + f32::from(random.uniform() < f64::from(u - u.floor())),
    }
}

fn slope(u: f32, bits: u32) -> f32 {
    let (low, high) = limits(bits);
    if u < low { low } else if u > high { high } else { u.round_ties_even() - u }
}

impl Embedding for Emulated {
    fn forward(&self, batch: &Batch) -> Result<Vec<f32>> {
        Ok(pooled(batch, |row| &self.values[row * DIM..][..DIM]))
    }

    fn learn(&mut self, batch: &Batch, gradient: &[f32], again: &mut Again<'_>) -> Result<()> {
        self.time += 1;
        let rows = gradients_of_rows(batch, gradient, self.steps.len());
        let mut staged = vec![];
        for (row, gradient) in rows {
            let mut new = [0.0; DIM];
            for (column, gradient) in gradient.into_iter().enumerate() {
                let at = row * DIM + column;
                new[column] = self.adam.updated(self.values[at], gradient, &mut self.moments[at], self.time);
            }
            staged.push((row, new));
        }
        if let Learning::Steps(rate, decay) = self.learning {
            let mut near = self.values.clone();
            for (row, new) in &staged {
                let step = self.steps[*row];
                for (at, value) in (row * DIM..).zip(new) {
                    near[at] = step * rounded(value / step, self.bits, None);
                }
            }
            let second = again(&pooled(batch, |row| &near[row * DIM..][..DIM]))?;
            let adam = Adam { learning_rate: rate, weight_decay: decay };
            let rows = gradients_of_rows(batch, &second, self.steps.len());
            for ((row, new), (_, gradient)) in staged.iter().zip(rows) {
                let step = self.steps[*row];
                let sum: f32 = new.iter().zip(gradient).map(|(value, g)| g * slope(value / step, self.bits)).sum();
                let moved = adam.updated(step, sum * self.scale, &mut self.step_moments[*row], self.time);
                if moved > 1e-6 {
                    self.steps[*row] = moved;
                }
            }
        }
        for (row, new) in staged {
            self.store(row, new);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let words = 1 + (DIM * self.bits as usize).div_ceil(32);
        (4 * words * self.steps.len()) as u64
    }

    fn steps(&self) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.steps.clone()))
    }
}
