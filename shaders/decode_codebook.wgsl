// Rows with a codebook of their own: f16 centroids, two to a word, in the header.

fn centroid(base: u32, code: u32) -> f32 {
    return f16_to_f32((rows[base + code / 2u] >> (16u * (code & 1u))) & 0xffffu);
}

// The values of four columns from this one on, bit for bit those of the reference.
fn row_values(row: u32, column: u32) -> vec4<f32> {
    let base = row * table.row_words;
    let codes = row_codes(row, column);
    return vec4<f32>(
        centroid(base, codes.x),
        centroid(base, codes.y),
        centroid(base, codes.z),
        centroid(base, codes.w),
    );
}

// A centroid has nothing to round.
fn row_terms(row: u32, column: u32) -> vec4<f32> {
    return row_values(row, column);
}
