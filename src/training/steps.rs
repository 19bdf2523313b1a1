//! Learned step sizes.

use crate::training::Optimizer;
use crate::{Bits, Error, Result};

/// The smallest step that is learned, 2^-24: the smallest positive f16. Steps stay positive by it.
pub const MIN_STEP: f32 = f32::EPSILON / 2.0;

/// What the gradient of a step is multiplied by; `B` is the number of bags of the batch, `d` the number of
/// columns, `q` is `2^(bits-1) - 1`.
///
/// Source: the choices that the ALPT paper compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GradientScale {
    /// 1
    One,
    /// `1 / sqrt(d q)`
    Dim,
    /// `1 / sqrt(B d q)`, ALPT's own.
    BatchDim,
    /// Any number.
    Fixed(f32),
}

impl GradientScale {
    /// The factor.
    ///
    /// # Errors
    /// [`Error::Shape`] where a fixed one is not finite or is negative.
    pub fn value(self, bits: Bits, dim: u32, bags: u32) -> Result<f32> {
        let levels = f64::from(bits.max_code() / 2);
        let root = |x: f64| (1.0 / x.sqrt()) as f32;
        match self {
            Self::One => Ok(1.0),
            Self::Dim => Ok(root(f64::from(dim) * levels)),
            Self::BatchDim => Ok(root(f64::from(bags.max(1)) * f64::from(dim) * levels)),
            Self::Fixed(scale) if scale >= 0.0 && scale.is_finite() => Ok(scale),
            Self::Fixed(scale) => Err(Error::Shape {
                argument: "gradient scale",
                needed: "a finite number, 0 or more".into(),
                got: scale.to_string(),
            }),
        }
    }
}

/// What a code at the end of its range does to the gradient of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// Only values beyond the ends count as clipped (the ALPT authors' code).
    Strict,
    /// Values at the ends count as clipped too (the LSQ paper).
    Inclusive,
}

/// How many steps a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// One for every row (the ALPT paper).
    Row,
    /// One for the table, written to every row; the rows that no batch touches are rounded to it anew (the
    /// authors' later code).
    Table,
}

/// How steps are learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnedSteps {
    /// The steps' own optimizer; its state is `[rows, state_len(1)]`, or one row of it for a table.
    pub optimizer: Optimizer,
    /// Factor of the gradient.
    pub gradient_scale: GradientScale,
    /// L2 weight decay of the steps of a batch: added to the scaled gradient, times the step.
    ///
    /// Values at the end of the codes' range that move outwards make a step grow, those that move inwards do
    /// not make it shrink; at 2 bits, where one code in two is an end, steps grow without it.
    pub weight_decay: f32,
    /// Values at the ends of the range.
    pub boundary: Boundary,
    /// How many there are.
    pub granularity: Granularity,
}

impl LearnedSteps {
    /// Steps that a table of `rows` rows has.
    pub(crate) fn count(&self, rows: u32) -> u32 {
        match self.granularity {
            Granularity::Row => rows,
            Granularity::Table => rows.min(1),
        }
    }

    /// Numbers of state that they have.
    pub(crate) fn state_len(&self, rows: u32) -> usize {
        self.count(rows) as usize * self.optimizer.state_len(1) as usize
    }
}

impl Default for LearnedSteps {
    /// The paper's: Adam, `1 / sqrt(B d q)`, no decay, one step a row, and its authors' boundary.
    fn default() -> Self {
        Self {
            optimizer: Optimizer::ADAM,
            gradient_scale: GradientScale::BatchDim,
            weight_decay: 0.0,
            boundary: Boundary::Strict,
            granularity: Granularity::Row,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_scales() {
        let value = |scale: GradientScale| scale.value(Bits::B8, 16, 100).unwrap();
        assert_eq!(value(GradientScale::One), 1.0);
        assert_eq!(value(GradientScale::Dim), (1.0 / 2032f64.sqrt()) as f32);
        assert_eq!(
            value(GradientScale::BatchDim),
            (1.0 / 203_200f64.sqrt()) as f32
        );
        assert!(
            GradientScale::Fixed(f32::NAN)
                .value(Bits::B2, 1, 0)
                .is_err()
        );
    }

    #[test]
    fn the_smallest_step_is_a_positive_f16() {
        assert_eq!(half::f16::from_f32(MIN_STEP).to_bits(), 1);
    }
}
