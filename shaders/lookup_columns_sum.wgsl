// Sums and means by columns.

fn output_columns(bag: u32, column: u32, leads: bool) -> vec4<f32> {
    let range = bag_range(bag, leads);
    return bag_sum(bag, range, column, leads) * pooled_share(range);
}
