// How a lane finds its work.

// Lanes of a workgroup.
override WORKGROUP: u32;

// Workgroups beyond this many in x continue in the next y; the host folds in the same way.
const GRID_WIDTH: u32 = 65535u;

fn group_number(group: vec3<u32>) -> u32 {
    return group.y * GRID_WIDTH + group.x;
}

// Lanes that one row needs at four columns a lane.
fn lanes_per_row() -> u32 {
    return (table.dim + 3u) / 4u;
}
