//! Layers of all columns of a sample.

use candle_core::{D, Device, Result, Tensor, Var};

use crate::random::Random;

/// `x * weights + bias`.
#[derive(Debug)]
pub struct Linear {
    weights: Var,
    bias: Var,
}

impl Linear {
    /// Weights of the deviation that keeps the size of what goes through a `relu` (He), bias zero.
    pub fn new(random: &mut Random, inputs: usize, outputs: usize) -> Result<Self> {
        let deviation = (2.0 / inputs as f64).sqrt();
        let weights = random.normals(inputs * outputs, deviation);
        Ok(Self {
            weights: Var::from_vec(weights, (inputs, outputs), &Device::Cpu)?,
            bias: Var::zeros(outputs, candle_core::DType::F32, &Device::Cpu)?,
        })
    }

    /// `[samples, inputs]` to `[samples, outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weights)?.broadcast_add(&self.bias)
    }

    /// What is learned.
    pub fn variables(&self) -> [Var; 2] {
        [self.weights.clone(), self.bias.clone()]
    }
}

/// Linear layers, each with a `relu`.
#[derive(Debug)]
pub struct Deep {
    layers: Vec<Linear>,
}

impl Deep {
    /// Layers of `widths`.
    pub fn new(random: &mut Random, inputs: usize, widths: &[usize]) -> Result<Self> {
        let inputs = [&[inputs], widths].concat();
        let pairs = inputs.windows(2);
        let layers = pairs.map(|pair| Linear::new(random, pair[0], pair[1]));
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// `[samples, inputs]` to `[samples, last width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for layer in &self.layers {
            x = layer.forward(&x)?.relu()?;
        }
        Ok(x)
    }

    /// What is learned.
    pub fn variables(&self) -> Vec<Var> {
        self.layers.iter().flat_map(Linear::variables).collect()
    }
}

/// The cross layers of DCN v2: `x0 * (x W + b) + x`.
#[derive(Debug)]
pub struct Cross {
    layers: Vec<Linear>,
}

impl Cross {
    /// As many layers of `[columns, columns]`.
    pub fn new(random: &mut Random, columns: usize, layers: usize) -> Result<Self> {
        let layers = (0..layers).map(|_| Linear::new(random, columns, columns));
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// `[samples, columns]` to as many.
    pub fn forward(&self, first: &Tensor) -> Result<Tensor> {
        let mut x = first.clone();
        for layer in &self.layers {
            x = (first.mul(&layer.forward(&x)?)? + x)?;
        }
        Ok(x)
    }

    /// What is learned.
    pub fn variables(&self) -> Vec<Var> {
        self.layers.iter().flat_map(Linear::variables).collect()
    }
}

/// What a factorization machine makes of the pairs of fields: the products of their vectors, summed.
/// `[samples, fields, dim]` to `[samples]`.
pub fn pairs(vectors: &Tensor) -> Result<Tensor> {
    let square_of_sum = vectors.sum(1)?.sqr()?;
    let sum_of_squares = vectors.sqr()?.sum(1)?;
    (square_of_sum - sum_of_squares)?.sum(D::Minus1)? * 0.5
}
