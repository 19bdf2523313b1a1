// f32 rows to packed rows: what all methods share. quantize_asym.wgsl and quantize_team.wgsl with a
// method's fragment, quantize_torch.wgsl, quantize_histogram.wgsl and quantize_kmeans.wgsl are the kernels.
// Bit for bit the reference's.
//
// Bindings: 0 table, 1 work, 2 values [work.rows, dim] f32, 3 rows [rows, row_words], 4 status [6].
// Host guarantees: first_row + rows <= table.rows.
// A row with a NaN, an infinity, or numbers that the header cannot hold is stored as zeros and
// counted in status; so is, with whatever stands in it, a row whose loops the driver ended early.

struct Work {
    first_row: u32,
    rows: u32,
    // Of the greedy walk: after how many it ends wherever it is.
    most_steps: u32,
    iterations: u32,
    // Steps of the full range, and how many are kept at least.
    bins: f32,
    kept: f32,
}

struct Status {
    not_finite: atomic<u32>,
    first_not_finite: atomic<u32>,
    out_of_range: atomic<u32>,
    first_out_of_range: atomic<u32>,
    unfinished: atomic<u32>,
    first_unfinished: atomic<u32>,
}

@group(0) @binding(1) var<uniform> work: Work;
@group(0) @binding(2) var<storage, read> values: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: Status;

// Keys of ordered() between those of the infinities.
fn is_finite_key(key: u32) -> bool {
    return key >= 0x00800000u && key < 0xff800000u;
}

fn value_bits(row: u32, column: u32) -> u32 {
    return input_bits(values[row * table.dim + column]);
}

fn report_not_finite(row: u32) {
    atomicAdd(&status.not_finite, 1u);
    atomicMin(&status.first_not_finite, work.first_row + row);
}

fn report_out_of_range(row: u32) {
    atomicAdd(&status.out_of_range, 1u);
    atomicMin(&status.first_out_of_range, work.first_row + row);
}

fn report_unfinished(row: u32) {
    atomicAdd(&status.unfinished, 1u);
    atomicMin(&status.first_unfinished, work.first_row + row);
}

// Where the words of a row begin.
fn row_base(row: u32) -> u32 {
    return (work.first_row + row) * table.row_words;
}
