// Which positions of indices make a bag.

@group(0) @binding(4) var<storage, read> offsets: array<u32>;

fn output_rows() -> u32 {
    return counts.bags;
}

// The bag's first position and its end; none at all where its offsets decrease or pass the end.
fn bag_range(bag: u32, leads: bool) -> vec2<u32> {
    let range = vec2<u32>(offsets[bag], offsets[bag + 1u]);
    if range.x <= range.y && range.y <= counts.indices {
        return range;
    }
    if leads {
        atomicAdd(&status.bad_bags, 1u);
        atomicMin(&status.first_bag, bag);
    }
    return vec2<u32>();
}
