//! Optimizers and the numbers that a step of theirs is computed with.

use crate::{Error, Result};

/// How a row moves along its gradient `g`, which holds the weight decay already.
///
/// Only the rows of a batch move, and only their state (PyTorch: `SparseAdam`, "lazy"); the bias correction of
/// Adam counts the run's steps, not the row's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// `w -= lr * g`
    Sgd,
    /// `m = momentum * m + g; w -= lr * m`
    Momentum {
        /// What remains of the last step, 0 to below 1.
        momentum: f32,
    },
    /// `s += g^2; w -= lr * g / (sqrt(s) + epsilon)`
    Adagrad {
        /// Keeps the quotient finite; positive.
        epsilon: f32,
    },
    /// Adagrad with one number a row: `s += mean(g^2)` (FBGEMM: `EXACT_ROWWISE_ADAGRAD`).
    RowwiseAdagrad {
        /// Keeps the quotient finite; positive.
        epsilon: f32,
    },
    /// `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;`
    /// `w -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + epsilon)`
    Adam {
        /// Decay of the mean, 0 to below 1.
        beta1: f32,
        /// Decay of the square, 0 to below 1.
        beta2: f32,
        /// Keeps the quotient finite; positive.
        epsilon: f32,
    },
}

/// The numbers of one step, computed in f64 on the host and rounded once, for every device alike.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct OptimizerConstants {
    /// Learning rate; Adam's is divided by `1 - beta1^t`.
    pub learning_rate: f32,
    /// L2 weight decay: `g += weight_decay * w`.
    pub weight_decay: f32,
    /// Momentum or beta1.
    pub decay1: f32,
    /// `1 - beta1`
    pub fresh1: f32,
    /// beta2
    pub decay2: f32,
    /// `1 - beta2`
    pub fresh2: f32,
    /// `sqrt(1 - beta2^t)`
    pub correction: f32,
    /// Epsilon.
    pub epsilon: f32,
}

impl Optimizer {
    /// One of each, with the constants that PyTorch gives them and a momentum of 0.9.
    pub const ALL: [Self; 5] = [
        Self::Sgd,
        Self::Momentum { momentum: 0.9 },
        Self::Adagrad { epsilon: 1e-10 },
        Self::RowwiseAdagrad { epsilon: 1e-10 },
        Self::ADAM,
    ];

    /// Adam with PyTorch's constants.
    pub const ADAM: Self = Self::Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };

    /// Its part of a label; parameters are left out.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Momentum { .. } => "momentum",
            Self::Adagrad { .. } => "adagrad",
            Self::RowwiseAdagrad { .. } => "rowwise-adagrad",
            Self::Adam { .. } => "adam",
        }
    }

    /// f32 numbers of state a row of `dim` columns has: the first moments of all columns, then the second.
    pub const fn state_len(self, dim: u32) -> u32 {
        match self {
            Self::Sgd => 0,
            Self::Momentum { .. } | Self::Adagrad { .. } => dim,
            Self::RowwiseAdagrad { .. } => 1,
            Self::Adam { .. } => 2 * dim,
        }
    }

    /// The numbers of step `number`, counted from 1.
    ///
    /// # Errors
    /// [`Error::Shape`] where a number is not finite or out of its range, and for step 0.
    pub fn constants(
        self,
        learning_rate: f32,
        weight_decay: f32,
        number: u32,
    ) -> Result<OptimizerConstants> {
        check("learning rate", learning_rate, 0.0..=f32::MAX)?;
        check("weight decay", weight_decay, 0.0..=f32::MAX)?;
        if number == 0 {
            return Err(Error::Shape {
                argument: "step number",
                needed: "1 or more: steps are counted from 1".into(),
                got: "0".into(),
            });
        }
        let mut constants = OptimizerConstants {
            learning_rate: normal(f64::from(learning_rate)),
            weight_decay: normal(f64::from(weight_decay)),
            decay1: 0.0,
            fresh1: 1.0,
            decay2: 1.0,
            fresh2: 1.0,
            correction: 1.0,
            epsilon: 1.0,
        };
        const DECAY: std::ops::RangeInclusive<f32> = 0.0..=1.0 - f32::EPSILON / 2.0;
        const EPSILON: std::ops::RangeInclusive<f32> = f32::MIN_POSITIVE..=f32::MAX;
        match self {
            Self::Sgd => {}
            Self::Momentum { momentum } => {
                check("momentum", momentum, DECAY)?;
                constants.decay1 = normal(momentum.into());
            }
            Self::Adagrad { epsilon } | Self::RowwiseAdagrad { epsilon } => {
                check("epsilon", epsilon, EPSILON)?;
                constants.epsilon = epsilon;
            }
            Self::Adam {
                beta1,
                beta2,
                epsilon,
            } => {
                check("beta1", beta1, DECAY)?;
                check("beta2", beta2, DECAY)?;
                check("epsilon", epsilon, EPSILON)?;
                let (beta1, beta2) = (f64::from(beta1), f64::from(beta2));
                let rest = |beta: f64| 1.0 - power(beta, number);
                constants.learning_rate = normal(f64::from(learning_rate) / rest(beta1));
                constants.decay1 = normal(beta1);
                constants.fresh1 = normal(1.0 - beta1);
                constants.decay2 = normal(beta2);
                constants.fresh2 = normal(1.0 - beta2);
                constants.correction = normal(rest(beta2).sqrt());
                constants.epsilon = epsilon;
            }
        }
        check("learning rate", constants.learning_rate, 0.0..=f32::MAX)?;
        Ok(constants)
    }
}

