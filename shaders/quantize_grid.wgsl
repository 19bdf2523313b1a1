// From a range to scale and bias, and codes.

// Whether the range that is stored, or searched, is the symmetric one.
override SYMMETRIC: bool;

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
