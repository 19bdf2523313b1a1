// Codes as they lie in rows that are quantized.

// The word after a row's last.
fn row_end(row: u32) -> u32 {
    return row_start(row) + table.row_words;
}

// The codes of four columns that begin with the low bits of a word.
fn codes_of(word: u32) -> vec4<u32> {
    let shifted = vec4<u32>(word, word >> BITS, word >> (2u * BITS), word >> (3u * BITS));
    return shifted & vec4<u32>((1u << BITS) - 1u);
}

// The codes of four columns from this one on; those past the end of the row mean nothing.
fn packed_codes(row: u32, column: u32) -> vec4<u32> {
    let bit = column * BITS;
    let at = row_start(row) + HEADER_WORDS + bit / 32u;
    let shift = bit % 32u;
    var word = rows[at] >> shift;
    // Four columns may lie in two words.
    if shift + 4u * BITS > 32u && at + 1u < row_end(row) {
        word |= rows[at + 1u] << (32u - shift);
    }
    return codes_of(word);
}

// The codes of eight columns, of four such octets that begin at a column that is a multiple of 32: at the word `first`, or
// the row's last where the row ends before. Each word is loaded once; codes past the end of the row mean nothing.
fn packed_octet(row: u32, column: u32, octet: u32) -> Octet {
    let last = row_end(row) - 1u;
    let first = row_start(row) + HEADER_WORDS + column / 32u * BITS;
    let bit = octet * 8u * BITS;
    let at = min(first + bit / 32u, last);
    let shift = bit % 32u;
    if BITS == 8u {
        return Octet(codes_of(rows[at]), codes_of(rows[min(at + 1u, last)]));
    }
    var word = rows[at] >> shift;
    // Of the widths below 8, eight columns of three bits alone may lie in two words.
    if BITS == 3u && shift > 8u {
        word |= rows[min(at + 1u, last)] << (32u - shift);
    }
    return Octet(codes_of(word), codes_of(word >> (4u * BITS % 32u)));
}
