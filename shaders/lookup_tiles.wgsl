// The driver of sums and means where loads cost more than lanes are worth: a lane owns a tile.
// Host guarantees: f16 rows have an even length.

// Rows to an iteration: STEP of them take longer, and one walks only half as far (lookup_bags.wgsl).
const TILE_STEP: u32 = 2u;

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
    let column = lane % tiles * TILE;
    if bag >= output_rows() {
        return;
    }
    let leads = column == 0u;
    let range = bag_range(bag, leads);
    store_tile(bag, column, bag_tile(bag, range, column, leads), pooled_share(range));
}
