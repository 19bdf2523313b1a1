//! The three models.

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use clap::ValueEnum;

use super::deep::{Cross, Deep, Linear, pairs};
use super::first_order::FirstOrder;
use crate::data::Batch;
use crate::embedding::DIM;
use crate::random::{Random, Stream};

/// Cross layers of DCN.
const CROSS_LAYERS: usize = 2;
/// Columns of the hidden layers.
const HIDDEN: [usize; 2] = [64, 32];

/// A model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// Factorization machine: a number for every row, and products of pairs of vectors
    Fm,
    /// FM, and a deep network beside it
    Deepfm,
    /// Deep and cross network, version 2, the two in parallel
    Dcn,
}

impl Model {
    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fm => "fm",
            Self::Deepfm => "deepfm",
            Self::Dcn => "dcn",
        }
    }
}

/// Layers of a model.
#[derive(Debug)]
enum Layers {
    Fm(FirstOrder),
    DeepFm(FirstOrder, Deep, Linear),
    Dcn(Cross, Deep, Linear),
}

/// A model with its weights.
#[derive(Debug)]
pub struct Network {
    layers: Layers,
    fields: usize,
}

/// What a batch says about a network and about the vectors that it was given.
pub struct Lesson {
    gradients: GradStore,
    /// Of the loss, with respect to the pooled vectors.
    pub pooled: Vec<f32>,
}

impl Network {
    /// A model before training.
    pub fn new(model: Model, fields: usize, rows: usize, seed: u64) -> Result<Self> {
        let random = &mut Random::new(seed, Stream::Network, 0);
        let columns = fields * DIM;
        let layers = match model {
            Model::Fm => Layers::Fm(FirstOrder::new(rows)?),
            Model::Deepfm => Layers::DeepFm(
                FirstOrder::new(rows)?,
                Deep::new(random, columns, &HIDDEN)?,
                Linear::new(random, HIDDEN[1], 1)?,
            ),
            Model::Dcn => Layers::Dcn(
                Cross::new(random, columns, CROSS_LAYERS)?,
                Deep::new(random, columns, &HIDDEN)?,
                Linear::new(random, columns + HIDDEN[1], 1)?,
            ),
        };
        Ok(Self { layers, fields })
    }

    /// What is learned.
    pub fn variables(&self) -> Vec<Var> {
        match &self.layers {
            Layers::Fm(first) => first.variables().to_vec(),
            Layers::DeepFm(first, deep, last) => {
                [&first.variables()[..], &deep.variables(), &last.variables()].concat()
            }
            Layers::Dcn(cross, deep, last) => {
                [&cross.variables()[..], &deep.variables(), &last.variables()].concat()
            }
        }
    }

    fn logits(&self, pooled: &Tensor, batch: &Batch) -> Result<Tensor> {
        let samples = batch.labels.len();
        let vectors = || pooled.reshape((samples, self.fields, DIM));
        let columns = pooled.reshape((samples, self.fields * DIM))?;
        match &self.layers {
            Layers::Fm(first) => first.forward(batch)? + pairs(&vectors()?)?,
            Layers::DeepFm(first, deep, last) => {
                let deep = last.forward(&deep.forward(&columns)?)?;
                first.forward(batch)? + pairs(&vectors()?)? + deep.squeeze(1)?
            }
            Layers::Dcn(cross, deep, last) => {
                let both = [cross.forward(&columns)?, deep.forward(&columns)?];
                last.forward(&Tensor::cat(&both, 1)?)?.squeeze(1)
            }
        }
    }

    /// Predictions.
    pub fn predict(&self, pooled: &[f32], batch: &Batch) -> Result<Vec<f32>> {
        let pooled = Tensor::from_slice(pooled, (batch.bags(), DIM), &Device::Cpu)?;
        self.logits(&pooled, batch)?.to_vec1()
    }

    /// Gradients of the mean log loss.
    pub fn lesson(&self, pooled: &[f32], batch: &Batch) -> Result<Lesson> {
        let pooled = Tensor::from_slice(pooled, (batch.bags(), DIM), &Device::Cpu)?;
        let pooled = Var::from_tensor(&pooled)?;
        let logits = self.logits(&pooled, batch)?;
        let gradients = loss(&logits, &batch.labels)?.backward()?;
        let of_pooled = gradients
            .get(&pooled)
            .map(Tensor::flatten_all)
            .transpose()?;
        Ok(Lesson {
            pooled: match of_pooled {
                Some(gradient) => gradient.to_vec1()?,
                None => vec![0.0; batch.bags() * DIM],
            },
            gradients,
        })
    }
}

