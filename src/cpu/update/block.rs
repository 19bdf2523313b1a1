//! A few rows at a time, from their occurrences to their new values.

use super::super::lanes::{LANES, Lanes};
use super::decode::decode;
use super::draws::Draws;
use super::occurrences::Segment;
use super::optimizer::{Moving, StateShape, advance, is_sound, load};
use super::sums::Sums;
use crate::Format;
use crate::training::{Optimizer, OptimizerConstants};

/// What is the same for every row of an update.
pub(super) struct Step<'a> {
    pub(super) format: Format,
    pub(super) dim: usize,
    pub(super) optimizer: Optimizer,
    pub(super) constants: OptimizerConstants,
    pub(super) sums: Sums<'a>,
}

impl Step<'_> {
    pub(super) fn state_shape(&self) -> StateShape {
        StateShape::new(self.optimizer, self.dim)
    }
}

/// Rows that go through each stage together; scratch that every block of a task uses again.
///
/// Every row takes [`Block::width`] groups of sixteen columns; what is beyond its last column is 0.
pub(super) struct Block {
    dim: usize,
    pub(super) width: usize,
    pub(super) gradients: Vec<Lanes>,
    pub(super) values: Vec<Lanes>,
    first: Vec<Lanes>,
    second: Vec<Lanes>,
    pub(super) draws: Draws,
}

/// Rows of a block: sixteen, or fewer where they would not stay in the nearest cache.
pub(super) fn rows_per_block(dim: usize) -> usize {
    (1024 / dim).clamp(1, LANES)
}

impl Block {
    pub(super) fn new(dim: usize) -> Self {
        let (rows, width) = (rows_per_block(dim), dim.div_ceil(LANES));
        let zeros = || vec![Lanes::splat(0.0); rows * width];
        Self {
            dim,
            width,
            gradients: zeros(),
            values: zeros(),
            first: zeros(),
            second: zeros(),
            draws: Draws::new(rows, width),
        }
    }

    /// The groups of one row.
    #[inline(always)]
    fn groups(&self, row: usize) -> std::ops::Range<usize> {
        row * self.width..(row + 1) * self.width
    }

    /// Sums the gradients of rows.
    #[inline(always)]
    pub(super) fn sum(&mut self, sums: &Sums<'_>, segments: &[Segment]) {
        let rows = self.gradients.chunks_exact_mut(self.width);
        for (out, segment) in rows.zip(segments) {
            sums.gradient(segment, out);
        }
    }

    /// Takes over a row's values and state.
    #[inline(always)]
    pub(super) fn load(&mut self, row: usize, words: &[u32], state: &[f32], step: &Step<'_>) {
        let groups = self.groups(row);
        decode(
            words,
            step.format,
            self.dim,
            &mut self.values[groups.clone()],
        );
        let (first, second) = state.split_at(step.state_shape().first);
        load(first, &mut self.first[groups.clone()]);
        load(second, &mut self.second[groups]);
    }

    /// Moves the first rows.
    #[inline(always)]
    pub(super) fn advance(&mut self, rows: usize, step: &Step<'_>) {
        let groups = rows * self.width;
        let mut moving = Moving {
            values: &mut self.values[..groups],
            gradients: &mut self.gradients[..groups],
            first: &mut self.first[..groups],
            second: &mut self.second[..groups],
        };
        let shape = (self.dim, self.width);
        advance(step.optimizer, &step.constants, shape, &mut moving);
    }

    /// Whether a row's numbers are all that they should be.
    #[inline(always)]
    pub(super) fn is_sound(&self, row: usize) -> bool {
        let groups = self.groups(row);
        is_sound(&self.values[groups.clone()], &self.second[groups])
    }

    #[inline(always)]
    pub(super) fn values(&self, row: usize) -> &[Lanes] {
        &self.values[self.groups(row)]
    }

    /// Writes a row's new state.
    #[inline(always)]
    pub(super) fn store_state(&self, row: usize, shape: StateShape, state: &mut [f32]) {
        let (first, second) = state.split_at_mut(shape.first);
        store(&self.first[self.groups(row)], first);
        store(&self.second[self.groups(row)], second);
    }
}

/// Writes as many columns as there is room for.
#[inline(always)]
pub(super) fn store(from: &[Lanes], out: &mut [f32]) {
    let (whole, rest) = out.as_chunks_mut::<LANES>();
    for (out, from) in whole.iter_mut().zip(from) {
        *out = *from.as_array();
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&from[whole.len()].as_array()[..rest.len()]);
    }
}
