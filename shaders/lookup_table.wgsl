// A lookup in one table.

@group(0) @binding(1) var<storage, read> counts: Counts;

// The row at a position, or NO_ROW. The one lane that leads its output row reports what is no row.
fn row_at(position: u32, leads: bool) -> u32 {
    let index = index_at(position);
    if index < table.rows {
        return index;
    }
    if leads {
        report_index(position);
    }
    return NO_ROW;
}

// The first element of a row of the output.
fn output_start(row: u32) -> u32 {
    return row * table.dim;
}
