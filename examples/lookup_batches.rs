//! Times lookups on the CPU, and the least that memory takes for them: what `tools/peers/lookup` runs.
//!
//! ```sh
//! echo lookup 20 | cargo run --release --example lookup_batches -- rows.u8 4 64 indices.u32 4096 32
//! ```
//!
//! Its arguments are a file of rows as PyTorch lays them out, the width of their codes, the columns of a row, a file of
//! indices (u32, little-endian), and how they are summed: in bags of so many to a batch, and so many indices to a
//! bag. The file holds one or more batches, which are taken in turn, so that a batch finds in no cache what the
//! same left there. It answers each line of its input:
//!
//! - `lookup COUNT` with the seconds that so many lookups took, one behind the other, on one line,
//! - `limit COUNT` with those of a loop that does nothing but read a word of every cache line that the rows lie in,
//! - `answer FILE` with an empty line, once it has written the first batch's sums to the file (f32, little-endian).
//!
//! What is timed runs for 20 milliseconds first, which are not: threads wake up, and caches forget what others did.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use qembed::cpu::{self, LookupOutput};
use qembed::{Bits, Layout, LookupRequest, OutOfRange, Output, PackedTable, Pooling};

#[path = "../benches/common/touch.rs"]
mod touch;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs before anything is timed.
const WARM: Duration = Duration::from_millis(20);

fn main() -> Result<(), Failure> {
    // Every line is answered on a thread of rayon's, which takes part in a lookup; another would wait for them.
    rayon::ThreadPoolBuilder::new().build()?.install(answer)
}

fn answer() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, bits, dim, indices, bags, length] = &arguments[..] else {
        return Err("needed: ROWS BITS DIM INDICES BAGS LENGTH".into());
    };
    let (bits, dim): (u32, usize) = (bits.parse()?, dim.parse()?);
    let (bags, length): (usize, usize) = (bags.parse()?, length.parse()?);
    let bits = Bits::try_from(bits)?;
    let table = PackedTable::import(Layout::PyTorch, bits, dim, &std::fs::read(rows)?)?;
    let indices: Vec<u32> = std::fs::read(indices)?
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let offsets: Vec<u32> = (0..=bags).map(|bag| (bag * length) as u32).collect();
    let mut sums = vec![0.0; bags * dim];
    let lookup = |indices: &[u32], sums: &mut [f32]| {
        let request = LookupRequest {
            pooling: Pooling::Sum,
            indices,
            offsets: Some(&offsets),
            weights: None,
            output: Output::F32,
            out_of_range: OutOfRange::Error,
        };
        cpu::lookup_into(&table, request, LookupOutput::F32(sums)).map(drop)
    };
    let limit = |indices: &[u32]| {
        std::hint::black_box(touch::touch(&table, indices));
        Ok(())
    };
    let batches: Vec<&[u32]> = indices.chunks_exact(bags * length).collect();
    let first = *batches.first().ok_or("INDICES: less than a batch")?;
    let mut batches = batches.iter().copied().cycle();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("lookup", count) => {
                let run = |indices: &[u32]| lookup(indices, &mut sums);
                writeln!(out, "{}", seconds(count.parse()?, &mut batches, run)?)?;
            }
            ("limit", count) => {
                writeln!(out, "{}", seconds(count.parse()?, &mut batches, limit)?)?;
            }
            ("answer", file) => {
                lookup(first, &mut sums)?;
                let bytes: Vec<u8> = sums.iter().flat_map(|x| x.to_le_bytes()).collect();
                std::fs::write(file, bytes)?;
                writeln!(out)?;
            }
            (other, _) => {
                let needed = "lookup COUNT, limit COUNT or answer FILE";
                return Err(format!("{other}: {needed}").into());
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// Seconds of every run but the first, which warm up; each takes the next batch.
fn seconds<'a>(
    count: usize,
    batches: &mut impl Iterator<Item = &'a [u32]>,
    mut run: impl FnMut(&[u32]) -> Result<(), qembed::Error>,
) -> Result<String, qembed::Error> {
    let mut timed = || {
        let batch = batches.next().unwrap_or_default();
        let start = Instant::now();
        run(batch).map(|()| start.elapsed())
    };
    let begun = Instant::now();
    while begun.elapsed() < WARM {
        timed()?;
    }
    let mut all = String::new();
    for _ in 0..count {
        all += &format!("{:e} ", timed()?.as_secs_f64());
    }
    Ok(all)
}
