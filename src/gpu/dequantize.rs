//! Packed rows back to f32.

use std::ops::Range as Rows;
use std::sync::Arc;

use super::Table;
use super::arguments::{Dispatch, Range, Work, check_rows, check_table, missing};
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use super::scope::filled_buffer;
use super::table::Part;
use crate::shader;
use crate::{Format, Result};

/// A compiled dequantize kernel; see [`Kernels::dequantize`].
#[derive(Clone, Debug)]
pub struct Dequantize {
    kernels: Kernels,
    format: Format,
    pipeline: Arc<Pipeline>,
}

/// Arguments of [`Dequantize::bind`].
///
/// Ranges need the usage `STORAGE` and the device's offset alignment; longer ones than needed are fine.
/// `values` is written: its buffer may not be the table's.
#[derive(Clone, Debug)]
pub struct DequantizeArgs<'a> {
    /// Rows of the table to read.
    pub rows: Rows<u32>,
    /// Written: `[rows.len(), dim]` f32, row-major; may be `None` where there are no rows.
    pub values: Option<wgpu::BufferBinding<'a>>,
}

/// A dequantize with its buffers, ready to be recorded any number of times.
#[derive(Clone, Debug)]
pub struct BoundDequantize {
    dispatches: Vec<Dispatch>,
}

impl BoundDequantize {
    /// Records one dispatch for every shard of the table that has such rows, none where there are no rows. Sets the
    /// pipeline and bind group 0.
    ///
    /// # Cost
    /// Allocates, compiles, submits and waits for nothing; cannot fail.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        for dispatch in &self.dispatches {
            dispatch.record(pass);
        }
    }
}

impl Dequantize {
    /// The format that it reads.
    pub fn format(&self) -> Format {
        self.format
    }

    pub(super) fn new(kernels: Kernels, format: Format, pipeline: Arc<Pipeline>) -> Self {
        Self {
            kernels,
            format,
            pipeline,
        }
    }

    /// Checks every argument and binds them.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] for a table of other kernels or another format and rows outside it, and what is wrong with
    /// the range; [`crate::Error::Limit`]; [`crate::Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates a bind group and a uniform of 16 bytes for every dispatch. Compiles, submits and waits for nothing.
    pub fn bind(&self, table: &Table, args: DequantizeArgs<'_>) -> Result<BoundDequantize> {
        check_table(&self.kernels, table, self.format)?;
        check_rows(table, &args.rows)?;
        let rows = args.rows.len() as u64;
        if rows == 0 {
            return Ok(BoundDequantize { dispatches: vec![] });
        }
        let values = args.values.as_ref().ok_or_else(|| missing("values"))?;
        let bytes = 4 * rows * u64::from(table.desc().dim);
        let values = Range::storage("values", values, bytes, self.kernels.limits())?;
        let parts = table.parts(args.rows);
        let dispatches = parts.map(|part| self.dispatch(table, part, &values));
        Ok(BoundDequantize {
            dispatches: dispatches.collect::<Result<_>>()?,
        })
    }

    fn dispatch(&self, table: &Table, part: Part<'_>, values: &Range<'_>) -> Result<Dispatch> {
        let device = self.kernels.device();
        let usage = wgpu::BufferUsages::UNIFORM;
        let uniform = bytemuck::bytes_of(&part.range);
        let range = filled_buffer(device, "qembed.range", usage, uniform)?;
        let mut ranges = vec![
            table.uniform_range(),
            Range::whole("range", &range),
            part.words,
            values.clone(),
        ];
        ranges.extend(table.blocks_range());
        let lanes = u64::from(part.range.rows) * u64::from(table.desc().dim.div_ceil(4));
        let work = Work::groups("rows", lanes.div_ceil(shader::WORKGROUP.into()))?;
        Dispatch::new(device, &self.pipeline, &ranges, work)
    }
}
