//! f32 rows to packed rows.

use std::ops::Range as Rows;
use std::sync::Arc;

use super::Table;
use super::arguments::{Dispatch, Range, Work, check_rows, check_table, missing, status_range};
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use super::scope::filled_buffer;
use super::table::Part;
use crate::shader::{WorkUniform, quantize_rows_per_group};
use crate::{Error, Method, QuantizeSpec, QuantizeStatus, Result};

/// A compiled quantize kernel; see [`Kernels::quantize`].
#[derive(Clone, Debug)]
pub struct Quantize {
    kernels: Kernels,
    spec: QuantizeSpec,
    pipeline: Arc<Pipeline>,
    /// What a value in a bin of a histogram costs; of the histogram methods alone.
    errors: Option<wgpu::Buffer>,
}

/// Arguments of [`Quantize::bind`].
///
/// Ranges need the usage `STORAGE` and the device's offset alignment; longer ones than needed are fine.
/// The table and `status` are written: the buffer of `values` may be neither's.
#[derive(Clone, Debug)]
pub struct QuantizeArgs<'a> {
    /// Rows of the table to write.
    pub rows: Rows<u32>,
    /// `[rows.len(), dim]` f32, row-major; may be `None` where there are no rows.
    pub values: Option<wgpu::BufferBinding<'a>>,
    /// Written: [`QuantizeStatus`], six u32 that the caller set to [`QuantizeStatus::CLEAR`]; may be
    /// `None`.
    pub status: Option<wgpu::BufferBinding<'a>>,
}

/// A quantize with its buffers, ready to be recorded any number of times.
#[derive(Clone, Debug)]
pub struct BoundQuantize {
    dispatches: Vec<Dispatch>,
}

impl BoundQuantize {
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

impl Quantize {
    /// What it computes.
    pub fn spec(&self) -> QuantizeSpec {
        self.spec
    }

    pub(super) fn new(
        kernels: Kernels,
        spec: QuantizeSpec,
        pipeline: Arc<Pipeline>,
    ) -> Result<Self> {
        let errors = match (spec.method, spec.format.bits()) {
            (Method::HistApprox { bins } | Method::HistBrute { bins }, Some(bits)) => {
                Some(kernels.bin_errors(bins, bits)?)
            }
            _ => None,
        };
        Ok(Self {
            kernels,
            spec,
            pipeline,
            errors,
        })
    }

    /// Checks every argument and binds them. The table's rows are written, the others left alone.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table of other kernels or another format or dim and rows outside it, and what is
    /// wrong with a range; [`Error::Limit`]; [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates a bind group and a uniform of 32 bytes for every dispatch and, where there is no status, 24 bytes of
    /// scratch. Compiles, submits and waits for nothing.
    pub fn bind(&self, table: &Table, args: QuantizeArgs<'_>) -> Result<BoundQuantize> {
        check_table(&self.kernels, table, self.spec.format)?;
        self.check_dim(table)?;
        check_rows(table, &args.rows)?;
        let rows = args.rows.len() as u64;
        if rows == 0 {
            return Ok(BoundQuantize { dispatches: vec![] });
        }
        let values = args.values.as_ref().ok_or_else(|| missing("values"))?;
        let value_bytes = 4 * rows * u64::from(self.spec.dim);
        let mut scratch = None;
        let clear = bytemuck::bytes_of(&QuantizeStatus::CLEAR);
        let given = [
            Range::storage("values", values, value_bytes, self.kernels.limits())?,
            status_range(&self.kernels, args.status.as_ref(), clear, &mut scratch)?,
        ];
        let parts = table.parts(args.rows);
        let dispatches = parts.map(|part| self.dispatch(table, part, given.clone()));
        Ok(BoundQuantize {
            dispatches: dispatches.collect::<Result<_>>()?,
        })
    }

    fn dispatch(&self, table: &Table, part: Part<'_>, given: [Range<'_>; 2]) -> Result<Dispatch> {
        let device = self.kernels.device();
        let work = filled_buffer(
            device,
            "qembed.work",
            wgpu::BufferUsages::UNIFORM,
            bytemuck::bytes_of(&WorkUniform::new(self.spec.method, part.range)),
        )?;
        let mut ranges = vec![
            table.uniform_range(),
            Range::whole("work", &work),
            part.words,
        ];
        ranges.extend(given);
        ranges.extend(
            self.errors
                .as_ref()
                .map(|errors| Range::whole("errors", errors)),
        );
        let groups = part
            .range
            .rows
            .div_ceil(quantize_rows_per_group(&self.spec));
        let work = Work::groups("rows", groups.into())?;
        Dispatch::new(device, &self.pipeline, &ranges, work)
    }

    fn check_dim(&self, table: &Table) -> Result<()> {
        if table.desc().dim == self.spec.dim {
            return Ok(());
        }
        Err(Error::Shape {
            argument: "table",
            needed: format!("dim {} (the kernel's spec)", self.spec.dim),
            got: format!("dim {}", table.desc().dim),
        })
    }
}
