// Floats as they lie in rows: f32, a word a column; f16 or bf16, two to a word, the even column in the low half.

// A word of a row; where that is shorter, its last, which means nothing.
fn row_word(row: u32, word: u32) -> u32 {
    return rows[row_start(row) + min(word, table.row_words - 1u)];
}

// BF16: whether a float of 16 bits is the upper half of an f32; else it is an f16.
fn half_value(half: u32) -> f32 {
    if BF16 {
        return bf16_to_f32(half);
    }
    return f16_to_f32(half);
}

// The floats of four columns from this one on as f32, a word each.
fn whole_words(row: u32, column: u32) -> vec4<u32> {
    return vec4<u32>(
        input_bits(row_word(row, column)),
        input_bits(row_word(row, column + 1u)),
        input_bits(row_word(row, column + 2u)),
        input_bits(row_word(row, column + 3u)),
    );
}

// The same, two to a word: four columns lie in two words, from an odd column on in three.
fn half_words(row: u32, column: u32) -> vec4<u32> {
    let word = column / 2u;
    var low = row_word(row, word);
    var high = row_word(row, word + 1u);
    if column % 2u == 1u {
        low = (low >> 16u) | (high << 16u);
        high = (high >> 16u) | (row_word(row, word + 2u) << 16u);
    }
    let values = vec4<f32>(
        half_value(low & 0xffffu),
        half_value(low >> 16u),
        half_value(high & 0xffffu),
        half_value(high >> 16u),
    );
    return bitcast<vec4<u32>>(values);
}

// A float's code is its f32, bit by bit; those of columns past the end of the row mean nothing.
fn float_codes(row: u32, column: u32) -> vec4<u32> {
    if BITS == 32u {
        return whole_words(row, column);
    }
    return half_words(row, column);
}
