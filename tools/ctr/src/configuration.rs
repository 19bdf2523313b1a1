//! What is trained: models, ways and widths.

use std::fmt;

use clap::ValueEnum;
use qembed::Bits;

use crate::args::Arguments;
use crate::model::Model;

/// The step that rows begin with at every width, times `--step-scale`.
///
/// Source: the initial step of an implementation of ALPT (PKU-DAIR/Hetu).
const FIRST_STEP: f64 = 0.01;

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
    pub step_scale: f64,
}

impl Configuration {
    /// Bits of a value, 32 where it is not packed.
    pub fn width(&self) -> u32 {
        self.bits.map_or(32, Bits::count)
    }

    /// The step that rows begin with.
    pub fn first_step(&self) -> f32 {
        (self.step_scale * FIRST_STEP) as f32
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
        assert_eq!(all[4].first_step(), 0.04);
    }
}
