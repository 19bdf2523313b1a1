// f32 rows to packed rows: per row the minimum and maximum, scale and bias, codes; bit for bit
// those of the reference. Source: PyTorch's embedding_bag_{byte,4bit,2bit}_prepack (method asym).
//
// Grid: a team of TEAM lanes owns one row; a workgroup holds WORKGROUP / TEAM teams.
// Bindings: 0 table, 1 range, 2 values [range.rows, dim] f32, 3 rows [rows, row_words], 4 status [4].
// Host guarantees: first_row + rows <= table.rows; TEAM is a power of two that divides WORKGROUP,
//   which is at most 256.
// A row with a NaN, an infinity, or a scale or bias that the header cannot hold is stored as zeros
// and counted in status.

struct RowRange {
    first_row: u32,
    rows: u32,
}

struct Status {
    not_finite: atomic<u32>,
    first_not_finite: atomic<u32>,
    out_of_range: atomic<u32>,
    first_out_of_range: atomic<u32>,
}

@group(0) @binding(1) var<uniform> range: RowRange;
@group(0) @binding(2) var<storage, read> values: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: Status;

override TEAM: u32;

// Smallest and largest value of every lane, as ordered(), then of every team in its first lane.
var<workgroup> lows: array<u32, WORKGROUP>;
var<workgroup> highs: array<u32, WORKGROUP>;

// What a row is stored with: its header, and the codes that one unit of value makes.
struct Params {
    scale: f32,
    bias: f32,
    codes_per_unit: f32,
}

fn value_bits(row: u32, column: u32) -> u32 {
    return input_bits(values[row * table.dim + column]);
}

// PyTorch's 8-bit operator; f32 header.
fn byte_params(low: f32, high: f32) -> Params {
    let span = sub_rn(high, low);
    return Params(div_rn(span, 255.0), low, div_rn(255.0, add_rn(span, 1e-8)));
}

// As the header stores it.
fn stored(x: f32) -> f32 {
    if HEADER_WORDS == 1u {
        return f16_to_f32(f32_to_f16(x));
    }
    return x;
}

// FBGEMM's n-bit operator: the bias is rounded before the span is taken, and codes use the stored
// scale.
fn nbit_params(low: f32, high: f32) -> Params {
    let bias = stored(low);
    let span = sub_rn(high, bias);
    var scale = stored(div_rn(span, f32((1u << BITS) - 1u)));
    if (bitcast<u32>(scale) & MAGNITUDE) == 0u {
        scale = 1.0;
    }
    return Params(scale, bias, div_rn(1.0, scale));
}

// Whether the header can be stored and its scale divided by: the reciprocal of an f32 beyond 2^126
// counts as zero.
fn fits(params: Params) -> bool {
    let scale = bitcast<u32>(params.scale) & MAGNITUDE;
    return scale <= 0x7e800000u && is_finite(bitcast<u32>(params.bias));
}

fn store_header(base: u32, params: Params) {
    if HEADER_WORDS == 1u {
        rows[base] = f32_to_f16(params.scale) | (f32_to_f16(params.bias) << 16u);
        return;
    }
    rows[base] = bitcast<u32>(params.scale);
    rows[base + 1u] = bitcast<u32>(params.bias);
}

fn code(row: u32, column: u32, params: Params) -> u32 {
    let x = bitcast<f32>(value_bits(row, column));
    let steps = mul_rn(sub_rn(x, params.bias), params.codes_per_unit);
    return u32(clamp(round(steps), 0.0, f32((1u << BITS) - 1u)));
}

fn store_row(row: u32, lane: u32, low: u32, high: u32) {
    let base = (range.first_row + row) * table.row_words;
    let finite = is_finite(bitcast<u32>(unordered(low))) && is_finite(bitcast<u32>(unordered(high)));
    var params = Params();
    var good = finite;
    if finite {
        if BITS == 8u && HEADER_WORDS == 2u {
            params = byte_params(unordered(low), unordered(high));
        } else {
            params = nbit_params(unordered(low), unordered(high));
        }
        good = fits(params);
    }
    if lane == 0u {
        if !finite {
            atomicAdd(&status.not_finite, 1u);
            atomicMin(&status.first_not_finite, range.first_row + row);
        } else if !good {
            atomicAdd(&status.out_of_range, 1u);
            atomicMin(&status.first_out_of_range, range.first_row + row);
        }
        if good {
            store_header(base, params);
        } else {
            for (var word = 0u; word < HEADER_WORDS; word++) {
                rows[base + word] = 0u;
            }
        }
    }
    let codes_per_word = 32u / BITS;
    for (var word = lane; word < table.row_words - HEADER_WORDS; word += TEAM) {
        var packed = 0u;
        if good {
            let first = word * codes_per_word;
            let count = min(codes_per_word, table.dim - first);
            for (var i = 0u; i < count; i++) {
                packed |= code(row, first + i, params) << (i * BITS);
            }
        }
        rows[base + HEADER_WORDS + word] = packed;
    }
}

@compute @workgroup_size(WORKGROUP)
fn quantize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = local % TEAM;
    let row = group_number(group) * (WORKGROUP / TEAM) + local / TEAM;
    var low = 0xffffffffu;
    var high = 0u;
    if row < range.rows {
        for (var column = lane; column < table.dim; column += TEAM) {
            let key = ordered(value_bits(row, column));
            low = min(low, key);
            high = max(high, key);
        }
    }
    lows[local] = low;
    highs[local] = high;
    for (var stride = TEAM / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if lane < stride {
            lows[local] = min(lows[local], lows[local + stride]);
            highs[local] = max(highs[local], highs[local + stride]);
        }
    }
    workgroupBarrier();
    if row < range.rows {
        store_row(row, lane, lows[local - lane], highs[local - lane]);
    }
}
