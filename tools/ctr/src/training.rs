//! One training: from a seed to the figures of the best epoch.

use crate::data::{Samples, Split};
use crate::embedding::Embedding;
use crate::failure::Result;
use crate::measure::{auc, log_loss};
use crate::model::{Dropout, Network, Teacher};
use crate::random::{Random, Stream};

/// What decides about the course of a training, the same for every method.
#[derive(Clone, Debug)]
pub struct Course {
    /// Samples of a batch.
    pub batch: usize,
    /// Epochs at most.
    pub epochs: usize,
    /// Epochs without a better validation after which it ends.
    pub patience: usize,
    /// Of the network.
    pub learning_rate: f64,
    /// Of the network.
    pub weight_decay: f64,
    /// Part of a layer that is dropped.
    pub dropout: f64,
}

/// What came of a training.
#[derive(Clone, Debug)]
pub struct Trained {
    /// AUC of the validation samples after every epoch.
    pub validation: Vec<f64>,
    /// AUC of the test samples at the best epoch.
    pub auc: f64,
    /// Log loss of the test samples at the best epoch.
    pub log_loss: f64,
}

/// Trains a table and a network.
pub fn train(
    samples: &Samples,
    split: &Split,
    course: &Course,
    seed: u64,
    table: &mut dyn Embedding,
    network: &Network,
) -> Result<Trained> {
    let mut teacher = Teacher::new(network, course.learning_rate, course.weight_decay)?;
    let mut trained = Trained {
        validation: vec![],
        auc: 0.5,
        log_loss: f64::INFINITY,
    };
    let mut best = (f64::NEG_INFINITY, 0);
    for epoch in 0..course.epochs {
        let order = Random::new(seed, Stream::Order, epoch as u64).order(split.training.len());
        let order: Vec<_> = order.iter().map(|at| split.training[*at as usize]).collect();
        let mut random = Random::new(seed, Stream::Dropout, epoch as u64);
        for numbers in order.chunks(course.batch) {
            let batch = samples.batch(numbers);
            let dropout = (course.dropout > 0.0).then(|| Dropout {
                part: course.dropout,
                random: Random::new(random.bits(), Stream::Dropout, 0),
            });
            let lesson = network.lesson(&table.forward(&batch)?, &batch, dropout.clone())?;
            teacher.teach(&lesson)?;
            table.learn(&batch, &lesson.pooled, &mut |pooled| {
                Ok(network.lesson(pooled, &batch, dropout.clone())?.pooled)
            })?;
        }
        let (validation, _) = figures(samples, &split.validation, table, network)?;
        trained.validation.push(validation);
        if validation > best.0 {
            best = (validation, epoch);
            (trained.auc, trained.log_loss) = figures(samples, &split.test, table, network)?;
        }
        if epoch - best.1 >= course.patience {
            break;
        }
    }
    Ok(trained)
}

/// AUC and log loss.
fn figures(samples: &Samples, numbers: &[u32], table: &dyn Embedding, network: &Network) -> Result<(f64, f64)> {
    let (mut logits, mut labels) = (vec![], vec![]);
    for numbers in numbers.chunks(4096) {
        let batch = samples.batch(numbers);
        logits.extend(network.predict(table.forward(&batch)?, &batch)?);
        labels.extend(batch.labels);
    }
    Ok((auc(&logits, &labels), log_loss(&logits, &labels)))
}
