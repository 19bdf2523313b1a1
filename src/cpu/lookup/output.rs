//! Where a lookup writes.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::super::lanes::{LANES, Lanes};
use crate::{Error, Output, PackedTable, Result};

/// The caller's memory for a lookup's result, `[bags, dim]` (a gather: `[indices, dim]`), row-major.
#[derive(Debug)]
pub enum LookupOutput<'a> {
    /// f32.
    F32(&'a mut [f32]),
    /// f16, rounded once from f32, to nearest even.
    F16(&'a mut [f16]),
}

/// A row of the output, and how far it is to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowShape {
    pub(super) dim: usize,
    pub(super) stride: usize,
}

impl RowShape {
    /// Rows of a table's columns, one after the other.
    pub(super) fn dense(table: &PackedTable) -> Self {
        let dim = table.dim() as usize;
        Self { dim, stride: dim }
    }
}

impl<'a> LookupOutput<'a> {
    fn output(&self) -> Output {
        match self {
            Self::F32(_) => Output::F32,
            Self::F16(_) => Output::F16,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
        }
    }

    /// Refuses memory of another type than the result has.
    pub(super) fn check_type(&self, output: Output) -> Result<()> {
        if self.output() == output {
            return Ok(());
        }
        Err(Error::Shape {
            argument: "output",
            needed: format!("{} values, as the request says", output.name()),
            got: format!("{} values", self.output().name()),
        })
    }

    /// Refuses memory of another type or length than the result has.
    pub(super) fn check(&self, output: Output, rows: usize, dim: usize) -> Result<()> {
        self.check_type(output)?;
        if rows.checked_mul(dim) != Some(self.len()) {
            return Err(Error::Shape {
                argument: "output",
                needed: format!("{rows} x {dim} values"),
                got: self.len().to_string(),
            });
        }
        Ok(())
    }

    /// The same memory, lent; of the values of a range alone.
    pub(super) fn lent(&mut self, range: Range<usize>) -> LookupOutput<'_> {
        match self {
            Self::F32(values) => LookupOutput::F32(&mut values[range]),
            Self::F16(values) => LookupOutput::F16(&mut values[range]),
        }
    }

    /// The memory of the first `len` values, and of the others.
    pub(super) fn split_at(self, len: usize) -> (Self, Self) {
        match self {
            Self::F32(values) => {
                let (first, others) = values.split_at_mut(len);
                (Self::F32(first), Self::F32(others))
            }
            Self::F16(values) => {
                let (first, others) = values.split_at_mut(len);
                (Self::F16(first), Self::F16(others))
            }
        }
    }

    /// Makes a row zeros.
    pub(super) fn zero_row(&mut self, row: usize, shape: RowShape) {
        let range = row * shape.stride..row * shape.stride + shape.dim;
        match self {
            Self::F32(values) => values[range].fill(0.0),
            Self::F16(values) => values[range].fill(f16::ZERO),
        }
    }

    /// Stores groups of sixteen columns of a row from a group on, but for the columns beyond the last.
    #[inline(always)]
    pub(super) fn store(
        &mut self,
        (row, group): (usize, usize),
        shape: RowShape,
        values: &[Lanes],
    ) {
        let first = row * shape.stride;
        let start = first + group * LANES;
        let end = (start + values.len() * LANES).min(first + shape.dim);
        if let Self::F32(out) = self
            && end - start == values.len() * LANES
        {
            let (out, _) = out[start..end].as_chunks_mut::<LANES>();
            for (out, values) in out.iter_mut().zip(values) {
                *out = *values.as_array();
            }
            return;
        }
        self.store_part(start..end, values);
    }

    /// Stores what does not fill its groups, or is rounded.
    #[inline(never)]
    fn store_part(&mut self, range: Range<usize>, values: &[Lanes]) {
        match self {
            Self::F32(out) => {
                for (out, values) in out[range].chunks_mut(LANES).zip(values) {
                    out.copy_from_slice(&values.as_array()[..out.len()]);
                }
            }
            Self::F16(out) => {
                for (out, values) in out[range].chunks_mut(LANES).zip(values) {
                    out.convert_from_f32_slice(&values.as_array()[..out.len()]);
                }
            }
        }
    }
}
