//! Values to codes and words, sixteen columns at a time.

use super::super::lanes::{LANES, Lanes, array, div, sub};
use super::decode::Scale;
use crate::format::Format;

/// Values are rounded to nearest, or by the draws of their group of columns.
pub(super) trait Round {
    fn codes(&self, group: usize, steps: Lanes) -> [i32; LANES];
}

/// To nearest, ties to even.
pub(super) struct Nearest;

impl Round for Nearest {
    #[inline(always)]
    fn codes(&self, _: usize, steps: Lanes) -> [i32; LANES] {
        array(|lane| integer(steps[lane]).to_bits() as i32 - ZERO)
    }
}

/// Up where the draw, as a fraction of 2^32, is less than what lies above the integer below.
pub(super) struct Stochastic<'a, F: Fn(usize) -> &'a [u32; LANES]>(pub(super) F);

impl<'a, F: Fn(usize) -> &'a [u32; LANES]> Round for Stochastic<'a, F> {
    #[inline(always)]
    fn codes(&self, group: usize, steps: Lanes) -> [i32; LANES] {
        let draws = (self.0)(group);
        array(|lane| {
            let (nearest, steps) = (integer(steps[lane]), steps[lane]);
            let beyond = nearest - INTEGERS > steps;
            let below = nearest - if beyond { INTEGERS + 1.0 } else { INTEGERS };
            // Exact in f64. A draw is less than the integer part of a number where the next draw is not
            // more than the number.
            let above = f64::from(steps - below) * 4_294_967_296.0;
            let up = f64::from(draws[lane]) + 1.0 <= above;
            nearest.to_bits() as i32 - ZERO - i32::from(beyond) + i32::from(up)
        })
    }
}

/// Integers are the units here, also of negative numbers: adding it rounds to nearest even, and leaves the integer
/// in the low bits.
const INTEGERS: f32 = 12_582_912.0;
const ZERO: i32 = INTEGERS.to_bits() as i32;

#[inline(always)]
fn integer(steps: f32) -> f32 {
    steps + INTEGERS
}

/// What codes of a row are steps of, and the ends of their range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ruler {
    scale: Scale,
    low: f32,
    high: f32,
}

impl Ruler {
    #[inline(always)]
    pub(super) fn new(scale: Scale, format: Format) -> Self {
        let (low, high) = ends(format);
        Self { scale, low, high }
    }

    /// How many steps values are worth, within the range of the codes.
    #[inline(always)]
    fn steps(&self, values: Lanes) -> Lanes {
        values.map(|x| {
            let steps = div(sub(x, self.scale.bias), self.scale.step);
            let from_low = if steps > self.low { steps } else { self.low };
            if from_low < self.high {
                from_low
            } else {
                self.high
            }
        })
    }
}

/// The smallest code and the largest.
pub(super) fn ends(format: Format) -> (f32, f32) {
    let max_code = format.column_mask();
    let half = (max_code / 2) as f32;
    match format {
        Format::Symmetric { .. } => (-half - 1.0, half),
        _ => (0.0, max_code as f32),
    }
}

/// Writes all words behind a row's header, padding bits as zeros.
#[inline(always)]
pub(super) fn encode(
    values: &[Lanes],
    dim: usize,
    (width_bits, ruler): (u32, &Ruler),
    round: &impl Round,
    words: &mut [u32],
) {
    if ruler.scale.step == 0.0 {
        // Such a row has one value.
        return words.fill(0);
    }
    match width_bits {
        2 => groups::<2, 1>(values, dim, ruler, round, words),
        4 => groups::<4, 2>(values, dim, ruler, round, words),
        8 => groups::<8, 4>(values, dim, ruler, round, words),
        _ => unreachable!("rows of {width_bits} bits are not trained"),
    }
}

/// `WORDS` words hold the codes of sixteen columns; the row's last may be fewer.
#[inline(always)]
fn groups<const BITS: usize, const WORDS: usize>(
    values: &[Lanes],
    dim: usize,
    ruler: &Ruler,
    round: &impl Round,
    words: &mut [u32],
) {
    let (whole, rest) = (dim / LANES, dim % LANES);
    let (groups, last) = words.split_at_mut(whole * WORDS);
    let groups = groups.as_chunks_mut::<WORDS>().0.iter_mut();
    for (group, (values, words)) in values.iter().zip(groups).enumerate() {
        let codes = round.codes(group, ruler.steps(*values));
        *words = join::<BITS, WORDS>(&codes);
    }
    if rest > 0 {
        let mut codes = round.codes(whole, ruler.steps(values[whole]));
        codes[rest..].fill(0);
        let words = join::<BITS, WORDS>(&codes);
        last.copy_from_slice(&words[..last.len()]);
    }
}

/// The low bits of every code, low bits first: neighbours are joined, then neighbouring pairs, and so on.
#[inline(always)]
fn join<const BITS: usize, const WORDS: usize>(codes: &[i32; LANES]) -> [u32; WORDS] {
    let mask = (1 << BITS) - 1;
    let ones: [u32; 16] = array(|i| codes[i] as u32 & mask);
    let twos: [u32; 8] = pairs(&ones, BITS);
    let fours: [u32; 4] = pairs(&twos, 2 * BITS);
    if BITS == 8 {
        return array(|word| fours[word]);
    }
    let eights: [u32; 2] = pairs(&fours, 4 * BITS);
    if BITS == 4 {
        return array(|word| eights[word]);
    }
    let sixteen: [u32; 1] = pairs(&eights, 8 * BITS);
    array(|word| sixteen[word])
}

#[inline(always)]
fn pairs<const FROM: usize, const TO: usize>(from: &[u32; FROM], width: usize) -> [u32; TO] {
    array(|i| from[2 * i] | from[2 * i + 1] << width)
}
