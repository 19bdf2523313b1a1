// An f32 gather [indices, dim] out of affine rows, one invocation for every row: as ggml's get_rows does it on
// WebGPU for quantized types. reduce.wgsl follows.

@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> gathered: array<f32>;

@compute @workgroup_size(64)
fn gather(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let position = invocation(group, local);
    if position >= sizes.indices {
        return;
    }
    let base = indices[position] * sizes.row_words;
    let header = unpack2x16float(rows[base]);
    let to = position * sizes.dim;
    var column = 0u;
    for (var at = base + 1u; at < base + sizes.row_words; at += 1u) {
        var word = rows[at];
        let end = min(column + CODES, sizes.dim);
        for (; column < end; column += 1u) {
            gathered[to + column] = header.x * f32(word & MASK) + header.y;
            word >>= BITS;
        }
    }
}
