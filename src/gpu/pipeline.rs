//! Compiles a variant once and keeps it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::scope::{alive, checked};
use crate::Result;
use crate::shader::{Access, Binding, Variant};

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) label: String,
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) bindings: &'static [Binding],
}

/// Every pipeline compiled so far.
#[derive(Debug)]
pub(super) struct Cache {
    pipelines: Mutex<HashMap<Key, Arc<Pipeline>>>,
    driver_cache: Option<wgpu::PipelineCache>,
}

/// A variant's label and constants; two variants that agree in both are the same.
type Key = (String, Vec<(&'static str, u64)>);

impl Cache {
    pub(super) fn new(driver_cache: Option<wgpu::PipelineCache>) -> Self {
        Self {
            pipelines: Mutex::default(),
            driver_cache,
        }
    }

    /// Compiles under the lock, so that two threads never compile the same variant.
    pub(super) fn pipeline(
        &self,
        device: &wgpu::Device,
        variant: &Variant,
    ) -> Result<Arc<Pipeline>> {
        let constants = variant.constants.iter();
        let key = (
            variant.label.clone(),
            constants
                .map(|&(name, value)| (name, value.to_bits()))
                .collect(),
        );
        let mut pipelines = self
            .pipelines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = pipelines.get(&key) {
            return Ok(pipeline.clone());
        }
        alive(device)?;
        let pipeline = checked(device, "pipeline", 0, || self.compile(device, variant))?;
        let pipeline = Arc::new(pipeline);
        pipelines.insert(key, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, device: &wgpu::Device, variant: &Variant) -> Pipeline {
        let label = format!("qembed.{}", variant.label);
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(variant.source.into()),
        });
        let entries: Vec<_> = variant
            .bindings
            .iter()
            .map(|binding| wgpu::BindGroupLayoutEntry {
                binding: binding.number,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match binding.access {
                        Access::Uniform => wgpu::BufferBindingType::Uniform,
                        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label),
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(variant.entry_point),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &variant.constants,
                // The kernels with workgroup memory, those that quantize and sort, write before they read.
                zero_initialize_workgroup_memory: false,
            },
            cache: self.driver_cache.as_ref(),
        });
        Pipeline {
            label,
            pipeline,
            layout,
            bindings: variant.bindings,
        }
    }
}
