// How many segments and how many chunks begin in every tile.
//
// Bindings: 1 keys, in order, 2 counts [tiles + 1, DIGITS]: kinds 0 and 1 are written, segments and chunks.

@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

// The marks of all runs.
var<workgroup> marks: atomic<u32>;

@compute @workgroup_size(DIGITS)
fn sort_mark(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group_number(group);
    if lane == 0u {
        atomicStore(&marks, 0u);
    }
    workgroupBarrier();
    atomicAdd(&marks, marks_of_run(tile * TILE + lane * RUN));
    workgroupBarrier();
    if lane == 0u && tile < sort.tiles {
        counts[tile * DIGITS] = segments_of(atomicLoad(&marks));
        counts[tile * DIGITS + 1u] = chunks_of(atomicLoad(&marks));
    }
}
