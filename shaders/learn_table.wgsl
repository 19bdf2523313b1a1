// One step for the table: its gradient in every row of the batch, the sum of those and the optimizer, and every row of
// the table rounded with the new step.
//
// Bindings: 10 gradients [segments] f32, NaN where a row has none; 11 new_step [2], the step's bits and whether there
//   is one.

@group(0) @binding(10) var<storage, read_write> gradients: array<u32>;
@group(0) @binding(11) var<storage, read_write> new_step: array<u32, 2>;

// Grid: a team of four lanes owns one segment; a workgroup holds WORKGROUP / 4 teams.
// Host guarantees: the grid has a team for every segment that totals may count.
@compute @workgroup_size(WORKGROUP)
fn learn_gradients(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    join_team(local);
    let segment = group_number(group) * (WORKGROUP / TEAM) + first_lane / TEAM;
    take_segment(segment);
    let mine = is_moved();
    let gradient = step_gradient(mine);
    let good = mine && is_finite(gradient);
    if mine {
        report_row(good);
    }
    if columns > 0u && lane == 0u {
        gradients[segment] = select(NAN, gradient, good);
    }
    report_if_unfinished();
}

const TERMS: u32 = 64u;

var<workgroup> partials: array<f32, TERMS>;
var<workgroup> found: array<u32, TERMS>;

// The sum so far with the gradient of a segment, if that has one.
fn add_gradient(local: u32, segment: u32) {
    if segment < totals.x && is_finite(gradients[segment]) {
        partials[local] = add_rn(partials[local], bitcast<f32>(gradients[segment]));
        found[local] = 1u;
    }
}

// Grid: one workgroup of 64 lanes; lane i adds up the segments i, i + 64, ...
@compute @workgroup_size(TERMS)
fn learn_step(@builtin(local_invocation_index) local: u32) {
    partials[local] = 0.0;
    found[local] = 0u;
    // Four to an iteration: some drivers count a lane's iterations.
    for (var segment = local; segment < totals.x; segment += 4u * TERMS) {
        add_gradient(local, segment);
        add_gradient(local, segment + TERMS);
        add_gradient(local, segment + 2u * TERMS);
        add_gradient(local, segment + 3u * TERMS);
    }
    for (var stride = TERMS / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if local < stride {
            partials[local] = add_rn(partials[local], partials[local + stride]);
            found[local] |= found[local + stride];
        }
    }
    if local == 0u {
        new_step[1] = 0u;
        columns = table.dim;
        row = 0u;
        if found[0] == 1u && is_finite(bitcast<u32>(partials[0])) && may_run() {
            take_step(moved_step(row_step(0u), partials[0], 0u));
        } else if found[0] == 1u && may_run() {
            report_step();
        }
        report_if_unfinished();
    }
}

fn report_step() {
    atomicAdd(&status.bad_rows, 1u);
    atomicMin(&status.first_row, 0u);
}

fn take_step(result: Moved) {
    var header = NewHeader();
    if result.good {
        header = step_header(result.value);
    }
    if !header.good {
        report_step();
        return;
    }
    store_step_state(0u, result);
    new_step[0] = bitcast<u32>(result.value);
    new_step[1] = 1u;
}

// The segment of a row, which segments are in order of; totals.x where it has none.
fn segment_of(wanted: u32) -> u32 {
    var low = 0u;
    var high = totals.x;
    while low < high {
        let middle = low + (high - low) / 2u;
        if segments[middle].x < wanted {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    if low < totals.x && segments[low].x == wanted {
        return low;
    }
    return totals.x;
}

// Grid: a team of four lanes owns one row of the table; a workgroup holds WORKGROUP / 4 teams.
@compute @workgroup_size(WORKGROUP)
fn restep(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    join_team(local);
    row = group_number(group) * (WORKGROUP / TEAM) + first_lane / TEAM;
    if row < table.rows && may_run() && new_step[1] == 1u {
        columns = table.dim;
    }
    let header = step_header(bitcast<f32>(new_step[0]));
    if columns > 0u {
        let segment = segment_of(row);
        keeps_values = segment == totals.x || !is_finite(gradients[segment]);
        if !keeps_values {
            values_at = segments[segment].y * table.dim;
        }
        store_words(header.ruler);
    }
    // All lanes have read the old step before one writes the new.
    storageBarrier();
    if columns > 0u && lane == 0u {
        rows[row * table.row_words] = header.words.x;
    }
    report_if_unfinished();
}
