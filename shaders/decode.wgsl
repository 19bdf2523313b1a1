// Reads packed rows. decode_codes.wgsl or decode_float.wgsl reads the codes of four or eight columns, row_codes() and
// row_octet(); one of decode_affine.wgsl, decode_symmetric.wgsl, decode_codebook.wgsl, decode_blocks.wgsl and
// decode_float.wgsl says what they stand for: row_levels() reads what a row's columns share, level_values() and
// level_terms() turn codes into values.

// The codes of eight columns.
struct Octet {
    low: vec4<u32>,
    high: vec4<u32>,
}

// The values of four columns from this one on, bit for bit those of the reference.
fn row_values(row: u32, column: u32) -> vec4<f32> {
    return level_values(row_levels(row), row_codes(row, column));
}
