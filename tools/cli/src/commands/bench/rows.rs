//! What GPU and CPU share of the kernels that go through rows.

use qembed::verify::compare::{self, Outcome};
use qembed::{Format, Method, PackedTable, reference};

use super::check::evenly;
use super::point::Point;
use super::traffic::Traffic;

/// Elements that are checked at the most.
const MOST_ELEMENTS: usize = 1 << 18;

/// Bytes of all rows as f32.
pub fn value_bytes(point: &Point) -> u64 {
    4 * u64::from(point.rows) * u64::from(point.dim)
}

/// Rows that the reference quantizes: it searches long.
pub fn most_checked(method: Method, dim: u32) -> usize {
    let elements = match method {
        Method::Asym | Method::Sym | Method::Absmax | Method::Cast => MOST_ELEMENTS,
        // Cubic in the bins.
        Method::HistBrute { .. } => 0,
        _ => 1 << 12,
    };
    (elements / dim as usize).max(1)
}

/// What a dequantize moves: the table, what its rows share, and the values.
pub fn traffic(table: &PackedTable) -> Traffic {
    let shared = match (table.format(), table.blocks()) {
        (Format::Blocks { .. }, Some(blocks)) => 4 * blocks.words().len() as u64,
        _ => 0,
    };
    let values = 4 * u64::from(table.rows()) * u64::from(table.dim());
    let parts = [table.bytes().len() as u64, shared, values];
    let parts = parts.into_iter().map(Traffic::stream);
    parts.fold(Traffic::default(), Traffic::and)
}

/// Some rows' values, bit by bit.
pub fn compare_values(table: &PackedTable, values: &[f32]) -> Outcome {
    let dim = table.dim() as usize;
    let whole = table.rows() as usize * dim;
    if values.len() != whole {
        return Outcome::fail(format!("{} values, expected {whole}", values.len()));
    }
    let rows = evenly(table.rows() as usize, MOST_ELEMENTS / dim);
    let outcomes = rows.into_iter().map(|row| {
        let columns = 0..dim;
        let expected: Vec<_> = columns
            .map(|column| reference::row_value(table.row(row), column))
            .collect();
        compare::bits(&expected, &values[row * dim..][..dim])
    });
    outcomes.fold(Outcome::PASS, Outcome::and)
}

#[cfg(test)]
mod tests {
    use qembed::{Bits, cpu};

    use super::super::tables;
    use super::*;

    #[test]
    fn wrong_values_are_found() {
        let table = tables::packed(Format::affine(Bits::B8), 9, 5).unwrap();
        let mut values = cpu::dequantize(&table);
        assert_eq!(compare_values(&table, &values).failure, None);
        assert!(compare_values(&table, &values[1..]).failure.is_some());
        values[7] += 1.0;
        assert!(compare_values(&table, &values).failure.is_some());
    }

    /// f32 rows to 8 bits: 8 x 64 bytes of header and codes here, and 4 x 8 x 64 of values.
    #[test]
    fn traffic_by_hand() {
        let table = tables::packed(Format::affine(Bits::B8), 8, 64).unwrap();
        assert_eq!(traffic(&table).bytes, 8 * 72 + 4 * 8 * 64);
    }
}
