// What every kernel knows of its table, and how a lane finds its work.
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

// Lanes of a workgroup.
override WORKGROUP: u32;

// Workgroups beyond this many in x continue in the next y; the host folds in the same way.
const GRID_WIDTH: u32 = 65535u;

fn group_number(group: vec3<u32>) -> u32 {
    return group.y * GRID_WIDTH + group.x;
}

// Lanes that one row needs at four columns a lane.
fn lanes_per_row() -> u32 {
    return (table.dim + 3u) / 4u;
}
