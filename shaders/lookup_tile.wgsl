// A tile: TILE columns of one output row, which a lane owns and walks the bag for alone, so that index, header and words
// are loaded once for all of them. TILE_STEP rows to an iteration, one or two.

// Half of a tile of 64, or one of 32.
struct Half {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
    f: vec4<f32>,
    g: vec4<f32>,
    h: vec4<f32>,
}

struct Tile {
    low: Half,
    high: Half,
}

// The sum so far and 32 columns of a row from this one on.
fn plus_half(sum: Half, levels: Levels, weight: f32, row: u32, column: u32) -> Half {
    let ab = row_octet(row, column, 0u);
    let cd = row_octet(row, column, 1u);
    let ef = row_octet(row, column, 2u);
    let gh = row_octet(row, column, 3u);
    return Half(
        plus_row(sum.a, levels, ab.low, weight),
        plus_row(sum.b, levels, ab.high, weight),
        plus_row(sum.c, levels, cd.low, weight),
        plus_row(sum.d, levels, cd.high, weight),
        plus_row(sum.e, levels, ef.low, weight),
        plus_row(sum.f, levels, ef.high, weight),
        plus_row(sum.g, levels, gh.low, weight),
        plus_row(sum.h, levels, gh.high, weight),
    );
}

// Whether the tile that begins at a column has a second half, and the row goes on in it.
fn is_high(column: u32) -> bool {
    return TILE == 64u && column + 32u < table.dim;
}

// The sum so far and the row at a position, if that lies before the end and holds a row.
fn add_tile_row(sum: Tile, position: u32, end: u32, column: u32, leads: bool) -> Tile {
    if position >= end {
        return sum;
    }
    let row = row_at(position, leads);
    if row == NO_ROW {
        return sum;
    }
    let levels = row_levels(row);
    let weight = weight_at(position);
    var next = sum;
    next.low = plus_half(sum.low, levels, weight, row, column);
    if is_high(column) {
        next.high = plus_half(sum.high, levels, weight, row, column + 32u);
    }
    return next;
}

fn plus_halves(x: Half, y: Half) -> Half {
    return Half(
        opaque_columns(x.a + y.a),
        opaque_columns(x.b + y.b),
        opaque_columns(x.c + y.c),
        opaque_columns(x.d + y.d),
        opaque_columns(x.e + y.e),
        opaque_columns(x.f + y.f),
        opaque_columns(x.g + y.g),
        opaque_columns(x.h + y.h),
    );
}

fn bag_tile(bag: u32, range: vec2<u32>, column: u32, leads: bool) -> Tile {
    var total = Tile();
    var position = range.x;
    while position < range.y {
        let stop = min(position + CHUNK, range.y);
        var chunk = Tile();
        while position < stop {
            chunk = add_tile_row(chunk, position, stop, column, leads);
            if TILE_STEP == 2u {
                chunk = add_tile_row(chunk, position + 1u, stop, column, leads);
            }
            position += TILE_STEP;
        }
        total = Tile(plus_halves(total.low, chunk.low), plus_halves(total.high, chunk.high));
        position = min(position, stop);
    }
    if !is_walked(position, range.y) {
        report_bag(bag, true);
        return Tile();
    }
    return total;
}

fn store_within(row: u32, column: u32, values: vec4<f32>) {
    if column < table.dim {
        store_columns(row, column, values);
    }
}

fn store_half(row: u32, column: u32, half: Half, share: f32) {
    store_within(row, column, half.a * share);
    store_within(row, column + 4u, half.b * share);
    store_within(row, column + 8u, half.c * share);
    store_within(row, column + 12u, half.d * share);
    store_within(row, column + 16u, half.e * share);
    store_within(row, column + 20u, half.f * share);
    store_within(row, column + 24u, half.g * share);
    store_within(row, column + 28u, half.h * share);
}

fn store_tile(bag: u32, column: u32, tile: Tile, share: f32) {
    store_half(bag, column, tile.low, share);
    if is_high(column) {
        store_half(bag, column + 32u, tile.high, share);
    }
}
