// The headers of affine rows in an update: frozen, or refreshed.

override REFRESHED: bool;

// What a row is stored with: its ruler, and the words of its header.
struct NewHeader {
    good: bool,
    ruler: Ruler,
    words: vec2<u32>,
}

fn new_header(row: u32, low: f32, high: f32) -> NewHeader {
    var levels = row_levels(row);
    var words = vec2<u32>(rows[row * table.row_words], 0u);
    if HEADER_WORDS == 2u {
        words.y = rows[row * table.row_words + 1u];
    }
    var good = true;
    if REFRESHED {
        let grid = range_grid(low, high);
        good = grid.good;
        words = vec2<u32>(bitcast<u32>(grid.scale), bitcast<u32>(grid.bias));
        levels = Levels(bitcast<f32>(input_bits(words.x)), bitcast<f32>(input_bits(words.y)));
        if HEADER_WORDS == 1u {
            words.x = f32_to_f16(grid.scale) | (f32_to_f16(grid.bias) << 16u);
        }
    }
    let max_code = f32((1u << BITS) - 1u);
    return NewHeader(good, Ruler(levels.scale, levels.bias, 0.0, max_code), words);
}
