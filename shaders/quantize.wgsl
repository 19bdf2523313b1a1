// f32 rows to packed rows: what all methods share. quantize_asym.wgsl and quantize_team.wgsl with a
// method's fragment, quantize_torch.wgsl, quantize_histogram.wgsl, quantize_kmeans.wgsl and
// quantize_reach.wgsl with a method's fragment are the kernels.
// Bit for bit the reference's.
//
// Bindings: 0 table, 1 work, 2 values [rows, dim] f32, 3 rows [rows, row_words], 4 status [6].
// Host guarantees: rows and values hold those of the work.
// A row with a NaN, an infinity, or numbers that its header or its floats cannot hold is stored as zeros and
// counted in status; so is, with whatever stands in it, a row whose loops the driver ended early.
// A kernel supplies code_at(column).

struct Work {
    // All in rows of the table.
    first_row: u32,
    rows: u32,
    // Where `rows` and `values` begin.
    shard_row: u32,
    values_row: u32,
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

fn value_word(row: u32, column: u32) -> u32 {
    return values[(work.first_row - work.values_row + row) * table.dim + column];
}

fn value_bits(row: u32, column: u32) -> u32 {
    return input_bits(value_word(row, column));
}

fn report_not_finite(row: u32) {
    atomicAdd(&status.not_finite, 1u);
    atomicMin(&status.first_not_finite, work.first_row + row);
}

fn report_out_of_range(row: u32) {
    atomicAdd(&status.out_of_range, 1u);
    atomicMin(&status.first_out_of_range, work.first_row + row);
}

// Where the words of a row begin.
fn row_base(row: u32) -> u32 {
    return (work.first_row - work.shard_row + row) * table.row_words;
}

// Reports a row whose loops some driver did not let run to their end. Such a driver counts the iterations
// of all loops together (llvmpipe: 65535) and ends every later loop after one: so does it this one.
// The uniform keeps a compiler from knowing how often it runs. Called last, by every lane.
fn report_if_unfinished(row: u32) {
    var rounds = table.zero;
    while rounds < 2u + table.zero {
        rounds += 1u + table.zero;
    }
    if rounds != 2u {
        atomicAdd(&status.unfinished, 1u);
        atomicMin(&status.first_unfinished, work.first_row + row);
    }
}

// The codes, or the bits of floats, that lie in one word of a row.
fn packed_codes(word: u32) -> u32 {
    let end = 32u * word + 32u;
    var packed = 0u;
    for (var column = 32u * word / BITS; column < table.dim && column * BITS < end; column++) {
        let code = code_at(column);
        let at = column * BITS;
        // The first code may have begun in the word before.
        packed |= select(code << (at % 32u), code >> (32u * word - at), at < 32u * word);
    }
    return packed;
}

// Stores the codes of a row that fall to one of several lanes; zeros where the row has a problem.
fn store_codes(row: u32, lane: u32, lanes: u32, good: bool) {
    let base = row_base(row) + HEADER_WORDS;
    for (var word = lane; word < table.row_words - HEADER_WORDS; word += lanes) {
        var packed = 0u;
        if good {
            packed = packed_codes(word);
        }
        rows[base + word] = packed;
    }
}
