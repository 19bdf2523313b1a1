//! Rows of floats: every value rounded once.

use crate::format::{Float, Format, put_code};

/// Writes the values of a row into its zeroed words; gives whether the type holds them all.
///
/// Nothing is flushed: what a cast makes of a subnormal is what it makes of it elsewhere, f32 keeps every bit.
/// A subnormal counts as zero where it is read.
///
/// # Panics
/// Where `words` is shorter than a row.
pub fn write_floats(values: &[f32], float: Float, words: &mut [u32]) -> bool {
    for (column, x) in values.iter().enumerate() {
        put_code(words, Format::Float(float), column, float.rounded(*x));
    }
    values
        .iter()
        .all(|x| float.widened(float.rounded(*x)).is_finite())
}
