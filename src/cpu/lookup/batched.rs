//! Bags of many tables pooled at once: one feature after the other, each in parallel over its bags.

use std::ops::Range;

use half::f16;

use super::Batch;
use super::level::Level;
use super::output::{LookupOutput, RowShape};
use super::split::{Part, Work};
use crate::batched::{Placed, refuse, refuse_entry};
use crate::request::{Looked, Values};
use crate::{
    BatchedRequest, BatchedTable, Error, Feature, LookupStatus, OutOfRange, Output, PRUNED, Place,
    Result, Weighting,
};

/// Indices that are translated at once through a remap: enough for several tasks, few for a stack.
const TRANSLATED: usize = 16384;

/// Bags that they may make.
const TRANSLATED_BAGS: usize = 2048;

/// Room for bags whose indices were entries of a remap.
struct Translated {
    rows: [u32; TRANSLATED],
    offsets: [u32; TRANSLATED_BAGS + 1],
}

impl Default for Translated {
    fn default() -> Self {
        Self {
            rows: [0; TRANSLATED],
            offsets: [0; TRANSLATED_BAGS + 1],
        }
    }
}

/// Any batched lookup: [`batched_into`] memory that it allocates, zeros where no feature has its place.
///
/// # Errors
/// Those of [`batched_into`].
///
/// # Cost
/// Allocates the result; blocks on all cores.
pub fn batched(tables: &[BatchedTable<'_>], request: BatchedRequest<'_>) -> Result<Looked> {
    let batch = Checked::new(tables, &request)?;
    let len = batch.elements();
    let (values, status) = match request.output {
        Output::F32 => {
            let mut values = zeros(len, 0.0)?;
            let status = batch.run(LookupOutput::F32(&mut values))?;
            (Values::F32(values), status)
        }
        Output::F16 => {
            let mut values = zeros(len, f16::ZERO)?;
            let status = batch.run(LookupOutput::F16(&mut values))?;
            (Values::F16(values), status)
        }
    };
    Ok(Looked { values, status })
}

/// Any batched lookup, to memory of the caller's.
///
/// Each feature's rows are those of [`super::lookup_into`] in its table, bit for bit. What is in nobody's place is left
/// alone. Where the call fails for what it found in indices or offsets, `output` holds what the others gave.
///
/// # Errors
/// [`Error::Shape`] where a feature names a table that is not there, where `offsets` does not have the same number of
/// bags for every feature, for places that do not fit, and where `output` has another type than the request or fewer
/// elements than the places need; [`Error::Unsupported`] for a gather and a weighted max; unless they are to be skipped
/// [`Error::IndexOutOfRange`], [`Error::Offsets`], and [`Error::Remap`] for an entry that is no row and that an index
/// asks for.
///
/// # Cost
/// Allocates a word for every table and three for every feature, and for a bag of more than 16384 indices whose table has
/// a remap, as many. A feature is looked up on all cores, one after the other; through a remap its indices are read by
/// the caller's thread first.
///
/// # Examples
/// ```
/// use qembed::cpu;
/// use qembed::{
///     BatchedRequest, BatchedTable, Feature, Float, Format, Method, OutOfRange, Output, PRUNED, PackedTable, Pooling,
/// };
///
/// let floats = |values: &[f32], dim| {
///     PackedTable::quantize(values, dim, Format::Float(Float::F32), Method::Cast)
/// };
/// let (users, items) = (floats(&[1.0, 2.0], 1)?, floats(&[1.0, 2.0, 3.0, 4.0], 2)?);
/// let tables = [
///     BatchedTable { rows: &users, remap: None },
///     BatchedTable { rows: &items, remap: Some(&[1, PRUNED, 0]) },
/// ];
/// let request = BatchedRequest {
///     features: &[
///         Feature { table: 0, pooling: Pooling::Sum },
///         Feature { table: 1, pooling: Pooling::Mean },
///     ],
///     places: None,
///     // Two bags of users, then two of items.
///     indices: &[0, 1, 1, 0, 1, 2],
///     offsets: &[0, 2, 3, 5, 6],
///     weights: None,
///     output: Output::F32,
///     out_of_range: OutOfRange::Error,
/// };
/// let looked = cpu::batched(&tables, request)?;
/// assert_eq!(looked.values.into_f32(), [3.0, 1.5, 2.0, 2.0, 1.0, 2.0]);
/// # Ok::<(), qembed::Error>(())
/// ```
pub fn batched_into(
    tables: &[BatchedTable<'_>],
    request: BatchedRequest<'_>,
    output: LookupOutput<'_>,
) -> Result<LookupStatus> {
    let batch = Checked::new(tables, &request)?;
    output.check_type(request.output)?;
    if (output.len() as u64) < batch.elements() {
        return Err(Error::Shape {
            argument: "output",
            needed: format!("{} values", batch.elements()),
            got: output.len().to_string(),
        });
    }
    batch.run(output)
}

/// So many zeros; places may be far apart.
fn zeros<T: Clone>(len: u64, zero: T) -> Result<Vec<T>> {
    let too_long = || Error::Shape {
        argument: "output",
        needed: "places whose output the memory holds".into(),
        got: format!("{len} values"),
    };
    let len = usize::try_from(len).map_err(|_| too_long())?;
    let mut values = vec![];
    values.try_reserve_exact(len).map_err(|_| too_long())?;
    values.resize(len, zero);
    Ok(values)
}

/// How many indices a table knows.
fn known(table: &BatchedTable<'_>) -> u32 {
    let entries = table.remap.map(|remap| remap.len() as u32);
    entries.unwrap_or(table.rows.rows())
}

/// A batch whose every argument but the output was checked.
struct Checked<'a> {
    tables: &'a [BatchedTable<'a>],
    request: &'a BatchedRequest<'a>,
    placed: Placed,
    /// Of a feature.
    bags: usize,
}

