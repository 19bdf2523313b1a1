// Pooling sum and mean where one lane walks the whole bag.

fn sum_columns(bag: u32, column: u32, leads: bool) -> vec4<f32> {
    let range = bag_range(bag, leads);
    var total = vec4<f32>();
    var position = range.x;
    while position < range.y {
        let chunk = chunk_sum(position, min(position + CHUNK, range.y), column, leads);
        total = opaque_columns(total + chunk.sum);
        position = chunk.position;
    }
    if !is_walked(position, range.y) {
        report_bag(bag, true);
        return vec4<f32>();
    }
    return total * pooled_share(range);
}
