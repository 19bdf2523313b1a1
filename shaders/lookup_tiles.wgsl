// The driver of sums and means where loads cost more than lanes are worth: a lane owns 32 columns of one output row and
// walks the bag alone, so that index, header and words are loaded once for all of them.
// Host guarantees: f16 rows have an even length.

const TILE: u32 = 32u;

struct Tile {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
    f: vec4<f32>,
    g: vec4<f32>,
    h: vec4<f32>,
}

// The sum so far and the row at a position, if that lies before the end and holds a row.
fn add_row(sum: Tile, position: u32, end: u32, column: u32, leads: bool) -> Tile {
    if position >= end {
        return sum;
    }
    let index = indices[position];
    if !is_row(index, position, leads) {
        return sum;
    }
    let levels = row_levels(index);
    let weight = weight_at(position);
    let ab = row_octet(index, column, 0u);
    let cd = row_octet(index, column, 1u);
    let ef = row_octet(index, column, 2u);
    let gh = row_octet(index, column, 3u);
    return Tile(
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

fn plus_tile(x: Tile, y: Tile) -> Tile {
    return Tile(
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

fn bag_tile(bag: u32, column: u32, leads: bool) -> Tile {
    let range = bag_range(bag, leads);
    var total = Tile();
    var position = range.x;
    while position < range.y {
        let stop = min(position + CHUNK, range.y);
        var chunk = Tile();
        while position < stop {
            chunk = add_row(chunk, position, stop, column, leads);
            chunk = add_row(chunk, position + 1u, stop, column, leads);
            position += 2u;
        }
        total = plus_tile(total, chunk);
        position = min(position, stop);
    }
    if !is_walked(position, range.y) {
        report_bag(bag, true);
        return Tile();
    }
    let share = pooled_share(range);
    return Tile(
        total.a * share,
        total.b * share,
        total.c * share,
        total.d * share,
        total.e * share,
        total.f * share,
        total.g * share,
        total.h * share,
    );
}

fn store_within(row: u32, column: u32, values: vec4<f32>) {
    if column < table.dim {
        store_columns(row, column, values);
    }
}

@compute @workgroup_size(WORKGROUP)
fn lookup(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = group_number(group) * WORKGROUP + local;
    let tiles = (table.dim + TILE - 1u) / TILE;
    let bag = lane / tiles;
    let column = lane % tiles * TILE;
    if bag >= output_rows() {
        return;
    }
    let tile = bag_tile(bag, column, column == 0u);
    store_within(bag, column, tile.a);
    store_within(bag, column + 4u, tile.b);
    store_within(bag, column + 8u, tile.c);
    store_within(bag, column + 12u, tile.d);
    store_within(bag, column + 16u, tile.e);
    store_within(bag, column + 20u, tile.f);
    store_within(bag, column + 24u, tile.g);
    store_within(bag, column + 28u, tile.h);
}