impl<'a> Checked<'a> {
    fn new(tables: &'a [BatchedTable<'a>], request: &'a BatchedRequest<'a>) -> Result<Self> {
        let dims: Vec<_> = tables.iter().map(|table| table.rows.dim()).collect();
        let kind = (Weighting::of(request.weights), request.output);
        let placed = Placed::new(&dims, request.features, request.places, kind)?;
        Ok(Self {
            tables,
            request,
            placed,
            bags: request.check()?,
        })
    }

    /// Of the output.
    fn elements(&self) -> u64 {
        self.placed.elements(self.bags as u64)
    }

    /// To an output of the request's type that has the elements.
    fn run(&self, mut output: LookupOutput<'_>) -> Result<LookupStatus> {
        let mut status = LookupStatus::CLEAR;
        if self.bags == 0 {
            return Ok(status);
        }
        let mut room = None;
        for (number, feature) in self.request.features.iter().enumerate() {
            let first_bag = number * self.bags;
            let one = One {
                table: self.tables[feature.table],
                feature,
                request: self.request,
                offsets: &self.request.offsets[first_bag..=first_bag + self.bags],
                place: self.placed.places[number],
            };
            status = status.and(one.run(first_bag, &mut output, &mut room));
        }
        if self.request.out_of_range == OutOfRange::Error {
            refuse_entry(&status, self.request, self.tables)?;
            refuse(&status, self.request, |table| known(&self.tables[table]))?;
        }
        Ok(status)
    }
}

/// One feature of a batch.
#[derive(Clone, Copy)]
struct One<'a> {
    table: BatchedTable<'a>,
    feature: &'a Feature,
    request: &'a BatchedRequest<'a>,
    /// Of its own bags.
    offsets: &'a [u32],
    place: Place,
}

/// Bags whose indices are rows.
struct Bags<'a> {
    indices: &'a [u32],
    offsets: &'a [u32],
    weights: Option<&'a [f32]>,
}

/// One bag of nothing.
const EMPTY: Bags<'static> = Bags {
    indices: &[],
    offsets: &[0, 0],
    weights: None,
};

