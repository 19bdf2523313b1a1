//! One step of an optimizer, sixteen columns at a time.

use super::super::lanes::{Factor, LANES, Lanes, add, div, flush, squared, sub};
use crate::training::{Optimizer, OptimizerConstants};

/// Rows on their way through the optimizer, row after row, `width` groups of sixteen columns each. Columns
/// beyond a row's last hold zeros and stay so.
pub(super) struct Moving<'a> {
    pub(super) values: &'a mut [Lanes],
    pub(super) gradients: &'a mut [Lanes],
    pub(super) first: &'a mut [Lanes],
    pub(super) second: &'a mut [Lanes],
}

/// How the numbers of a row's state are laid out: so many first moments, then so many second ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateShape {
    pub(super) first: usize,
    pub(super) second: usize,
}

impl StateShape {
    pub(super) fn new(optimizer: Optimizer, dim: usize) -> Self {
        let (first, second) = match optimizer {
            Optimizer::Sgd => (0, 0),
            Optimizer::Momentum { .. } => (dim, 0),
            Optimizer::Adagrad { .. } => (0, dim),
            Optimizer::RowwiseAdagrad { .. } => (0, 1),
            Optimizer::Adam { .. } => (dim, dim),
        };
        Self { first, second }
    }

    pub(super) fn len(self) -> usize {
        self.first + self.second
    }
}

/// Constants as factors.
#[derive(Clone, Copy)]
struct Factors {
    rate: Factor,
    decay1: Factor,
    fresh1: Factor,
    decay2: Factor,
    fresh2: Factor,
    constants: OptimizerConstants,
}

impl Factors {
    #[inline(always)]
    fn new(constants: &OptimizerConstants) -> Self {
        Self {
            rate: Factor::new(constants.learning_rate),
            decay1: Factor::new(constants.decay1),
            fresh1: Factor::new(constants.fresh1),
            decay2: Factor::new(constants.decay2),
            fresh2: Factor::new(constants.fresh2),
            constants: *constants,
        }
    }

    #[inline(always)]
    fn moved(&self, value: f32, direction: f32) -> f32 {
        sub(value, self.rate.times(direction))
    }

    /// What a direction is divided by. Both roots of normal numbers and of zero are normal or zero.
    #[inline(always)]
    fn divisor(&self, square: f32) -> f32 {
        let root = square.sqrt();
        // A division by 1 changes nothing: Adagrad's, and Adam's after many steps.
        let corrected = if self.constants.correction == 1.0 {
            root
        } else {
            div(root, self.constants.correction)
        };
        add(corrected, self.constants.epsilon)
    }
}

/// Moves the values; what the rows' gradients are left as is their own, with the decay.
///
/// `dim` is what a row-wise mean divides by.
#[inline(always)]
pub(super) fn advance(
    optimizer: Optimizer,
    constants: &OptimizerConstants,
    (dim, width): (usize, usize),
    rows: &mut Moving<'_>,
) {
    decay(constants.weight_decay, rows);
    let factors = Factors::new(constants);
    match optimizer {
        Optimizer::Sgd => sgd(&factors, rows),
        Optimizer::Momentum { .. } => momentum(&factors, rows),
        Optimizer::Adagrad { .. } => adagrad(&factors, rows),
        Optimizer::RowwiseAdagrad { .. } => rowwise_adagrad(&factors, (dim, width), rows),
        Optimizer::Adam { .. } => adam(&factors, rows),
    }
}

/// A decay of 0 adds 0 to a sum that is never -0, or NaN for a value whose row is bad anyway.
#[inline(always)]
fn decay(weight_decay: f32, rows: &mut Moving<'_>) {
    if weight_decay == 0.0 {
        return;
    }
    let weight_decay = Factor::new(weight_decay);
    for (g, w) in rows.gradients.iter_mut().zip(&*rows.values) {
        *g = g.zip(*w, |g, w| add(g, weight_decay.times(w)));
    }
}

#[inline(always)]
fn sgd(factors: &Factors, rows: &mut Moving<'_>) {
    for (w, g) in rows.values.iter_mut().zip(&*rows.gradients) {
        *w = w.zip(*g, |w, g| factors.moved(w, g));
    }
}

