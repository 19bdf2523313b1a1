// Affine rows: scale * code + bias.

struct Levels {
    scale: f32,
    bias: f32,
}

fn row_levels(row: u32) -> Levels {
    let base = row_start(row);
    if HEADER_WORDS == 1u {
        let halves = rows[base];
        return Levels(f16_to_f32(halves & 0xffffu), f16_to_f32(halves >> 16u));
    }
    return Levels(bitcast<f32>(input_bits(rows[base])), bitcast<f32>(input_bits(rows[base + 1u])));
}

// Codes are small: as signed integers they become floats in one instruction where unsigned ones take several.

// Values, bit for bit those of the reference.
fn level_values(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    let numbers = vec4<f32>(bitcast<vec4<i32>>(codes));
    return vec4<f32>(
        affine(levels.scale, numbers.x, levels.bias),
        affine(levels.scale, numbers.y, levels.bias),
        affine(levels.scale, numbers.z, levels.bias),
        affine(levels.scale, numbers.w, levels.bias),
    );
}

// The same within the bound of a sum.
fn level_terms(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return opaque_columns(levels.scale * vec4<f32>(bitcast<vec4<i32>>(codes)) + levels.bias);
}
