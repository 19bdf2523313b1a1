// How many segments and how many chunks begin in every tile.
//
// Bindings: 1 keys, in order, 2 counts [2, tiles], written: segments, chunks.

@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(DIGITS)
fn sort_mark(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group_number(group);
    let marks = marks_of_run(tile * TILE + lane * RUN);
    let before = sum_before(lane, marks);
    if lane == DIGITS - 1u && tile < sort.tiles {
        counts[tile] = (before + marks) % ONE_CHUNK;
        counts[sort.tiles + tile] = (before + marks) / ONE_CHUNK;
    }
}
