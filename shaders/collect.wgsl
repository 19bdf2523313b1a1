// Copies the rows of a batch out of one shard of a table that lies in several buffers, so that a lookup finds them side by
// side: row p of `collected` is the row at position p of `indices`. One dispatch to a shard; together they write every
// position. collect_words.wgsl or collect_blocks.wgsl supplies collected_words() and collected_word().
//
// Grid: a lane owns LANE_WORDS words of one position.
// Bindings: 0 table, 1 counts, 2 rows [shard.rows, row_words], 3 indices [indices], 4 shard,
//   5 collected [indices, collected_words()], 6 collected_indices [indices] of the same type, 8 codebooks and block ids,
//   where rows share them.
// Host guarantees: every range holds what counts says; the first shard begins with row 0, and no other does.

struct Counts {
    bags: u32,
    indices: u32,
}

// Rows of the table that lie in the shard.
struct Shard {
    first_row: u32,
    rows: u32,
}

@group(0) @binding(1) var<storage, read> counts: Counts;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<uniform> shard: Shard;
@group(0) @binding(5) var<storage, read_write> collected: array<u32>;
@group(0) @binding(6) var<storage, read_write> collected_indices: array<u32>;

const LANE_WORDS: u32 = 4u;

// NO_ROW stands for an index that is no row: it is none of `collected` either.
fn store_index(position: u32, index: u32) {
    if INDEX_I64 {
        collected_indices[2u * position] = index;
        collected_indices[2u * position + 1u] = 0u;
        return;
    }
    collected_indices[position] = index;
}

fn is_in_shard(index: u32) -> bool {
    return index >= shard.first_row && index - shard.first_row < shard.rows;
}

@compute @workgroup_size(WORKGROUP)
fn collect(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = group_number(group) * WORKGROUP + local;
    let words = collected_words();
    let lanes = (words + LANE_WORDS - 1u) / LANE_WORDS;
    let position = lane / lanes;
    if position >= counts.indices {
        return;
    }
    let index = index_at(position);
    let first = lane % lanes * LANE_WORDS;
    // An index that is no row lies in no shard: the first shard's dispatch says so.
    if index >= table.rows && first == 0u && shard.first_row == 0u {
        store_index(position, NO_ROW);
    }
    if !is_in_shard(index) {
        return;
    }
    if first == 0u {
        store_index(position, position);
    }
    let end = min(first + LANE_WORDS, words);
    for (var word = first; word < end; word++) {
        collected[position * words + word] = collected_word(index, word);
    }
}
