//! Every configuration, from every seed.

use qembed::training::{GradientScale, LearnedSteps, Rounding};

use crate::args::{Arguments, Tuning};
use crate::configuration::{Configuration, Method};
use crate::data::{Samples, Split};
use crate::device::Device;
use crate::embedding::{DIM, Embedding, Full, Quantized, Way};
use crate::failure::Result;
use crate::measure::mean;
use crate::model::{Model, Network};
use crate::outcome::Run;
use crate::random::{Random, Stream};
use crate::training::{Trained, Training};

/// Deviation of the table's values before training.
const DEVIATION: f64 = 0.01;

/// What all configurations share.
#[derive(Debug)]
pub struct Experiment<'a> {
    samples: &'a Samples,
    split: Split,
    device: &'a Device,
    tuning: Tuning,
}

impl<'a> Experiment<'a> {
    /// As the arguments say.
    pub fn new(args: &Arguments, samples: &'a Samples, device: &'a Device) -> Self {
        Self {
            split: Split::new(samples.len()),
            samples,
            device,
            tuning: args.tuning,
        }
    }

    /// Trains a configuration from a seed.
    pub fn run(&self, configuration: Configuration, seed: u64) -> Result<Run> {
        let values =
            Random::new(seed, Stream::Table, 0).normals(self.samples.rows * DIM, DEVIATION);
        let mut table = self.table(configuration, values, seed)?;
        let trained = self.train(configuration.model, seed, &mut *table)?;
        let steps = table.steps()?.unwrap_or_default();
        Ok(Run {
            trained,
            table_bytes: table.bytes()?,
            steps_moved: movement(&steps, configuration.first_step()),
        })
    }

    fn train(&self, model: Model, seed: u64, table: &mut dyn Embedding) -> Result<Trained> {
        let network = Network::new(model, self.samples.fields, self.samples.rows, seed)?;
        let training = Training {
            samples: self.samples,
            split: &self.split,
            tuning: self.tuning,
            seed,
        };
        training.run(table, &network)
    }

    /// The table before training.
    fn table(
        &self,
        configuration: Configuration,
        values: Vec<f32>,
        seed: u64,
    ) -> Result<Box<dyn Embedding + 'a>> {
        let rate = self.tuning.learning_rate as f32;
        let Some(bits) = configuration.bits else {
            return Ok(Box::new(Full::new(values, rate)));
        };
        let way = match configuration.method {
            Method::Alpt => Way::Learned {
                steps: LearnedSteps {
                    // Adam takes any scale; this one leaves the decay as strong in every batch.
                    gradient_scale: GradientScale::One,
                    weight_decay: self.tuning.step_decay as f32,
                    ..LearnedSteps::default()
                },
                learning_rate: self.tuning.step_learning_rate as f32,
            },
            Method::LptNearest => Way::Fixed(Rounding::Nearest),
            Method::Fp32 | Method::LptStochastic => Way::Fixed(Rounding::Stochastic),
        };
        let first = (values.as_slice(), configuration.first_step());
        let table = Quantized::new(self.device, first, bits, rate, way, seed)?;
        Ok(Box::new(table))
    }
}

/// Mean of the magnitude of the logarithm of how many times the first step the last one is.
fn movement(steps: &[f32], first: f32) -> f64 {
    let logarithms = steps.iter().map(|step| f64::from(step / first).ln().abs());
    mean(&logarithms.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_move_by_logarithms() {
        assert!((movement(&[2.0, 0.5], 1.0) - 2f64.ln()).abs() < 1e-12);
        assert_eq!(movement(&[3.0, 3.0], 3.0), 0.0);
    }
}
