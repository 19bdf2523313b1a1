// Sums and means of a batch by columns: a tile is four of them.

alias Sum = vec4<f32>;

fn walk_bag(bag: u32, range: vec2<u32>, column: u32, leads: bool) -> Sum {
    return bag_sum(bag, range, column, leads);
}

fn store_sum(bag: u32, column: u32, sum: Sum, share: f32) {
    store_columns(bag, column, sum * share);
}
