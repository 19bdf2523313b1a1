//! A device without a GPU.

use std::sync::{Arc, Mutex};

use qembed::gpu::Kernels;
use qembed::wgpu::{self, BufferUsages};

/// A noop device whose stray errors are collected instead of panicking.
pub struct Noop {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub kernels: Kernels,
    pub stray: Arc<Mutex<Vec<String>>>,
}

impl Noop {
    pub fn new() -> Self {
        Self::with_limits(wgpu::Limits::default())
    }

    pub fn with_limits(required_limits: wgpu::Limits) -> Self {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor {
            required_limits,
            ..Default::default()
        });
        let stray = Arc::new(Mutex::new(vec![]));
        let collected = stray.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            collected.lock().unwrap().push(error.to_string());
        }));
        let kernels = Kernels::new(&device).unwrap();
        Self {
            device,
            queue,
            kernels,
            stray,
        }
    }

    pub fn buffer(&self, size: u64, usage: BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    pub fn storage(&self, size: u64) -> wgpu::Buffer {
        self.buffer(size, BufferUsages::STORAGE)
    }

    /// Records and submits, so that whatever wgpu would complain about comes out.
    pub fn submit(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(&mut encoder.begin_compute_pass(&Default::default()));
        self.queue.submit([encoder.finish()]);
    }
}

impl Drop for Noop {
    fn drop(&mut self) {
        let stray = self.stray.lock().unwrap();
        assert!(
            stray.is_empty() || std::thread::panicking(),
            "wgpu complained: {stray:?}"
        );
    }
}
