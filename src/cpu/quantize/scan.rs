//! What a row holds: its range, or what is wrong with it.

use crate::reference::RowProblem;

/// Columns that are looked at together.
const WIDTH: usize = 16;

/// Where the values of a row lie, -0 below +0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RowRange {
    pub(super) low: f32,
    pub(super) high: f32,
}

/// Range of a row whose subnormals count as zero.
#[inline(always)]
pub(super) fn scan(values: &[f32]) -> Result<RowRange, RowProblem> {
    let mut low = [i32::MAX; WIDTH];
    let mut high = [i32::MIN; WIDTH];
    let chunks = values.chunks_exact(WIDTH);
    for (i, x) in chunks.remainder().iter().enumerate() {
        low[i] = low[i].min(key(*x));
        high[i] = high[i].max(key(*x));
    }
    for chunk in chunks {
        for i in 0..WIDTH {
            low[i] = low[i].min(key(chunk[i]));
            high[i] = high[i].max(key(chunk[i]));
        }
    }
    let low = unkey(low.into_iter().fold(i32::MAX, i32::min));
    let high = unkey(high.into_iter().fold(i32::MIN, i32::max));
    if low.is_finite() && high.is_finite() {
        return Ok(RowRange { low, high });
    }
    // NaN lies beyond the infinities at either end.
    let column = values.iter().position(|x| !x.is_finite()).unwrap_or(0);
    Err(RowProblem::NotFinite { column })
}

/// A subnormal becomes a zero of its sign.
#[inline(always)]
pub(super) fn input(x: f32) -> f32 {
    let bits = x.to_bits();
    let flushed = if bits & 0x7f80_0000 == 0 {
        bits & 0x8000_0000
    } else {
        bits
    };
    f32::from_bits(flushed)
}

/// An integer that orders as [`f32::total_cmp`] does.
#[inline(always)]
fn key(x: f32) -> i32 {
    let bits = input(x).to_bits() as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

#[inline(always)]
fn unkey(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) as u32 >> 1) as i32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let bits = |values: &[f32]| scan(values).map(|r| (r.low.to_bits(), r.high.to_bits()));
        assert_eq!(bits(&[0.0, -0.0]), Ok((0x8000_0000, 0)));
        assert_eq!(bits(&[1e-40, -1e-40]), Ok((0x8000_0000, 0)));
        let mut values: Vec<f32> = (0..50).map(|i| i as f32 - 25.0).collect();
        assert_eq!(
            scan(&values),
            Ok(RowRange {
                low: -25.0,
                high: 24.0
            })
        );
        for (column, bad) in [(3, f32::NAN), (49, -f32::NAN), (16, f32::INFINITY)] {
            let before = std::mem::replace(&mut values[column], bad);
            assert_eq!(scan(&values), Err(RowProblem::NotFinite { column }));
            values[column] = before;
        }
    }
}