impl One<'_> {
    /// The status numbers bags from `first_bag` on.
    fn run(
        &self,
        first_bag: usize,
        output: &mut LookupOutput<'_>,
        room: &mut Option<Translated>,
    ) -> LookupStatus {
        let mut status = match self.table.remap {
            Some(remap) => {
                self.translated(remap, output, room.get_or_insert_with(Translated::default))
            }
            None => {
                let bags = Bags {
                    indices: self.request.indices,
                    offsets: self.offsets,
                    weights: self.request.weights,
                };
                self.pool(bags, 0, output)
            }
        };
        if status.bad_bags > 0 {
            status.first_bag += first_bag as u32;
        }
        status
    }

    /// Pools bags whose indices are entries of a remap: as many at once as there is room for, a bad one alone, and one
    /// that there is no room for.
    fn translated(
        &self,
        remap: &[i32],
        output: &mut LookupOutput<'_>,
        room: &mut Translated,
    ) -> LookupStatus {
        let mut status = LookupStatus::CLEAR;
        let mut bag = 0;
        while bag + 1 < self.offsets.len() {
            let fitting = self.fitting(bag);
            let bags = bag..bag + fitting.max(1);
            let positions = self.positions(bags.start, bags.end);
            status = status.and(match positions {
                None => {
                    self.pool(EMPTY, bag, output);
                    LookupStatus {
                        bad_bags: 1,
                        first_bag: bag as u32,
                        ..LookupStatus::CLEAR
                    }
                }
                Some(positions) if fitting == 0 => {
                    let mut rows = vec![0; positions.len()];
                    let offsets = [0, positions.len() as u32];
                    self.translate(remap, positions, (&mut rows, &offsets), (bag, output))
                }
                Some(positions) => {
                    let Translated { rows, offsets } = room;
                    let offsets = &mut offsets[..=bags.len()];
                    for (offset, given) in offsets.iter_mut().zip(&self.offsets[bag..]) {
                        *offset = given - positions.start as u32;
                    }
                    let rows = &mut rows[..positions.len()];
                    self.translate(remap, positions, (rows, offsets), (bag, output))
                }
            });
            bag = bags.end;
        }
        status
    }

    /// Good bags from one on that there is room for.
    fn fitting(&self, first: usize) -> usize {
        let begin = self.offsets[first] as usize;
        let ends = self.offsets[first + 1..].iter().take(TRANSLATED_BAGS);
        let mut before = begin;
        let fitting = ends.take_while(|end| {
            let end = **end as usize;
            let fits = before <= end && end - begin <= TRANSLATED;
            before = end;
            fits && end <= self.request.indices.len()
        });
        fitting.count()
    }

    /// The positions of bags, of which all are good or there is one; `None` where that is bad.
    fn positions(&self, first: usize, end: usize) -> Option<Range<usize>> {
        let positions = self.offsets[first] as usize..self.offsets[end] as usize;
        let is_good =
            positions.start <= positions.end && positions.end <= self.request.indices.len();
        is_good.then_some(positions)
    }

    /// Translates the indices at positions to `rows`, and pools them.
    fn translate(
        &self,
        remap: &[i32],
        positions: Range<usize>,
        (rows, offsets): (&mut [u32], &[u32]),
        (first, output): (usize, &mut LookupOutput<'_>),
    ) -> LookupStatus {
        let mut status = LookupStatus::CLEAR;
        let indices = &self.request.indices[positions.clone()];
        for ((row, index), position) in rows.iter_mut().zip(indices).zip(positions.clone()) {
            // No table has a row of the number that -1 becomes; what is below it becomes a larger one than i32 has.
            let entry = remap.get(*index as usize).copied();
            *row = entry.unwrap_or(PRUNED) as u32;
            if entry.is_none_or(|entry| entry != PRUNED && entry as u32 >= self.table.rows.rows()) {
                status.bad_indices = status.bad_indices.wrapping_add(1);
                status.first_position = status.first_position.min(position as u32);
            }
        }
        let bags = Bags {
            indices: rows,
            offsets,
            weights: self.request.weights.map(|weights| &weights[positions]),
        };
        // What is no row here was pruned, or is counted already.
        self.pool(bags, first, output);
        status
    }

    /// Pools bags of rows, whose output begins with that of bag `first` of the feature.
    fn pool(&self, bags: Bags<'_>, first: usize, output: &mut LookupOutput<'_>) -> LookupStatus {
        let count = bags.offsets.len() - 1;
        let (dim, stride) = (self.table.rows.dim() as usize, self.place.stride as usize);
        let start = self.place.first as usize + first * stride;
        let end = start + (count - 1) * stride + dim;
        let batch = Batch {
            pooling: self.feature.pooling,
            indices: bags.indices,
            weights: bags.weights,
        };
        let part = Part {
            table: self.table.rows,
            level: Level::best(),
            work: Work::Pool(batch, bags.offsets),
            range: 0..count,
            output: output.lent(start..end),
            shape: RowShape { dim, stride },
        };
        part.run()
    }
}
