//! Tables to measure on.

use qembed::verify::shapes::{self, Faults, Random, Shape};
use qembed::{Blocks, Format, Method, PackedTable};

use super::refusal::{Refusal, host_memory};

/// Rows that are made; a table repeats them, which no kernel can tell.
const MADE_ROWS: u32 = 4096;

/// A table of any format.
pub fn packed(format: Format, rows: u32, dim: u32) -> Result<PackedTable, Refusal> {
    let row_words = format.row_words(dim) as usize;
    let bytes = 4 * u64::from(rows) * row_words as u64;
    // The rows, and the block ids of those that share codebooks.
    host_memory("rows", bytes + 8 * u64::from(rows))?;
    let made = made(format, rows.min(MADE_ROWS), dim)?;
    let mut words = Vec::with_capacity(rows as usize * row_words);
    for part in (0..rows).step_by(MADE_ROWS as usize) {
        let count = (rows - part).min(MADE_ROWS) as usize;
        words.extend_from_slice(&made.words()[..count * row_words]);
    }
    let Some(blocks) = made.blocks() else {
        return Ok(PackedTable::from_words(format, dim as usize, words)?);
    };
    let ids: Vec<_> = (0..rows).map(|row| blocks.id(row % MADE_ROWS)).collect();
    let blocks = Blocks::new(blocks.bits(), blocks.codebook_words().to_vec(), &ids)?;
    Ok(PackedTable::from_blocks(dim as usize, words, blocks)?)
}

/// Rows that were quantized, or random ones where no quick method writes the format.
fn made(format: Format, rows: u32, dim: u32) -> Result<PackedTable, Refusal> {
    let methods = [Method::Asym, Method::Absmax, Method::Cast];
    if let Some(method) = methods.into_iter().find(|m| m.check(format).is_ok()) {
        let values = values(rows as usize * dim as usize);
        let table = PackedTable::quantize(&values, dim as usize, format, method)?;
        return Ok(table);
    }
    let shape = Shape {
        dim,
        rows,
        bags: vec![],
        faults: Faults::None,
    };
    Ok(shapes::table(&shape, format, 1)?)
}

/// Values of either sign.
pub fn values(count: usize) -> Vec<f32> {
    let mut random = Random::new(count as u64);
    (0..count).map(|_| random.signed()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_repeated() {
        for format in Format::all() {
            let table = packed(format, MADE_ROWS + 5, 9).unwrap();
            assert_eq!(table.rows(), MADE_ROWS + 5);
            let values = qembed::cpu::dequantize(&table);
            let (first, last) = (&values[..45], &values[9 * MADE_ROWS as usize..]);
            let same = first
                .iter()
                .zip(last)
                .all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{format}");
        }
    }
}
