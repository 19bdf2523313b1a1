// One step for every row: learns the steps of the batch's rows and stores the rows with them.
//
// Grid: a team of four lanes owns one segment; a workgroup holds WORKGROUP / 4 teams.
// Host guarantees: the grid has a team for every segment that totals may count.

@compute @workgroup_size(WORKGROUP)
fn learn_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    join_team(local);
    take_segment(group_number(group) * (WORKGROUP / TEAM) + first_lane / TEAM);
    let mine = is_moved();
    let gradient = step_gradient(mine);
    var header = NewHeader();
    var result = Moved();
    if mine && is_finite(gradient) {
        result = moved_step(row_step(row), bitcast<f32>(gradient), step_state_at(row));
        if result.good {
            header = step_header(result.value);
        }
    }
    // All lanes have read the old step, and the state, before one writes.
    storageBarrier();
    if mine {
        report_row(header.good);
    }
    if mine && header.good && may_store() {
        store_words(header.ruler);
        if lane == 0u {
            rows[row * table.row_words] = header.words.x;
            store_step_state(step_state_at(row), result);
        }
    }
    report_if_unfinished();
}
