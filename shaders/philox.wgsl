// Philox 4x32-10; the twin of src/philox.rs.
// Source: Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.

// The high word of a product, from products of halves.
fn high_word(a: u32, b: u32) -> u32 {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let middle = a_high * b_low + ((a_low * b_low) >> 16u);
    let carried = a_low * b_high + (middle & 0xffffu);
    return a_high * b_high + (middle >> 16u) + (carried >> 16u);
}

fn philox4x32_10(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var state = counter;
    var round_key = key;
    for (var i = 0u; i < 10u; i++) {
        let even = high_word(0xd2511f53u, state.x);
        let odd = high_word(0xcd9e8d57u, state.z);
        state = vec4<u32>(
            odd ^ state.y ^ round_key.x,
            0xcd9e8d57u * state.z,
            even ^ state.w ^ round_key.y,
            0xd2511f53u * state.x,
        );
        round_key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return state;
}
