//! Packed rows back to f32.

use std::ops::Range as Rows;
use std::sync::Arc;

use super::Table;
use super::arguments::{Dispatch, Range, Work, check_table, missing, row_range};
use super::kernels::Kernels;
use super::pipeline::Pipeline;
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
    dispatch: Option<Dispatch>,
}

impl BoundDequantize {
    /// Records one dispatch, none where there are no rows. Sets the pipeline and bind group 0.
    ///
    /// # Cost
    /// Allocates, compiles, submits and waits for nothing; cannot fail.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        if let Some(dispatch) = &self.dispatch {
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
    /// Allocates a bind group and a uniform of 8 bytes. Compiles, submits and waits for nothing.
    pub fn bind(&self, table: &Table, args: DequantizeArgs<'_>) -> Result<BoundDequantize> {
        check_table(&self.kernels, table, self.format)?;
        let range = row_range(&self.kernels, table, &args.rows)?;
        let dim = u64::from(table.desc().dim);
        let rows = args.rows.len() as u64;
        if rows == 0 {
            return Ok(BoundDequantize { dispatch: None });
        }
        let values = args.values.as_ref().ok_or_else(|| missing("values"))?;
        let mut ranges = vec![
            table.uniform_range(),
            Range::whole("range", &range),
            table.rows_range(),
            Range::storage("values", values, 4 * rows * dim, self.kernels.limits())?,
        ];
        ranges.extend(table.blocks_range());
        let lanes = rows * dim.div_ceil(4);
        let work = Work::groups("rows", lanes.div_ceil(shader::WORKGROUP.into()))?;
        let dispatch = Dispatch::new(self.kernels.device(), &self.pipeline, &ranges, work)?;
        Ok(BoundDequantize {
            dispatch: Some(dispatch),
        })
    }
}
