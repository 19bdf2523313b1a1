// Rows with a codebook of their own: f16 centroids, two to a word, in the header.

// Where the row's centroids begin.
struct Levels {
    base: u32,
}

fn row_levels(row: u32) -> Levels {
    return Levels(row * table.row_words);
}

fn centroid(base: u32, code: u32) -> f32 {
    return f16_to_f32((rows[base + code / 2u] >> (16u * (code & 1u))) & 0xffffu);
}

// Values, bit for bit those of the reference.
fn level_values(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(
        centroid(levels.base, codes.x),
        centroid(levels.base, codes.y),
        centroid(levels.base, codes.z),
        centroid(levels.base, codes.w),
    );
}

// A centroid has nothing to round.
fn level_terms(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return level_values(levels, codes);
}
