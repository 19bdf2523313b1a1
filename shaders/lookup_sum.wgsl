// The sum of a chunk, four columns of it.

// The sum so far and the row at a position, if that lies before the end and holds a row.
fn add_row(sum: vec4<f32>, position: u32, end: u32, column: u32, leads: bool) -> vec4<f32> {
    if position >= end {
        return sum;
    }
    let row = row_at(position, leads);
    if row == NO_ROW {
        return sum;
    }
    return plus_row(sum, row_levels(row), row_codes(row, column), weight_at(position));
}

// A sum and the position that its walk got to.
struct Walked {
    sum: vec4<f32>,
    position: u32,
}

fn chunk_sum(begin: u32, stop: u32, column: u32, leads: bool) -> Walked {
    var sum = vec4<f32>();
    var position = begin;
    while position < stop {
        sum = add_row(sum, position, stop, column, leads);
        sum = add_row(sum, position + 1u, stop, column, leads);
        sum = add_row(sum, position + 2u, stop, column, leads);
        sum = add_row(sum, position + 3u, stop, column, leads);
        position += STEP;
    }
    return Walked(sum, min(position, stop));
}
