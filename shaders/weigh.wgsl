// The gradient of every position's weight: gradient[bag] times the row, times the coefficient of an unweighted batch.
//
// Grid: a team of four lanes owns one position; a workgroup holds WORKGROUP / 4 teams.
// Bindings: 0 table, 1 work, 2 rows [rows, row_words], 3 keys [indices], 4 occurrences [indices], 5 gradient
//   [bags, dim] f32, 6 weight_gradient [indices] f32, 7 status.
// A bad bag leaves no position a row: the whole batch is bad.
// Host guarantees: locate.wgsl wrote keys and occurrences.

@group(0) @binding(1) var<uniform> work: Work;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> keys: array<u32>;
@group(0) @binding(4) var<storage, read> occurrences: array<Occurrence>;
@group(0) @binding(5) var<storage, read> gradient: array<u32>;
@group(0) @binding(6) var<storage, read_write> weight_gradient: array<u32>;
@group(0) @binding(7) var<storage, read_write> status: Status;

@compute @workgroup_size(WORKGROUP)
fn weigh(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    join_team(local);
    let position = group_number(group) * (WORKGROUP / TEAM) + first_lane / TEAM;
    let in_batch = position < work.indices;
    var partial = vec4<f32>();
    var bad = 0u;
    var coefficient = 0.0;
    var row = NO_ROW;
    if in_batch && atomicLoad(&status.bad_bags) == 0u {
        row = keys[position];
    }
    if row != NO_ROW {
        let occurrence = occurrences[position];
        coefficient = bitcast<f32>(occurrence.coefficient);
        for (var column = 4u * lane; column < table.dim; column += 4u * TEAM) {
            let values = row_values(row, column);
            for (var i = 0u; i < columns_left(column); i++) {
                let element = input_bits(gradient[occurrence.bag * table.dim + column + i]);
                let finite = is_finite(element) && is_finite(bitcast<u32>(values[i]));
                bad |= select(1u, 0u, finite);
                if finite {
                    partial[i] = add_rn(partial[i], mul_rn(bitcast<f32>(element), values[i]));
                }
            }
        }
    }
    let total = bitcast<u32>(team_sum16(partial));
    let flags = team_range(vec3<u32>(0u, 0u, bad));
    var product = NAN;
    if flags.z == 0u && is_finite(total) {
        product = bitcast<u32>(mul_rn(bitcast<f32>(total), coefficient));
    }
    if in_batch && lane == 0u {
        weight_gradient[position] = select(NAN, product, is_finite(product));
    }
}
