// Sums and means of a batch by tiles of 32 columns: of 64, narrow tables would be read as if they had as many.

const TILE: u32 = 32u;

// The walks of other rows than a feature's are not taken, but on drivers that run both sides of a branch their first
// iteration is: it should be short.
const TILE_STEP: u32 = 1u;

alias Sum = Tile;

fn walk_bag(bag: u32, range: vec2<u32>, column: u32, leads: bool) -> Sum {
    return bag_tile(bag, range, column, leads);
}

fn store_sum(bag: u32, column: u32, sum: Sum, share: f32) {
    store_tile(bag, column, sum, share);
}
