// Segments of a sorted batch, one to a team; see sort.wgsl.

@group(0) @binding(1) var<uniform> work: Work;
@group(0) @binding(2) var<uniform> hyper: Hyper;
@group(0) @binding(4) var<storage, read> segments: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read> totals: vec4<u32>;
@group(0) @binding(6) var<storage, read_write> sums: array<u32>;
@group(0) @binding(8) var<storage, read_write> status: Status;

// The row that a team owns: its number, and where its values lie in scratch, which is where its first chunk does.
var<private> row: u32;
var<private> values_at: u32;
// Columns that the team's loops end at: none where it has no row.
var<private> columns: u32;

// Adds up the sums of a row's chunks, in order, into that of the first.
fn total_chunks(chunks: vec2<u32>) {
    for (var column = 4u * lane; column < columns; column += 4u * TEAM) {
        for (var i = 0u; i < columns_left(column); i++) {
            var total = 0.0;
            var good = true;
            for (var chunk = chunks.x; chunk < chunks.y; chunk++) {
                let sum = sums[chunk * table.dim + column + i];
                total = add_rn(total, bitcast<f32>(sum));
                good = good && is_finite(sum) && is_finite(bitcast<u32>(total));
            }
            sums[values_at + column + i] = select(NAN, bitcast<u32>(total), good);
        }
    }
}

// Takes a segment, if there is one and the batch is not refused, and adds up its gradient.
fn take_segment(segment: u32) {
    if segment >= totals.x || !may_run() {
        return;
    }
    let here = segments[segment];
    let end = segments[segment + 1u].y;
    row = here.x;
    values_at = here.y * table.dim;
    columns = table.dim;
    // A pass that stores what another has checked finds the sums added up.
    if here.y + 1u < end && work.pass_kind != STORE_UNLESS_BAD {
        total_chunks(vec2<u32>(here.y, end));
    }
}

// Reports a row that cannot be updated, once.
fn report_row(good: bool) {
    if !good && lane == 0u && work.pass_kind != STORE_UNLESS_BAD {
        atomicAdd(&status.bad_rows, 1u);
        atomicMin(&status.first_row, row);
    }
}

// Reports a row whose loops some driver did not let run to their end; see quantize.wgsl. Called last, by every lane.
fn report_if_unfinished() {
    var rounds = table.zero;
    while rounds < 2u + table.zero {
        rounds += 1u + table.zero;
    }
    if rounds != 2u && columns > 0u {
        atomicAdd(&status.unfinished, 1u);
        atomicMin(&status.first_unfinished, row);
    }
}
