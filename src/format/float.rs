//! Floats that rows may hold as they are.

use half::{bf16, f16};

/// Type of the values of a row of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Float {
    /// f32, a word a column.
    F32,
    /// f16, two columns to a word.
    F16,
    /// bf16, the upper half of an f32, two columns to a word.
    Bf16,
}

impl Float {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// The type's name in files, labels and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Bits of one float.
    pub const fn width_bits(self) -> u32 {
        match self {
            Self::F32 => 32,
            Self::F16 | Self::Bf16 => 16,
        }
    }

    /// The float of these bits, in f32: exact.
    ///
    /// Of a type of 16 bits the upper ones mean nothing.
    pub fn widened(self, bits: u32) -> f32 {
        match self {
            Self::F32 => f32::from_bits(bits),
            Self::F16 => f16::from_bits(bits as u16).to_f32(),
            Self::Bf16 => bf16::from_bits(bits as u16).to_f32(),
        }
    }

    /// The bits of the nearest float of this type, of two the even one; what is too large is infinite.
    pub fn rounded(self, x: f32) -> u32 {
        match self {
            Self::F32 => x.to_bits(),
            Self::F16 => f16::from_f32(x).to_bits().into(),
            Self::Bf16 => bf16::from_f32(x).to_bits().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_of_16_bits_survives_f32() {
        for float in [Float::F16, Float::Bf16] {
            for bits in 0..=u32::from(u16::MAX) {
                let wide = float.widened(bits);
                let same = float.rounded(wide) == bits;
                assert!(same || wide.is_nan(), "{float:?} {bits:#06x}");
            }
        }
    }

    #[test]
    fn rounding_by_hand() {
        // 1 + 2^-8 is halfway between the bf16 1 and 1 + 2^-7, 1 + 3 * 2^-8 between that and 1 + 2^-6.
        assert_eq!(Float::Bf16.rounded(1.0 + 0.5f32.powi(8)), 0x3f80);
        assert_eq!(Float::Bf16.rounded(1.0 + 3.0 * 0.5f32.powi(8)), 0x3f82);
        assert_eq!(Float::Bf16.rounded(-0.0), 0x8000);
        assert_eq!(Float::Bf16.rounded(f32::MAX), 0x7f80);
        assert_eq!(Float::Bf16.rounded(f32::from_bits(0x7f7f_7fff)), 0x7f7f);
        assert_eq!(Float::F16.rounded(65519.996), 0x7bff);
        assert_eq!(Float::F16.rounded(65520.0), 0x7c00);
        assert_eq!(Float::F32.rounded(1e-40), 1e-40f32.to_bits());
    }
}
