//! Timing: medians of runs long enough to be timed, by the clock on the wall.

use std::time::{Duration, Instant};

use qembed::gpu::{Counts, LookupArgs, Table};
use qembed::wgpu::{self, BufferUsages};
use qembed::{LookupSpec, Output, Pooling, Result, Session, Weighting};

/// The shortest run that is timed.
const LEAST: Duration = Duration::from_millis(40);
/// Runs that the median is taken of.
const RUNS: usize = 7;
/// Bytes of the copy that everything is measured against.
const COPY_BYTES: u64 = 32 << 20;

/// Median seconds of one repetition; `run` is told how many to do.
pub fn median_seconds(mut run: impl FnMut(u32) -> Result<()>) -> Result<f64> {
    let mut timed = |repetitions| {
        let start = Instant::now();
        run(repetitions).map(|()| start.elapsed())
    };
    // The first run compiles and touches memory.
    timed(1)?;
    let mut repetitions = 1;
    while timed(repetitions)? < LEAST {
        repetitions *= 2;
    }
    let mut seconds = vec![];
    for _ in 0..RUNS {
        seconds.push(timed(repetitions)?.as_secs_f64() / f64::from(repetitions));
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[RUNS / 2])
}

/// Bytes per second, read and written, of a copy on a session's device.
pub fn copy_rate(session: &Session) -> Result<f64> {
    let device = session.device();
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("copy"),
            size: COPY_BYTES,
            usage,
            mapped_at_creation: false,
        })
    };
    let from = buffer(BufferUsages::COPY_SRC | BufferUsages::COPY_DST);
    let to = buffer(BufferUsages::COPY_DST);
    session
        .queue()
        .write_buffer(&from, 0, &vec![1; COPY_BYTES as usize]);
    let seconds = median_seconds(|repetitions| {
        let mut encoder = device.create_command_encoder(&Default::default());
        for _ in 0..repetitions {
            encoder.copy_buffer_to_buffer(&from, 0, &to, 0, COPY_BYTES);
        }
        session.queue().submit([encoder.finish()]);
        session.wait()
    })?;
    Ok(2.0 * COPY_BYTES as f64 / seconds)
}

/// Bytes per second, read and written, of a copy in memory on one core.
pub fn copy_rate_of_memory() -> Result<f64> {
    let from = vec![1u8; COPY_BYTES as usize];
    let mut to = vec![0u8; COPY_BYTES as usize];
    let seconds = median_seconds(|repetitions| {
        for _ in 0..repetitions {
            std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
        }
        Ok(())
    })?;
    Ok(2.0 * COPY_BYTES as f64 / seconds)
}

/// Median seconds of one sum-pooled lookup on a session's device, bound once.
pub fn lookup_seconds(
    session: &Session,
    table: &Table,
    indices: &[u32],
    offsets: &[u32],
) -> Result<f64> {
    let device = session.device();
    let bags = offsets.len() - 1;
    let buffer = |size: usize, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("lookup"),
            size: size as u64,
            usage: usage | BufferUsages::STORAGE,
            mapped_at_creation: false,
        })
    };
    let bytes =
        |values: &[u32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let filled = |values: &[u32]| {
        let buffer = buffer(4 * values.len(), BufferUsages::COPY_DST);
        session.queue().write_buffer(&buffer, 0, &bytes(values));
        buffer
    };
    let (indices_buffer, offsets_buffer) = (filled(indices), filled(offsets));
    let output = buffer(4 * bags * table.desc().dim as usize, BufferUsages::empty());
    let lookup = session.kernels().lookup(LookupSpec {
        format: table.desc().format,
        pooling: Pooling::Sum,
        weighting: Weighting::Unweighted,
        output: Output::F32,
    })?;
    let bound = lookup.bind(
        table,
        LookupArgs {
            counts: Counts::Host {
                bags: bags as u32,
                indices: indices.len() as u32,
            },
            indices: Some(indices_buffer.as_entire_buffer_binding()),
            offsets: Some(offsets_buffer.as_entire_buffer_binding()),
            weights: None,
            output: Some(output.as_entire_buffer_binding()),
            status: None,
        },
    )?;
    median_seconds(|repetitions| {
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for _ in 0..repetitions {
            bound.record(&mut pass);
        }
        drop(pass);
        session.queue().submit([encoder.finish()]);
        session.wait()
    })
}
