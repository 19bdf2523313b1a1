//! Ten lines: quantize, upload, gather, pool.

use qembed::{Bits, Format, Method, PackedTable, Pooling, Session};

fn main() -> Result<(), qembed::Error> {
    // A table of 1000 rows x 64 columns.
    let rows: Vec<f32> = (0..64_000).map(|i| (i as f32 * 0.37).sin()).collect();
    let packed = PackedTable::quantize(&rows, 64, Format::affine(Bits::B4), Method::Asym)?;
    println!(
        "{} bytes instead of {}",
        packed.bytes().len(),
        4 * rows.len()
    );

    let session = Session::new()?;
    println!("on {}", session.adapter().name);
    let table = session.upload(&packed)?;

    let vectors = session.gather(&table, &[3, 17, 42])?;
    println!("row 17 begins with {:?}", &vectors[64..67]);

    // Two bags: rows 3 and 17, then row 42.
    let bags = session.pool(&table, &[3, 17, 42], &[0, 2, 3], Pooling::Mean)?;
    println!("the first bag's mean begins with {:?}", &bags[..3]);
    Ok(())
}
