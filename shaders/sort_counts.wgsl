// Counts of all tiles, after sort_scan.wgsl, which is left out where FEW_TILES hold the batch.
//
// Bindings: 2 counts [tiles + 1, DIGITS].

@group(0) @binding(2) var<storage, read> counts: array<u32>;

override FEW_TILES: u32;

// The sums of a kind of count: over the tiles before this one, over all.
fn counted(kind: u32, tile: u32) -> vec2<u32> {
    if sort.tiles > FEW_TILES {
        return vec2<u32>(counts[tile * DIGITS + kind], counts[sort.tiles * DIGITS + kind]);
    }
    var sums = vec2<u32>();
    for (var other = 0u; other < sort.tiles; other++) {
        let count = counts[other * DIGITS + kind];
        sums += vec2<u32>(select(0u, count, other < tile), count);
    }
    return sums;
}
