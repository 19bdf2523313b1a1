// Sums bags of f32 rows [rows, dim], one invocation for every element of the output: as PyTorch's EmbeddingBag does
// it on a GPU.

@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn pool(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let element = invocation(group, local);
    if element >= sizes.bags * sizes.dim {
        return;
    }
    let bag = element / sizes.dim;
    let column = element % sizes.dim;
    let end = offsets[bag + 1u];
    var sum = 0.0;
    for (var position = offsets[bag]; position < end; position += 1u) {
        sum += values[indices[position] * sizes.dim + column];
    }
    output[element] = sum;
}
