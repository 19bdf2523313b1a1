// Rows of any format: decode.wgsl for a table whose format is known when the kernel runs.

const KIND_SYMMETRIC: u32 = 1u;
const KIND_CODEBOOK: u32 = 2u;
const KIND_BLOCKS: u32 = 3u;
const KIND_FLOAT: u32 = 4u;

// What no feature of the batch has is left out of the kernel: codes of affine or symmetric rows of so many bits, signed
// ones, their scales, biases and steps of either type, rows with centroids, floats of so many bits.
override CODES_2: bool;
override CODES_3: bool;
override CODES_4: bool;
override CODES_8: bool;
override SIGNED: bool;
override HEADERS_F16: bool;
override HEADERS_F32: bool;
override CENTROIDS: bool;
override FLOATS_16: bool;
override FLOATS_32: bool;

// How rows are read. In a walk of walk_as() the first three are constants.
var<private> IS_FLOAT: bool;
var<private> HAS_CENTROIDS: bool;
var<private> BITS: u32;
var<private> HEADER_WORDS: u32;
var<private> BF16: bool;

fn enter_format() {
    IS_FLOAT = table.kind == KIND_FLOAT;
    HAS_CENTROIDS = table.kind == KIND_CODEBOOK || table.kind == KIND_BLOCKS;
    BITS = table.bits;
    HEADER_WORDS = table.header_words;
    BF16 = table.is_half == 0u;
}

fn is_float() -> bool {
    return (FLOATS_16 || FLOATS_32) && IS_FLOAT;
}

fn has_centroids() -> bool {
    return CENTROIDS && HAS_CENTROIDS;
}

// Whether rows are such as few tables have: they are read by columns and by one walk for all, because a tile of them is
// much code.
fn is_rare() -> bool {
    return (CENTROIDS || FLOATS_32) && table.is_rare == 1u;
}

// The walk of rows that are read in one way.
fn walk_as(floats: bool, bits: u32, bag: u32, range: vec2<u32>, column: u32, leads: bool) -> Sum {
    IS_FLOAT = floats;
    HAS_CENTROIDS = false;
    BITS = bits;
    return walk_bag(bag, range, column, leads);
}

// Sums a tile of a bag of rows that are not rare, by one of several walks, one for each way. A branch within a walk would
// be taken for every row, and drivers that run both sides of a branch would read each row in every way.
fn tile_sum(bag: u32, range: vec2<u32>, column: u32, leads: bool) -> Sum {
    // A walk changes what these say.
    let floats = IS_FLOAT;
    let bits = BITS;
    var sum = Sum();
    if CODES_2 && !floats && bits == 2u {
        sum = walk_as(false, 2u, bag, range, column, leads);
    }
    if CODES_3 && !floats && bits == 3u {
        sum = walk_as(false, 3u, bag, range, column, leads);
    }
    if CODES_4 && !floats && bits == 4u {
        sum = walk_as(false, 4u, bag, range, column, leads);
    }
    if CODES_8 && !floats && bits == 8u {
        sum = walk_as(false, 8u, bag, range, column, leads);
    }
    if FLOATS_16 && floats {
        sum = walk_as(true, 16u, bag, range, column, leads);
    }
    return sum;
}

struct Levels {
    scale: f32,
    bias: f32,
    // What turns an unsigned code into a signed one; 0 where codes are unsigned.
    half: u32,
    // Where the centroids begin.
    base: u32,
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
    let is_signed = SIGNED && table.kind == KIND_SYMMETRIC;
    let half = select(0u, 1u << (BITS - 1u), is_signed);
    let word = rows[start];
    if HEADERS_F16 && (!HEADERS_F32 || table.is_half == 1u) {
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
