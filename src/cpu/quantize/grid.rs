//! Scale and bias of sixteen rows.

use super::encode::RowGrid;
use super::lanes::{LANES, Lanes, add, div, sub, to_f16};
use crate::format::{Bits, Params};

/// How a format makes scale and bias of a range.
#[derive(Clone, Copy, Debug)]
pub(in crate::cpu) struct Rule {
    kind: Kind,
    pub(super) max_code: f32,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// PyTorch's 8-bit operator.
    Byte,
    /// FBGEMM's n-bit operator.
    F16,
    /// The same without its casts.
    F32,
}

/// Scale, bias and codes per unit of every row, and whether the header can hold them.
#[derive(Clone, Copy, Debug)]
pub(in crate::cpu) struct Grids {
    pub(in crate::cpu) scale: Lanes,
    pub(in crate::cpu) bias: Lanes,
    pub(super) codes_per_unit: Lanes,
    fits: [bool; LANES],
}

impl Rule {
    /// The rule of affine rows.
    pub(in crate::cpu) fn new(bits: Bits, params: Params) -> Self {
        let kind = match (bits, params) {
            (Bits::B8, Params::F32) => Kind::Byte,
            (_, Params::F32) => Kind::F32,
            (_, Params::F16) => Kind::F16,
        };
        Self {
            kind,
            max_code: bits.max_code() as f32,
        }
    }

    /// The grids whose codes span these ranges.
    #[inline(always)]
    pub(in crate::cpu) fn of_ranges(self, low: Lanes, high: Lanes) -> Grids {
        match self.kind {
            Kind::Byte => {
                let span = high.zip(low, sub);
                self.grids(
                    Lanes::new(|lane| div(span[lane], 255.0)),
                    low,
                    Lanes::new(|lane| div(255.0, add(span[lane], 1e-8))),
                )
            }
            Kind::F16 => {
                let bias = Lanes::new(|lane| to_f16(low[lane]));
                let span = high.zip(bias, sub);
                let max_code = self.max_code;
                let scale = Lanes::new(|lane| or_one(to_f16(div(span[lane], max_code))));
                self.grids(scale, bias, Lanes::new(|lane| div(1.0, scale[lane])))
            }
            Kind::F32 => {
                let span = high.zip(low, sub);
                let max_code = self.max_code;
                let scale = Lanes::new(|lane| or_one(div(span[lane], max_code)));
                self.grids(scale, low, Lanes::new(|lane| div(1.0, scale[lane])))
            }
        }
    }

    /// The grids of these scales and biases, rounded to the header's type.
    #[inline(always)]
    pub(super) fn of_headers(self, scale: Lanes, bias: Lanes) -> Grids {
        let stored = |x: Lanes| match self.kind {
            Kind::F16 => Lanes::new(|lane| to_f16(x[lane])),
            Kind::Byte | Kind::F32 => x,
        };
        let (scale, bias) = (stored(scale), stored(bias));
        let mut grids = self.grids(scale, bias, Lanes::new(|lane| div(1.0, scale[lane])));
        for lane in 0..LANES {
            grids.fits[lane] &= scale[lane] > 0.0;
        }
        grids
    }

    #[inline(always)]
    fn grids(self, scale: Lanes, bias: Lanes, codes_per_unit: Lanes) -> Grids {
        let limit = match self.kind {
            Kind::F16 => 65504.0,
            // The reciprocal of a larger scale counts as zero.
            Kind::Byte | Kind::F32 => 2.0f32.powi(126),
        };
        let fits = |lane: usize| scale[lane].abs() <= limit && bias[lane].abs() < f32::INFINITY;
        Grids {
            scale,
            bias,
            codes_per_unit,
            fits: std::array::from_fn(fits),
        }
    }
}

/// FBGEMM's choice where all values are one.
#[inline(always)]
fn or_one(scale: f32) -> f32 {
    if scale == 0.0 { 1.0 } else { scale }
}

impl Grids {
    /// Whether the header can hold this row's.
    #[inline(always)]
    pub(in crate::cpu) fn fits(&self, lane: usize) -> bool {
        self.fits[lane]
    }

    /// One row's, where the header can hold it.
    pub(super) fn row(&self, lane: usize) -> Option<RowGrid> {
        self.fits[lane].then(|| RowGrid {
            scale: self.scale[lane],
            bias: self.bias[lane],
            codes_per_unit: self.codes_per_unit[lane],
        })
    }

    /// Takes one row's from other grids.
    #[inline(always)]
    pub(super) fn take(&mut self, lane: usize, other: &Self) {
        self.scale[lane] = other.scale[lane];
        self.bias[lane] = other.bias[lane];
        self.codes_per_unit[lane] = other.codes_per_unit[lane];
        self.fits[lane] = other.fits[lane];
    }
}
