//! The table in qembed: packed rows, no copy in f32.

use qembed::training::{self, LearnedSteps, Optimizer, Rounding, TrainingSpec};
use qembed::{Bits, Format, PackedTable, Params, Pooling, cpu};

use super::{Again, DIM, Embedding};
use crate::data::Batch;
use crate::device::Device;
use crate::failure::Result;

/// How packed rows learn.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// With the steps that they begin with.
    Fixed(Rounding),
    /// With steps of their own optimizer.
    Learned {
        /// How a step learns.
        steps: LearnedSteps,
        /// How far a step moves at most, or so.
        learning_rate: f32,
    },
}

/// Packed rows on a device.
#[derive(Debug)]
pub struct Quantized<'a> {
    run: Run<'a>,
    learning_rate: f32,
    step_learning_rate: Option<f32>,
}

/// What both devices have.
#[derive(Debug)]
enum Run<'a> {
    Cpu(Box<cpu::Training>),
    Gpu(Box<qembed::Training<'a>>),
}

/// One call for both.
macro_rules! on_device {
    ($run:expr, $training:ident => $call:expr) => {
        match $run {
            Run::Cpu($training) => $call,
            Run::Gpu($training) => $call,
        }
    };
}

impl<'a> Quantized<'a> {
    /// A table of values, each rounded to the nearest code of its row's step, which is one for all rows.
    pub fn new(
        device: &'a Device,
        (values, step): (&[f32], f32),
        bits: Bits,
        learning_rate: f32,
        way: Way,
        seed: u64,
    ) -> Result<Self> {
        let format = Format::Symmetric {
            bits,
            params: Params::F32,
        };
        let table = PackedTable::with_steps(values, DIM, format, &[step])?;
        let spec = spec(way, seed);
        Ok(Self {
            run: match device {
                Device::Cpu => Run::Cpu(Box::new(cpu::Training::new(table, spec)?)),
                Device::Gpu(session) => Run::Gpu(Box::new(session.train(&table, spec)?)),
            },
            learning_rate,
            step_learning_rate: match way {
                Way::Fixed(_) => None,
                Way::Learned { learning_rate, .. } => Some(learning_rate),
            },
        })
    }

    fn table(&self) -> Result<PackedTable> {
        Ok(match &self.run {
            Run::Cpu(run) => run.table().clone(),
            Run::Gpu(run) => run.table()?,
        })
    }
}

fn spec(way: Way, seed: u64) -> TrainingSpec {
    match way {
        Way::Fixed(rounding) => TrainingSpec {
            rounding,
            ..TrainingSpec::lpt(Optimizer::ADAM, seed)
        },
        Way::Learned { steps, .. } => TrainingSpec::alpt(Optimizer::ADAM, steps, seed),
    }
}

fn means(batch: &Batch) -> training::Batch<'_> {
    training::Batch {
        pooling: Pooling::Mean,
        indices: &batch.indices,
        offsets: Some(&batch.offsets),
        weights: None,
    }
}

impl Embedding for Quantized<'_> {
    fn forward(&self, batch: &Batch) -> Result<Vec<f32>> {
        Ok(on_device!(&self.run, run => run.forward(&means(batch)))?)
    }

    fn learn(&mut self, batch: &Batch, gradient: &[f32], again: &mut Again<'_>) -> Result<()> {
        let (means, rate) = (means(batch), self.learning_rate);
        let Some(step_rate) = self.step_learning_rate else {
            on_device!(&mut self.run, run => run.backward_update(&means, gradient, rate))?;
            return Ok(());
        };
        on_device!(&mut self.run, run => run.backward_stage(&means, gradient, rate))?;
        let pooled = on_device!(&self.run, run => run.forward_staged(&means))?;
        let second = again(&pooled)?;
        on_device!(&mut self.run, run => run.backward_steps(&means, &second, step_rate))?;
        Ok(())
    }

    fn bytes(&self) -> Result<u64> {
        Ok(self.table()?.total_bytes())
    }

    fn steps(&self) -> Result<Option<Vec<f32>>> {
        let table = self.table()?;
        let rows = 0..table.rows() as usize;
        Ok(rows.map(|row| table.row(row).step()).collect())
    }
}
