//! Prints the tables of docs/accuracy.md: what every method leaves of normal rows, by dim and width.
//!
//! `cargo run --release --example accuracy > tables.md`

use std::time::Instant;

use qembed::verify::shapes::Random;
use qembed::{Bits, Method, PackedTable};

const ROWS: usize = 2000;
const DIMS: [usize; 6] = [8, 16, 32, 64, 128, 256];
/// The dim whose time stands in the table.
const TIMED: usize = 64;
const SEED: u64 = 20_191_106;

fn main() -> Result<(), qembed::Error> {
    let inputs = DIMS.map(|dim| Random::new(SEED).normals(ROWS * dim));
    for bits in Bits::ALL {
        println!("\n{} bits:\n", bits.count());
        let dims = DIMS.map(|dim| format!(" d={dim} |"));
        println!("| method |{} µs a row, d={TIMED} |", dims.concat());
        println!("|---|{}---:|", "---:|".repeat(DIMS.len()));
        for &method in Method::ALL {
            // Codebooks of 8 bits do not exist.
            let Ok(format) = method.format(bits, None) else {
                continue;
            };
            let mut line = format!("| {} |", method.name());
            let mut seconds = 0.0;
            for (dim, values) in DIMS.iter().zip(&inputs) {
                let table = PackedTable::quantize(values, *dim, format, method)?;
                if *dim == TIMED {
                    let start = Instant::now();
                    PackedTable::quantize(values, *dim, format, method)?;
                    seconds = start.elapsed().as_secs_f64();
                }
                line += &format!(" {:.4} |", error(values, &table));
            }
            println!("{line} {:.2} |", seconds / ROWS as f64 * 1e6);
        }
    }
    Ok(())
}

/// `|X - X'| / |X|`, Frobenius norms in f64.
fn error(values: &[f32], table: &PackedTable) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let lost = values
        .iter()
        .zip(table.dequantize())
        .map(|(x, y)| square(x - y));
    let norm: f64 = values.iter().map(|x| square(*x)).sum();
    (lost.sum::<f64>() / norm).sqrt()
}
