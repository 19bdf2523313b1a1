// Rows of any format: decode.wgsl for a table whose format is known when the kernel runs.

// Affine and symmetric rows are one kind: scale * code + bias, without a bias where codes are signed.
const KIND_AFFINE: u32 = 0u;
const KIND_SYMMETRIC: u32 = 1u;
const KIND_CODEBOOK: u32 = 2u;
const KIND_BLOCKS: u32 = 3u;
const KIND_FLOAT: u32 = 4u;

// What no feature of the batch has is left out of the kernel.
override CODEBOOKS: bool;
override FLOATS: bool;

struct Levels {
    scale: f32,
    bias: f32,
    // What turns an unsigned code into a signed one; 0 where codes are unsigned.
    half: u32,
    // Where the centroids begin.
    base: u32,
}

fn has_centroids() -> bool {
    return CODEBOOKS && (table.kind == KIND_CODEBOOK || table.kind == KIND_BLOCKS);
}

fn is_float() -> bool {
    return FLOATS && table.kind == KIND_FLOAT;
}

fn codebook_word(at: u32) -> u32 {
    return rows[at];
}

fn centroid_levels(row: u32) -> Levels {
    if table.kind == KIND_CODEBOOK {
        return Levels(0.0, 0.0, 0u, row_start(row));
    }
    let block = block_of(table.first_codebook, row);
    return Levels(0.0, 0.0, 0u, table.first_codebook + block * codebook_words());
}

fn row_levels(row: u32) -> Levels {
    if is_float() {
        return Levels();
    }
    if has_centroids() {
        return centroid_levels(row);
    }
    let start = row_start(row);
    let is_signed = table.kind == KIND_SYMMETRIC;
    let half = select(0u, 1u << (BITS - 1u), is_signed);
    let word = rows[start];
    if table.is_half == 1u {
        let bias = select(f16_to_f32(word >> 16u), 0.0, is_signed);
        return Levels(f16_to_f32(word & 0xffffu), bias, half, 0u);
    }
    // Behind a step of f32 codes begin, which are no bias.
    let bias = input_bits(rows[start + 1u]);
    return Levels(bitcast<f32>(input_bits(word)), select(bitcast<f32>(bias), 0.0, is_signed), half, 0u);
}

fn row_codes(row: u32, column: u32) -> vec4<u32> {
    if is_float() {
        return float_codes(row, column);
    }
    return packed_codes(row, column);
}

fn row_octet(row: u32, column: u32, octet: u32) -> Octet {
    if is_float() {
        let first = column + 8u * octet;
        return Octet(float_codes(row, first), float_codes(row, first + 4u));
    }
    return packed_octet(row, column, octet);
}

// Codes as signed integers become floats in one instruction where unsigned ones take several.
fn numbers(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    let half = vec4<i32>(i32(levels.half));
    return vec4<f32>((bitcast<vec4<i32>>(codes) ^ half) - half);
}

// Values, bit for bit those of the reference: without a bias affine() is symmetric().
fn level_values(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    if is_float() {
        return bitcast<vec4<f32>>(codes);
    }
    if has_centroids() {
        return centroids(levels.base, codes);
    }
    let numbers = numbers(levels, codes);
    return vec4<f32>(
        affine(levels.scale, numbers.x, levels.bias),
        affine(levels.scale, numbers.y, levels.bias),
        affine(levels.scale, numbers.z, levels.bias),
        affine(levels.scale, numbers.w, levels.bias),
    );
}

// The same within the bound of a sum.
fn level_terms(levels: Levels, codes: vec4<u32>) -> vec4<f32> {
    if is_float() {
        return bitcast<vec4<f32>>(codes);
    }
    if has_centroids() {
        return centroids(levels.base, codes);
    }
    return opaque_columns(levels.scale * numbers(levels, codes) + levels.bias);
}
