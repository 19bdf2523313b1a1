// An update in place.

@group(0) @binding(3) var<storage, read_write> rows: array<u32>;

// A segment of a batch that is refused.
fn leave_out(segment: u32) {}

// Stores the header and the words that fall to a lane; a row that is not good stays as it is.
fn store_row(segment: u32, header: NewHeader) {
    if !header.good {
        return;
    }
    let base = row * table.row_words;
    if lane == 0u {
        rows[base] = header.words.x;
        if HEADER_WORDS == 2u {
            rows[base + 1u] = header.words.y;
        }
    }
    for (var word = lane; word < table.row_words - HEADER_WORDS; word += TEAM) {
        rows[base + HEADER_WORDS + word] = packed_word(row, word, header.ruler, hyper.stochastic == 1u);
    }
}
