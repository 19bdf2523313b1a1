// Centroids: f16, two to a word; codebook_word(at) reads such a word.

fn codebook_words() -> u32 {
    return (1u << BITS) / 2u;
}

fn centroid(base: u32, code: u32) -> f32 {
    return f16_to_f32((codebook_word(base + code / 2u) >> (16u * (code & 1u))) & 0xffffu);
}

// The values of four codes whose codebook begins at a word; nothing is rounded.
fn centroids(base: u32, codes: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(
        centroid(base, codes.x),
        centroid(base, codes.y),
        centroid(base, codes.z),
        centroid(base, codes.w),
    );
}
