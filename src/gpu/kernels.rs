//! The door to the kernels: one device, its limits, its compiled pipelines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::pipeline::{Cache, Pipeline};
use super::scope::filled_buffer;
use super::tuning::Tuning;
use super::{Dequantize, Lookup, Quantize, Sort};
use crate::method::bin_errors;
use crate::shader::{self, Variant};
use crate::{Bits, Error, Format, LookupPlan, LookupSpec, Method, QuantizeSpec, Result};

/// Kernels on one device. Cloning shares the pipelines.
///
/// Compiling holds a lock, so that no variant is compiled twice; other calls that need a pipeline wait
/// meanwhile, those that record do not.
#[derive(Clone, Debug)]
pub struct Kernels {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    limits: wgpu::Limits,
    training_workgroup: u32,
    tuning: Tuning,
    cache: Cache,
    bin_errors: Mutex<HashMap<(u32, Bits), wgpu::Buffer>>,
}

/// Workgroup memory of the kernels that quantize; those that sort have less.
const WORKGROUP_BYTES: u32 = 16384;

/// Options of [`Kernels::with_options`].
#[derive(Clone, Debug, Default)]
pub struct KernelsOptions {
    /// The engine's own cache of compiled pipelines, where its device has one (Vulkan).
    pub pipeline_cache: Option<wgpu::PipelineCache>,
    /// Lanes of a workgroup of the kernels that train: 64, the default, 128 or 256. Results do not depend on it.
    pub training_workgroup: Option<u32>,
}

impl Kernels {
    /// Checks the device's limits; compiles nothing.
    ///
    /// # Errors
    /// [`Error::Limit`] where the device has less than every kernel needs: 8 storage buffers,
    /// workgroups of 256 lanes with 16 KiB of memory, a grid of 65535. wgpu's default limits suffice.
    pub fn new(device: &wgpu::Device) -> Result<Self> {
        Self::with_options(device, KernelsOptions::default())
    }

    /// [`Kernels::new`] with options.
    ///
    /// # Errors
    /// As [`Kernels::new`].
    pub fn with_options(device: &wgpu::Device, options: KernelsOptions) -> Result<Self> {
        let limits = device.limits();
        let required = [
            (
                "max_storage_buffers_per_shader_stage",
                limits.max_storage_buffers_per_shader_stage,
                8,
            ),
            (
                "max_bindings_per_bind_group",
                limits.max_bindings_per_bind_group,
                12,
            ),
            (
                "max_compute_workgroup_storage_size",
                limits.max_compute_workgroup_storage_size,
                WORKGROUP_BYTES,
            ),
            (
                "max_compute_invocations_per_workgroup",
                limits.max_compute_invocations_per_workgroup,
                shader::SORT_WORKGROUP,
            ),
            (
                "max_compute_workgroup_size_x",
                limits.max_compute_workgroup_size_x,
                shader::SORT_WORKGROUP,
            ),
            (
                "max_compute_workgroups_per_dimension",
                limits.max_compute_workgroups_per_dimension,
                shader::GRID_WIDTH,
            ),
        ];
        for (name, available, needed) in required {
            if available < needed {
                return Err(Error::Limit {
                    argument: "device",
                    name,
                    needed: needed.into(),
                    available: available.into(),
                });
            }
        }
        let training_workgroup = options.training_workgroup.unwrap_or(shader::WORKGROUP);
        if ![64, 128, 256].contains(&training_workgroup) {
            return Err(Error::Shape {
                argument: "training_workgroup",
                needed: "64, 128 or 256".into(),
                got: training_workgroup.to_string(),
            });
        }
        Ok(Self {
            inner: Arc::new(Inner {
                device: device.clone(),
                limits,
                training_workgroup,
                tuning: Tuning::of(device),
                cache: Cache::new(options.pipeline_cache),
                bin_errors: Mutex::default(),
            }),
        })
    }

    /// The lookup kernel of a spec; compiled at the first call for it, then cached.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a weighted max, [`Error::Device`] where the driver refuses the
    /// shader, [`Error::DeviceLost`].
    pub fn lookup(&self, spec: LookupSpec) -> Result<Lookup> {
        spec.check()?;
        Lookup::new(self.clone(), spec, self.inner.tuning)
    }

