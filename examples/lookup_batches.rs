//! Times lookups on the CPU, and the least that memory takes for them: what `tools/peers/lookup` runs.
//!
//! ```sh
//! yes lookup | head -20 | cargo run --release --example lookup_batches -- rows.u8 4 64 indices.u32 4096
//! ```
//!
//! Its arguments are a file of rows as PyTorch lays them out, the width of their codes, the columns of a row, a file of
//! indices (u32, little-endian), and the bags that they fall into in equal parts, which it sums. It answers each
//! line of its input:
//!
//! - `lookup` with the seconds that a lookup took,
//! - `limit` with those of a loop that does nothing but read a word of every cache line that the rows lie in,
//! - `answer FILE` with an empty line, once it has written the sums to the file (f32, little-endian).

use std::io::{BufRead, Write};
use std::time::Instant;

use qembed::cpu::{self, LookupOutput};
use qembed::{Bits, Layout, LookupRequest, OutOfRange, Output, PackedTable, Pooling};

#[path = "../benches/common/touch.rs"]
mod touch;

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
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("lookup", _) => {
                let start = Instant::now();
                cpu::lookup_into(&table, request, LookupOutput::F32(&mut sums))?;
                writeln!(out, "{:e}", start.elapsed().as_secs_f64())?;
            }
            ("limit", _) => {
                let start = Instant::now();
                std::hint::black_box(touch::touch(&table, &indices));
                writeln!(out, "{:e}", start.elapsed().as_secs_f64())?;
            }
            ("answer", file) => {
                let bytes: Vec<u8> = sums.iter().flat_map(|x| x.to_le_bytes()).collect();
                std::fs::write(file, bytes)?;
                writeln!(out)?;
            }
            (other, _) => return Err(format!("{other}: lookup, limit or answer FILE").into()),
        }
        out.flush()?;
    }
    Ok(())
}
