// Method absmax: symmetric rows whose step takes the largest magnitude to the largest code.

// Whether the header's word holds an f16, in its low half; an f32 takes the whole of it.
override STEP_F16: bool;

var<private> row_step: f32;

fn code_at(column: u32) -> u32 {
    let most = f32((1u << (BITS - 1u)) - 1u);
    let least = -f32(1u << (BITS - 1u));
    let x = bitcast<f32>(value_bits(row, column));
    return bitcast<u32>(i32(signed_code_of(x, row_step, least, most))) & ((1u << BITS) - 1u);
}

// The header of a row: its step, 1 where that would be 0, which cannot be divided by. 0, which is no
// step, where f16 cannot hold it.
fn header_of(reach: f32) -> u32 {
    let step = div_rn(reach, f32((1u << (BITS - 1u)) - 1u));
    if !STEP_F16 {
        return select(bitcast<u32>(step), 0x3f800000u, bitcast<u32>(step) == 0u);
    }
    let half = f32_to_f16(step);
    if half == 0u {
        return 0x3c00u;
    }
    return select(half, 0u, half >= 0x7c00u);
}

fn step_of(header: u32) -> f32 {
    if STEP_F16 {
        return f16_to_f32(header);
    }
    return bitcast<f32>(header);
}

fn store(lane: u32, reach: u32) {
    let finite = is_finite(reach);
    var header = 0u;
    if finite {
        header = header_of(bitcast<f32>(reach));
    }
    if lane == 0u {
        if !finite {
            report_not_finite(row);
        } else if header == 0u {
            report_out_of_range(row);
        }
        rows[row_base(row)] = header;
    }
    row_step = step_of(header);
    store_codes(row, lane, TEAM, header != 0u);
    report_if_unfinished(row);
}
