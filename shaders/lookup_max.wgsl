// Pooling max, on the ordered integer image of the values: exact, and NaN wins.

fn output_quad(bag: u32, quad: u32, leads: bool) -> vec4<f32> {
    let range = bag_range(bag, leads);
    // Key 0 is the image of no value: ordered() makes every NaN positive.
    var keys = vec4<u32>();
    for (var position = range.x; position < range.y; position++) {
        if is_row(position, leads) {
            let values = bitcast<vec4<u32>>(row_values(indices[position], quad));
            let images = vec4<u32>(
                ordered(values.x),
                ordered(values.y),
                ordered(values.z),
                ordered(values.w),
            );
            keys = max(keys, images);
        }
    }
    if keys.x == 0u {
        return vec4<f32>();
    }
    return vec4<f32>(unordered(keys.x), unordered(keys.y), unordered(keys.z), unordered(keys.w));
}
