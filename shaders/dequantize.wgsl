// Packed rows to f32 rows, bit for bit those of the reference.
//
// Grid: a lane owns four columns of one row.
// Bindings: 0 table, 1 range, 2 rows [rows, row_words], 3 values [range.rows, dim] f32.
// Host guarantees: first_row + rows <= table.rows; values holds rows * dim.

struct RowRange {
    first_row: u32,
    rows: u32,
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
    let columns = row_values(range.first_row + row, column);
    let at = row * table.dim + column;
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
