//! Counts the rows of a matrix at which a better method is worse: `lsq` than `greedy`, `greedy` than `asym`,
//! in f64 from the stored bytes, by more than 1e-6 of `asym`'s squared error. There should be none.
//!
//! `cargo run --release --example row_order -- model.safetensors embeddings.weight`

use std::path::Path;

use qembed::io::read_matrix;
use qembed::{Bits, Format, Method, PackedTable, Search};

fn main() -> Result<(), qembed::Error> {
    let mut args = std::env::args().skip(1);
    let Some(input) = args.next() else {
        eprintln!("row_order INPUT [TENSOR]");
        std::process::exit(2);
    };
    let matrix = read_matrix(Path::new(&input), args.next().as_deref())?;
    let search = Search::default();
    let methods = [
        Method::Asym,
        Method::Greedy(search),
        Method::Lsq {
            search,
            iterations: 20,
        },
    ];
    for bits in Bits::ALL {
        let mut errors = vec![];
        for method in methods {
            let format = Format::affine(bits);
            let table = PackedTable::quantize(&matrix.values, matrix.dim, format, method)?;
            errors.push(row_errors(&matrix.values, &table));
        }
        for better in 1..methods.len() {
            let pairs = errors[better].iter().zip(&errors[better - 1]);
            let worse = pairs
                .zip(&errors[0])
                .filter(|((better, other), asym)| **better > **other + 1e-6 * **asym);
            println!(
                "{} bits: {} of {} rows are worse by {} than by {}",
                bits.count(),
                worse.count(),
                matrix.rows,
                methods[better].name(),
                methods[better - 1].name()
            );
        }
    }
    Ok(())
}

/// Squared error of every row, with scale, code and bias in f64.
fn row_errors(values: &[f32], table: &PackedTable) -> Vec<f64> {
    let rows = values.chunks_exact(table.dim() as usize).enumerate();
    let error = |(row, values): (usize, &[f32])| {
        let row = table.row(row);
        let header = row.header().expect("an affine row");
        let (scale, bias) = (f64::from(header.scale), f64::from(header.bias));
        let columns = values.iter().enumerate();
        let difference =
            |(i, x): (usize, &f32)| f64::from(*x) - scale * f64::from(row.code(i)) - bias;
        columns.map(|column| difference(column).powi(2)).sum()
    };
    rows.map(error).collect()
}
