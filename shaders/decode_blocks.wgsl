// Rows whose codebook is that of their block. Binding 8: the codebooks, f16 centroids, two to a word;
// then the rows' block ids, id_bits each, dense, low bits first.

@group(0) @binding(8) var<storage, read> shared_words: array<u32>;

fn codebook_words() -> u32 {
    return (1u << BITS) / 2u;
}

// The block of a row; in memory that no host has checked, one that exists all the same.
fn block_of(row: u32) -> u32 {
    if table.id_bits == 0u {
        return 0u;
    }
    // 32 rows take id_bits words, so that the product fits 32 bits.
    let bit = (row % 32u) * table.id_bits;
    let at = table.blocks * codebook_words() + row / 32u * table.id_bits + bit / 32u;
    let shift = bit % 32u;
    var id = shared_words[at] >> shift;
    if shift + table.id_bits > 32u {
        id |= shared_words[at + 1u] << (32u - shift);
    }
    return min(id & (0xffffffffu >> (32u - table.id_bits)), table.blocks - 1u);
}

// Where the centroids of the row's block begin.
struct Levels {
    base: u32,
}

fn row_levels(row: u32) -> Levels {
    return Levels(block_of(row) * codebook_words());
}

fn centroid(base: u32, code: u32) -> f32 {
    return f16_to_f32((shared_words[base + code / 2u] >> (16u * (code & 1u))) & 0xffffu);
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
