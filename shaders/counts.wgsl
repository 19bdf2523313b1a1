// Counts that an earlier kernel wrote: clamps them to what the bound ranges hold and writes the
// indirect dispatch of the lookup that follows.
//
// Grid: one lane.
// Bindings: 0 capacity, 1 requested [2] (bags, indices), 2 prepared [5].

struct Capacity {
    bags: u32,
    indices: u32,
    // Lanes of the lookup for one unit; a unit is two output rows, as f16 rows of odd length pair up.
    lanes_per_two_rows: u32,
    // 1 where every index makes an output row, 0 where every bag does.
    gather: u32,
    workgroup: u32,
}

struct Counts {
    bags: u32,
    indices: u32,
}

struct Prepared {
    counts: Counts,
    groups_x: u32,
    groups_y: u32,
    groups_z: u32,
}

@group(0) @binding(0) var<uniform> capacity: Capacity;
@group(0) @binding(1) var<storage, read> requested: Counts;
@group(0) @binding(2) var<storage, read_write> prepared: Prepared;

const GRID_WIDTH: u32 = 65535u;

@compute @workgroup_size(1)
fn prepare() {
    let bags = min(requested.bags, capacity.bags);
    let indices = min(requested.indices, capacity.indices);
    let output_rows = select(bags, indices, capacity.gather == 1u);
    // Rounded up apart, so that no product exceeds the lanes of the full capacity.
    let lanes = output_rows / 2u * capacity.lanes_per_two_rows
        + output_rows % 2u * ((capacity.lanes_per_two_rows + 1u) / 2u);
    let groups = (lanes + capacity.workgroup - 1u) / capacity.workgroup;
    prepared.counts = Counts(bags, indices);
    prepared.groups_x = min(groups, GRID_WIDTH);
    prepared.groups_y = (groups + GRID_WIDTH - 1u) / GRID_WIDTH;
    prepared.groups_z = 1u;
}
