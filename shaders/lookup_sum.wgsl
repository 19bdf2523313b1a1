// Pooling sum and mean. Order of summation: chunks of 64 consecutive indices of the bag, each
// summed in order, then the chunks' sums in order. Values and sums are opaque, so that no compiler adds
// a value's bias apart or takes the additions in another order.

override MEAN: bool;

const CHUNK: u32 = 64u;

// The sum so far and the row at a position, if that lies before the end and holds a row.
fn add_row(sum: vec4<f32>, position: u32, end: u32, column: u32, leads: bool) -> vec4<f32> {
    if position >= end {
        return sum;
    }
    let index = indices[position];
    if !is_row(index, position, leads) {
        return sum;
    }
    let values = row_terms(index, column);
    if WEIGHTED {
        return opaque_columns(sum + weights[position] * values);
    }
    return opaque_columns(sum + values);
}

fn output_columns(bag: u32, column: u32, leads: bool) -> vec4<f32> {
    let range = bag_range(bag, leads);
    var total = vec4<f32>();
    var position = range.x;
    while position < range.y {
        let stop = min(position + CHUNK, range.y);
        var chunk = vec4<f32>();
        while position < stop {
            chunk = add_row(chunk, position, stop, column, leads);
            chunk = add_row(chunk, position + 1u, stop, column, leads);
            chunk = add_row(chunk, position + 2u, stop, column, leads);
            chunk = add_row(chunk, position + 3u, stop, column, leads);
            position += STEP;
        }
        total = opaque_columns(total + chunk);
        position = min(position, stop);
    }
    if !is_walked(position, range.y) {
        report_bag(bag, true);
        return vec4<f32>();
    }
    if MEAN && range.x < range.y {
        // Division may be off by 2.5 ulp; the exact reciprocal, once a bag, keeps the bound.
        total *= div_rn(1.0, f32(range.y - range.x));
    }
    return total;
}
