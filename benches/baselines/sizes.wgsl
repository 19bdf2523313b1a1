// What every baseline knows: sizes, the width of a code, and how an invocation finds its work. Affine rows with an
// f16 header in word 0, codes from word 1 on, low bits first.

struct Sizes {
    rows: u32,
    dim: u32,
    row_words: u32,
    indices: u32,
    bags: u32,
}

@group(0) @binding(0) var<uniform> sizes: Sizes;

// 2, 4 or 8.
override BITS: u32;
override MASK: u32 = (1u << BITS) - 1u;
// Codes of a word.
override CODES: u32 = 32u / BITS;

fn invocation(group: vec3<u32>, local: u32) -> u32 {
    return (group.y * 65535u + group.x) * 64u + local;
}
