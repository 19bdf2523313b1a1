//! The headers that updated rows get, and the rulers of their codes.

use super::super::lanes::{LANES, Lanes};
use super::super::quantize::grid::Rule;
use super::decode::Scale;
use super::encode::Ruler;
use crate::format::{Bits, Format, Header, Params, write_step};
use crate::training::Parameters;

/// What a row's header is to hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum NewHeader {
    /// What it holds.
    Kept,
    Affine(Header, Params),
    Step(f32, Params),
}

impl NewHeader {
    #[inline(always)]
    pub(super) fn write(self, words: &mut [u32]) {
        match self {
            Self::Kept => {}
            Self::Affine(header, params) => header.write(words, params),
            Self::Step(step, params) => write_step(words, params, step),
        }
    }
}

/// Where the headers of a block of rows come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a> {
    pub(super) format: Format,
    pub(super) parameters: Parameters,
    /// A step for every row of the table, or none.
    pub(super) steps: &'a [f32],
}

pub(super) type NewHeaders = [Option<(NewHeader, Ruler)>; LANES];

impl Headers<'_> {
    /// The headers of rows in order, of their new values and old words; `None` where a header cannot hold the
    /// values. `rows` are at most sixteen.
    #[inline(always)]
    pub(super) fn of<'w>(
        &self,
        values: &[Lanes],
        dim: usize,
        rows: impl Iterator<Item = (u32, &'w [u32])>,
    ) -> NewHeaders {
        if let (Parameters::Refreshed, Format::Affine { bits, params }) =
            (self.parameters, self.format)
        {
            return self.refreshed(values, dim, (bits, params));
        }
        let mut headers = [None; LANES];
        for (header, (row, words)) in headers.iter_mut().zip(rows) {
            *header = match self.format {
                Format::Symmetric { .. } => {
                    let given = self.steps.get(row as usize).copied();
                    let step = given.unwrap_or_else(|| Scale::read(words, self.format).step);
                    symmetric(step, self.format)
                }
                _ => {
                    let scale = Scale::read(words, self.format);
                    Some((NewHeader::Kept, Ruler::new(scale, self.format)))
                }
            };
        }
        headers
    }

    /// One row to a lane: as quantizing by minimum and maximum makes them.
    #[inline(always)]
    fn refreshed(
        &self,
        values: &[Lanes],
        dim: usize,
        (bits, params): (Bits, Params),
    ) -> NewHeaders {
        let width = dim.div_ceil(LANES);
        let (mut low, mut high) = (Lanes::splat(0.0), Lanes::splat(0.0));
        for (lane, row) in values.chunks_exact(width).enumerate() {
            (low[lane], high[lane]) = range(row, dim);
        }
        let grids = Rule::new(bits, params).of_ranges(low, high);
        std::array::from_fn(|lane| {
            let header = Header {
                scale: grids.scale[lane],
                bias: grids.bias[lane],
            };
            let ruler = Ruler::new(header.into(), self.format);
            grids
                .fits(lane)
                .then_some((NewHeader::Affine(header, params), ruler))
        })
    }
}

/// A row's new step as it is stored, and its ruler; `None` where it is not positive and finite, or the rows have
/// none.
#[inline(always)]
pub(super) fn symmetric(step: f32, format: Format) -> Option<(NewHeader, Ruler)> {
    let Format::Symmetric { params, .. } = format else {
        return None;
    };
    let step = match params {
        Params::F16 => half::f16::from_f32(step).to_f32(),
        Params::F32 => step,
    };
    let scale = Scale::new(step, 0.0);
    let sound = scale.step > 0.0 && scale.step < f32::INFINITY;
    sound.then(|| (NewHeader::Step(step, params), Ruler::new(scale, format)))
}

/// Smallest and largest value; none of them is -0, for which order would matter.
#[inline(always)]
fn range(row: &[Lanes], dim: usize) -> (f32, f32) {
    let first = row[0][0];
    let (mut low, mut high) = (Lanes::splat(first), Lanes::splat(first));
    let (whole, rest) = (dim / LANES, dim % LANES);
    for values in &row[..whole] {
        low = low.zip(*values, smaller);
        high = high.zip(*values, larger);
    }
    for lane in 0..rest {
        low[lane] = smaller(low[lane], row[whole][lane]);
        high[lane] = larger(high[lane], row[whole][lane]);
    }
    let all =
        |lanes: Lanes, f: fn(f32, f32) -> f32| lanes.as_array().iter().copied().fold(first, f);
    (all(low, smaller), all(high, larger))
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}
