//! The blocking convenience: owns a device, uploads, submits, waits, reads back.

mod adapters;
mod batched;
mod training;

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use adapters::Adapters;
pub use training::{Training, TrainingMemory};

use crate::format::{check_dim, codebook_words};
use crate::gpu::{
    Counts, DequantizeArgs, Kernels, Lookup, LookupArgs, QuantizeArgs, Shard, Table, TableDesc,
    most_collected,
};
use crate::request::{Looked, LookupRequest, OutOfRange, Part, Values, check_request, refuse};
use crate::table::rows_of;
use crate::{
    Blocks, Error, Format, LookupSpec, LookupStatus, Method, Output, PackedTable, Pooling,
    QuantizeSpec, QuantizeStatus, Result, Weighting,
};

/// A device of one's own, and the kernels on it.
///
/// Every call allocates, submits and blocks until its result is there. Values and outputs larger than
/// one binding of the device go in parts, but for those of [`Session::batched`].
/// An engine that owns a device uses [`Kernels`] instead; [`Session::kernels`], [`Session::device`]
/// and [`Session::queue`] lead from here to there.
#[derive(Debug)]
pub struct Session {
    info: wgpu::AdapterInfo,
    device: wgpu::Device,
    queue: wgpu::Queue,
    kernels: Kernels,
    lost: Arc<AtomicBool>,
}

impl Session {
    /// Opens the best adapter: hardware before software.
    ///
    /// wgpu's environment variables choose among several: `WGPU_BACKEND`, `WGPU_ADAPTER_NAME`.
    ///
    /// # Errors
    /// [`Error::NoAdapter`], [`Error::Device`], [`Error::Limit`].
    pub fn new() -> Result<Self> {
        Self::open(Adapters::Any)
    }

