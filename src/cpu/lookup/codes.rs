//! The codes of sixteen columns, one to a lane.
//!
//! Codes of 3 and 4 bits come eight to a word, and their columns interleaved: a word that is broadcast with its
//! neighbour costs nothing, and what a bag's rows become is put in order once.

use super::super::lanes::{LANES, Lanes, array};

/// The lane of every column.
#[inline(always)]
fn lane_of<const BITS: usize>(column: usize) -> usize {
    match BITS {
        3 | 4 => column % 8 * 2 + column / 8,
        _ => column,
    }
}

/// Bits of a lane's code from the low end of its window.
#[inline(always)]
fn shift_of<const BITS: usize>(lane: usize) -> usize {
    match BITS {
        3 | 4 => lane / 2 * BITS,
        _ => lane * BITS,
    }
}

/// Numbers of lanes to numbers of columns.
#[inline(always)]
pub(super) fn in_order<const BITS: usize>(lanes: Lanes) -> Lanes {
    Lanes::new(
        #[inline(always)]
        |column| lanes[lane_of::<BITS>(column)],
    )
}

/// Codes as they are. `codes` begins with the first column's.
#[inline(always)]
pub(super) fn unsigned<const BITS: usize>(codes: &[u8]) -> [i32; LANES] {
    if BITS == 8 {
        return array(
            #[inline(always)]
            |lane| codes[..LANES][lane].into(),
        );
    }
    let windows = windows::<BITS>(codes);
    array(
        #[inline(always)]
        |lane| (windows[lane] >> shift_of::<BITS>(lane) & ((1 << BITS) - 1)) as i32,
    )
}

/// Codes in two's complement.
#[inline(always)]
pub(super) fn signed<const BITS: usize>(codes: &[u8]) -> [i32; LANES] {
    if BITS == 8 {
        return array(
            #[inline(always)]
            |lane| (codes[..LANES][lane] as i8).into(),
        );
    }
    let windows = windows::<BITS>(codes);
    array(
        // The code goes to the top, so that the way down extends its sign.
        #[inline(always)]
        |lane| (windows[lane] << (32 - BITS - shift_of::<BITS>(lane))) as i32 >> (32 - BITS),
    )
}

/// Codes of at most 4 bits with bits of their neighbours above them.
#[inline(always)]
pub(super) fn unmasked<const BITS: usize>(codes: &[u8]) -> [i32; LANES] {
    let windows = windows::<BITS>(codes);
    array(
        #[inline(always)]
        |lane| (windows[lane] >> shift_of::<BITS>(lane)) as i32,
    )
}

/// For every lane 32 bits that hold its code.
#[inline(always)]
fn windows<const BITS: usize>(codes: &[u8]) -> [u32; LANES] {
    let [even, odd] = match BITS {
        2 => [word(codes, 0); 2],
        3 => [word(codes, 0), word(codes, 2) >> 8],
        4 => [word(codes, 0), word(codes, 4)],
        _ => unreachable!(),
    };
    array(
        #[inline(always)]
        |lane| if lane % 2 == 0 { even } else { odd },
    )
}

/// Four bytes, the first the lowest.
#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    let bytes = &bytes[at..at + 4];
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::shapes::Random;

    fn check<const BITS: usize>() {
        let mut random = Random::new(BITS as u64);
        for _ in 0..1000 {
            let expected: [u32; LANES] = std::array::from_fn(|_| random.below(1 << BITS));
            let mut codes = [0u8; 16];
            for (at, code) in expected.iter().enumerate() {
                for bit in 0..BITS {
                    let place = at * BITS + bit;
                    codes[place / 8] |= ((code >> bit & 1) << (place % 8)) as u8;
                }
            }
            let codes = &codes[..2 * BITS];
            let of_columns = |lanes: [i32; LANES]| {
                let lanes = Lanes::new(|lane| lanes[lane] as f32);
                in_order::<BITS>(lanes).as_array().map(|code| code as i32)
            };
            let half = 1 << (BITS - 1);
            let extended = expected.map(|code| (code as i32 ^ half) - half);
            let plain = expected.map(|code| code as i32);
            assert_eq!(of_columns(unsigned::<BITS>(codes)), plain);
            assert_eq!(of_columns(signed::<BITS>(codes)), extended);
            if BITS <= 4 {
                let masked = unmasked::<BITS>(codes).map(|code| code & ((1 << BITS) - 1));
                assert_eq!(of_columns(masked), plain);
            }
        }
    }

    #[test]
    fn codes_of_every_width() {
        check::<2>();
        check::<3>();
        check::<4>();
        check::<8>();
    }
}
