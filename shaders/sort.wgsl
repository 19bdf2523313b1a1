// Orders the positions of a batch by row, finds the segment of every row and cuts segments into chunks:
// what the kernels share. A radix sort from the low digits up, stable, so that order is the same everywhere.
//
// For every digit: sort_count.wgsl counts it tile by tile, sort_scan.wgsl sums the counts up over the
// tiles, sort_scatter.wgsl moves every pair of key and position to its place. Then sort_mark.wgsl counts what
// begins in every tile, sort_scan.wgsl sums that up, and sort_emit.wgsl writes.
//
// Grid: a workgroup owns a tile of TILE slots; in sort_scan.wgsl a kind of count.
// Bindings: 0 sort, 1 keys [count], 2 counts [tiles + 1, DIGITS], 3 and on: see each kernel.
// Host guarantees: count <= 2^24; tiles * TILE >= count.
// Every lane's loops are short: some drivers count a lane's iterations, see docs/design.md.

struct Sort {
    count: u32,
    rows: u32,
    tiles: u32,
    shift: u32,
}

@group(0) @binding(0) var<uniform> sort: Sort;
@group(0) @binding(1) var<storage, read> keys: array<u32>;

// Values of a digit, and lanes of a workgroup: a lane owns one.
const DIGITS: u32 = 256u;

// Slots of a tile.
const TILE: u32 = 2048u;

// Workgroups beyond this many in x continue in the next y; the host folds in the same way.
const GRID_WIDTH: u32 = 65535u;

fn group_number(group: vec3<u32>) -> u32 {
    return group.y * GRID_WIDTH + group.x;
}

// The key in a slot; one that is no row comes after all rows.
fn key_in(slot: u32) -> u32 {
    return min(keys[slot], sort.rows);
}

fn digit_of(key: u32) -> u32 {
    return (key >> sort.shift) % DIGITS;
}
