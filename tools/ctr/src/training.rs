//! One training: from a seed to the figures of the best epoch.

use crate::args::Tuning;
use crate::data::{Samples, Split};
use crate::embedding::Embedding;
use crate::failure::Result;
use crate::measure::{auc, log_loss};
use crate::model::{Network, Teacher};
use crate::random::{Random, Stream};

/// Samples that are predicted at once.
const PREDICTED: usize = 4096;

/// What a training depends on, the table and the network apart.
#[derive(Debug)]
pub struct Training<'a> {
    /// All samples.
    pub samples: &'a Samples,
    /// Which are for what.
    pub split: &'a Split,
    /// Rates and ends.
    pub tuning: Tuning,
    /// Decides about the order of samples.
    pub seed: u64,
}

/// What came of a training.
#[derive(Clone, Debug, Default)]
pub struct Trained {
    /// AUC of the validation samples after every epoch.
    pub validation: Vec<f64>,
    /// AUC of the test samples at the best epoch.
    pub auc: f64,
    /// Log loss of the test samples at the best epoch.
    pub log_loss: f64,
}

impl Training<'_> {
    /// Trains a table and a network until the validation samples are predicted no better for a while.
    pub fn run(&self, table: &mut dyn Embedding, network: &Network) -> Result<Trained> {
        let mut teacher = Teacher::new(network, self.tuning.network_learning_rate)?;
        let mut trained = Trained::default();
        let mut best = (f64::NEG_INFINITY, 0);
        for epoch in 0..self.tuning.epochs {
            self.epoch(epoch, table, network, &mut teacher)?;
            let (validation, _) = self.figures(&self.split.validation, table, network)?;
            trained.validation.push(validation);
            if validation > best.0 {
                best = (validation, epoch);
                (trained.auc, trained.log_loss) = self.figures(&self.split.test, table, network)?;
            }
            if epoch - best.1 >= self.tuning.patience {
                break;
            }
        }
        Ok(trained)
    }

    /// Every sample once.
    fn epoch(
        &self,
        epoch: u32,
        table: &mut dyn Embedding,
        network: &Network,
        teacher: &mut Teacher,
    ) -> Result<()> {
        let training = &self.split.training;
        let order = Random::new(self.seed, Stream::Order, epoch.into()).order(training.len());
        let order: Vec<_> = order.iter().map(|at| training[*at as usize]).collect();
        for numbers in order.chunks(self.tuning.batch as usize) {
            let batch = self.samples.batch(numbers);
            let lesson = network.lesson(&table.forward(&batch)?, &batch)?;
            teacher.teach(&lesson)?;
            table.learn(&batch, &lesson.pooled, &mut |pooled| {
                Ok(network.lesson(pooled, &batch)?.pooled)
            })?;
        }
        Ok(())
    }

    /// AUC and log loss of samples.
    fn figures(
        &self,
        numbers: &[u32],
        table: &dyn Embedding,
        network: &Network,
    ) -> Result<(f64, f64)> {
        let (mut logits, mut labels) = (vec![], vec![]);
        for numbers in numbers.chunks(PREDICTED) {
            let batch = self.samples.batch(numbers);
            logits.extend(network.predict(&table.forward(&batch)?, &batch)?);
            labels.extend(batch.labels);
        }
        Ok((auc(&logits, &labels), log_loss(&logits, &labels)))
    }
}
