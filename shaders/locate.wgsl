// The first kernel of an update: the row of every position of a batch, its bag, and what the bag's gradient is
// multiplied by.
//
// Grid: a lane owns one position and one bag.
// Bindings: 0 table, 1 work, 2 indices [indices], 3 offsets [bags + 1] (any words in a gather), 4 weights
//   [indices] (any words where unweighted), 5 keys [indices], 6 occurrences [indices], 7 status.
// Host guarantees: every range holds what work says.
// keys: the row, or 0xffffffff where the position has none or lies in no bag.

@group(0) @binding(1) var<uniform> work: Work;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;
@group(0) @binding(4) var<storage, read> weights: array<u32>;
@group(0) @binding(5) var<storage, read_write> keys: array<u32>;
@group(0) @binding(6) var<storage, read_write> occurrences: array<Occurrence>;
@group(0) @binding(7) var<storage, read_write> status: Status;

override GATHER: bool;
override MEAN: bool;
override WEIGHTED: bool;

// A bag's first position and its end.
fn bag_range(bag: u32) -> vec2<u32> {
    if GATHER {
        return vec2<u32>(bag, bag + 1u);
    }
    return vec2<u32>(offsets[bag], offsets[bag + 1u]);
}

// The last bag that begins at a position or before it; 0 where none does.
fn last_bag(position: u32) -> u32 {
    if GATHER {
        return position;
    }
    var low = 0u;
    var high = work.bags;
    while low < high {
        let middle = low + (high - low) / 2u;
        if offsets[middle] <= position {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return max(low, 1u) - 1u;
}

fn check_bag(bag: u32) {
    let range = bag_range(bag);
    if range.x > range.y || range.y > work.indices {
        atomicAdd(&status.bad_bags, 1u);
        atomicMin(&status.first_bag, bag);
    }
}

fn coefficient_bits(position: u32, bag_len: u32) -> u32 {
    var weight = bitcast<u32>(1.0);
    if WEIGHTED {
        weight = input_bits(weights[position]);
    }
    if !is_finite(weight) {
        return NAN;
    }
    if MEAN {
        return bitcast<u32>(div_rn(bitcast<f32>(weight), integer(bag_len)));
    }
    return weight;
}

fn locate_position(position: u32) {
    keys[position] = NO_ROW;
    if work.bags == 0u {
        return;
    }
    let bag = last_bag(position);
    let range = bag_range(bag);
    if position < range.x || position >= range.y {
        return;
    }
    let row = indices[position];
    if row >= table.rows {
        atomicAdd(&status.bad_indices, 1u);
        atomicMin(&status.first_position, position);
        return;
    }
    keys[position] = row;
    occurrences[position] = Occurrence(bag, coefficient_bits(position, range.y - range.x));
}

@compute @workgroup_size(WORKGROUP)
fn locate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = group_number(group) * WORKGROUP + local;
    if lane < work.bags {
        check_bag(lane);
    }
    if lane < work.indices {
        locate_position(lane);
    }
}
