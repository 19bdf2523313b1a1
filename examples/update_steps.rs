//! Times steps of training on packed rows, one for every line that it reads: what `tools/peers/update` runs.
//!
//! ```sh
//! yes | head -20 | cargo run --release --example update_steps -- indices.u32 4096 1000000 64 8 sgd
//! ```
//!
//! Its arguments are a file of indices (u32, little-endian), the bags that they fall into in equal parts, rows and columns
//! of the table, the width of its codes, and the optimizer. It answers each line with the seconds that the
//! update took.

use std::io::{BufRead, Write};
use std::time::Instant;

use qembed::cpu::Training;
use qembed::training::{Batch, Optimizer, TrainingSpec};
use qembed::verify::shapes::Random;
use qembed::{Bits, Format, Method, PackedTable, Params, Pooling};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [indices, bags, rows, dim, bits, optimizer] = &arguments[..] else {
        return Err("needed: INDICES BAGS ROWS DIM BITS OPTIMIZER".into());
    };
    let indices: Vec<u32> = std::fs::read(indices)?
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let (bags, rows, dim): (usize, usize, usize) = (bags.parse()?, rows.parse()?, dim.parse()?);
    let offsets: Vec<u32> = (0..=bags)
        .map(|bag| (bag * indices.len() / bags) as u32)
        .collect();
    let table = table(rows, dim, bits)?;
    let mut random = Random::new(1);
    let gradient: Vec<f32> = (0..bags * dim).map(|_| 1e-3 * random.signed()).collect();
    let spec = TrainingSpec::lpt(optimizer_of(optimizer)?, 1);
    let mut training = Training::new(table, spec)?;
    let batch = Batch {
        pooling: Pooling::Sum,
        indices: &indices,
        offsets: Some(&offsets),
        weights: None,
    };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        training.backward_update(&batch, &gradient, 0.01)?;
        writeln!(out, "{:e}", start.elapsed().as_secs_f64())?;
        out.flush()?;
    }
    Ok(())
}

/// Symmetric rows of values around zero.
fn table(rows: usize, dim: usize, bits: &str) -> Result<PackedTable, Failure> {
    let bits = Bits::ALL
        .into_iter()
        .find(|known| known.count().to_string() == bits)
        .ok_or("BITS: 2, 4 or 8")?;
    let format = Format::Symmetric {
        bits,
        params: Params::F32,
    };
    let mut random = Random::new(2);
    let values: Vec<f32> = (0..rows * dim).map(|_| 0.05 * random.signed()).collect();
    Ok(PackedTable::quantize(&values, dim, format, Method::Absmax)?)
}

fn optimizer_of(name: &str) -> Result<Optimizer, Failure> {
    let known = Optimizer::ALL
        .into_iter()
        .find(|known| known.name() == name);
    known.ok_or_else(|| format!("OPTIMIZER: {name} is none").into())
}
