// Look rows up and pool them: what all lookups share. One of lookup_columns.wgsl, lookup_tiles.wgsl and
// lookup_split.wgsl is the driver: it says which lanes compute what.
//
// lookup_table.wgsl knows one table, batched.wgsl many: which row an index stands for, where a row of the output begins.
//
// Bindings: 0 table, 1 counts, 2 rows [rows, row_words], 3 indices [indices] u32, or i64 two words each,
//   4 offsets [bags + 1] of the same type (not in a gather), 5 weights [indices] (not in a max; any words where
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

@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(6) var<storage, read_write> output: array<u32>;
@group(0) @binding(7) var<storage, read_write> status: Status;

override OUTPUT_F16: bool;

fn report_index(position: u32) {
    atomicAdd(&status.bad_indices, 1u);
    atomicMin(&status.first_position, position);
}

fn store_word(word: u32, low: f32, high: f32) {
    output[word] = f32_to_f16(low) | (f32_to_f16(high) << 16u);
}

fn store_columns(row: u32, column: u32, values: vec4<f32>) {
    let at = output_start(row) + column;
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
