// Writes segments, chunks, the segment of every position, and totals.
//
// Bindings: 1 keys, in order, 2 counts: kinds 0 and 1 are segments and chunks that begin in a tile,
//   3 positions [count], 4 segments [segments + 1, 2], 5 chunks [chunks + 1], 6 ranks [count], 7 totals [4].

@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> segments: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> chunks: array<u32>;
@group(0) @binding(6) var<storage, read_write> ranks: array<u32>;
@group(0) @binding(7) var<storage, read_write> totals: vec4<u32>;

// The segment of a dropped position, and the row of the segment behind the last.
const NONE: u32 = 0xffffffffu;

// Sentinels and totals: what comes behind the last kept slot.
fn finish(segment: u32, chunk: u32, kept: u32) {
    segments[segment] = vec2<u32>(NONE, chunk);
    chunks[chunk] = kept;
    totals = vec4<u32>(segment, chunk, kept, 0u);
}

// Writes what belongs to a run, of which segment and chunk are the next to begin.
fn emit_run(first: u32, first_segment: u32, first_chunk: u32) {
    var segment = first_segment;
    var chunk = first_chunk;
    var start = 0u;
    if is_kept(first) {
        start = segment_start(first);
    }
    for (var slot = first; slot < min(first + RUN, sort.count); slot++) {
        if !is_kept(slot) {
            ranks[positions[slot]] = NONE;
            continue;
        }
        start = start_of_next(slot, start);
        if slot == start {
            segments[segment] = vec2<u32>(keys[slot], chunk);
            segment++;
        }
        if begins_chunk(slot, start) {
            chunks[chunk] = slot;
            chunk++;
        }
        ranks[positions[slot]] = segment - 1u;
        if !is_kept(slot + 1u) {
            finish(segment, chunk, slot + 1u);
        }
    }
}

@compute @workgroup_size(DIGITS)
fn sort_emit(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group_number(group);
    let first = tile * TILE + lane * RUN;
    let before = sum_before(lane, marks_of_run(first));
    let segment = counted(0u, tile).x + segments_of(before);
    let chunk = counted(1u, tile).x + chunks_of(before);
    emit_run(first, segment, chunk);
    if tile + lane == 0u && !is_kept(0u) {
        finish(0u, 0u, 0u);
    }
}
