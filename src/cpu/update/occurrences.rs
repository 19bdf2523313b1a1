//! A batch as rows and where they occur.

use super::super::lanes::{div, flush};
use super::sort;
use crate::training::{Batch, UpdateStatus};
use crate::{Pooling, Result};

/// One occurrence of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) bag: u32,
    /// What the bag's gradient is multiplied by; NaN where the weight is not finite.
    pub(super) coefficient: f32,
}

/// A row of the table and its slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) row: u32,
    begin: u32,
    end: u32,
}

impl Segment {
    pub(super) fn slots(&self) -> std::ops::Range<usize> {
        self.begin as usize..self.end as usize
    }
}

/// The last row of a part of a batch, which is not empty.
pub(super) fn last_row(segments: &[Segment]) -> u32 {
    segments[segments.len() - 1].row
}

/// The occurrences of a batch, row by row.
#[derive(Debug)]
pub(super) struct Occurrences {
    /// Row and position of every slot, in order.
    pub(super) keys: Vec<u64>,
    pub(super) slots: Vec<Slot>,
    /// In order of rows.
    pub(super) segments: Vec<Segment>,
}

impl Occurrences {
    /// Orders a batch; bad indices and bags are counted. Nothing occurs where a bag is bad.
    ///
    /// # Errors
    /// Those of a batch's shape.
    pub(super) fn new(batch: &Batch<'_>, rows: u32, status: &mut UpdateStatus) -> Result<Self> {
        batch.check()?;
        let bags = Bags::new(batch, status);
        let mut keys = Vec::with_capacity(batch.indices.len());
        for (_, positions) in bags.iter() {
            for position in positions {
                let row = batch.indices[position];
                if row < rows {
                    keys.push(sort::key(row, position as u32));
                } else {
                    count_index(status, position);
                }
            }
        }
        if status.bad_bags > 0 {
            keys.clear();
        }
        let keys = sort::by_row(keys, rows);
        let slots = slots(batch, &bags, &keys);
        let segments = segments(&keys);
        Ok(Self {
            keys,
            slots,
            segments,
        })
    }
}

fn count_index(status: &mut UpdateStatus, position: usize) {
    status.bad_indices += 1;
    status.first_position = status.first_position.min(position as u32);
}

/// Where a batch's bags lie.
pub(super) struct Bags<'a> {
    batch: Batch<'a>,
}

impl<'a> Bags<'a> {
    /// Counts those that are bad.
    pub(super) fn new(batch: &Batch<'a>, status: &mut UpdateStatus) -> Self {
        let bags = Self { batch: *batch };
        for bag in 0..batch.bags() {
            if bags.positions(bag).is_none() {
                status.bad_bags += 1;
                status.first_bag = status.first_bag.min(bag as u32);
            }
        }
        bags
    }

    /// `None` where the offsets decrease or pass the end.
    fn positions(&self, bag: usize) -> Option<std::ops::Range<usize>> {
        let Some(offsets) = self.batch.offsets else {
            return Some(bag..bag + 1);
        };
        let (begin, end) = (offsets[bag] as usize, offsets[bag + 1] as usize);
        (begin <= end && end <= self.batch.indices.len()).then_some(begin..end)
    }

    /// The good ones, and their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        (0..self.batch.bags()).filter_map(|bag| Some((bag, self.positions(bag)?)))
    }

    pub(super) fn indices(&self) -> &'a [u32] {
        self.batch.indices
    }

    /// Counts the bad indices in good bags.
    pub(super) fn count_indices(&self, rows: u32, status: &mut UpdateStatus) {
        for (_, positions) in self.iter() {
            for position in positions {
                if self.batch.indices[position] >= rows {
                    count_index(status, position);
                }
            }
        }
    }

    /// The bag of every position. Positions in no bag have any; none of theirs is looked up.
    fn of_positions(&self) -> Vec<u32> {
        let mut bags = vec![0; self.batch.indices.len()];
        for (bag, positions) in self.iter() {
            bags[positions].fill(bag as u32);
        }
        bags
    }

    /// What a mean divides a bag by, 1 elsewhere.
    #[inline(always)]
    pub(super) fn divisor(&self, bag: usize) -> f32 {
        match (self.batch.pooling, self.batch.offsets) {
            (Pooling::Mean, Some(offsets)) => (offsets[bag + 1] - offsets[bag]) as f32,
            _ => 1.0,
        }
    }
}

fn slots(batch: &Batch<'_>, bags: &Bags<'_>, keys: &[u64]) -> Vec<Slot> {
    let slot = |bag: usize, position: usize| {
        let weight = batch.weights.map_or(1.0, |weights| weights[position]);
        let coefficient = if weight.is_finite() {
            div(flush(weight), bags.divisor(bag))
        } else {
            f32::NAN
        };
        Slot {
            bag: bag as u32,
            coefficient,
        }
    };
    let positions = keys.iter().map(|&key| sort::position(key) as usize);
    if batch.offsets.is_none() {
        return positions.map(|position| slot(position, position)).collect();
    }
    let of_positions = bags.of_positions();
    positions
        .map(|position| slot(of_positions[position] as usize, position))
        .collect()
}

fn segments(keys: &[u64]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::with_capacity(keys.len());
    for (slot, &key) in keys.iter().enumerate() {
        let (row, slot) = (sort::row(key), slot as u32);
        match segments.last_mut() {
            Some(last) if last.row == row => last.end = slot + 1,
            _ => segments.push(Segment {
                row,
                begin: slot,
                end: slot + 1,
            }),
        }
    }
    segments
}
