// Look rows up and pool them: the driver. One of lookup_gather.wgsl, lookup_sum.wgsl and
// lookup_max.wgsl supplies output_rows() and output_columns().
//
// Grid: a lane owns four columns of one output row and walks the row's indices alone, so
// the order of summation depends on nothing but the bag. Where f16 rows have an odd length,
// neighbouring rows share a word; there a lane owns one word of output, two columns.
//
// Bindings: 0 table, 1 counts, 2 rows [rows, row_words], 3 indices [indices],
//   4 offsets [bags + 1] (not in a gather), 5 weights [indices] (not in a max; any words where
//   unweighted), 6 output [output rows, dim] f32, or f16 two to a word, 7 status [4],
//   8 codebooks and block ids, where rows share them.
// Host guarantees: every range holds what counts says; output elements <= 2^31.
// Determinism: the same bits for the same input on one device and driver; a gather and a max on any.

struct Counts {
    bags: u32,
    indices: u32,
}

struct Status {
    bad_indices: atomic<u32>,
    first_position: atomic<u32>,
    bad_bags: atomic<u32>,
    first_bag: atomic<u32>,
}

@group(0) @binding(1) var<storage, read> counts: Counts;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(6) var<storage, read_write> output: array<u32>;
@group(0) @binding(7) var<storage, read_write> status: Status;

override OUTPUT_F16: bool;

// Whether the index found at this position is a row. The one lane that leads its output row reports.
fn is_row(index: u32, position: u32, leads: bool) -> bool {
    let good = index < table.rows;
    if !good && leads {
        atomicAdd(&status.bad_indices, 1u);
        atomicMin(&status.first_position, position);
    }
    return good;
}

fn store_word(word: u32, low: f32, high: f32) {
    output[word] = f32_to_f16(low) | (f32_to_f16(high) << 16u);
}

fn store_columns(row: u32, column: u32, values: vec4<f32>) {
    let at = row * table.dim + column;
    let left = table.dim - column;
    if OUTPUT_F16 {
        store_word(at / 2u, values.x, values.y);
        if left > 2u {
            store_word(at / 2u + 1u, values.z, values.w);
        }
        return;
    }
    output[at] = bitcast<u32>(values.x);
    if left > 1u {
        output[at + 1u] = bitcast<u32>(values.y);
    }
    if left > 2u {
        output[at + 2u] = bitcast<u32>(values.z);
    }
    if left > 3u {
        output[at + 3u] = bitcast<u32>(values.w);
    }
}

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
