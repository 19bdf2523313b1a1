// Which positions of indices make a bag, and whether all of them were walked.

@group(0) @binding(4) var<storage, read> offsets: array<u32>;

// Rows to an iteration. Some drivers end a loop after 65535 iterations without a word (llvmpipe counts
// those of all loops of a lane together), so iterations are few and their end is checked.
const STEP: u32 = 4u;

fn output_rows() -> u32 {
    return counts.bags;
}

fn offset_at(bag: u32) -> u32 {
    if INDEX_I64 {
        return narrowed(offsets[2u * bag], offsets[2u * bag + 1u]);
    }
    return offsets[bag];
}

fn report_bag(bag: u32, leads: bool) {
    if leads {
        atomicAdd(&status.bad_bags, 1u);
        atomicMin(&status.first_bag, bag);
    }
}

// The bag's first position and its end; none at all where its offsets decrease or pass the end.
fn bag_range(bag: u32, leads: bool) -> vec2<u32> {
    let range = vec2<u32>(offset_at(bag), offset_at(bag + 1u));
    if range.x <= range.y && range.y <= counts.indices {
        return range;
    }
    report_bag(bag, leads);
    return vec2<u32>();
}

// Whether a walk that got to a position ended where it should; where not, every lane reports it, because
// those that share a bag need not have got equally far. The uniform keeps a compiler from
// concluding it from the loop's condition.
fn is_walked(position: u32, end: u32) -> bool {
    return position + table.zero >= end;
}
