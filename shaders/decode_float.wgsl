// Rows of floats.

override BF16: bool;

fn row_codes(row: u32, column: u32) -> vec4<u32> {
    return float_codes(row, column);
}

fn row_octet(row: u32, column: u32, octet: u32) -> Octet {
    let first = column + 8u * octet;
    return Octet(float_codes(row, first), float_codes(row, first + 4u));
}

// Columns share nothing.
struct Levels {
    nothing: u32,
}

fn row_levels(row: u32) -> Levels {
    return Levels();
}

// Values, bit for bit those of the reference.
fn level_values(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(codes);
}

// A float has nothing to round.
fn level_terms(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return level_values(levels, codes);
}
