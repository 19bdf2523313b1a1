// Pooling sum and mean where one lane walks the whole bag.

// The sum of four columns of a bag.
fn bag_sum(bag: u32, range: vec2<u32>, column: u32, leads: bool) -> vec4<f32> {
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
    return total;
}
