// How often every value of a digit occurs in every tile.
//
// Bindings: 2 counts [tiles + 1, DIGITS], written but for the last tile.

@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

var<workgroup> histogram: array<atomic<u32>, DIGITS>;

@compute @workgroup_size(DIGITS)
fn sort_count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group_number(group);
    atomicStore(&histogram[lane], 0u);
    workgroupBarrier();
    for (var first = 0u; first < TILE; first += DIGITS) {
        let slot = tile * TILE + first + lane;
        if slot < sort.count {
            atomicAdd(&histogram[digit_of(key_in(slot))], 1u);
        }
    }
    workgroupBarrier();
    if tile < sort.tiles {
        counts[tile * DIGITS + lane] = atomicLoad(&histogram[lane]);
    }
}
