// Reads packed rows: four columns of one row to a lane.

@group(0) @binding(2) var<storage, read> rows: array<u32>;

struct Header {
    scale: f32,
    bias: f32,
}

fn row_header(row: u32) -> Header {
    let base = row * table.row_words;
    if HEADER_WORDS == 1u {
        let halves = rows[base];
        return Header(f16_to_f32(halves & 0xffffu), f16_to_f32(halves >> 16u));
    }
    return Header(bitcast<f32>(input_bits(rows[base])), bitcast<f32>(input_bits(rows[base + 1u])));
}

// The codes of four columns from this one on; those past the end of the row mean nothing.
fn row_codes(row: u32, column: u32) -> vec4<f32> {
    let bit = column * BITS;
    let at = row * table.row_words + HEADER_WORDS + bit / 32u;
    let shift = bit % 32u;
    var word = rows[at] >> shift;
    // Four columns from a multiple of four lie in one word, from elsewhere perhaps in two.
    if shift + 4u * BITS > 32u && at + 1u < (row + 1u) * table.row_words {
        word |= rows[at + 1u] << (32u - shift);
    }
    let shifted = vec4<u32>(word, word >> BITS, word >> (2u * BITS), word >> (3u * BITS));
    return vec4<f32>(shifted & vec4<u32>((1u << BITS) - 1u));
}

// The values of four columns from this one on, bit for bit those of the reference.
fn row_values(row: u32, column: u32) -> vec4<f32> {
    let header = row_header(row);
    let codes = row_codes(row, column);
    return vec4<f32>(
        affine(header.scale, codes.x, header.bias),
        affine(header.scale, codes.y, header.bias),
        affine(header.scale, codes.z, header.bias),
        affine(header.scale, codes.w, header.bias),
    );
}
