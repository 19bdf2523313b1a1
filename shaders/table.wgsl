// What every kernel knows of its table.
//
// The host guarantees row_words times the rows of one binding <= 2^30, so that no word address overflows; a table of
// more rows lies in several.

struct Table {
    rows: u32,
    dim: u32,
    row_words: u32,
    // Always 0. The compiler cannot know, which is what exact.wgsl needs.
    zero: u32,
    // Blocks of rows that share a codebook, and bits of a row's block id.
    blocks: u32,
    id_bits: u32,
}

@group(0) @binding(0) var<uniform> table: Table;

// The first word of a row.
fn row_start(row: u32) -> u32 {
    return row * table.row_words;
}
