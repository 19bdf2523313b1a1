// Method greedy-torch: PyTorch's choose_qparams_optimized, Caffe2's param_search_greedy, whose sums run
// in order of columns.
//
// Grid: a lane owns one row.

var<private> row: u32;

const LARGEST: f32 = 0x1.fffffep127f;

fn value(column: u32) -> f32 {
    return bitcast<f32>(value_bits(row, column));
}

// The sums so far and the squared errors of a column with two grids, if there is one.
fn add_errors(sums: vec2<f32>, column: u32, a: Grid, b: Grid) -> vec2<f32> {
    if column >= table.dim {
        return sums;
    }
    let x = value(column);
    return vec2<f32>(
        add_rn(sums.x, squared_error(x, a)),
        add_rn(sums.y, squared_error(x, b)),
    );
}

fn add_four_errors(sums: vec2<f32>, column: u32, a: Grid, b: Grid) -> vec2<f32> {
    let two = add_errors(add_errors(sums, column, a, b), column + 1u, a, b);
    return add_errors(add_errors(two, column + 2u, a, b), column + 3u, a, b);
}

// Columns to an iteration: some drivers count a lane's iterations, see STEP in lookup_bags.wgsl.
const STEP: u32 = 16u;

// What storing the row costs; a grid that the header cannot hold costs more than any other.
fn losses(a: Grid, b: Grid) -> vec2<f32> {
    var sums = vec2<f32>();
    for (var column = 0u; column < table.dim; column += STEP) {
        sums = add_four_errors(sums, column, a, b);
        sums = add_four_errors(sums, column + 4u, a, b);
        sums = add_four_errors(sums, column + 8u, a, b);
        sums = add_four_errors(sums, column + 12u, a, b);
    }
    let roots = vec2<f32>(sqrt_rn(sums.x), sqrt_rn(sums.y));
    return select(vec2<f32>(LARGEST), roots, vec2<bool>(a.good, b.good));
}

// The best strict local optimum of the walk, else the full range. The full range is tried in the first
// round, both steps from it in the next, in one place: drivers take long over much code.
fn torch(full_low: f32, full_high: f32) -> Grid {
    let step = div_rn(sub_rn(full_high, full_low), work.bins);
    let kept = mul_rn(work.kept, step);
    let full = range_grid(full_low, full_high);
    var low = full_low;
    var high = full_high;
    var best = full;
    var stand = full;
    var least = LARGEST;
    var current = LARGEST;
    var left = full;
    var right = full;
    for (var i = 0u; i <= work.most_steps; i++) {
        let cost = losses(left, right);
        if i == 0u {
            least = cost.x;
            current = cost.x;
        } else {
            if current < cost.x && current < cost.y && current < least {
                least = current;
                best = stand;
            }
            let moves_low = cost.x < cost.y;
            low = select(low, add_rn(low, step), moves_low);
            high = select(sub_rn(high, step), high, moves_low);
            current = select(cost.y, cost.x, moves_low);
            stand = range_grid(low, high);
        }
        if add_rn(low, kept) >= high {
            break;
        }
        left = range_grid(add_rn(low, step), high);
        right = range_grid(low, sub_rn(high, step));
    }
    return best;
}

@compute @workgroup_size(WORKGROUP)
fn quantize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    row = group_number(group) * WORKGROUP + local;
    if row >= work.rows {
        return;
    }
    var low_key = 0xffffffffu;
    var high_key = 0u;
    for (var column = 0u; column < table.dim; column++) {
        let key = ordered(value_bits(row, column));
        low_key = min(low_key, key);
        high_key = max(high_key, key);
    }
    if !is_finite_key(low_key) || !is_finite_key(high_key) {
        report_not_finite(row);
        store_row(row, 0u, 1u, Grid());
        return;
    }
    let low = unordered(low_key);
    let high = unordered(high_key);
    var grid = first_grid(low, high);
    if !grid.good {
        report_out_of_range(row);
    } else if is_searchable(low, high) {
        grid = torch(low, high);
    }
    store_row(row, 0u, 1u, grid);
}
