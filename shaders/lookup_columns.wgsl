// The driver of every pooling: a lane owns four columns of one output row and walks the row's indices alone. Where f16
// rows have an odd length, neighbouring rows share a word; there a lane owns one word of output, two columns.
//
// lookup_gather.wgsl, lookup_columns_sum.wgsl and lookup_columns_max.wgsl supply output_columns().

// One word of f16 output, whose halves may belong to two rows.
fn write_word(word: u32) {
    let elements = output_rows() * table.dim;
    let first = 2u * word;
    if first >= elements {
        return;
    }
    let row = first / table.dim;
    let column = first % table.dim;
    let values = output_columns(row, column, column == 0u);
    var high = 0.0;
    if column + 1u < table.dim {
        high = values.y;
    } else if first + 1u < elements {
        high = output_columns(row + 1u, 0u, true).x;
    }
    store_word(word, values.x, high);
}

@compute @workgroup_size(WORKGROUP)
fn lookup(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = group_number(group) * WORKGROUP + local;
    if OUTPUT_F16 && table.dim % 2u == 1u {
        write_word(lane);
        return;
    }
    let lanes = lanes_per_row();
    let row = lane / lanes;
    let column = lane % lanes * 4u;
    if row < output_rows() {
        store_columns(row, column, output_columns(row, column, column == 0u));
    }
}
