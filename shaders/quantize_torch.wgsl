// Method greedy-torch: PyTorch's choose_qparams_optimized, Caffe2's param_search_greedy, whose sums run
// in order of columns.
//
// Grid: a lane owns one row.

var<private> row: u32;

const LARGEST: f32 = 0x1.fffffep127f;

fn value(column: u32) -> f32 {
    return bitcast<f32>(value_bits(row, column));
}

// The sum so far and the squared error of a column, if there is one.
fn add_error(sum: f32, column: u32, grid: Grid) -> f32 {
    if column >= table.dim {
        return sum;
    }
    let x = value(column);
    let stored = affine(grid.scale, code_of(x, grid.bias, grid.codes_per_unit, max_code()), grid.bias);
    return add_rn(sum, squared(sub_rn(x, stored)));
}

fn add_four_errors(sum: f32, column: u32, grid: Grid) -> f32 {
    let two = add_error(add_error(sum, column, grid), column + 1u, grid);
    return add_error(add_error(two, column + 2u, grid), column + 3u, grid);
}

// Columns to an iteration: some drivers count a lane's iterations, see STEP in lookup_bags.wgsl.
const STEP: u32 = 32u;

fn loss(grid: Grid) -> f32 {
    if !grid.good {
        return LARGEST;
    }
    var sum = 0.0;
    for (var column = 0u; column < table.dim; column += STEP) {
        sum = add_four_errors(sum, column, grid);
        sum = add_four_errors(sum, column + 4u, grid);
        sum = add_four_errors(sum, column + 8u, grid);
        sum = add_four_errors(sum, column + 12u, grid);
        sum = add_four_errors(sum, column + 16u, grid);
        sum = add_four_errors(sum, column + 20u, grid);
        sum = add_four_errors(sum, column + 24u, grid);
        sum = add_four_errors(sum, column + 28u, grid);
    }
    return sqrt_rn(sum);
}

// The best strict local optimum of the walk, else the full range.
fn torch(full_low: f32, full_high: f32) -> Grid {
    let step = div_rn(sub_rn(full_high, full_low), work.bins);
    let kept = mul_rn(work.kept, step);
    var low = full_low;
    var high = full_high;
    var best_low = low;
    var best_high = high;
    var least = loss(range_grid(low, high));
    var current = least;
    for (var i = 0u; i < work.most_steps && add_rn(low, kept) < high; i++) {
        let left = add_rn(low, step);
        let right = sub_rn(high, step);
        let left_loss = loss(range_grid(left, high));
        let right_loss = loss(range_grid(low, right));
        if current < left_loss && current < right_loss && current < least {
            least = current;
            best_low = low;
            best_high = high;
        }
        if left_loss < right_loss {
            low = left;
            current = left_loss;
        } else {
            high = right;
            current = right_loss;
        }
    }
    return range_grid(best_low, best_high);
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
