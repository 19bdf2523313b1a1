// Reads the codes of packed rows: four columns of one row to a lane. One of decode_affine.wgsl, decode_symmetric.wgsl,
// decode_codebook.wgsl and decode_blocks.wgsl says what the codes stand for.

// The codes of four columns from this one on; those past the end of the row mean nothing.
fn row_codes(row: u32, column: u32) -> vec4<u32> {
    let bit = column * BITS;
    let at = row * table.row_words + HEADER_WORDS + bit / 32u;
    let shift = bit % 32u;
    var word = rows[at] >> shift;
    // Four columns may lie in two words.
    if shift + 4u * BITS > 32u && at + 1u < (row + 1u) * table.row_words {
        word |= rows[at + 1u] << (32u - shift);
    }
    let shifted = vec4<u32>(word, word >> BITS, word >> (2u * BITS), word >> (3u * BITS));
    return shifted & vec4<u32>((1u << BITS) - 1u);
}
