// The gradient of every chunk of a sorted batch: coefficient * gradient[bag], summed in order of positions.
//
// Grid: a lane owns four columns of one chunk.
// Bindings: 0 table, 1 totals [4], 2 chunks [chunks + 1], 3 positions [indices], 4 occurrences [indices],
//   5 gradient [bags, dim] f32, 6 sums [chunks, dim] f32.
// Host guarantees: the grid has a lane for every chunk that totals may count; bags of occurrences exist.
// A sum is NaN where a factor or a sum on the way is not finite.

@group(0) @binding(1) var<storage, read> totals: vec4<u32>;
@group(0) @binding(2) var<storage, read> chunks: array<u32>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> occurrences: array<Occurrence>;
@group(0) @binding(5) var<storage, read> gradient: array<u32>;
@group(0) @binding(6) var<storage, read_write> sums: array<u32>;

// Whether coefficients are anything but 1.
override SCALED: bool;

@compute @workgroup_size(WORKGROUP)
fn accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let lane = group_number(group) * WORKGROUP + local;
    let lanes = lanes_per_row();
    let chunk = lane / lanes;
    if chunk >= totals.y {
        return;
    }
    let column = lane % lanes * 4u;
    let left = columns_left(column);
    var sum = vec4<f32>();
    var good = vec4<bool>(true, true, true, true);
    for (var slot = chunks[chunk]; slot < chunks[chunk + 1u]; slot++) {
        let occurrence = occurrences[positions[slot]];
        let at = occurrence.bag * table.dim + column;
        for (var i = 0u; i < left; i++) {
            let element = input_bits(gradient[at + i]);
            var term = bitcast<f32>(element);
            if SCALED {
                term = mul_rn(bitcast<f32>(occurrence.coefficient), term);
            }
            let next = add_rn(sum[i], term);
            good[i] = good[i] && is_finite(element) && is_finite(bitcast<u32>(next));
            if SCALED {
                good[i] = good[i] && is_finite(occurrence.coefficient);
            }
            sum[i] = next;
        }
    }
    for (var i = 0u; i < left; i++) {
        sums[chunk * table.dim + column + i] = select(NAN, bitcast<u32>(sum[i]), good[i]);
    }
}
