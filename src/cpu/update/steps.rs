//! The second half of learning steps: their gradients.

use pulp::NullaryFnOnce;

use super::super::lanes::{Factor, LANES, Lanes, add, div, sub};
use super::decode::Scale;
use super::encode::ends;
use super::occurrences::Segment;
use super::optimizer::load;
use super::sums::Sums;
use super::task::{run, segments_per_task};
use crate::PackedTable;
use crate::reference::Staged;
use crate::training::Boundary;

/// What a staged row's occurrences say about its step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum StepGradient {
    /// The first half left the row alone.
    Left,
    /// The row is bad.
    Bad,
    Of(f32),
}

/// How the gradients of steps are made.
pub(super) struct Slopes<'a> {
    pub(super) table: &'a PackedTable,
    pub(super) staged: &'a Staged,
    pub(super) sums: Sums<'a>,
    pub(super) boundary: Boundary,
    /// What a row's sum is multiplied by.
    pub(super) scale: f32,
}

impl Slopes<'_> {
    /// The gradient of every staged row, in parallel; `segments` are the rows that occur, in order.
    pub(super) fn gradients(&self, segments: &[Segment]) -> Vec<StepGradient> {
        let dim = self.table.dim() as usize;
        let found = matched(&self.staged.rows, segments);
        let mut gradients = vec![StepGradient::Left; found.len()];
        let per_task = segments_per_task(found.len(), dim);
        let values = self.staged.values.chunks(per_task * dim);
        let parts = found.chunks(per_task).zip(values);
        let tasks = parts
            .zip(gradients.chunks_mut(per_task))
            .map(|((found, values), out)| Task {
                slopes: self,
                found,
                values,
                out,
            });
        run(tasks.collect());
        gradients
    }

    /// `None` where a row's step is not positive and finite, or the gradient is not finite.
    #[inline(always)]
    fn gradient(&self, row: u32, gradients: &[Lanes], values: &[Lanes]) -> Option<f32> {
        let format = self.table.format();
        let step = Scale::read(self.table.row_words(row as usize), format).step;
        if !(step > 0.0 && step < f32::INFINITY) {
            return None;
        }
        let ends = ends(format);
        let mut sums = Lanes::splat(0.0);
        for (g, w) in gradients.iter().zip(values) {
            let terms = g.zip(*w, |g, w| {
                Factor::new(g).times(slope(div(w, step), ends, self.boundary))
            });
            sums = sums.zip(terms, add);
        }
        let gradient = Factor::new(self.scale).times(sums.sum());
        gradient.is_finite().then_some(gradient)
    }
}

/// Some of the staged rows.
struct Task<'a> {
    slopes: &'a Slopes<'a>,
    found: &'a [Option<Segment>],
    values: &'a [f32],
    out: &'a mut [StepGradient],
}

impl NullaryFnOnce for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let slopes = self.slopes;
        let dim = slopes.table.dim() as usize;
        let mut gradients = vec![Lanes::splat(0.0); dim.div_ceil(LANES)];
        let mut lanes = gradients.clone();
        let rows = self
            .found
            .iter()
            .zip(self.values.chunks_exact(dim))
            .zip(self.out);
        for ((segment, values), out) in rows {
            if !values[0].is_finite() {
                continue;
            }
            let gradient = segment.and_then(|segment| {
                slopes.sums.gradient(&segment, &mut gradients);
                load(values, &mut lanes);
                slopes.gradient(segment.row, &gradients, &lanes)
            });
            *out = gradient.map_or(StepGradient::Bad, StepGradient::Of);
        }
    }
}

/// The sum of all rows' gradients: 64 partial sums by segment mod 64, each in order of segments, then lane `i`
/// takes lane `i + 32`'s, then `i + 16`'s, and so on.
pub(super) fn total(gradients: &[StepGradient]) -> f32 {
    let mut partial = [0.0; 64];
    for (segment, gradient) in gradients.iter().enumerate() {
        if let StepGradient::Of(gradient) = gradient {
            partial[segment % 64] = add(partial[segment % 64], *gradient);
        }
    }
    for stride in [32, 16] {
        for lane in 0..stride {
            partial[lane] = add(partial[lane], partial[lane + stride]);
        }
    }
    Lanes::from_slice(&partial).sum()
}

/// The segment of every staged row. Both are in order of rows.
fn matched(rows: &[u32], segments: &[Segment]) -> Vec<Option<Segment>> {
    let mut segments = segments.iter().copied().peekable();
    let find = |&row: &u32| {
        while segments.next_if(|segment| segment.row < row).is_some() {}
        segments
            .peek()
            .copied()
            .filter(|segment| segment.row == row)
    };
    rows.iter().map(find).collect()
}

/// What a stored value gains where its step grows by one; `steps` is how many the value is worth.
#[inline(always)]
fn slope(steps: f32, (low, high): (f32, f32), boundary: Boundary) -> f32 {
    // Within the range, where alone it is used, adding this rounds to nearest even.
    const INTEGERS: f32 = 12_582_912.0;
    let inside = sub((steps + INTEGERS) - INTEGERS, steps);
    let (below, above) = match boundary {
        Boundary::Strict => (steps < low, steps > high),
        Boundary::Inclusive => (steps <= low, steps >= high),
    };
    if below {
        low
    } else if above {
        high
    } else {
        inside
    }
}
