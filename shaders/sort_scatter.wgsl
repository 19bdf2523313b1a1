// Moves every pair of key and position behind those of smaller digits, and of its own digit those before it.
//
// A tile is gone through in rounds of DIGITS slots. In a round every lane sets its bit in the mask of its
// digit; how many bits below are set is its place among the lanes of the same digit, whatever order the
// atomics were in.
//
// Bindings: 3 positions [count] (any words in the first pass, where a slot is its own position),
//   4 to_keys [count], 5 to_positions [count], written.

@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> to_keys: array<u32>;
@group(0) @binding(5) var<storage, read_write> to_positions: array<u32>;

// Words of a mask with a bit for every lane.
const MASK_WORDS: u32 = DIGITS / 32u;

// [MASK_WORDS, DIGITS]: the lanes of this round that hold a digit.
var<workgroup> masks: array<atomic<u32>, MASK_WORDS * DIGITS>;
// The slot where the next pair of a digit goes.
var<workgroup> next: array<u32, DIGITS>;

// Lanes of the round that hold a digit: those before `lane`, all.
fn lanes_with(digit: u32, lane: u32) -> vec2<u32> {
    let own = lane / 32u;
    var found = vec2<u32>();
    for (var word = 0u; word < MASK_WORDS; word++) {
        let mask = atomicLoad(&masks[word * DIGITS + digit]);
        var below = select(0u, 0xffffffffu, word < own);
        if word == own {
            below = (1u << (lane % 32u)) - 1u;
        }
        found += vec2<u32>(countOneBits(mask & below), countOneBits(mask));
    }
    return found;
}

// The position that belongs to the key in a slot.
fn position_in(slot: u32) -> u32 {
    if sort.shift == 0u {
        return slot;
    }
    return positions[slot];
}

@compute @workgroup_size(DIGITS)
fn sort_scatter(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group_number(group);
    // Where the pairs of the digit go that is the lane's number.
    let pairs = counted(lane, tile);
    next[lane] = sum_before(lane, pairs.y) + pairs.x;
    for (var word = 0u; word < MASK_WORDS; word++) {
        atomicStore(&masks[word * DIGITS + lane], 0u);
    }
    workgroupBarrier();
    for (var first = 0u; first < TILE; first += DIGITS) {
        let slot = tile * TILE + first + lane;
        let is_pair = slot < sort.count;
        var key = 0u;
        if is_pair {
            key = key_in(slot);
        }
        let digit = digit_of(key);
        let mask = lane / 32u * DIGITS + digit;
        if is_pair {
            atomicOr(&masks[mask], 1u << (lane % 32u));
        }
        workgroupBarrier();
        let found = lanes_with(digit, lane);
        let to = next[digit] + found.x;
        if is_pair {
            to_keys[to] = key;
            to_positions[to] = position_in(slot);
        }
        workgroupBarrier();
        // The masks are empty again, and the last lane of a digit says where the next round goes on.
        if is_pair {
            atomicStore(&masks[mask], 0u);
            if found.x + 1u == found.y {
                next[digit] = to + 1u;
            }
        }
        workgroupBarrier();
    }
}
