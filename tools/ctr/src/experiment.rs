//! Every way to train a table, from every seed.

use std::fmt;

use clap::ValueEnum;
use indicatif::ProgressBar;
use qembed::Bits;
use qembed::training::{GradientScale, LearnedSteps, Rounding};

use crate::args::{Arguments, Tuning};
use crate::data::{Samples, Split};
use crate::device::Device;
use crate::embedding::{DIM, Embedding, Full, Quantized, Way};
use crate::failure::Result;
use crate::measure::{mean, mean_and_deviation};
use crate::model::{Model, Network};
use crate::random::{Random, Stream};
use crate::training::{Trained, Training};

/// Deviation of the table's values before training.
const DEVIATION: f64 = 0.01;
/// The step that rows begin with at every width, times `--step-scale`.
///
/// Source: the initial step of an implementation of ALPT (PKU-DAIR/Hetu).
const FIRST_STEP: f32 = 0.01;

/// A way to train a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// In f32
    Fp32,
    /// Packed, rounded to nearest
    LptNearest,
    /// Packed, rounded stochastically
    LptStochastic,
    /// Packed, rounded stochastically, with learned steps
    Alpt,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Fp32,
        Self::LptNearest,
        Self::LptStochastic,
        Self::Alpt,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::LptNearest => "lpt-nearest",
            Self::LptStochastic => "lpt-stochastic",
            Self::Alpt => "alpt",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is trained from every seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Configuration {
    /// The model.
    pub model: Model,
    /// The table's way.
    pub method: Method,
    /// `None` in f32.
    pub bits: Option<Bits>,
    /// Times the step that rows begin with.
    pub step_scale: f32,
}

impl Configuration {
    /// Bits of a value, 32 where it is not packed.
    pub fn width(&self) -> u32 {
        self.bits.map_or(32, Bits::count)
    }

    /// The step that rows begin with.
    fn first_step(&self) -> f32 {
        self.step_scale * FIRST_STEP
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (model, method, width) = (self.model.name(), self.method, self.width());
        write!(f, "{model} {method} {width}")?;
        match self.step_scale {
            1.0 => Ok(()),
            scale => write!(f, " x {scale}"),
        }
    }
}

/// All that were asked for, each once; what has no bits or no steps comes once for all of them.
pub fn configurations(args: &Arguments) -> Vec<Configuration> {
    let mut all: Vec<Configuration> = vec![];
    for &model in &args.model {
        for &method in &args.methods {
            for &bits in &args.bits {
                for &step_scale in &args.step_scale {
                    let (bits, step_scale) = match method {
                        Method::Fp32 => (None, 1.0),
                        _ => (Some(bits), step_scale),
                    };
                    let configuration = Configuration {
                        model,
                        method,
                        bits,
                        step_scale,
                    };
                    if !all.contains(&configuration) {
                        all.push(configuration);
                    }
                }
            }
        }
    }
    all
}

/// What came of a configuration.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was trained.
    pub configuration: Configuration,
    /// By seed.
    pub trained: Vec<Trained>,
    /// Bytes of the table's rows.
    pub table_bytes: u64,
    /// How far steps moved: the mean over rows and seeds of the logarithm's magnitude.
    pub steps_moved: f64,
}

impl Outcome {
    /// AUC of the test samples, by seed.
    pub fn aucs(&self) -> Vec<f64> {
        self.trained.iter().map(|trained| trained.auc).collect()
    }

    /// Mean and deviation of the AUC.
    pub fn auc(&self) -> (f64, f64) {
        mean_and_deviation(&self.aucs())
    }

    /// Mean and deviation of the log loss.
    pub fn log_loss(&self) -> (f64, f64) {
        let losses: Vec<_> = self
            .trained
            .iter()
            .map(|trained| trained.log_loss)
            .collect();
        mean_and_deviation(&losses)
    }

    /// Mean AUC of the validation samples after every epoch that all seeds came to.
    pub fn curve(&self) -> Vec<f64> {
        let lengths = self.trained.iter().map(|trained| trained.validation.len());
        let epochs = 0..lengths.min().unwrap_or(0);
        let at = |epoch: usize| self.trained.iter().map(move |one| one.validation[epoch]);
        epochs
            .map(|epoch| mean(&at(epoch).collect::<Vec<_>>()))
            .collect()
    }
}

/// What all configurations share.
#[derive(Debug)]
pub struct Experiment<'a> {
    samples: &'a Samples,
    split: Split,
    device: &'a Device,
    tuning: Tuning,
    seeds: u32,
}

impl<'a> Experiment<'a> {
    /// As the arguments say.
    pub fn new(args: &Arguments, samples: &'a Samples, device: &'a Device) -> Self {
        Self {
            split: Split::new(samples.len()),
            samples,
            device,
            tuning: args.tuning,
            seeds: args.seeds,
        }
    }

    /// Trains a configuration from every seed.
    pub fn run(&self, configuration: Configuration, bar: &ProgressBar) -> Result<Outcome> {
        let mut outcome = Outcome {
            configuration,
            trained: vec![],
            table_bytes: 0,
            steps_moved: 0.0,
        };
        let mut moved = vec![];
        for seed in 0..u64::from(self.seeds) {
            let values = self.values(seed);
            let mut table = self.table(configuration, &values, seed)?;
            outcome
                .trained
                .push(self.train(configuration.model, seed, &mut *table)?);
            outcome.table_bytes = table.bytes()?;
            if let Some(steps) = table.steps()? {
                moved.push(movement(&steps, configuration.first_step()));
            }
            bar.inc(1);
        }
        outcome.steps_moved = mean(&moved);
        Ok(outcome)
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

    /// The table's values before training, one for all ways to train it.
    fn values(&self, seed: u64) -> Vec<f32> {
        Random::new(seed, Stream::Table, 0).normals(self.samples.rows * DIM, DEVIATION)
    }

    fn table(
        &self,
        configuration: Configuration,
        values: &[f32],
        seed: u64,
    ) -> Result<Box<dyn Embedding + 'a>> {
        let rate = self.tuning.learning_rate;
        let Some(bits) = configuration.bits else {
            return Ok(Box::new(Full::new(values.to_vec(), rate)));
        };
        let way = match configuration.method {
            Method::Alpt => Way::Learned {
                steps: LearnedSteps {
                    gradient_scale: GradientScale::One,
                    weight_decay: self.tuning.step_decay,
                    ..LearnedSteps::default()
                },
                learning_rate: self.tuning.step_learning_rate,
            },
            Method::LptNearest => Way::Fixed(Rounding::Nearest),
            Method::Fp32 | Method::LptStochastic => Way::Fixed(Rounding::Stochastic),
        };
        let first = (values, configuration.first_step());
        Ok(Box::new(Quantized::new(
            self.device,
            first,
            bits,
            rate,
            way,
            seed,
        )?))
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
    use clap::Parser;

    #[test]
    fn fp32_comes_once() {
        let line = "x --data synthetic --json x --bits 8,2 --step-scale 1,4 --methods fp32,alpt";
        let args = Arguments::try_parse_from(line.split(' ')).unwrap();
        let all = configurations(&args);
        let widths: Vec<_> = all.iter().map(Configuration::width).collect();
        assert_eq!(widths, [32, 8, 8, 2, 2]);
        assert_eq!(all[4].step_scale, 4.0);
    }

    #[test]
    fn steps_move_by_logarithms() {
        assert!((movement(&[2.0, 0.5], 1.0) - 2f64.ln()).abs() < 1e-12);
        assert_eq!(movement(&[3.0, 3.0], 3.0), 0.0);
    }
}
