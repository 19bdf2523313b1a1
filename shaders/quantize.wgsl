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
// Not good where the header cannot be stored. Nothing here is ever infinite or NaN, which a compiler
// may assume; whether it would be is decided on integers.
struct Params {
    good: bool,
    scale: f32,
    bias: f32,
    codes_per_unit: f32,
}

// Keys of ordered() between those of the infinities.
fn is_finite_key(key: u32) -> bool {
    return key >= 0x00800000u && key < 0xff800000u;
}

fn value_bits(row: u32, column: u32) -> u32 {
    return input_bits(values[row * table.dim + column]);
}

fn magnitude(x: f32) -> u32 {
    return bitcast<u32>(x) & MAGNITUDE;
}

// Whether high - low rounds to infinity: half of it reaches 2^127.
fn span_overflows(low: f32, high: f32) -> bool {
    return magnitude(sub_rn(halved(high), halved(low))) >= 0x7f000000u;
}

// PyTorch's 8-bit operator; f32 header.
fn byte_params(low: f32, high: f32) -> Params {
    if span_overflows(low, high) {
        return Params();
    }
    let span = sub_rn(high, low);
    return Params(true, div_rn(span, 255.0), low, div_rn(255.0, add_rn(span, 1e-8)));
}

// FBGEMM's n-bit operator, f32 header.
fn nbit_params_f32(low: f32, high: f32) -> Params {
    if span_overflows(low, high) {
        return Params();
    }
    var scale = div_rn(sub_rn(high, low), f32((1u << BITS) - 1u));
    if magnitude(scale) == 0u {
        scale = 1.0;
    }
    // The reciprocal of a scale beyond 2^126 counts as zero.
    return Params(magnitude(scale) <= 0x7e800000u, scale, low, div_rn(1.0, scale));
}

// The same, f16 header: the bias is rounded before the span is taken, and codes use the stored scale.
fn nbit_params_f16(low: f32, high: f32) -> Params {
    let bias_half = f32_to_f16(low);
    if (bias_half & 0x7fffu) >= 0x7c00u {
        return Params();
    }
    let bias = f16_to_f32(bias_half);
    let scale_half = f32_to_f16(div_rn(sub_rn(high, bias), f32((1u << BITS) - 1u)));
    if (scale_half & 0x7fffu) >= 0x7c00u {
        return Params();
    }
    var scale = f16_to_f32(scale_half);
    if (scale_half & 0x7fffu) == 0u {
        scale = 1.0;
    }
    return Params(true, scale, bias, div_rn(1.0, scale));
}

fn row_params(low: f32, high: f32) -> Params {
    if HEADER_WORDS == 1u {
        return nbit_params_f16(low, high);
    }
    if BITS == 8u {
        return byte_params(low, high);
    }
    return nbit_params_f32(low, high);
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
    let finite = is_finite_key(low) && is_finite_key(high);
    var params = Params();
    if finite {
        params = row_params(unordered(low), unordered(high));
    }
    if lane == 0u {
        if !finite {
            atomicAdd(&status.not_finite, 1u);
            atomicMin(&status.first_not_finite, range.first_row + row);
        } else if !params.good {
            atomicAdd(&status.out_of_range, 1u);
            atomicMin(&status.first_out_of_range, range.first_row + row);
        }
        if params.good {
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
        if params.good {
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
