// Rows whose codebook is that of their block. Binding 8: the codebooks, f16 centroids, two to a word;
// then the rows' block ids.

@group(0) @binding(8) var<storage, read> shared_words: array<u32>;

fn codebook_word(at: u32) -> u32 {
    return shared_words[at];
}

// Where the centroids of the row's block begin.
struct Levels {
    base: u32,
}

fn row_levels(row: u32) -> Levels {
    return Levels(block_of(0u, row) * codebook_words());
}

// Values, bit for bit those of the reference.
fn level_values(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return centroids(levels.base, codes);
}

// A centroid has nothing to round.
fn level_terms(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    return level_values(levels, codes);
}
