// Segments and chunks in keys that are in order. A lane owns a run of RUN slots.

// Slots of a segment that make a chunk.
override CHUNK: u32;

const RUN: u32 = TILE / DIGITS;

// Counts of a tile, two in a word: TILE has less than 16 bits.
const ONE_SEGMENT: u32 = 1u;
const ONE_CHUNK: u32 = 0x10000u;

fn is_kept(slot: u32) -> bool {
    return slot < sort.count && keys[slot] < sort.rows;
}

// The first slot with the same key.
fn segment_start(slot: u32) -> u32 {
    let key = keys[slot];
    var low = 0u;
    var high = slot;
    // Most segments are short: whether this is the first slot is asked first.
    if slot > 0u && keys[slot - 1u] < key {
        low = slot;
    }
    while low < high {
        let middle = (low + high) / 2u;
        if keys[middle] < key {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

// Where the segment of the next slot of a run starts, by that of the slot before it.
fn start_of_next(slot: u32, start: u32) -> u32 {
    return select(slot, start, keys[slot] == keys[start]);
}

fn begins_chunk(slot: u32, start: u32) -> bool {
    return (slot - start) % CHUNK == 0u;
}

fn segments_of(marks: u32) -> u32 {
    return marks % ONE_CHUNK;
}

fn chunks_of(marks: u32) -> u32 {
    return marks / ONE_CHUNK;
}

// The segments and chunks that begin in a run, as multiples of ONE_SEGMENT and ONE_CHUNK.
fn marks_of_run(first: u32) -> u32 {
    var marks = 0u;
    if !is_kept(first) {
        return marks;
    }
    var start = segment_start(first);
    for (var slot = first; slot < first + RUN && is_kept(slot); slot++) {
        start = start_of_next(slot, start);
        marks += select(0u, ONE_SEGMENT, slot == start);
        marks += select(0u, ONE_CHUNK, begins_chunk(slot, start));
    }
    return marks;
}
