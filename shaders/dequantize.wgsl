// Packed rows to f32 rows, bit for bit those of the reference.
//
// Grid: a lane owns four columns of one row.
// Bindings: 0 table, 1 range, 2 rows [rows, row_words], 3 values [rows, dim] f32, 8 codebooks and block ids, where rows
//   share them.
// Host guarantees: rows and values hold those of the range.

// All in rows of the table.
struct RowRange {
    first_row: u32,
    rows: u32,
    // Where `rows` and `values` begin.
    shard_row: u32,
    values_row: u32,
}

@group(0) @binding(1) var<uniform> range: RowRange;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn dequantize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = group_number(group) * WORKGROUP + local;
    let lanes = lanes_per_row();
    let row = lane / lanes;
    if row >= range.rows {
        return;
    }
    let column = lane % lanes * 4u;
    let table_row = range.first_row + row;
    let shard_row = table_row - range.shard_row;
    // Rows without a header have their levels in what the whole table shares, by their number there.
    let levels = row_levels(select(shard_row, table_row, HEADER_WORDS == 0u));
    let columns = level_values(levels, row_codes(shard_row, column));
    let at = (table_row - range.values_row) * table.dim + column;
    let left = table.dim - column;
    values[at] = columns.x;
    if left > 1u {
        values[at + 1u] = columns.y;
    }
    if left > 2u {
        values[at + 2u] = columns.z;
    }
    if left > 3u {
        values[at + 3u] = columns.w;
    }
}