/// `base^exponent` by squaring: multiplications alone, which every host rounds alike.
fn power(base: f64, exponent: u32) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 {
        if rest % 2 == 1 {
            result *= square;
        }
        square *= square;
        rest /= 2;
    }
    result
}

/// Rounded to f32; what is below the normals counts as zero, as everywhere.
fn normal(x: f64) -> f32 {
    let rounded = x as f32;
    if rounded.abs() < f32::MIN_POSITIVE {
        0.0
    } else {
        rounded
    }
}

fn check(argument: &'static str, value: f32, range: std::ops::RangeInclusive<f32>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::Shape {
        argument,
        needed: format!("{:e} to {:e}", range.start(), range.end()),
        got: value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adams_corrections_are_those_of_the_step() {
        let first = Optimizer::ADAM.constants(1e-3, 0.0, 1).unwrap();
        // 1 - 0.9f32 is not 0.1.
        assert!((first.learning_rate - 1e-2).abs() < 1e-8);
        assert!((first.correction - 0.001f32.sqrt()).abs() < 1e-6);
        let late = Optimizer::ADAM.constants(1e-3, 0.0, u32::MAX).unwrap();
        assert_eq!((late.learning_rate, late.correction), (1e-3, 1.0));
    }

    #[test]
    fn numbers_that_no_step_can_use_are_named() {
        let message = |optimizer: Optimizer, rate, decay, number| {
            let error = optimizer.constants(rate, decay, number).unwrap_err();
            error.to_string()
        };
        assert!(message(Optimizer::Sgd, f32::NAN, 0.0, 1).starts_with("learning rate: "));
        assert!(message(Optimizer::Sgd, -1.0, 0.0, 1).ends_with("got -1"));
        assert!(message(Optimizer::Sgd, 1.0, f32::INFINITY, 1).starts_with("weight decay: "));
        assert!(message(Optimizer::Sgd, 1.0, 0.0, 0).starts_with("step number: "));
        let momentum = Optimizer::Momentum { momentum: 1.0 };
        assert!(message(momentum, 1.0, 0.0, 1).starts_with("momentum: "));
        let adagrad = Optimizer::Adagrad { epsilon: 0.0 };
        assert!(message(adagrad, 1.0, 0.0, 1).starts_with("epsilon: "));
        // lr / (1 - b1) of the first step.
        let adam = Optimizer::Adam {
            beta1: 0.999,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        assert!(message(adam, 1e38, 0.0, 1).starts_with("learning rate: "));
    }
}
