// Replaces every count by the sum of its kind in earlier tiles, and writes the sum of all behind the last.
//
// Grid: a workgroup owns a kind of count.
// Bindings: 2 counts [tiles + 1, DIGITS], read and written.

@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(DIGITS)
fn sort_scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let kind = group_number(group);
    var carry = 0u;
    for (var first = 0u; first < sort.tiles; first += DIGITS) {
        let tile = first + lane;
        let at = tile * DIGITS + kind;
        var count = 0u;
        if tile < sort.tiles {
            count = counts[at];
        }
        let before = carry + sum_before(lane, count);
        if tile < sort.tiles {
            counts[at] = before;
        }
        carry += sums[DIGITS - 1u];
    }
    if lane == 0u {
        counts[sort.tiles * DIGITS + kind] = carry;
    }
}
