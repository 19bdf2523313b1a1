// The driver of sums and means of long bags: a workgroup to a bag, and to 256 columns of it at most. Its lanes sum a
// chunk each, four columns of it; one lane then adds the chunks' sums in order, so that the order of summation is that
// of one lane that walks the bag alone.
//
// Grid: workgroup = bag * blocks of columns + block; lane = chunk * columns / 4 + column / 4.
// Host guarantees: f16 rows have an even length.

var<workgroup> partial: array<vec4<f32>, WORKGROUP>;

// Lanes to the columns of a chunk: a power of two, so that they divide the workgroup.
fn lanes_per_chunk() -> u32 {
    let needed = lanes_per_row();
    if needed >= WORKGROUP {
        return WORKGROUP;
    }
    return 1u << (32u - countLeadingZeros(needed - 1u));
}

@compute @workgroup_size(WORKGROUP)
fn lookup(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lanes = lanes_per_chunk();
    let blocks = (lanes_per_row() + lanes - 1u) / lanes;
    let bag = group_number(group) / blocks;
    if bag >= output_rows() {
        return;
    }
    let column = (group_number(group) % blocks * lanes + local % lanes) * 4u;
    let chunk = local / lanes;
    let chunks = WORKGROUP / lanes;
    let leads = column == 0u;
    let range = bag_range(bag, leads && chunk == 0u);
    var total = vec4<f32>();
    var is_whole = true;
    var first = range.x;
    while first < range.y {
        let begin = first + chunk * CHUNK;
        var sum = vec4<f32>();
        if begin < range.y && column < table.dim {
            let stop = min(begin + CHUNK, range.y);
            let walked = chunk_sum(begin, stop, column, leads);
            sum = walked.sum;
            is_whole = is_whole && is_walked(walked.position, stop);
        }
        partial[local] = sum;
        workgroupBarrier();
        if chunk == 0u {
            let added = plus_chunks(
                total,
                local,
                lanes,
                min((range.y - first + CHUNK - 1u) / CHUNK, chunks),
            );
            total = added.sum;
            is_whole = is_whole && added.is_whole;
        }
        workgroupBarrier();
        first += chunks * CHUNK;
    }
    if !is_whole || !is_walked(first, range.y) {
        report_bag(bag, true);
    }
    if chunk == 0u && column < table.dim {
        store_columns(bag, column, total * pooled_share(range));
    }
}

struct Added {
    sum: vec4<f32>,
    is_whole: bool,
}

// The total so far and the sums of so many chunks of a lane's columns, in order.
fn plus_chunks(total: vec4<f32>, local: u32, lanes: u32, chunks: u32) -> Added {
    var sum = total;
    var chunk = 0u;
    while chunk < chunks {
        sum = opaque_columns(sum + partial[chunk * lanes + local]);
        chunk += 1u;
    }
    return Added(sum, is_walked(chunk, chunks));
}
