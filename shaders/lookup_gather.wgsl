// Pooling none: output row i is the row at indices[i], times weights[i].

fn output_rows() -> u32 {
    return counts.indices;
}

fn output_columns(position: u32, column: u32, leads: bool) -> vec4<f32> {
    let row = row_at(position, leads);
    if row == NO_ROW {
        return vec4<f32>();
    }
    let values = row_values(row, column);
    if !WEIGHTED {
        return values;
    }
    let weight = bitcast<f32>(input_bits(bitcast<u32>(weights[position])));
    return vec4<f32>(
        mul_rn(values.x, weight),
        mul_rn(values.y, weight),
        mul_rn(values.z, weight),
        mul_rn(values.w, weight),
    );
}