    /// Opens the best adapter of a kind.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn open(adapters: Adapters) -> Result<Self> {
        Self::with_features(adapters, wgpu::Features::empty())
    }

    /// [`Session::open`] with those of these features that the adapter has, and all its limits. No kernel here needs
    /// any; they are for the caller's own passes, as [`wgpu::Features::TIMESTAMP_QUERY`] is for timing. The features
    /// of [`Session::device`] say which there are.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn with_features(adapters: Adapters, wanted: wgpu::Features) -> Result<Self> {
        let adapter = adapters::best(adapters)?;
        Self::from_adapter(&adapter, wanted, adapter.limits())
    }

    /// [`Session::open`] with no more than these limits, however much the adapter offers: to see what a smaller device
    /// would do.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn with_limits(adapters: Adapters, most: &wgpu::Limits) -> Result<Self> {
        let adapter = adapters::best(adapters)?;
        let limits = adapter.limits().or_worse_values_from(most);
        Self::from_adapter(&adapter, wgpu::Features::empty(), limits)
    }

    /// Opens a device on an adapter.
    fn from_adapter(
        adapter: &wgpu::Adapter,
        wanted: wgpu::Features,
        limits: wgpu::Limits,
    ) -> Result<Self> {
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("qembed"),
            required_features: adapter.features() & wanted,
            required_limits: limits,
            ..Default::default()
        }))
        .map_err(|error| Error::Device(error.to_string()))?;
        let lost = Arc::new(AtomicBool::new(false));
        let flag = lost.clone();
        device.set_device_lost_callback(move |_, _| flag.store(true, Ordering::Release));
        Ok(Self {
            info: adapter.get_info(),
            kernels: Kernels::new(&device)?,
            device,
            queue,
            lost,
        })
    }

    /// The adapters that [`Session::open`] chooses from.
    pub fn adapters() -> Vec<wgpu::AdapterInfo> {
        adapters::available()
            .iter()
            .map(wgpu::Adapter::get_info)
            .collect()
    }

    /// The adapter in use.
    pub fn adapter(&self) -> &wgpu::AdapterInfo {
        &self.info
    }

    /// The kernels, to be recorded into a pass of one's own.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// The device.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Copies a table to the device, into several buffers where one binding does not hold it.
    ///
    /// # Errors
    /// [`Error::Limit`] where a binding of the device does not hold a row, or what rows share; [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`].
    pub fn upload(&self, packed: &PackedTable) -> Result<Table> {
        self.kernels.upload(&self.queue, packed)
    }

    /// Writes rows over those of a table from `first_row` on; every later call sees them.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table of another session, and those of [`Table::write_rows`].
    pub fn write_rows(&self, table: &Table, first_row: u32, rows: &PackedTable) -> Result<()> {
        self.kernels.check_owner("table", table.kernels())?;
        table.write_rows(&self.queue, first_row, rows)
    }

    /// Copies a table back to the host.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table of another session, and where the caller's own block ids have no codebook;
    /// [`Error::BufferUsage`] where a buffer of it is the caller's own and lacks `COPY_SRC`,
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn download(&self, table: &Table) -> Result<PackedTable> {
        let desc = table.desc();
        self.kernels.check_owner("table", table.kernels())?;
        let words = self.read_rows(table)?;
        match (table.blocks(), desc.format) {
            (Some((count, shared)), Format::Blocks { bits }) => {
                let bytes = shared.size.map_or(0, NonZeroU64::get);
                let mut codebooks = self.read(shared.buffer, shared.offset, bytes)?;
                let ids = codebooks.split_off(count as usize * codebook_words(bits) as usize);
                let blocks = Blocks::from_words(bits, codebooks, desc.rows, &ids)?;
                PackedTable::from_blocks(desc.dim as usize, words, blocks)
            }
            (_, format) => PackedTable::from_words(format, desc.dim as usize, words),
        }
    }

    fn read_rows(&self, table: &Table) -> Result<Vec<u32>> {
        let usage = |shard: Shard<'_>| shard.words.buffer.usage();
        let readable = |usage: wgpu::BufferUsages| usage.contains(wgpu::BufferUsages::COPY_SRC);
        if !table.shards().map(usage).all(readable) {
            return Err(Error::BufferUsage {
                argument: "table",
                missing: "COPY_SRC",
            });
        }
        let desc = table.desc();
        let mut shards = table.shards().map(|Shard { rows, words }| {
            let bytes = desc.bytes_of(&rows);
            self.read(words.buffer, words.offset, bytes)
        });
        // The words of a table of one shard are not copied again.
        let mut words = shards.next().transpose()?.unwrap_or_default();
        for more in shards {
            words.extend(more?);
        }
        Ok(words)
    }

    /// Quantizes `values`, `[rows, dim]` row-major, into a table on the device.
    ///
    /// # Errors
    /// Those of [`PackedTable::quantize`], found by the kernel; [`Error::Unsupported`] for
    /// [`Method::KmeansCls`]; [`Error::Unfinished`] where the driver ended a search; [`Error::Limit`],
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn quantize(
        &self,
        values: &[f32],
        dim: usize,
        format: Format,
        method: Method,
    ) -> Result<Table> {
        let (table, status) = self.quantize_counting(values, dim, format, method)?;
        status.refuse(values, dim, format)?;
        Ok(table)
    }

    /// [`Session::quantize`] that stores rows with a problem as zeros and counts them.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Unsupported`], [`Error::Limit`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn quantize_counting(
        &self,
        values: &[f32],
        dim: usize,
        format: Format,
        method: Method,
    ) -> Result<(Table, QuantizeStatus)> {
        let rows = rows_of(values, dim)?;
        let columns = check_dim(dim)?;
        let kernel = self.kernels.quantize(QuantizeSpec {
            format,
            method,
            dim: columns,
        })?;
        let table = self.kernels.allocate(TableDesc {
            format,
            rows,
            dim: columns,
        })?;
        let status = self.filled("status", bytemuck::bytes_of(&QuantizeStatus::CLEAR))?;
        for rows in self.chunks(rows, 4 * u64::from(columns)) {
            let values = &values[rows.start as usize * dim..rows.end as usize * dim];
            let values = self.filled("values", bytemuck::cast_slice(values))?;
            let bound = kernel.bind(
                &table,
                QuantizeArgs {
                    rows,
                    values: Some(values.as_entire_buffer_binding()),
                    status: Some(status.as_entire_buffer_binding()),
                },
            )?;
            self.submit(|pass| bound.record(pass))?;
            // One part at a time in the device's memory.
            self.wait()?;
        }
        let words = self.read(&status, 0, size_of::<QuantizeStatus>() as u64)?;
        Ok((
            table,
            bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words)),
        ))
    }

    /// Every value of a table, `[rows, dim]`, row-major; the reference's bits.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table of another session, [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn dequantize(&self, table: &Table) -> Result<Vec<f32>> {
        let desc = table.desc();
        let kernel = self.kernels.dequantize(desc.format)?;
        let row_bytes = 4 * u64::from(desc.dim);
        let mut values = Vec::with_capacity(desc.rows as usize * desc.dim as usize);
        for rows in self.chunks(desc.rows, row_bytes) {
            let size = rows.len() as u64 * row_bytes;
            let written = self.buffer("values", size)?;
            let bound = kernel.bind(
                table,
                DequantizeArgs {
                    rows,
                    values: Some(written.as_entire_buffer_binding()),
                },
            )?;
            self.submit(|pass| bound.record(pass))?;
            values.extend_from_slice(bytemuck::cast_slice(&self.read(&written, 0, size)?));
        }
        Ok(values)
    }

    /// The rows at `indices`, `[indices, dim]`; the reference's bits.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`]; [`Error::Shape`] for a table of another session; [`Error::Limit`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn gather(&self, table: &Table, indices: &[u32]) -> Result<Vec<f32>> {
        let request = LookupRequest {
            pooling: Pooling::None,
            indices,
            offsets: None,
            weights: None,
            output: Output::F32,
            out_of_range: OutOfRange::Error,
        };
        Ok(self.lookup(table, request)?.values.into_f32())
    }

    /// Pools the rows of every bag, `[bags, dim]`; `offsets` has bags + 1 entries.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`], [`Error::Offsets`]; [`Error::Unsupported`] for a bag longer than the
    /// driver walks; [`Error::Shape`] for a table of another session; [`Error::Limit`],
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn pool(
        &self,
        table: &Table,
        indices: &[u32],
        offsets: &[u32],
        pooling: Pooling,
    ) -> Result<Vec<f32>> {
        let request = LookupRequest {
            pooling,
            indices,
            offsets: Some(offsets),
            weights: None,
            output: Output::F32,
            out_of_range: OutOfRange::Error,
        };
        Ok(self.lookup(table, request)?.values.into_f32())
    }

    /// Any lookup.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a weighted max and for a bag longer than the driver walks,
    /// [`Error::Shape`] where lengths do not fit and for a table of another session;
    /// [`Error::IndexOutOfRange`] and [`Error::Offsets`] unless they are to be skipped;
    /// [`Error::Limit`], also for a bag of more rows than a binding holds where the table lies in several buffers;
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn lookup(&self, table: &Table, request: LookupRequest<'_>) -> Result<Looked> {
        let (rows, offsets) = check_request(&request)?;
        let kernel = self.kernels.lookup(LookupSpec {
            format: table.desc().format,
            pooling: request.pooling,
            weighting: Weighting::of(request.weights),
            output: request.output,
        })?;
        let mut status = LookupStatus::CLEAR;
        let mut values = Values::new(request.output);
        for (rows, part) in self.lookup_parts(table, &request, offsets, rows) {
            let (words, found) = self.lookup_part(&kernel, table, &part, &rows)?;
            values.extend(words, rows.len() * table.desc().dim as usize);
            status = status.and(found);
        }
        if request.out_of_range == OutOfRange::Error {
            refuse(&status, (request.indices, offsets), |_| table.desc().rows)?;
        }
        Ok(Looked { values, status })
    }

    /// Splits a lookup: its output rows so that they fit one binding, and for a table of several shards also so that the
    /// rows of all indices do.
    fn lookup_parts<'a>(
        &self,
        table: &Table,
        request: &LookupRequest<'a>,
        offsets: Option<&'a [u32]>,
        rows: u32,
    ) -> Vec<(Range<u32>, Part<'a>)> {
        let row_bytes = u64::from(table.desc().dim) * request.output.bytes();
        let chunks = self.chunks(rows, row_bytes);
        let at = |rows: &Range<u32>| rows.start as usize..rows.end as usize;
        let Some(most) = most_collected(table) else {
            let part = |rows: Range<u32>| (rows.clone(), request.part(offsets, at(&rows)));
            return chunks.map(part).collect();
        };
        let cut = chunks.flat_map(|rows| match offsets {
            Some(offsets) => request.cut(offsets, rows, most),
            None => split(rows, most).collect(),
        });
        let part = |rows: Range<u32>| (rows.clone(), request.part_alone(offsets, at(&rows)));
        cut.map(part).collect()
    }

    /// The output rows of a range, and the status in positions and bags of the whole.
    fn lookup_part(
        &self,
        kernel: &Lookup,
        table: &Table,
        part: &Part<'_>,
        rows: &Range<u32>,
    ) -> Result<(Vec<u32>, LookupStatus)> {
        let row_bytes = u64::from(table.desc().dim) * kernel.spec().output.bytes();
        let output_bytes = rows.len() as u64 * row_bytes;
        let indices = self.filled("indices", bytemuck::cast_slice(part.indices))?;
        let offsets = part
            .offsets
            .as_ref()
            .map(|x| self.filled("offsets", bytemuck::cast_slice(x)));
        let offsets = offsets.transpose()?;
        let weights = part
            .weights
            .map(|x| self.filled("weights", bytemuck::cast_slice(x)));
        let weights = weights.transpose()?;
        let output = self.buffer("output", output_bytes)?;
        let status = self.filled("status", bytemuck::bytes_of(&LookupStatus::CLEAR))?;
        let bound = kernel.bind_longest(
            table,
            LookupArgs {
                counts: Counts::Host {
                    bags: rows.len() as u32,
                    indices: part.indices.len() as u32,
                },
                indices: Some(indices.as_entire_buffer_binding()),
                offsets: offsets
                    .as_ref()
                    .map(|buffer| buffer.as_entire_buffer_binding()),
                weights: weights
                    .as_ref()
                    .map(|buffer| buffer.as_entire_buffer_binding()),
                output: Some(output.as_entire_buffer_binding()),
                status: Some(status.as_entire_buffer_binding()),
            },
            part.longest_bag(),
        )?;
        self.submit(|pass| bound.record(pass))?;
        let words = self.read(&status, 0, size_of::<LookupStatus>() as u64)?;
        let status: LookupStatus = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words));
        let words = self.read(&output, 0, output_bytes)?;
        Ok((words, part.status_in_whole(status, rows.start)))
    }

    /// Splits rows so that what each part has for every row fits one binding: `row_bytes`, and an index
    /// or an offset, of which there is one more. An even number of rows, so that no part of f16 output
    /// ends within a word.
    fn chunks(&self, rows: u32, row_bytes: u64) -> impl Iterator<Item = Range<u32>> + use<> {
        let limits = self.device.limits();
        let most = crate::gpu::max_binding_bytes(&limits).min(limits.max_buffer_size);
        let fitting = (most / row_bytes).min(most / 4 - 1);
        split(0..rows, fitting.clamp(2, 1 << 31) & !1)
    }

    /// A storage buffer with these contents, for kernels in a pass of one's own; never empty, so that it can be
    /// bound. Usages `STORAGE`, `COPY_SRC` and `COPY_DST`; the contents arrive with the next submit.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::OutOfMemory`], [`Error::DeviceLost`]; they name `argument`.
    pub fn filled(&self, argument: &'static str, contents: &[u8]) -> Result<wgpu::Buffer> {
        let buffer = self.buffer(argument, contents.len() as u64)?;
        self.checked(argument, contents.len() as u64, || {
            self.queue.write_buffer(&buffer, 0, contents);
        })?;
        Ok(buffer)
    }

    /// A storage buffer of at least this many bytes, zeros, with the usages of [`Session::filled`]; never empty, so
    /// that it can be bound.
    ///
    /// # Errors
    /// As [`Session::filled`].
    pub fn buffer(&self, argument: &'static str, bytes: u64) -> Result<wgpu::Buffer> {
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        crate::gpu::buffer(&self.device, argument, bytes, usage)
    }

    /// Records into one compute pass and submits it; [`Session::wait`] waits for it.
    ///
    /// # Errors
    /// [`Error::Device`] where wgpu refuses what was recorded, [`Error::DeviceLost`].
    pub fn submit(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) -> Result<()> {
        self.checked("submit", 0, || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            record(&mut encoder.begin_compute_pass(&Default::default()));
            self.queue.submit([encoder.finish()]);
        })?;
        self.alive()
    }

    /// Copies a range of a buffer with the usage `COPY_SRC` back, as whole words, and waits for it; `offset` is a
    /// multiple of 4.
    ///
    /// # Errors
    /// [`Error::Device`] where wgpu refuses the copy, [`Error::Limit`], [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`].
    pub fn read(&self, buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> Result<Vec<u32>> {
        // As many as that no buffer holds.
        let size = bytes.checked_next_multiple_of(4).unwrap_or(u64::MAX);
        if size == 0 {
            return Ok(vec![]);
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = crate::gpu::buffer(&self.device, "read-back", size, usage)?;
        self.checked("read-back", size, || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, size);
            self.queue.submit([encoder.finish()]);
            staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        })?;
        self.wait()?;
        let mapped = staging
            .slice(..)
            .get_mapped_range()
            .map_err(|_| self.failed("the device did not return its result"))?;
        let mut words = vec![0u32; (size / 4) as usize];
        bytemuck::cast_slice_mut(&mut words).copy_from_slice(&mapped);
        Ok(words)
    }

    /// Waits until everything submitted is done.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn wait(&self) -> Result<()> {
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|error| self.failed(&error.to_string()))?;
        self.alive()
    }

    /// Runs calls of wgpu's own under error scopes, so that what it complains about is an error and no panic.
    /// `argument` and `needed_bytes` are for the message where memory runs out.
    ///
    /// # Errors
    /// [`Error::Device`] for what wgpu refuses, [`Error::OutOfMemory`]; [`Error::DeviceLost`] where the device is
    /// lost, whatever it says of its objects.
    pub fn checked<T>(
        &self,
        argument: &'static str,
        needed_bytes: u64,
        create: impl FnOnce() -> T,
    ) -> Result<T> {
        crate::gpu::checked(&self.device, argument, needed_bytes, create).map_err(|error| {
            let lost = crate::gpu::alive(&self.device).err();
            lost.unwrap_or(error)
        })
    }

    fn alive(&self) -> Result<()> {
        if self.lost.load(Ordering::Acquire) {
            return Err(Error::DeviceLost);
        }
        Ok(())
    }

    fn failed(&self, problem: &str) -> Error {
        match self.alive() {
            Err(lost) => lost,
            Ok(()) => Error::Device(problem.into()),
        }
    }
}

/// Parts of a range, in order, of so many each; the last may have fewer.
fn split(all: Range<u32>, most: u64) -> impl Iterator<Item = Range<u32>> + use<> {
    let most = most.clamp(1, u32::MAX.into()) as u32;
    let starts = all.clone().step_by(most as usize);
    starts.map(move |start| start..start.saturating_add(most).min(all.end))
}
