//! What the benches share: a device, its buffers, and the copy that everything is measured against.
#![allow(dead_code, unused_imports, reason = "each bench uses its own part")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Throughput, measurement::WallTime};
use qembed::verify::shapes::{self, Faults, Shape};
use qembed::wgpu::{self, BufferUsages};
use qembed::{Error, Format, PackedTable, Session};
use rayon::prelude::*;

mod touch;
pub use touch::touch;

/// The device, or a word that there is none.
pub fn session() -> Option<Session> {
    match Session::new() {
        Ok(session) => {
            println!("on {}", session.adapter().name);
            Some(session)
        }
        Err(Error::NoAdapter { .. }) => {
            println!("SKIPPED: no adapter");
            None
        }
        Err(error) => panic!("an adapter was found but cannot be used: {error}"),
    }
}

pub fn buffer(session: &Session, bytes: u64) -> wgpu::Buffer {
    session.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

pub fn filled(session: &Session, contents: &[u8]) -> wgpu::Buffer {
    let buffer = buffer(session, contents.len() as u64);
    session.queue().write_buffer(&buffer, 0, contents);
    buffer
}

/// Records something many times into one submit and waits for it.
pub fn timed(
    session: &Session,
    times: u64,
    record: impl Fn(&mut wgpu::ComputePass<'_>),
) -> Duration {
    let start = Instant::now();
    let mut encoder = session.device().create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    (0..times).for_each(|_| record(&mut pass));
    drop(pass);
    session.queue().submit([encoder.finish()]);
    session.wait().unwrap();
    start.elapsed()
}

/// The words of a buffer with the usage `COPY_SRC`.
pub fn read(session: &Session, buffer: &wgpu::Buffer) -> Vec<u32> {
    let device = session.device();
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: buffer.size(),
        usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
    session.queue().submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
    session.wait().unwrap();
    bytemuck::cast_slice(&staging.slice(..).get_mapped_range().unwrap()).to_vec()
}

/// Benches a kernel beside a copy that moves as many bytes, half of them read, half written.
pub fn beside_a_copy(
    group: &mut BenchmarkGroup<'_, WallTime>,
    session: &Session,
    moved_bytes: u64,
    record: impl Fn(&mut wgpu::ComputePass<'_>),
) {
    group.throughput(Throughput::Bytes(moved_bytes));
    group.bench_function("kernel", |bench| {
        bench.iter_custom(|times| timed(session, times, &record));
    });
    let bytes = (moved_bytes / 2).next_multiple_of(4);
    let (from, to) = (buffer(session, bytes), buffer(session, bytes));
    group.bench_function("copy", |bench| {
        bench.iter_custom(|times| {
            let start = Instant::now();
            let mut encoder = session.device().create_command_encoder(&Default::default());
            (0..times).for_each(|_| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes));
            session.queue().submit([encoder.finish()]);
            session.wait().unwrap();
            start.elapsed()
        });
    });
}

/// Benches a copy that moves so many bytes, half of them read, half written, by all cores of the host.
pub fn host_copy(group: &mut BenchmarkGroup<'_, WallTime>, moved_bytes: u64) {
    let words = moved_bytes as usize / 8;
    let (from, mut to) = (vec![1u32; words], vec![0u32; words]);
    group.bench_function("copy", |bench| {
        bench.iter(|| {
            const PART: usize = 1 << 16;
            let parts = to.par_chunks_mut(PART).zip(from.par_chunks(PART));
            parts.for_each(|(to, from)| to.copy_from_slice(from));
            std::hint::black_box(&mut to);
        });
    });
}

/// Some values.
pub fn values(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0)
        .collect()
}

/// A table of random rows in any format.
pub fn table(format: Format, rows: u32, dim: u32) -> PackedTable {
    let shape = Shape {
        dim,
        rows,
        bags: vec![],
        faults: Faults::None,
    };
    shapes::table(&shape, format, 1).unwrap()
}
