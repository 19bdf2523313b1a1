// New values to codes; the twin of src/reference/update/store.rs.

// What the codes of a row are steps of, and the ends of their range.
struct Ruler {
    step: f32,
    bias: f32,
    low: f32,
    high: f32,
}

// How many steps a value is worth, within the range of the codes. A scale of 0 has but one value.
fn steps_of(value: f32, ruler: Ruler) -> f32 {
    if bitcast<u32>(ruler.step) << 1u == 0u {
        return 0.0;
    }
    let steps = bitcast<u32>(div_rn(sub_rn(value, ruler.bias), ruler.step));
    // Infinities too, which no float operation is to see.
    if (steps & MAGNITUDE) >= 0x47800000u {
        return select(ruler.high, ruler.low, steps >= SIGN);
    }
    return clamp(bitcast<f32>(steps), ruler.low, ruler.high);
}

// Whether a draw, as a fraction of 2^32, lies below a fraction of 0 to 1.
fn is_below(draw: u32, fraction: f32) -> bool {
    let bits = bitcast<u32>(fraction);
    if bits >= 0x3f800000u {
        return true;
    }
    let exponent = bits >> 23u;
    let mantissa = (bits & 0x7fffffu) | 0x800000u;
    if exponent >= 118u {
        return draw < (mantissa << (exponent - 118u));
    }
    return exponent > 94u && draw < (mantissa >> (118u - exponent));
}

// The codes of four columns, as signed integers.
fn rounded(values: vec4<f32>, ruler: Ruler, stochastic: bool, draws: vec4<u32>) -> vec4<i32> {
    var codes = vec4<i32>();
    for (var i = 0u; i < 4u; i++) {
        let steps = steps_of(values[i], ruler);
        if stochastic {
            let below = floor(steps);
            let above = sub_rn(steps, below);
            codes[i] = i32(below) + select(0, 1, is_below(draws[i], above));
        } else {
            codes[i] = i32(round(steps));
        }
    }
    return codes;
}

// The random bits of four columns of a row.
fn row_draws(row: u32, column: u32) -> vec4<u32> {
    return philox4x32_10(
        vec4<u32>(column / 4u, row, hyper.table, hyper.number),
        vec2<u32>(hyper.seed_low, hyper.seed_high),
    );
}
