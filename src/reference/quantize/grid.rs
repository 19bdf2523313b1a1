//! Scale, bias and the rounding to codes.

use super::Range;
use crate::format::{Bits, Format, Header, Params};
use crate::reference::exact;

/// What scale and bias of an affine row are made by: the width of its codes and the type of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Bits per code.
    pub bits: Bits,
    /// Type of scale and bias.
    pub params: Params,
}

impl Rule {
    /// The rows that it makes.
    pub(super) fn format(self) -> Format {
        let Self { bits, params } = self;
        Format::Affine { bits, params }
    }
}

/// What an affine row is stored with: its header, and how a value becomes a code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Scale and bias as stored.
    pub header: Header,
    /// Codes that one unit of value makes.
    pub codes_per_unit: f32,
    /// The largest code.
    pub max_code: u32,
}

impl Grid {
    /// The grid whose codes span a range; `None` where the header cannot hold it.
    ///
    /// # Source
    /// PyTorch `embedding_bag_{byte,4bit,2bit}_prepack` and FBGEMM's rowwise quantizers, on the CPU.
    /// 8 bits with an f32 header follow the byte operator, everything else the n-bit one, without its
    /// casts where the header is f32. Departures: f32 subnormals count as zero; what FBGEMM stores as
    /// infinity is `None`, and so is an f32 scale beyond 2^126, whose reciprocal counts as zero.
    pub fn of_range(range: Range, rule: Rule) -> Option<Self> {
        match (rule.bits, rule.params) {
            (Bits::B8, Params::F32) => byte(range),
            (bits, params) => nbit(range, bits.max_code(), params),
        }
        .filter(|grid| fits(grid.header, rule.params))
    }

    /// The grid of a scale and a bias, rounded to the header's type; `None` where it cannot hold them.
    pub fn of_header(scale: f32, bias: f32, rule: Rule) -> Option<Self> {
        let header = Header {
            scale: stored(scale, rule.params),
            bias: stored(bias, rule.params),
        };
        (header.scale > 0.0 && fits(header, rule.params)).then(|| Self {
            header,
            codes_per_unit: exact::div(1.0, header.scale),
            max_code: rule.bits.max_code(),
        })
    }

    /// The code of a value.
    pub fn code(&self, x: f32) -> u32 {
        let steps = exact::mul(exact::sub(x, self.header.bias), self.codes_per_unit);
        steps.round_ties_even().clamp(0.0, self.max_code as f32) as u32
    }

    /// The square of what storing a value costs.
    fn squared_error(&self, x: f32) -> f32 {
        let product = exact::mul(self.header.scale, self.code(x) as f32);
        let stored = exact::add(product, self.header.bias);
        exact::squared(exact::sub(x, stored))
    }

    /// What storing a row costs, squared: [`exact::sum16`].
    pub fn loss(&self, values: &[f32]) -> f32 {
        exact::sum16(values.iter().map(|&x| self.squared_error(x)))
    }

    /// The same as a distance and summed in order of columns, as PyTorch does it.
    pub fn loss_in_order(&self, values: &[f32]) -> f32 {
        let errors = values.iter().map(|&x| self.squared_error(x));
        exact::sqrt(errors.fold(0.0, exact::add))
    }
}

/// Header and codes per unit of value, as PyTorch's 8-bit operator chooses them.
fn byte(range: Range) -> Option<Grid> {
    let span = range.span();
    Some(Grid {
        header: Header {
            scale: exact::div(span, 255.0),
            bias: range.low,
        },
        codes_per_unit: exact::div(255.0, exact::add(span, 1e-8)),
        max_code: 255,
    })
}

/// Header and codes per unit of value, as FBGEMM's n-bit operator chooses them: the bias is
/// rounded to the header's type before the range is taken, and codes use the stored scale.
fn nbit(range: Range, max_code: u32, params: Params) -> Option<Grid> {
    let bias = stored(range.low, params);
    let span = exact::sub(range.high, bias);
    let mut scale = if span == 0.0 {
        1.0
    } else {
        stored(exact::div(span, max_code as f32), params)
    };
    if scale == 0.0 {
        scale = 1.0;
    }
    Some(Grid {
        header: Header { scale, bias },
        codes_per_unit: exact::div(1.0, scale),
        max_code,
    })
}

/// A number as the header holds it.
pub(in crate::reference) fn stored(x: f32, params: Params) -> f32 {
    match params {
        Params::F16 => exact::to_f16(x),
        Params::F32 => x,
    }
}

/// Whether the header can be stored, and its scale divided by.
fn fits(header: Header, params: Params) -> bool {
    let limit = match params {
        Params::F16 => half::f16::MAX.to_f32(),
        // The reciprocal of a larger scale counts as zero.
        Params::F32 => 2.0f32.powi(126),
    };
    header.scale.abs() <= limit && header.bias.is_finite()
}
