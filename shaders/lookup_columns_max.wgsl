// Maxima by columns.

fn output_columns(bag: u32, column: u32, leads: bool) -> vec4<f32> {
    return max_columns(bag, column, leads);
}
