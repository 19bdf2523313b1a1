// Symmetric rows: step * code, the code a two's complement integer.

// Whether the header's word holds an f16, in its low half; an f32 takes the whole of it.
override STEP_F16: bool;

fn row_step(row: u32) -> f32 {
    let word = rows[row * table.row_words];
    if STEP_F16 {
        return f16_to_f32(word & 0xffffu);
    }
    return bitcast<f32>(input_bits(word));
}

// The codes of four columns from this one on. The shift to the right copies the sign; in f32 they are exact.
fn signed_codes(row: u32, column: u32) -> vec4<f32> {
    let unused = vec4<u32>(32u - BITS);
    let codes = bitcast<vec4<i32>>(row_codes(row, column) << unused) >> unused;
    return vec4<f32>(codes);
}

// The values of four columns from this one on, bit for bit those of the reference.
fn row_values(row: u32, column: u32) -> vec4<f32> {
    let step = row_step(row);
    let codes = signed_codes(row, column);
    return vec4<f32>(
        symmetric(step, codes.x),
        symmetric(step, codes.y),
        symmetric(step, codes.z),
        symmetric(step, codes.w),
    );
}

// The same within the bound of a sum.
fn row_terms(row: u32, column: u32) -> vec4<f32> {
    return opaque_columns(row_step(row) * signed_codes(row, column));
}
