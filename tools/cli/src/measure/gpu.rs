//! Timing on a GPU: by its own timestamps where it has them, else by the clock on the wall.

use std::time::Instant;

use qembed::gpu::{BoundLookup, Counts, LookupArgs, Table};
use qembed::wgpu::{self, BufferUsages, CommandEncoder, ComputePass, Features};
use qembed::{LookupSpec, Output, Pooling, Result, Session, Weighting};

use super::{COPY_BYTES, Effort, alone};

/// How seconds were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// By the GPU, before and after the work.
    Timestamps,
    /// By the clock on the wall: work that is recorded already, from its submit until all of it is done.
    Wall,
}

impl Clock {
    /// Its name in files and on the terminal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timestamps => "GPU timestamps",
            Self::Wall => "wall clock",
        }
    }
}

/// Times submits of one device.
#[derive(Debug)]
pub struct GpuClock<'a> {
    session: &'a Session,
    queries: Option<Queries>,
}

/// Two timestamps.
#[derive(Debug)]
struct Queries {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    seconds_per_tick: f64,
}

/// Bytes of two timestamps.
const RESOLVED_BYTES: u64 = 16;

impl<'a> GpuClock<'a> {
    /// Timestamps where the session's device has them and they tell the time.
    pub fn new(session: &'a Session) -> Result<Self> {
        let mut clock = Self {
            session,
            queries: Queries::new(session)?,
        };
        if clock.queries.is_some() && !clock.is_plausible()? {
            clock.queries = None;
        }
        Ok(clock)
    }

    /// A device without timestamps.
    fn wall(session: &'a Session) -> Self {
        Self {
            session,
            queries: None,
        }
    }

    /// How it takes the time.
    pub fn kind(&self) -> Clock {
        match self.queries {
            Some(_) => Clock::Timestamps,
            None => Clock::Wall,
        }
    }

    /// Seconds of what is recorded into one pass.
    pub fn pass(&self, record: impl FnOnce(&mut ComputePass<'_>)) -> Result<f64> {
        self.submit(|encoder| {
            let timestamp_writes = self.writes(Some(0), Some(1));
            record(
                &mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes,
                }),
            );
        })
    }

    /// Seconds of copies of one buffer to another.
    pub fn copies(&self, (from, to): (&wgpu::Buffer, &wgpu::Buffer), count: u32) -> Result<f64> {
        self.submit(|encoder| self.encode_copies(encoder, (from, to), count))
    }

    fn encode_copies(
        &self,
        encoder: &mut CommandEncoder,
        (from, to): (&wgpu::Buffer, &wgpu::Buffer),
        count: u32,
    ) {
        self.mark(encoder, self.writes(None, Some(0)));
        for _ in 0..count {
            encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        }
        self.mark(encoder, self.writes(Some(1), None));
    }

    /// An empty pass: copies have no place for timestamps of their own.
    fn mark(
        &self,
        encoder: &mut CommandEncoder,
        writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) {
        if let Some(timestamp_writes) = writes {
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(timestamp_writes),
            });
        }
    }

    fn writes(
        &self,
        begin: Option<u32>,
        end: Option<u32>,
    ) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let queries = self.queries.as_ref()?;
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &queries.set,
            beginning_of_pass_write_index: begin,
            end_of_pass_write_index: end,
        })
    }

    /// Seconds of a submit; what it takes to encode it does not count.
    fn submit(&self, encode: impl FnOnce(&mut CommandEncoder)) -> Result<f64> {
        let (wall, gpu) = self.both(encode)?;
        Ok(gpu.unwrap_or(wall))
    }

    /// Seconds by the clock on the wall, and by the GPU.
    fn both(&self, encode: impl FnOnce(&mut CommandEncoder)) -> Result<(f64, Option<f64>)> {
        let session = self.session;
        let commands = session.checked("commands", 0, || {
            let mut encoder = session.device().create_command_encoder(&Default::default());
            encode(&mut encoder);
            if let Some(queries) = &self.queries {
                encoder.resolve_query_set(&queries.set, 0..2, &queries.resolved, 0);
            }
            encoder.finish()
        })?;
        let start = Instant::now();
        session.queue().submit([commands]);
        session.wait()?;
        let wall = start.elapsed().as_secs_f64();
        let gpu = self
            .queries
            .as_ref()
            .map(|queries| queries.seconds(session));
        Ok((wall, gpu.transpose()?))
    }

    /// Whether the device's timestamps of a copy lie within the time on the wall, and are some of it.
    fn is_plausible(&self) -> Result<bool> {
        const BYTES: u64 = 4 << 20;
        let (from, to) = (
            self.session.buffer("copy", BYTES)?,
            self.session.buffer("copy", BYTES)?,
        );
        self.copies((&from, &to), 1)?;
        let (wall, gpu) = self.both(|encoder| self.encode_copies(encoder, (&from, &to), 1))?;
        // A clock that runs a little fast is a clock all the same.
        Ok(gpu.is_some_and(|gpu| gpu > 0.0 && gpu < 1.1 * wall))
    }
}

