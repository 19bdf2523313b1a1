//! Times lookups on a GPU: what `tools/peers/gather` runs.
//!
//! ```sh
//! yes gpu | head -20 | cargo run --release --example lookup_gpu -- rows.u8 4 64 indices.u32 4096
//! ```
//!
//! Its arguments are a file of rows as PyTorch lays them out, the width of their codes, the columns of a row, a file of
//! indices (u32, little-endian), and the bags that they fall into in equal parts, which it sums. It answers each
//! line of its input:
//!
//! - `adapter` with the GPU's name and driver,
//! - `gpu` with the seconds of a lookup of what lies on the GPU, from its submit to its end,
//! - `session` with those of `Session::lookup`, which sends indices and offsets there and reads the sums back,
//! - `answer FILE` with an empty line, once it has written the last lookup's sums to the file (f32, little-endian).

use std::io::{BufRead, Write};
use std::time::Instant;

use qembed::gpu::{BoundLookup, Counts, LookupArgs, Table};
use qembed::{
    Bits, Layout, LookupRequest, LookupSpec, LookupStatus, OutOfRange, Output, PackedTable,
    Pooling, Session, Weighting, wgpu,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, bits, dim, indices, bags] = &arguments[..] else {
        return Err("needed: ROWS BITS DIM INDICES BAGS".into());
    };
    let (bits, dim, bags): (u32, usize, usize) = (bits.parse()?, dim.parse()?, bags.parse()?);
    let bits = Bits::try_from(bits)?;
    let table = PackedTable::import(Layout::PyTorch, bits, dim, &std::fs::read(rows)?)?;
    let indices: Vec<u32> = std::fs::read(indices)?
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let offsets: Vec<u32> = (0..=bags)
        .map(|bag| (bag * indices.len() / bags) as u32)
        .collect();
    let request = LookupRequest {
        pooling: Pooling::Sum,
        indices: &indices,
        offsets: Some(&offsets),
        weights: None,
        output: Output::F32,
        out_of_range: OutOfRange::Error,
    };
    let mut sums = vec![0.0; bags * dim];
    let gpu = Gpu::new(&table, request)?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("adapter", _) => {
                let info = gpu.session.adapter();
                let words = [&info.name, &info.driver, &info.driver_info];
                writeln!(out, "{}", words.map(String::as_str).join(" ").trim())?;
            }
            ("gpu", _) => {
                let seconds = gpu.bound(&mut sums)?;
                writeln!(out, "{seconds:e}")?;
            }
            ("session", _) => {
                let start = Instant::now();
                let looked = gpu.session.lookup(&gpu.table, request)?;
                writeln!(out, "{:e}", start.elapsed().as_secs_f64())?;
                sums = looked.values.into_f32();
            }
            ("answer", file) => {
                let bytes: Vec<u8> = sums.iter().flat_map(|x| x.to_le_bytes()).collect();
                std::fs::write(file, bytes)?;
                writeln!(out)?;
            }
            (other, _) => {
                let known = "adapter, gpu, session or answer FILE";
                return Err(format!("{other}: {known}").into());
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// The table and the batch on a GPU.
struct Gpu {
    session: Session,
    table: Table,
    lookup: BoundLookup,
    output: wgpu::Buffer,
    status: wgpu::Buffer,
}

impl Gpu {
    fn new(packed: &PackedTable, request: LookupRequest<'_>) -> Result<Self, Failure> {
        let session = Session::new()?;
        let table = session.upload(packed)?;
        let offsets = request.offsets.ok_or("bags are summed")?;
        let bags = offsets.len() as u32 - 1;
        let kernel = session.kernels().lookup(LookupSpec {
            format: table.desc().format,
            pooling: request.pooling,
            weighting: Weighting::Unweighted,
            output: request.output,
        })?;
        let indices = session.filled("indices", bytemuck::cast_slice(request.indices))?;
        let offsets = session.filled("offsets", bytemuck::cast_slice(offsets))?;
        let output = session.buffer("output", 4 * u64::from(bags) * u64::from(packed.dim()))?;
        let status = session.filled("status", bytemuck::bytes_of(&LookupStatus::CLEAR))?;
        let lookup = kernel.bind(
            &table,
            LookupArgs {
                counts: Counts::Host {
                    bags,
                    indices: request.indices.len() as u32,
                },
                indices: Some(indices.as_entire_buffer_binding()),
                offsets: Some(offsets.as_entire_buffer_binding()),
                weights: None,
                output: Some(output.as_entire_buffer_binding()),
                status: Some(status.as_entire_buffer_binding()),
            },
        )?;
        Ok(Self {
            session,
            table,
            lookup,
            output,
            status,
        })
    }

    /// The seconds of a lookup of what lies on the GPU; its sums are read afterwards.
    fn bound(&self, sums: &mut [f32]) -> Result<f64, Failure> {
        // What this run does not write is no number.
        let nothing = vec![f32::NAN; sums.len()];
        let queue = self.session.queue();
        queue.write_buffer(&self.output, 0, bytemuck::cast_slice(&nothing));
        queue.submit([]);
        self.session.wait()?;
        let start = Instant::now();
        self.session.submit(|pass| self.lookup.record(pass))?;
        self.session.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        let status = self.session.read(&self.status, 0, self.status.size())?;
        if status != bytemuck::cast_slice::<_, u32>(&[LookupStatus::CLEAR]) {
            return Err("the lookup found a wrong index".into());
        }
        let words = self.session.read(&self.output, 0, self.output.size())?;
        sums.copy_from_slice(bytemuck::cast_slice(&words));
        Ok(seconds)
    }
}
