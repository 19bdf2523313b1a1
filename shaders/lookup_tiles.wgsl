// The driver of sums and means where loads cost more than lanes are worth: a lane owns a tile.
// Host guarantees: f16 rows have an even length.

// Columns of a tile: 32, or 64.
override TILE: u32;

@compute @workgroup_size(WORKGROUP)
fn lookup(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = group_number(group) * WORKGROUP + local;
    let tiles = (table.dim + TILE - 1u) / TILE;
    let bag = lane / tiles;
    if bag < output_rows() {
        pool_tile(bag, lane % tiles * TILE);
    }
}
