// The kernel of methods that look for a row's largest magnitude and for nothing else. quantize_absmax.wgsl and
// quantize_cast.wgsl supply store(lane, reach), which gets its bits.
//
// Grid: a team of TEAM lanes owns one row; a workgroup holds WORKGROUP / TEAM teams.
// Host guarantees: TEAM is a power of two that divides WORKGROUP, which is at most 256.

override TEAM: u32;

var<private> row: u32;

// Bits of the largest magnitude of every lane, then of every team in its first lane. They order as the
// magnitudes do, the infinity and NaN above all.
var<workgroup> largest: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn quantize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = local % TEAM;
    row = group_number(group) * (WORKGROUP / TEAM) + local / TEAM;
    var reach = 0u;
    if row < work.rows {
        for (var column = lane; column < table.dim; column += TEAM) {
            reach = max(reach, value_bits(row, column) & MAGNITUDE);
        }
    }
    largest[local] = reach;
    for (var stride = TEAM / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if lane < stride {
            largest[local] = max(largest[local], largest[local + stride]);
        }
    }
    workgroupBarrier();
    if row < work.rows {
        store(lane, largest[local - lane]);
    }
}
