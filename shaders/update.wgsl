// The update of the rows of a sorted batch: adds up each row's gradient, applies the optimizer, chooses the header,
// rounds, packs and stores.
//
// Grid: a team of four lanes owns one segment, that is, one row; a workgroup holds WORKGROUP / 4 teams.
// Bindings: 0 table, 1 work, 2 hyper, 3 rows [rows, row_words], 4 segments [segments + 1], 5 totals [4], 6 sums
//   [chunks, dim] f32, 7 state [rows, state_len] f32, 8 status, and 9 steps [rows] f32 (given) or staged
//   [segments, row_words] (staged).
// Host guarantees: the grid has a team for every segment that totals may count.
// Sums end as the rows' new values, in the place of each row's first chunk.

@group(0) @binding(7) var<storage, read_write> state: array<u32>;

fn state_number(at: u32) -> f32 {
    return bitcast<f32>(input_bits(state[at]));
}

// Where a column's moments lie; of no use where the optimizer has none.
fn first_at(row: u32, column: u32) -> u32 {
    if OPTIMIZER == ADAM {
        return row * 2u * table.dim + column;
    }
    return row * table.dim + column;
}

fn second_at(row: u32, column: u32) -> u32 {
    if OPTIMIZER == ADAM {
        return row * 2u * table.dim + table.dim + column;
    }
    if OPTIMIZER == ROWWISE_ADAGRAD {
        return row;
    }
    return row * table.dim + column;
}

const HAS_FIRST: u32 = (1u << MOMENTUM) | (1u << ADAM);

fn has_first() -> bool {
    return ((HAS_FIRST >> OPTIMIZER) & 1u) == 1u;
}

fn has_second() -> bool {
    return OPTIMIZER >= ADAGRAD;
}

// The second moment of row-wise Adagrad as it will be.
fn row_moment() -> f32 {
    var partial = vec4<f32>();
    for (var column = 4u * lane; column < columns; column += 4u * TEAM) {
        let old = row_values(row, column);
        for (var i = 0u; i < columns_left(column); i++) {
            let gradient = decayed(old[i], bitcast<f32>(sums[values_at + column + i]));
            partial[i] = add_rn(partial[i], squared(gradient));
        }
    }
    let mean = div_rn(team_sum16(partial), integer(table.dim));
    return add_rn(state_number(select(0u, row, columns > 0u)), mean);
}

fn moved_column(column: u32, old: f32, moment: f32) -> Moved {
    var first = 0.0;
    var second = moment;
    if has_first() {
        first = state_number(first_at(row, column));
    }
    if has_second() && OPTIMIZER != ROWWISE_ADAGRAD {
        second = state_number(second_at(row, column));
    }
    let gradient = sums[values_at + column];
    if !is_finite(gradient) {
        return Moved(0.0, 0.0, 0.0, false);
    }
    return moved(old, decayed(old, bitcast<f32>(gradient)), first, second);
}

// Smallest and largest new value of the lane's columns as ordered(), and 1 where one is not good.
fn survey(moment: f32) -> vec3<u32> {
    var range = vec3<u32>(0xffffffffu, 0u, 0u);
    for (var column = 4u * lane; column < columns; column += 4u * TEAM) {
        let old = row_values(row, column);
        for (var i = 0u; i < columns_left(column); i++) {
            let result = moved_column(column + i, old[i], moment);
            let key = ordered(bitcast<u32>(result.value));
            range.x = min(range.x, key);
            range.y = max(range.y, key);
            range.z |= select(1u, 0u, result.good);
        }
    }
    return range;
}

// Stores the state, and the new values in the place of their gradients.
fn store_values(moment: f32) {
    for (var column = 4u * lane; column < columns; column += 4u * TEAM) {
        let old = row_values(row, column);
        for (var i = 0u; i < columns_left(column); i++) {
            let result = moved_column(column + i, old[i], moment);
            if has_first() {
                state[first_at(row, column + i)] = bitcast<u32>(result.first);
            }
            if has_second() && OPTIMIZER != ROWWISE_ADAGRAD {
                state[second_at(row, column + i)] = bitcast<u32>(result.second);
            }
            sums[values_at + column + i] = bitcast<u32>(result.value);
        }
    }
    if OPTIMIZER == ROWWISE_ADAGRAD && lane == 0u {
        state[row] = bitcast<u32>(moment);
    }
}

fn new_value(column: u32) -> f32 {
    return bitcast<f32>(sums[values_at + column]);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    join_team(local);
    let segment = group_number(group) * (WORKGROUP / TEAM) + first_lane / TEAM;
    take_segment(segment);
    if columns == 0u {
        leave_out(segment);
    }
    var moment = 0.0;
    if OPTIMIZER == ROWWISE_ADAGRAD {
        moment = row_moment();
    }
    let range = team_range(survey(moment));
    var header = NewHeader();
    if columns > 0u && range.z == 0u {
        header = new_header(row, unordered(range.x), unordered(range.y));
    }
    if columns > 0u {
        report_row(header.good);
    }
    let stored = header.good && may_store();
    if stored {
        store_values(moment);
    }
    // Values are written by those that own their columns and read by those that own their words.
    storageBarrier();
    if columns > 0u && may_store() {
        store_row(segment, header);
    }
    report_if_unfinished();
}
