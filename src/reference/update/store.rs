//! New values to codes.

use super::exact;
use crate::format::{Format, Header, Levels, Row, put_code, write_step};
use crate::reference::quantize::{Grid, Range, Rule, stored};
use crate::training::{Parameters, Rounding};

/// What codes of an updated row are steps of, and the ends of their range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ruler {
    /// Worth of one step: the scale, or the symmetric row's step.
    pub step: f32,
    /// Value of code 0.
    pub bias: f32,
    /// Smallest code.
    pub low: f32,
    /// Largest code.
    pub high: f32,
}

impl Ruler {
    /// Of an affine row.
    pub fn affine(header: Header, format: Format) -> Self {
        Self {
            step: exact::input(header.scale),
            bias: exact::input(header.bias),
            low: 0.0,
            high: format.column_mask() as f32,
        }
    }

    /// Of a symmetric row; `None` for a step that is not positive and finite.
    pub fn symmetric(step: f32, format: Format) -> Option<Self> {
        let step = exact::input(step);
        let half = format.column_mask() / 2;
        (step > 0.0 && step.is_finite()).then_some(Self {
            step,
            bias: 0.0,
            low: -(half as f32) - 1.0,
            high: half as f32,
        })
    }

    /// How many steps a value is worth, within the range of the codes. A scale of 0 has but one value.
    pub fn steps(&self, value: f32) -> f32 {
        if self.step == 0.0 {
            return 0.0;
        }
        exact::div(exact::sub(value, self.bias), self.step)
            .max(self.low)
            .min(self.high)
    }

    /// The code of a value.
    pub fn code(&self, value: f32, rounding: Rounding, draw: u32) -> i32 {
        let steps = self.steps(value);
        match rounding {
            Rounding::Nearest => steps.round_ties_even() as i32,
            Rounding::Stochastic => steps.floor() as i32 + i32::from(is_rounded_up(steps, draw)),
        }
    }
}

/// Whether a number of steps is rounded up: where the draw is less than the whole part of 2^32 times what lies
/// above the integer below it.
pub fn is_rounded_up(steps: f32, draw: u32) -> bool {
    let above = exact::sub(steps, steps.floor());
    u64::from(draw) < (f64::from(above) * 4_294_967_296.0) as u64
}

/// The header that a row is stored with, and its ruler; `None` where the header cannot hold the values, and for
/// rows that are not trained.
pub fn header(
    values: &[f32],
    old: Row<'_>,
    (format, parameters): (Format, Parameters),
    given: Option<f32>,
) -> Option<(NewHeader, Ruler)> {
    match (format, old.levels(), parameters) {
        (Format::Affine { bits, params }, Levels::Affine(_), Parameters::Refreshed) => {
            let low = values.iter().copied().min_by(f32::total_cmp)?;
            let high = values.iter().copied().max_by(f32::total_cmp)?;
            let grid = Grid::of_range(Range { low, high }, Rule { bits, params })?;
            let ruler = Ruler::affine(grid.header, format);
            Some((NewHeader::Affine(grid.header), ruler))
        }
        (Format::Affine { .. }, Levels::Affine(header), _) => {
            Some((NewHeader::Affine(header), Ruler::affine(header, format)))
        }
        (Format::Symmetric { params, .. }, Levels::Symmetric { step }, _) => {
            let step = stored(given.unwrap_or(step), params);
            Some((NewHeader::Step(step), Ruler::symmetric(step, format)?))
        }
        _ => None,
    }
}

/// What a row's header is to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NewHeader {
    /// Scale and bias.
    Affine(Header),
    /// The step of a symmetric row.
    Step(f32),
}

/// Writes a row: header and codes; `draw` gives a column's random bits.
pub fn write(
    values: &[f32],
    format: Format,
    (header, ruler): (NewHeader, Ruler),
    (rounding, draw): (Rounding, impl Fn(u32) -> u32),
    words: &mut [u32],
) {
    words.fill(0);
    if let Some(params) = format.params() {
        match header {
            NewHeader::Affine(header) => header.write(words, params),
            NewHeader::Step(step) => write_step(words, params, step),
        }
    }
    for (column, &value) in values.iter().enumerate() {
        let code = ruler.code(value, rounding, draw(column as u32));
        put_code(words, format, column, code as u32 & format.column_mask());
    }
}
