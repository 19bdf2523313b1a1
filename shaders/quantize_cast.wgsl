// Method cast: rows of floats, every value rounded once. Nothing is flushed, and f32 keeps every bit.

// Whether a float of 16 bits is the upper half of an f32; else it is an f16.
override BF16: bool;

fn stored_bits(bits: u32) -> u32 {
    if BITS == 32u {
        return bits;
    }
    if BF16 {
        return f32_to_bf16(bits);
    }
    return f32_to_f16(bitcast<f32>(bits));
}

fn code_at(column: u32) -> u32 {
    return stored_bits(value_word(row, column));
}

// Whether the largest magnitude of a row, and so every value, stays finite. Rounding keeps the order.
fn holds(reach: u32) -> bool {
    if BITS == 32u {
        return true;
    }
    return stored_bits(reach) < select(0x7c00u, 0x7f80u, BF16);
}

fn store(lane: u32, reach: u32) {
    let finite = is_finite(reach);
    let held = finite && holds(reach);
    if lane == 0u {
        if !finite {
            report_not_finite(row);
        } else if !held {
            report_out_of_range(row);
        }
    }
    store_codes(row, lane, TEAM, held);
    report_if_unfinished(row);
}