impl Queries {
    fn new(session: &Session) -> Result<Option<Self>> {
        let device = session.device();
        if !device.features().contains(Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        session.checked("timestamps", RESOLVED_BYTES, || {
            Some(Self {
                set: device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("timestamps"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2,
                }),
                resolved: device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("timestamps"),
                    size: RESOLVED_BYTES,
                    usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                }),
                seconds_per_tick: f64::from(session.queue().get_timestamp_period()) * 1e-9,
            })
        })
    }

    fn seconds(&self, session: &Session) -> Result<f64> {
        let words = session.read(&self.resolved, 0, RESOLVED_BYTES)?;
        let ticks = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
        Ok(ticks(2).saturating_sub(ticks(0)) as f64 * self.seconds_per_tick)
    }
}

/// Bytes per second, read and written, of a copy on a session's device.
pub fn copy_rate(session: &Session) -> Result<f64> {
    let clock = GpuClock::wall(session);
    let from = session.filled("copy", &vec![1; COPY_BYTES as usize])?;
    let to = session.buffer("copy", COPY_BYTES)?;
    let copies = |count| clock.copies((&from, &to), count);
    let seconds = alone(Box::new(copies), Effort::USUAL)?.median();
    Ok(2.0 * COPY_BYTES as f64 / seconds)
}

/// Median seconds of one sum-pooled lookup on a session's device, bound once.
pub fn lookup_seconds(
    session: &Session,
    table: &Table,
    indices: &[u32],
    offsets: &[u32],
) -> Result<f64> {
    let clock = GpuClock::wall(session);
    let bound = bind_sum(session, table, indices, offsets)?;
    let lookups = |count| clock.pass(|pass| (0..count).for_each(|_| bound.record(pass)));
    Ok(alone(Box::new(lookups), Effort::USUAL)?.median())
}

fn bind_sum(
    session: &Session,
    table: &Table,
    indices: &[u32],
    offsets: &[u32],
) -> Result<BoundLookup> {
    let bags = offsets.len() as u32 - 1;
    let output_bytes = 4 * u64::from(bags) * u64::from(table.desc().dim);
    let lookup = session.kernels().lookup(LookupSpec {
        format: table.desc().format,
        pooling: Pooling::Sum,
        weighting: Weighting::Unweighted,
        output: Output::F32,
    })?;
    let counts = Counts::Host {
        bags,
        indices: indices.len() as u32,
    };
    let indices = session.filled("indices", bytemuck::cast_slice(indices))?;
    let offsets = session.filled("offsets", bytemuck::cast_slice(offsets))?;
    let output = session.buffer("output", output_bytes)?;
    let args = LookupArgs {
        counts,
        indices: Some(indices.as_entire_buffer_binding()),
        offsets: Some(offsets.as_entire_buffer_binding()),
        weights: None,
        output: Some(output.as_entire_buffer_binding()),
        status: None,
    };
    lookup.bind(table, args)
}
