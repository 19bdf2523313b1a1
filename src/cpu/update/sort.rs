//! The occurrences of a batch, ordered by row.

/// Rows in the high half, so that keys order by row.
#[inline(always)]
pub(super) fn key(row: u32, position: u32) -> u64 {
    u64::from(row) << 32 | u64::from(position)
}

#[inline(always)]
pub(super) fn row(key: u64) -> u32 {
    (key >> 32) as u32
}

#[inline(always)]
pub(super) fn position(key: u64) -> u32 {
    key as u32
}

/// Below this, comparing is faster than counting.
const FEW: usize = 128;

/// Orders keys that are ordered by position by row, and within a row leaves them as they are.
///
/// # Cost
/// A second array of keys, and a pass over both for every 8 to 11 bits that rows have.
pub(super) fn by_row(mut keys: Vec<u64>, rows: u32) -> Vec<u64> {
    if keys.len() < FEW {
        keys.sort_unstable();
        return keys;
    }
    let bits = u32::BITS - rows.saturating_sub(1).leading_zeros();
    // Counters of a digit should be few beside the keys that are counted.
    let largest = if keys.len() < 8192 { 8 } else { 11 };
    let passes = bits.div_ceil(largest);
    let digit = bits.div_ceil(passes.max(1));
    let mut other = vec![0; keys.len()];
    for pass in 0..passes {
        scatter(&keys, &mut other, 32 + pass * digit, digit);
        std::mem::swap(&mut keys, &mut other);
    }
    keys
}

/// Orders by one digit, and leaves keys of the same digit in their order.
fn scatter(from: &[u64], to: &mut [u64], shift: u32, digit: u32) {
    let mask = (1 << digit) - 1;
    let at = |key: u64| (key >> shift) as usize & mask;
    let mut ends = vec![0u32; mask + 1];
    from.iter().for_each(|&key| ends[at(key)] += 1);
    let mut next = 0;
    for count in &mut ends {
        next += std::mem::replace(count, next);
    }
    for &key in from {
        let place = &mut ends[at(key)];
        to[*place as usize] = key;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_order_and_positions_within_them() {
        for count in [0, 1, 100, 1000, 10_000u32] {
            for rows in [1, 2, 200, 70_000, u32::MAX] {
                let keys: Vec<u64> = (0..count)
                    .map(|i| key(i.wrapping_mul(0x9e37_79b9) % rows, i))
                    .collect();
                let mut expected = keys.clone();
                expected.sort_unstable();
                assert_eq!(by_row(keys, rows), expected);
            }
        }
    }
}
