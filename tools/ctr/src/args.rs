//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use qembed::Bits;

use crate::configuration::Method;
use crate::data::Synthetic;
use crate::device::DeviceChoice;
use crate::model::Model;

/// Trains click-through models whose embedding table lies in qembed, and compares ways to train it.
#[derive(Debug, Parser)]
#[command(name = "qembed-ctr", version)]
pub struct Arguments {
    /// Samples to train on
    #[arg(long, value_enum)]
    pub data: DataChoice,
    /// Models, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "deepfm")]
    pub model: Vec<Model>,
    /// Ways to train the table, separated by commas
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "fp32,lpt-nearest,lpt-stochastic,alpt"
    )]
    pub methods: Vec<Method>,
    /// Bits per value, separated by commas: 2, 4 or 8; fp32 has none of them
    #[arg(long, value_parser = parse_bits, value_delimiter = ',', default_value = "8,4,2")]
    pub bits: Vec<Bits>,
    /// Trainings of each, from as many seeds, the same for all
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "10")]
    pub seeds: u32,
    /// Times the step of 0.01 that rows begin with, separated by commas
    #[arg(long, value_parser = parse_positive, value_delimiter = ',', default_value = "1")]
    pub step_scale: Vec<f64>,
    /// Where packed rows are trained; the network and fp32 are always the CPU's
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
    /// Folder of ml-100k.inter, ml-100k.item and ml-100k.user [default: they are fetched into the cache]
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// How much to generate
    #[command(flatten)]
    pub synthetic: SyntheticArguments,
    /// What tunes the training
    #[command(flatten)]
    pub tuning: Tuning,
    /// Trainings at a time [default: one for every core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Write every number
    #[arg(long)]
    pub json: PathBuf,
    /// Write one page with plots and a table
    #[arg(long)]
    pub html: Option<PathBuf>,
}

impl Arguments {
    /// Trainings at a time.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(cores, usize::from)
    }
}

/// Where samples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataChoice {
    /// MovieLens-100K: a rating of 4 or 5 is a click
    Movielens,
    /// Popular and rare ids, and clicks that follow a factorization machine
    Synthetic,
}

/// How much to generate.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct SyntheticArguments {
    /// Synthetic samples
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..), default_value = "20000")]
    samples: u32,
    /// Fields of a synthetic sample
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), default_value = "6")]
    fields: u32,
    /// Rows of the synthetic table, over all fields
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "2000")]
    rows: u32,
}

impl SyntheticArguments {
    /// What the generator takes; every field has a row at least.
    pub fn size(self) -> Synthetic {
        Synthetic {
            samples: self.samples as usize,
            fields: self.fields as usize,
            rows: self.rows.max(self.fields) as usize,
        }
    }
}

/// What tunes a training: the same for every method, so that each has the same chance.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Tuning {
    /// Learning rate of the table
    #[arg(long, value_parser = parse_positive, default_value = "0.002")]
    pub learning_rate: f64,
    /// Learning rate of the network
    #[arg(long, value_parser = parse_positive, default_value = "0.001")]
    pub network_learning_rate: f64,
    /// Learning rate of alpt's steps
    #[arg(long, value_parser = parse_positive, default_value = "0.0005")]
    pub step_learning_rate: f64,
    /// Weight decay of alpt's steps
    #[arg(long, value_parser = parse_not_negative, default_value = "0.02")]
    pub step_decay: f64,
    /// Samples of a batch
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "2048")]
    pub batch: u32,
    /// Epochs at most
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "30")]
    pub epochs: u32,
    /// Epochs without a better AUC of the validation samples after which a training ends
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "3")]
    pub patience: u32,
}

fn parse_bits(text: &str) -> Result<Bits, String> {
    match text {
        "2" => Ok(Bits::B2),
        "4" => Ok(Bits::B4),
        "8" => Ok(Bits::B8),
        _ => Err("2, 4 and 8 are trained".into()),
    }
}

fn parse_positive(text: &str) -> Result<f64, String> {
    let number = parse_not_negative(text)?;
    match number > 0.0 {
        true => Ok(number),
        false => Err("it must be above 0".into()),
    }
}

fn parse_not_negative(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number")?;
    match number.is_finite() && number >= 0.0 {
        true => Ok(number),
        false => Err("it must be finite, and not below 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
