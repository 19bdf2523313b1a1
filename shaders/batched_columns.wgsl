// Sums and means of a batch by columns: a tile is four of them.

fn pool_sum(bag: u32, column: u32) {
    store_columns(bag, column, sum_columns(bag, column, column == 0u));
}
