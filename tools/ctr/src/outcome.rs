//! What came of a configuration.

use crate::configuration::Configuration;
use crate::measure::{mean, mean_and_deviation};
use crate::training::Trained;

/// What came of a configuration and a seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// The figures.
    pub trained: Trained,
    /// Bytes of the table's rows.
    pub table_bytes: u64,
    /// How far steps moved: the mean over rows of the logarithm's magnitude; 0 where there are none.
    pub steps_moved: f64,
}

/// What came of a configuration.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was trained.
    pub configuration: Configuration,
    /// By seed.
    pub runs: Vec<Run>,
}

impl Outcome {
    /// AUC of the test samples, by seed.
    pub fn aucs(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.trained.auc).collect()
    }

    /// Mean and deviation of the AUC.
    pub fn auc(&self) -> (f64, f64) {
        mean_and_deviation(&self.aucs())
    }

    /// Mean and deviation of the log loss.
    pub fn log_loss(&self) -> (f64, f64) {
        let losses = self.runs.iter().map(|run| run.trained.log_loss);
        mean_and_deviation(&losses.collect::<Vec<_>>())
    }

    /// Mean of how far steps moved.
    pub fn steps_moved(&self) -> f64 {
        let moved = self.runs.iter().map(|run| run.steps_moved);
        mean(&moved.collect::<Vec<_>>())
    }

    /// Bytes of the table's rows, the same from every seed.
    pub fn table_bytes(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.table_bytes)
    }

    /// Mean AUC of the validation samples after every epoch that all seeds came to.
    pub fn curve(&self) -> Vec<f64> {
        let curves = || self.runs.iter().map(|run| &run.trained.validation);
        let epochs = curves().map(Vec::len).min().unwrap_or(0);
        let after = |epoch| mean(&curves().map(|curve| curve[epoch]).collect::<Vec<_>>());
        (0..epochs).map(after).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Method;
    use crate::model::Model;

    #[test]
    fn a_curve_ends_with_the_first_seed_that_does() {
        let run = |validation: &[f64]| Run {
            trained: Trained {
                validation: validation.to_vec(),
                ..Trained::default()
            },
            table_bytes: 64,
            steps_moved: 0.0,
        };
        let outcome = Outcome {
            configuration: Configuration {
                model: Model::Fm,
                method: Method::Fp32,
                bits: None,
                step_scale: 1.0,
            },
            runs: vec![run(&[0.5, 0.75, 0.5]), run(&[0.75, 0.25])],
        };
        assert_eq!(outcome.curve(), [0.625, 0.5]);
        assert_eq!(outcome.table_bytes(), 64);
    }
}
