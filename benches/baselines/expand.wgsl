// A whole table of affine rows to f32 [rows, dim], one invocation for every word of codes: as burn (cubecl) does it
// before it selects rows. f32.wgsl follows.

@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn expand(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = invocation(group, local);
    let words = sizes.row_words - 1u;
    let row = lane / words;
    if row >= sizes.rows {
        return;
    }
    let base = row * sizes.row_words;
    let header = unpack2x16float(rows[base]);
    var word = rows[base + 1u + lane % words];
    let first = lane % words * CODES;
    let end = min(first + CODES, sizes.dim);
    for (var column = first; column < end; column += 1u) {
        values[row * sizes.dim + column] = header.x * f32(word & MASK) + header.y;
        word >>= BITS;
    }
}
