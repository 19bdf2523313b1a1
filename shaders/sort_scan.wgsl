// Replaces every count by the sum of those of its row in earlier tiles.
//
// Grid: a workgroup owns a row of counts.
// Bindings: 2 counts [DIGITS, tiles], read and written, 3 sums_of_rows [DIGITS], written.

@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums_of_rows: array<u32>;

@compute @workgroup_size(DIGITS)
fn sort_scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group_number(group);
    var carry = 0u;
    for (var first = 0u; first < sort.tiles; first += DIGITS) {
        let tile = first + lane;
        let at = row * sort.tiles + tile;
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
        sums_of_rows[row] = carry;
    }
}
