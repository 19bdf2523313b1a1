//! The device under test.

use std::io::Write as _;
use std::sync::OnceLock;

use qembed::wgpu::{self, BufferUsages};
use qembed::{Error, Session};

/// The device under test, one for the whole binary.
///
/// Where there is none the test is skipped and says so; `QEMBED_REQUIRE_GPU=1` makes that a failure.
pub fn gpu() -> Option<&'static Session> {
    static SESSION: OnceLock<Option<Session>> = OnceLock::new();
    let session = SESSION.get_or_init(|| match Session::new() {
        Ok(session) => Some(session),
        Err(Error::NoAdapter { .. }) => None,
        Err(error) => panic!("an adapter was found but cannot be used: {error}"),
    });
    if session.is_none() {
        let required = std::env::var("QEMBED_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "QEMBED_REQUIRE_GPU=1, but there is no adapter");
        // Not `eprintln!`, which libtest hides where the test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no adapter");
    }
    session.as_ref()
}

/// A device's buffers, for tests of the engine's contract.
pub struct Bench<'a> {
    pub session: &'a Session,
}

impl Bench<'_> {
    pub fn buffer(&self, words: &[u32]) -> wgpu::Buffer {
        let buffer = self
            .session
            .device()
            .create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 4 * words.len() as u64,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
        self.write(&buffer, words);
        buffer
    }

    pub fn write(&self, buffer: &wgpu::Buffer, words: &[u32]) {
        self.session
            .queue()
            .write_buffer(buffer, 0, bytemuck::cast_slice(words));
    }

    pub fn submit(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) {
        let mut encoder = self
            .session
            .device()
            .create_command_encoder(&Default::default());
        record(&mut encoder.begin_compute_pass(&Default::default()));
        self.session.queue().submit([encoder.finish()]);
    }

    pub fn read(&self, buffer: &wgpu::Buffer) -> Vec<u32> {
        let device = self.session.device();
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: buffer.size(),
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.session.queue().submit([encoder.finish()]);
        staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        self.session.wait().unwrap();
        bytemuck::cast_slice(&staging.slice(..).get_mapped_range().unwrap()).to_vec()
    }
}
