// Symmetric rows: step * code, the code a two's complement integer.

// Whether the header's word holds an f16, in its low half; an f32 takes the whole of it.
override STEP_F16: bool;

fn row_step(row: u32) -> f32 {
    let word = rows[row_start(row)];
    if STEP_F16 {
        return f16_to_f32(word & 0xffffu);
    }
    return bitcast<f32>(input_bits(word));
}

// What the columns of a row share.
struct Levels {
    step: f32,
}

fn row_levels(row: u32) -> Levels {
    return Levels(row_step(row));
}

// The shift to the right copies the sign; in f32 the codes are exact.
fn signed_codes(codes: vec4<u32>) -> vec4<f32> {
    let unused = vec4<u32>(32u - BITS);
    return vec4<f32>(bitcast<vec4<i32>>(codes << unused) >> unused);
}

// Values, bit for bit those of the reference.
fn level_values(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    let numbers = signed_codes(codes);
    return vec4<f32>(
        symmetric(levels.step, numbers.x),
        symmetric(levels.step, numbers.y),
        symmetric(levels.step, numbers.z),
        symmetric(levels.step, numbers.w),
    );
}

// The same within the bound of a sum.
fn level_terms(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return opaque_columns(levels.step * signed_codes(codes));
}
