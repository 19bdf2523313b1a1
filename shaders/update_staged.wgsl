// The first half of learning steps: the table stays as it is, the new rows go to scratch, rounded to nearest with
// their old steps.

@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(9) var<storage, read_write> staged: array<u32>;

// A segment of a batch that is refused: the second half, whose status may be another, must find no new values.
fn leave_out(segment: u32) {
    if segment < totals.x && may_store() && lane == 0u {
        sums[segments[segment].y * table.dim] = NAN;
    }
}

// A row that is not good is staged as it is, and its new values become NaN.
fn store_row(segment: u32, header: NewHeader) {
    let base = segment * table.row_words;
    if lane == 0u {
        staged[base] = rows[row * table.row_words];
    }
    for (var word = lane; word < table.row_words - HEADER_WORDS; word += TEAM) {
        var packed = rows[row * table.row_words + HEADER_WORDS + word];
        if header.good {
            packed = packed_word(row, word, header.ruler, false);
        }
        staged[base + HEADER_WORDS + word] = packed;
    }
    if !header.good {
        for (var column = lane; column < table.dim; column += TEAM) {
            sums[values_at + column] = NAN;
        }
    }
}
