// Sums and means of a batch by tiles of 32 or 64 columns.

fn pool_sum(bag: u32, column: u32) {
    pool_tile(bag, column);
}
