//! A number for every row of the table, as logistic regression has it; kept by the network, in f32.

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::data::Batch;

/// The numbers, and one for all samples.
#[derive(Debug)]
pub struct FirstOrder {
    weights: Var,
    bias: Var,
}

impl FirstOrder {
    /// All zero.
    pub fn new(rows: usize) -> Result<Self> {
        Ok(Self {
            weights: Var::zeros(rows, DType::F32, &Device::Cpu)?,
            bias: Var::zeros(1, DType::F32, &Device::Cpu)?,
        })
    }

    /// The means of the bags' numbers, summed over the fields: `[samples]`.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let (mut coefficients, mut samples) = (vec![], vec![]);
        for (bag, rows) in batch.rows_of_bags().enumerate() {
            coefficients.extend(rows.iter().map(|_| 1.0 / rows.len() as f32));
            samples.extend(rows.iter().map(|_| (bag / batch.fields) as u32));
        }
        let indices = Tensor::new(batch.indices.as_slice(), &Device::Cpu)?;
        let coefficients = Tensor::new(coefficients, &Device::Cpu)?;
        let samples = Tensor::new(samples, &Device::Cpu)?;
        let terms = self.weights.index_select(&indices, 0)?.mul(&coefficients)?;
        let zeros = Tensor::zeros(batch.labels.len(), DType::F32, &Device::Cpu)?;
        zeros
            .index_add(&samples, &terms, 0)?
            .broadcast_add(&self.bias)
    }

    /// What is learned.
    pub fn variables(&self) -> [Var; 2] {
        [self.weights.clone(), self.bias.clone()]
    }
}
