// The headers of symmetric rows that are written.

struct NewHeader {
    good: bool,
    ruler: Ruler,
    words: vec2<u32>,
}

// The ruler and the header's word of a step as it will be stored; not good where it is not positive and finite.
fn step_header(given: f32) -> NewHeader {
    var step_size = bitcast<f32>(input_bits(bitcast<u32>(given)));
    var word = bitcast<u32>(given);
    if STEP_F16 {
        word = f32_to_f16(given);
        step_size = f16_to_f32(word);
    }
    let bits = bitcast<u32>(step_size);
    let half = f32(1u << (BITS - 1u));
    let good = bits - 1u < EXPONENT - 1u;
    return NewHeader(good, Ruler(step_size, 0.0, negated(half), half - 1.0), vec2<u32>(word, 0u));
}
