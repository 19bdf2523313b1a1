// Pooling max, on the ordered integer image of the values: exact, and NaN wins.

// The largest keys so far and of the row at a position, if that lies before the end and holds a row.
fn max_row(keys: vec4<u32>, position: u32, end: u32, column: u32, leads: bool) -> vec4<u32> {
    if position >= end {
        return keys;
    }
    let row = row_at(position, leads);
    if row == NO_ROW {
        return keys;
    }
    let values = bitcast<vec4<u32>>(row_values(row, column));
    let images = vec4<u32>(
        ordered(values.x),
        ordered(values.y),
        ordered(values.z),
        ordered(values.w),
    );
    return max(keys, images);
}

fn max_columns(bag: u32, column: u32, leads: bool) -> vec4<f32> {
    let range = bag_range(bag, leads);
    // Key 0 is the image of no value: ordered() makes every NaN positive.
    var keys = vec4<u32>();
    var position = range.x;
    while position < range.y {
        keys = max_row(keys, position, range.y, column, leads);
        keys = max_row(keys, position + 1u, range.y, column, leads);
        keys = max_row(keys, position + 2u, range.y, column, leads);
        keys = max_row(keys, position + 3u, range.y, column, leads);
        position += STEP;
    }
    if !is_walked(position, range.y) {
        report_bag(bag, true);
        return vec4<f32>();
    }
    if keys.x == 0u {
        return vec4<f32>();
    }
    return vec4<f32>(unordered(keys.x), unordered(keys.y), unordered(keys.z), unordered(keys.w));
}
