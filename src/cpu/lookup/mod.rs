//! Rows looked up and pooled: sixteen columns at a time, in blocks of columns whose sums stay in registers, with
//! the rows to come asked for ahead, in parallel over bags.

mod batched;
mod codes;
mod columns;
mod decode;
mod fold;
mod gather;
mod isa;
mod level;
mod output;
mod pool;
mod prefetch;
mod rows;
mod split;

pub use batched::{batched, batched_into};
pub use level::Level;
pub use output::LookupOutput;

use gather::Source;
use half::f16;
use output::RowShape;
use split::{Part, Work};

use crate::request::{Looked, LookupRequest, Values, check_request, refuse};
use crate::{Error, LookupStatus, OutOfRange, Output, PackedTable, Pooling, Result};

/// What bags are made of.
#[derive(Clone, Copy, Debug)]
struct Batch<'a> {
    pooling: Pooling,
    indices: &'a [u32],
    /// As many.
    weights: Option<&'a [f32]>,
}

/// Any lookup, in parallel over output rows: [`lookup_into`] memory that it allocates.
///
/// # Errors
/// Those of [`crate::Session::lookup`] that are not of a device.
///
/// # Cost
/// Allocates the result; blocks on all cores.
pub fn lookup(table: &PackedTable, request: LookupRequest<'_>) -> Result<Looked> {
    let (rows, _) = check_request(&request)?;
    let dim = table.dim() as usize;
    let len = (rows as usize).checked_mul(dim).ok_or(Error::Shape {
        argument: "output",
        needed: "a result that the address space holds".into(),
        got: format!("{rows} x {dim} values"),
    })?;
    let (values, status) = match request.output {
        Output::F32 => {
            let mut values = vec![0.0; len];
            let status = lookup_into(table, request, LookupOutput::F32(&mut values))?;
            (Values::F32(values), status)
        }
        Output::F16 => {
            let mut values = vec![f16::ZERO; len];
            let status = lookup_into(table, request, LookupOutput::F16(&mut values))?;
            (Values::F16(values), status)
        }
    };
    Ok(Looked { values, status })
}

/// Any lookup, to memory of the caller's, in parallel over output rows.
///
/// Gathers and maxima are the reference's bits; a sum is within its bound (`docs/accuracy.md`). The bits depend
/// on the table and the bag alone: not on the instruction set, the number of threads, or what else is in the
/// batch. Where the call fails for what it found in indices or offsets, `output` holds what the others gave.
///
/// # Errors
/// [`Error::Shape`] where `output` has another length or type than the request asks for, and those of [`lookup`].
///
/// # Cost
/// Allocates nothing, but for what rayon may when it is first called and when it is called from outside its
/// threads. Small requests, and all where rayon has one thread, run where they are called; others block on all
/// cores.
///
/// # Examples
/// ```
/// use qembed::cpu::{self, LookupOutput};
/// use qembed::{Bits, Format, LookupRequest, Method, OutOfRange, Output, PackedTable, Pooling};
///
/// let rows = [0.0, 0.5, 1.0, 1.5, -1.0, 0.0, 1.0, 2.0];
/// let table = PackedTable::quantize(&rows, 4, Format::affine(Bits::B2), Method::Asym)?;
/// let request = LookupRequest {
///     pooling: Pooling::Sum,
///     indices: &[0, 1, 1],
///     offsets: Some(&[0, 2, 3]),
///     weights: None,
///     output: Output::F32,
///     out_of_range: OutOfRange::Error,
/// };
/// let mut sums = [0.0; 8];
/// cpu::lookup_into(&table, request, LookupOutput::F32(&mut sums))?;
/// assert_eq!(sums, [-1.0, 0.5, 2.0, 3.5, -1.0, 0.0, 1.0, 2.0]);
/// # Ok::<(), qembed::Error>(())
/// ```
pub fn lookup_into(
    table: &PackedTable,
    request: LookupRequest<'_>,
    output: LookupOutput<'_>,
) -> Result<LookupStatus> {
    lookup_at(Level::best(), table, request, output)
}

/// [`lookup_into`] at a level of one's choice, to compare them.
///
/// # Errors
/// [`Error::Unsupported`] where the machine lacks the level, and those of [`lookup_into`].
///
/// # Cost
/// As [`lookup_into`].
pub fn lookup_at(
    level: Level,
    table: &PackedTable,
    request: LookupRequest<'_>,
    output: LookupOutput<'_>,
) -> Result<LookupStatus> {
    level.check()?;
    let (rows, offsets) = check_request(&request)?;
    output.check(request.output, rows as usize, table.dim() as usize)?;
    let work = match offsets {
        None => Work::Gather(Source::Indices(request.indices, request.weights)),
        Some(offsets) => {
            let batch = Batch {
                pooling: request.pooling,
                indices: request.indices,
                weights: request.weights,
            };
            Work::Pool(batch, offsets)
        }
    };
    let part = Part {
        table,
        level,
        work,
        range: 0..rows as usize,
        output,
        shape: RowShape::dense(table),
    };
    let status = part.run();
    if request.out_of_range == OutOfRange::Error {
        refuse(&status, (request.indices, offsets), |_| table.rows())?;
    }
    Ok(status)
}

/// Every value of a table, `[rows, dim]`, row-major.
pub(super) fn all_values(table: &PackedTable) -> Vec<f32> {
    let mut values = vec![0.0; table.rows() as usize * table.dim() as usize];
    let part = Part {
        table,
        level: Level::best(),
        work: Work::Gather(Source::All),
        range: 0..table.rows() as usize,
        output: LookupOutput::F32(&mut values),
        shape: RowShape::dense(table),
    };
    part.run();
    values
}
