// An f32 gather [indices, dim] out of affine rows, one invocation for every element: as ONNX Runtime's
// GatherBlockQuantized does it on WebGPU, and MLX but for a lane that takes a word. reduce.wgsl follows.

@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> gathered: array<f32>;

@compute @workgroup_size(64)
fn gather(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let element = invocation(group, local);
    if element >= sizes.indices * sizes.dim {
        return;
    }
    let row = indices[element / sizes.dim];
    if row >= sizes.rows {
        gathered[element] = 0.0;
        return;
    }
    let base = row * sizes.row_words;
    let header = unpack2x16float(rows[base]);
    let bit = element % sizes.dim * BITS;
    let code = (rows[base + 1u + bit / 32u] >> (bit % 32u)) & MASK;
    gathered[element] = header.x * f32(code) + header.y;
}
