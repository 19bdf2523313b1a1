//! How the rows of a bag become one.

use super::super::lanes::Lanes;
use super::decode::Decode;
use super::isa::Isa;

/// What is done with the values of each row, sixteen columns at a time.
pub(super) trait Fold: Send + Sync {
    /// Of no rows.
    const EMPTY: f32;

    /// Whether rows may have weights.
    const IS_WEIGHTED: bool;

    /// Prepares a row that counts so much.
    fn weigh<I: Isa, D: Decode>(levels: &mut D::Levels, weight: f32);

    /// Takes one more row in; without a weight it is one that counts once.
    fn take<I: Isa, D: Decode>(folded: Lanes, values: Lanes, weight: Option<f32>) -> Lanes;

    /// Takes in the rows of a chunk, which follow.
    fn join(folded: Lanes, chunk: Lanes) -> Lanes;
}

/// Every row counts with its weight; a product with 1 changes nothing.
pub(super) struct Sum;

/// The largest value of every column; there are no weights.
pub(super) struct Max;

impl Fold for Sum {
    const EMPTY: f32 = 0.0;
    const IS_WEIGHTED: bool = true;

    #[inline(always)]
    fn weigh<I: Isa, D: Decode>(levels: &mut D::Levels, weight: f32) {
        D::weigh::<I>(levels, weight);
    }

    #[inline(always)]
    fn take<I: Isa, D: Decode>(folded: Lanes, values: Lanes, weight: Option<f32>) -> Lanes {
        match weight {
            Some(weight) if !D::is_picked::<I>() => folded.zip(
                values,
                #[inline(always)]
                |folded, value| folded + weight * value,
            ),
            _ => Self::join(folded, values),
        }
    }

    #[inline(always)]
    fn join(folded: Lanes, chunk: Lanes) -> Lanes {
        folded.zip(
            chunk,
            #[inline(always)]
            |folded, chunk| folded + chunk,
        )
    }
}

impl Fold for Max {
    /// Any value is taken before it.
    const EMPTY: f32 = f32::NEG_INFINITY;
    const IS_WEIGHTED: bool = false;

    #[inline(always)]
    fn weigh<I: Isa, D: Decode>(_levels: &mut D::Levels, _weight: f32) {}

    #[inline(always)]
    fn take<I: Isa, D: Decode>(folded: Lanes, values: Lanes, _weight: Option<f32>) -> Lanes {
        Self::join(folded, D::exact(values))
    }

    #[inline(always)]
    fn join(folded: Lanes, chunk: Lanes) -> Lanes {
        folded.zip(
            chunk,
            #[inline(always)]
            |a, b| {
                // Of zeros the one without a sign: a bit that both have.
                let equal = f32::from_bits(a.to_bits() & b.to_bits());
                let larger = if a.is_nan() | (a > b) { a } else { b };
                if a == b { equal } else { larger }
            },
        )
    }
}
