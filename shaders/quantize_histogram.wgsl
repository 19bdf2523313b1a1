// Methods hist-approx and hist-brute: the range that a histogram of the row recommends.
// Source: Caffe2's norm_minimization.cc; docs/accuracy.md says what differs.
//
// Grid: a workgroup owns one row.
// Bindings: 5 errors [BINS, 2 * BINS - 1] f32: what a value in a bin costs, by length of the range and place of
//   the bin relative to its start.
// Host guarantees: BINS is 1 to 1024.

override BINS: u32;
override BRUTE: bool;

@group(0) @binding(5) var<storage, read> errors: array<f32>;

const QUANTILE_STEPS: u32 = 100000u;
const LARGEST: u32 = 0x7f7fffffu;

var<workgroup> counts: array<atomic<u32>, BINS>;
// Smallest and largest key of every lane; then the bits of the least error, and the range that has it.
var<workgroup> pairs: array<vec2<u32>, WORKGROUP>;

var<private> row: u32;

fn value(column: u32) -> f32 {
    return bitcast<f32>(value_bits(row, column));
}

// The sum so far and the cost of a bin, if there is one.
fn add_cost(sum: f32, bin: u32, first: u32) -> f32 {
    if bin >= BINS {
        return sum;
    }
    return add_rn(sum, mul_rn(f32(atomicLoad(&counts[bin])), errors[first + bin]));
}

// Bins to an iteration: some drivers count a lane's iterations, see STEP in lookup_bags.wgsl.
const STEP: u32 = 4u;

// What a range of bins costs, summed in order of bins.
fn error(start: u32, length: u32) -> f32 {
    let first = (length - 1u) * (2u * BINS - 1u) + BINS - 1u - start;
    var sum = 0.0;
    for (var bin = 0u; bin < BINS; bin += STEP) {
        sum = add_cost(sum, bin, first);
        sum = add_cost(sum, bin + 1u, first);
        sum = add_cost(sum, bin + 2u, first);
        sum = add_cost(sum, bin + 3u, first);
    }
    return sum;
}

// A range as one number: the shorter, then the first, is the smaller.
fn range_number(start: u32, length: u32) -> u32 {
    return (length << 16u) | start;
}

// The best of the ranges that fall to a lane: bits of its error, its number.
fn brute(lane: u32) -> vec2<u32> {
    var best = vec2<u32>(LARGEST, range_number(0u, BINS));
    for (var length = 1u; length <= BINS; length++) {
        for (var start = lane; start + length <= BINS; start += WORKGROUP) {
            let bits = bitcast<u32>(error(start, length));
            if bits < best.x {
                best = vec2<u32>(bits, range_number(start, length));
            }
        }
    }
    return best;
}

// Drops bins from the high end by quantiles until the error grows. The low end never moves: its bin
// alone holds more than a quantile step of a row's values.
fn approximate() -> u32 {
    var last = BINS - 1u;
    // Values above the last bin.
    var above = 0u;
    var steps = 0u;
    var least = LARGEST;
    loop {
        // The first step that reaches a bin further down.
        steps = max(above * QUANTILE_STEPS / table.dim, steps) + 1u;
        var next = last;
        while next > 0u && above * QUANTILE_STEPS < steps * table.dim {
            above += atomicLoad(&counts[next]);
            next--;
        }
        if steps > QUANTILE_STEPS || next == last {
            break;
        }
        let bits = bitcast<u32>(error(0u, next + 1u));
        if bits > least {
            break;
        }
        last = next;
        least = bits;
    }
    return range_number(0u, last + 1u);
}

// The grid of a range of bins.
fn bins_grid(low: f32, high: f32, number: u32) -> Grid {
    let start = number & 0xffffu;
    let end = start + (number >> 16u);
    let width = div_rn(sub_rn(high, low), integer(BINS));
    let start_edge = add_rn(low, mul_rn(width, integer(start)));
    let end_edge = add_rn(low, mul_rn(width, integer(end)));
    return range_grid(select(start_edge, low, start == 0u), select(end_edge, high, end == BINS));
}

// Counts the row's values.
fn fill(low: f32, high: f32, lane: u32) {
    let bins_per_unit = div_rn(integer(BINS), sub_rn(high, low));
    for (var column = lane; column < table.dim; column += WORKGROUP) {
        let bin = u32(mul_rn(sub_rn(value(column), low), bins_per_unit));
        atomicAdd(&counts[min(bin, BINS - 1u)], 1u);
    }
}

@compute @workgroup_size(WORKGROUP)
fn quantize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    row = group_number(group);
    var keys = vec2<u32>(0xffffffffu, 0u);
    if row < work.rows {
        for (var column = lane; column < table.dim; column += WORKGROUP) {
            let key = ordered(value_bits(row, column));
            keys = vec2<u32>(min(keys.x, key), max(keys.y, key));
        }
    }
    for (var bin = lane; bin < BINS; bin += WORKGROUP) {
        atomicStore(&counts[bin], 0u);
    }
    pairs[lane] = keys;
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if lane < stride {
            let other = pairs[lane + stride];
            pairs[lane] = vec2<u32>(min(pairs[lane].x, other.x), max(pairs[lane].y, other.y));
        }
    }
    workgroupBarrier();
    keys = pairs[0];
    let finite = is_finite_key(keys.x) && is_finite_key(keys.y);
    var low = 0.0;
    var high = 0.0;
    var grid = Grid();
    if finite {
        low = unordered(keys.x);
        high = unordered(keys.y);
        grid = first_grid(low, high);
    }
    let searched = grid.good && is_searchable(low, high);
    if searched {
        fill(low, high, lane);
    }
    workgroupBarrier();
    if searched {
        if BRUTE {
            pairs[lane] = brute(lane);
        } else if lane == 0u {
            pairs[0] = vec2<u32>(0u, approximate());
        }
    }
    if BRUTE {
        for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
            workgroupBarrier();
            if lane < stride {
                let mine = pairs[lane];
                let other = pairs[lane + stride];
                let worse = other.x < mine.x || (other.x == mine.x && other.y < mine.y);
                pairs[lane] = select(mine, other, worse);
            }
        }
    }
    workgroupBarrier();
    if searched {
        let chosen = bins_grid(low, high, pairs[0].y);
        if chosen.good {
            grid = chosen;
        }
    }
    if row < work.rows {
        if lane == 0u && !finite {
            report_not_finite(row);
        } else if lane == 0u && !grid.good {
            report_out_of_range(row);
        }
        store_row(row, lane, WORKGROUP, grid);
    }
}
