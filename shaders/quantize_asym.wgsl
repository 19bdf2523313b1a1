// Methods asym and sym: from the row's minimum to its maximum, or from -max|x| to max|x|.
// Source: PyTorch's embedding_bag_{byte,4bit,2bit}_prepack.
//
// Grid: a team of TEAM lanes owns one row; a workgroup holds WORKGROUP / TEAM teams.
// Host guarantees: TEAM is a power of two that divides WORKGROUP, which is at most 256.

override TEAM: u32;

var<private> row: u32;

// Smallest and largest value of every lane, as ordered(), then of every team in its first lane.
var<workgroup> lows: array<u32, WORKGROUP>;
var<workgroup> highs: array<u32, WORKGROUP>;

fn value(column: u32) -> f32 {
    return bitcast<f32>(value_bits(row, column));
}

fn store(lane: u32, low: u32, high: u32) {
    let finite = is_finite_key(low) && is_finite_key(high);
    var grid = Grid();
    if finite {
        grid = first_grid(unordered(low), unordered(high));
    }
    if lane == 0u && !finite {
        report_not_finite(row);
    } else if lane == 0u && !grid.good {
        report_out_of_range(row);
    }
    store_row(row, lane, TEAM, grid);
}

@compute @workgroup_size(WORKGROUP)
fn quantize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = local % TEAM;
    row = group_number(group) * (WORKGROUP / TEAM) + local / TEAM;
    var low = 0xffffffffu;
    var high = 0u;
    if row < work.rows {
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
    if row < work.rows {
        store(lane, lows[local - lane], highs[local - lane]);
    }
}
