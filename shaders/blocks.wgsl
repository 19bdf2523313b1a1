// Blocks: rows that share a codebook.

// The block of a row; in memory that no host has checked, one that exists all the same. At `base` begin the table's
// codebooks, behind which lie the rows' block ids, id_bits each, dense, low bits first.
fn block_of(base: u32, row: u32) -> u32 {
    if table.id_bits == 0u {
        return 0u;
    }
    // 32 rows take id_bits words, so that the product fits 32 bits.
    let bit = (row % 32u) * table.id_bits;
    let at = base + table.blocks * codebook_words() + row / 32u * table.id_bits + bit / 32u;
    let shift = bit % 32u;
    var id = codebook_word(at) >> shift;
    if shift + table.id_bits > 32u {
        id |= codebook_word(at + 1u) << (32u - shift);
    }
    return min(id & (0xffffffffu >> (32u - table.id_bits)), table.blocks - 1u);
}
