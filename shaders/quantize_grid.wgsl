// Scale and bias of a range, and codes.

// Whether the range that is stored, or searched, is the symmetric one.
override SYMMETRIC: bool;

// What a row is stored with: its header, and the codes that one unit of value makes.
// Not good where the header cannot be stored. Nothing here is ever infinite or NaN, which a compiler
// may assume; whether it would be is decided on integers.
struct Grid {
    good: bool,
    scale: f32,
    bias: f32,
    codes_per_unit: f32,
}

fn max_code() -> f32 {
    return f32((1u << BITS) - 1u);
}

fn magnitude(x: f32) -> u32 {
    return bitcast<u32>(x) & MAGNITUDE;
}

// Whether high - low rounds to infinity: half of it reaches 2^127.
fn span_overflows(low: f32, high: f32) -> bool {
    return magnitude(sub_rn(halved(high), halved(low))) >= 0x7f000000u;
}

// PyTorch's 8-bit operator; f32 header.
fn byte_grid(low: f32, high: f32) -> Grid {
    if span_overflows(low, high) {
        return Grid();
    }
    let span = sub_rn(high, low);
    return Grid(true, div_rn(span, 255.0), low, div_rn(255.0, add_rn(span, 1e-8)));
}

// FBGEMM's n-bit operator, f32 header.
fn nbit_grid_f32(low: f32, high: f32) -> Grid {
    if span_overflows(low, high) {
        return Grid();
    }
    var scale = div_rn(sub_rn(high, low), max_code());
    if magnitude(scale) == 0u {
        scale = 1.0;
    }
    return f32_grid(scale, low);
}

// The reciprocal of a scale beyond 2^126 counts as zero.
fn f32_grid(scale: f32, bias: f32) -> Grid {
    return Grid(magnitude(scale) <= 0x7e800000u, scale, bias, div_rn(1.0, scale));
}

// The same, f16 header: the bias is rounded before the span is taken, and codes use the stored scale.
fn nbit_grid_f16(low: f32, high: f32) -> Grid {
    let bias_half = f32_to_f16(low);
    if (bias_half & 0x7fffu) >= 0x7c00u {
        return Grid();
    }
    let bias = f16_to_f32(bias_half);
    let scale_half = f32_to_f16(div_rn(sub_rn(high, bias), max_code()));
    if (scale_half & 0x7fffu) >= 0x7c00u {
        return Grid();
    }
    var scale = f16_to_f32(scale_half);
    if (scale_half & 0x7fffu) == 0u {
        scale = 1.0;
    }
    return Grid(true, scale, bias, div_rn(1.0, scale));
}

// The grid whose codes span a range.
fn range_grid(low: f32, high: f32) -> Grid {
    if HEADER_WORDS == 1u {
        return nbit_grid_f16(low, high);
    }
    if BITS == 8u {
        return byte_grid(low, high);
    }
    return nbit_grid_f32(low, high);
}

// The largest magnitude of a row.
fn reach(low: f32, high: f32) -> f32 {
    return bitcast<f32>(max(magnitude(low), magnitude(high)));
}

// Whether f32 holds the squared errors of a row, and their sum: values below 2^50, a span above 2^-50.
fn is_searchable(low: f32, high: f32) -> bool {
    return magnitude(reach(low, high)) < 0x58800000u && magnitude(sub_rn(high, low)) > 0x26800000u;
}

// The grid that a row has without any search; none where the full range does not fit.
fn first_grid(low: f32, high: f32) -> Grid {
    let full = range_grid(low, high);
    if !SYMMETRIC || !full.good {
        return full;
    }
    return range_grid(negated(reach(low, high)), reach(low, high));
}

fn code(x: f32, grid: Grid) -> u32 {
    return u32(code_of(x, grid.bias, grid.codes_per_unit, max_code()));
}

fn store_header(base: u32, grid: Grid) {
    if HEADER_WORDS == 1u {
        rows[base] = select(0u, f32_to_f16(grid.scale) | (f32_to_f16(grid.bias) << 16u), grid.good);
        return;
    }
    rows[base] = select(0u, bitcast<u32>(grid.scale), grid.good);
    rows[base + 1u] = select(0u, bitcast<u32>(grid.bias), grid.good);
}

// What the row is stored with.
var<private> stored: Grid;

fn code_at(column: u32) -> u32 {
    return code(value(column), stored);
}

// Stores what falls to one of several lanes that own a row.
fn store_row(row: u32, lane: u32, lanes: u32, grid: Grid) {
    if lane == 0u {
        store_header(row_base(row), grid);
    }
    stored = grid;
    store_codes(row, lane, lanes, grid.good);
    report_if_unfinished(row);
}

// The square of what storing a value costs.
fn squared_error(x: f32, grid: Grid) -> f32 {
    let code = code_of(x, grid.bias, grid.codes_per_unit, max_code());
    return squared(sub_rn(x, affine(grid.scale, code, opaque(grid.bias))));
}