    /// The lookup kernel of a spec by a plan of the caller's choice, whatever the batch: to measure, and to verify.
    /// F16 rows of an odd length are computed by [`LookupPlan::Columns`] all the same.
    ///
    /// # Errors
    /// Those of [`Kernels::lookup`]; [`Error::Unsupported`] where the plan does not fit ([`LookupPlan::fits`]).
    pub fn lookup_by(&self, spec: LookupSpec, plan: LookupPlan) -> Result<Lookup> {
        spec.check()?;
        if !plan.fits(&spec) {
            return Err(Error::Unsupported {
                what: format!("{}{}", spec.label(), plan.suffix()),
                instead: "take LookupPlan::Columns, or pool by sum or mean",
            });
        }
        Lookup::new(self.clone(), spec, Tuning::fixed(plan))
    }

    /// The quantize kernel of a spec; compiled at the first call for it, then cached.
    ///
    /// # Errors
    /// [`Error::Shape`] where dim is not 1 to 8192, what [`Method::check`] says, [`Error::Unsupported`] for
    /// [`Method::KmeansCls`], [`Error::OutOfMemory`], [`Error::Device`], [`Error::DeviceLost`].
    ///
    /// # Cost
    /// The histogram methods allocate a table of `8 * bins^2` bytes (`bins` of 200: 320 kilobytes) at the
    /// first call for their bins and width; it is kept.
    pub fn quantize(&self, spec: QuantizeSpec) -> Result<Quantize> {
        crate::format::check_dim(spec.dim as usize)?;
        spec.method.check(spec.format)?;
        if let Method::KmeansCls { .. } = spec.method {
            return Err(Error::Unsupported {
                what: "kmeans-cls on a GPU".into(),
                instead: "quantize on the CPU (PackedTable::quantize, --device cpu) and upload",
            });
        }
        let pipeline = self.pipeline(&shader::quantize(&spec))?;
        Quantize::new(self.clone(), spec, pipeline)
    }

    /// The dequantize kernel of a format; compiled at the first call for it, then cached.
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::DeviceLost`].
    pub fn dequantize(&self, format: Format) -> Result<Dequantize> {
        let pipeline = self.pipeline(&shader::dequantize(format))?;
        Ok(Dequantize::new(self.clone(), format, pipeline))
    }

    /// The kernels that sort a batch; compiled at the first call, then cached.
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::DeviceLost`].
    pub fn sort(&self) -> Result<Sort> {
        Sort::new(self.clone())
    }

    /// The device that the kernels run on.
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.device
    }

    /// Refuses a table, or the tables of a batch, of other kernels.
    ///
    /// wgpu knows a buffer by its number in the instance that made it, so that the buffer of another
    /// instance may pass for one of this.
    pub(crate) fn check_owner(&self, argument: &'static str, owner: &Self) -> Result<()> {
        if self.is(owner) {
            return Ok(());
        }
        Err(Error::Shape {
            argument,
            needed: "one made with these kernels or a clone of them".into(),
            got: "one made with others".into(),
        })
    }

    /// Whether these are clones of each other.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// What a value in a bin of a histogram costs, on the device.
    pub(super) fn bin_errors(&self, bins: u32, bits: Bits) -> Result<wgpu::Buffer> {
        let known = &self.inner.bin_errors;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = known.get(&(bins, bits)) {
            return Ok(buffer.clone());
        }
        let buffer = filled_buffer(
            self.device(),
            "qembed.errors",
            wgpu::BufferUsages::STORAGE,
            bytemuck::cast_slice(&bin_errors(bins, bits)),
        )?;
        known.insert((bins, bits), buffer.clone());
        Ok(buffer)
    }

    pub(super) fn limits(&self) -> &wgpu::Limits {
        &self.inner.limits
    }

    pub(super) fn tuning(&self) -> Tuning {
        self.inner.tuning
    }

    pub(super) fn training_workgroup(&self) -> u32 {
        self.inner.training_workgroup
    }

    /// The pipeline of a kernel that trains, with the workgroups of these kernels.
    pub(super) fn training_pipeline(&self, mut variant: Variant) -> Result<Arc<Pipeline>> {
        for (name, value) in &mut variant.constants {
            if *name == "WORKGROUP" {
                *value = self.training_workgroup().into();
            }
        }
        self.pipeline(&variant)
    }

    pub(super) fn pipeline(&self, variant: &Variant) -> Result<Arc<Pipeline>> {
        self.inner.cache.pipeline(self.device(), variant)
    }
}