/// Mean of `ln(1 + e^x) - label * x`, without e of a large number.
fn loss(logits: &Tensor, labels: &[f32]) -> Result<Tensor> {
    let labels = Tensor::new(labels, &Device::Cpu)?;
    let tail = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((logits.relu()? - logits.mul(&labels)?)? + tail)?.mean_all()
}

/// Adam for a network.
#[derive(Debug)]
pub struct Teacher(AdamW);

impl Teacher {
    /// A teacher who has not taught yet.
    pub fn new(network: &Network, learning_rate: f64) -> Result<Self> {
        let parameters = ParamsAdamW {
            lr: learning_rate,
            weight_decay: 0.0,
            ..ParamsAdamW::default()
        };
        AdamW::new(network.variables(), parameters).map(Self)
    }

    /// One step.
    pub fn teach(&mut self, lesson: &Lesson) -> Result<()> {
        self.0.step(&lesson.gradients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Samples;
    use crate::measure::log_loss;

    /// Small, so that hardly any `relu` turns within it.
    const STEP: f32 = 1e-3;

    /// Two fields of five rows; a bag of two rows, and one of none.
    fn batch() -> Batch {
        let mut samples = Samples::new(2, 5);
        samples.push(true, [&[0][..], &[2, 3]]);
        samples.push(false, [&[1][..], &[4]]);
        samples.push(true, [&[0][..], &[]]);
        samples.batch(&[0, 1, 2])
    }

    fn pooled() -> Vec<f32> {
        Random::new(3, Stream::Table, 0).normals(6 * DIM, 0.5)
    }

    fn loss_of(network: &Network, pooled: &[f32]) -> f64 {
        let batch = batch();
        log_loss(&network.predict(pooled, &batch).unwrap(), &batch.labels)
    }

    /// The slope of a loss between a number less and more.
    fn slope(loss: impl Fn(f32) -> f64) -> f32 {
        ((loss(STEP) - loss(-STEP)) / f64::from(2.0 * STEP)) as f32
    }

    fn assert_near(gradient: f32, slope: f32, what: &str) {
        let apart = (gradient - slope).abs();
        assert!(
            apart < 2e-3 * (1.0 + slope.abs()),
            "{what}: {gradient} {slope}"
        );
    }

    #[test]
    fn vectors_gradients_are_slopes_of_the_loss() {
        for model in Model::value_variants() {
            let network = Network::new(*model, 2, 5, 1).unwrap();
            let pooled = pooled();
            let lesson = network.lesson(&pooled, &batch()).unwrap();
            for at in 0..pooled.len() {
                let slope = slope(|by| {
                    let mut moved = pooled.clone();
                    moved[at] += by;
                    loss_of(&network, &moved)
                });
                let what = format!("{} at {at}", model.name());
                assert_near(lesson.pooled[at], slope, &what);
            }
        }
    }

    #[test]
    fn weights_gradients_are_slopes_of_the_loss() {
        for model in Model::value_variants() {
            let network = Network::new(*model, 2, 5, 1).unwrap();
            let pooled = pooled();
            let lesson = network.lesson(&pooled, &batch()).unwrap();
            for (number, variable) in network.variables().iter().enumerate() {
                let gradient = lesson.gradients.get(variable).unwrap();
                let gradient: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
                let first: Vec<f32> = variable.flatten_all().unwrap().to_vec1().unwrap();
                let set = |values| {
                    let values = Tensor::from_vec(values, variable.shape(), &Device::Cpu);
                    variable.set(&values.unwrap()).unwrap();
                };
                for at in (0..first.len()).step_by(1 + first.len() / 7) {
                    let slope = slope(|by| {
                        let mut moved = first.clone();
                        moved[at] += by;
                        set(moved);
                        loss_of(&network, &pooled)
                    });
                    let what = format!("{}, variable {number} at {at}", model.name());
                    assert_near(gradient[at], slope, &what);
                }
                set(first);
            }
        }
    }

    #[test]
    fn a_taught_network_loses_less() {
        let network = Network::new(Model::Dcn, 2, 5, 1).unwrap();
        let mut teacher = Teacher::new(&network, 0.01).unwrap();
        let before = loss_of(&network, &pooled());
        for _ in 0..5 {
            teacher
                .teach(&network.lesson(&pooled(), &batch()).unwrap())
                .unwrap();
        }
        assert!(loss_of(&network, &pooled()) < before);
    }
}