#[inline(always)]
fn momentum(factors: &Factors, rows: &mut Moving<'_>) {
    let columns = rows.values.iter_mut().zip(&*rows.gradients);
    for ((w, g), m) in columns.zip(&mut *rows.first) {
        *m = m.zip(*g, |m, g| add(factors.decay1.times(m), g));
        *w = w.zip(*m, |w, m| factors.moved(w, m));
    }
}

#[inline(always)]
fn adagrad(factors: &Factors, rows: &mut Moving<'_>) {
    let columns = rows.values.iter_mut().zip(&*rows.gradients);
    for ((w, g), s) in columns.zip(&mut *rows.second) {
        *s = s.zip(*g, |s, g| add(s, squared(g)));
        let direction = g.zip(*s, |g, s| div(g, factors.divisor(s)));
        *w = w.zip(direction, |w, direction| factors.moved(w, direction));
    }
}

#[inline(always)]
fn rowwise_adagrad(factors: &Factors, (dim, width): (usize, usize), rows: &mut Moving<'_>) {
    let gradients = rows.gradients.chunks_exact(width);
    let states = rows.second.chunks_exact_mut(width);
    let rows = rows.values.chunks_exact_mut(width).zip(gradients);
    for ((values, gradients), state) in rows.zip(states) {
        let mut squares = Lanes::splat(0.0);
        for g in gradients {
            squares = squares.zip(*g, |sum, g| add(sum, squared(g)));
        }
        let mean = div(squares.sum(), dim as f32);
        state[0][0] = add(state[0][0], mean);
        let divisor = factors.divisor(state[0][0]);
        for (w, g) in values.iter_mut().zip(gradients) {
            *w = w.zip(*g, |w, g| factors.moved(w, div(g, divisor)));
        }
    }
}

#[inline(always)]
fn adam(factors: &Factors, rows: &mut Moving<'_>) {
    let columns = rows.values.iter_mut().zip(&*rows.gradients);
    let moments = rows.first.iter_mut().zip(&mut *rows.second);
    for ((w, g), (m, v)) in columns.zip(moments) {
        *m = m.zip(*g, |m, g| {
            add(factors.decay1.times(m), factors.fresh1.times(g))
        });
        *v = v.zip(*g, |v, g| {
            add(factors.decay2.times(v), factors.fresh2.times(squared(g)))
        });
        let direction = m.zip(*v, |m, v| div(m, factors.divisor(v)));
        *w = w.zip(direction, |w, direction| factors.moved(w, direction));
    }
}

/// Whether a row's new values are finite, and its new second moments finite and not negative.
///
/// That is all: a gradient, a decayed gradient, an old or new first moment, a direction or an old value
/// that is not finite makes the new value not finite too, because no product with 0 and no difference is
/// finite again; a quotient by an infinite divisor is, and there the second moment is infinite.
#[inline(always)]
pub(super) fn is_sound(values: &[Lanes], second: &[Lanes]) -> bool {
    // As bits, NaN lies above infinity, and so do negative numbers. -0 is none of them: sums are flushed.
    let mut largest = [0; LANES];
    for values in values {
        for (lane, largest) in largest.iter_mut().enumerate() {
            *largest = (*largest).max(values[lane].abs().to_bits());
        }
    }
    for second in second {
        for (lane, largest) in largest.iter_mut().enumerate() {
            *largest = (*largest).max(second[lane].to_bits());
        }
    }
    largest.into_iter().fold(0, u32::max) < f32::INFINITY.to_bits()
}

/// The same for one column.
#[inline(always)]
pub(super) fn is_sound_in(value: f32, second: f32) -> bool {
    value.abs() < f32::INFINITY && (0.0..f32::INFINITY).contains(&second)
}

/// Reads a row's moments; what is beyond the last column is 0.
#[inline(always)]
pub(super) fn load(row: &[f32], out: &mut [Lanes]) {
    let (whole, rest) = row.as_chunks::<LANES>();
    for (out, from) in out.iter_mut().zip(whole) {
        *out = Lanes::from_slice(from).map(flush);
    }
    if !rest.is_empty() {
        out[whole.len()] = Lanes::padded(rest).map(flush);
    }
}
