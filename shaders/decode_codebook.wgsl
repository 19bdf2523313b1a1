// Rows with a codebook of their own: f16 centroids, two to a word, in the header.

fn codebook_word(at: u32) -> u32 {
    return rows[at];
}

// Where the row's centroids begin.
struct Levels {
    base: u32,
}

fn row_levels(row: u32) -> Levels {
    return Levels(row_start(row));
}

// Values, bit for bit those of the reference.
fn level_values(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return centroids(levels.base, codes);
}

// A centroid has nothing to round.
fn level_terms(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return level_values(levels, codes);
}
