// Affine rows: scale * code + bias.

struct Header {
    scale: f32,
    bias: f32,
}

fn row_header(row: u32) -> Header {
    let base = row * table.row_words;
    if HEADER_WORDS == 1u {
        let halves = rows[base];
        return Header(f16_to_f32(halves & 0xffffu), f16_to_f32(halves >> 16u));
    }
    return Header(bitcast<f32>(input_bits(rows[base])), bitcast<f32>(input_bits(rows[base + 1u])));
}

// The values of four columns from this one on, bit for bit those of the reference.
fn row_values(row: u32, column: u32) -> vec4<f32> {
    let header = row_header(row);
    let codes = vec4<f32>(row_codes(row, column));
    return vec4<f32>(
        affine(header.scale, codes.x, header.bias),
        affine(header.scale, codes.y, header.bias),
        affine(header.scale, codes.z, header.bias),
        affine(header.scale, codes.w, header.bias),
    );
}

// The same within the bound of a sum.
fn row_terms(row: u32, column: u32) -> vec4<f32> {
    let header = row_header(row);
    let codes = vec4<f32>(row_codes(row, column));
    return opaque_columns(header.scale * codes + header.bias);
}
