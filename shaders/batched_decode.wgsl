// Rows of any format: decode.wgsl for a table whose format is known when the kernel runs.

// Affine and symmetric rows are one kind: scale * code + bias, without a bias where codes are signed.
const KIND_AFFINE: u32 = 0u;
const KIND_SYMMETRIC: u32 = 1u;
const KIND_CODEBOOK: u32 = 2u;
const KIND_BLOCKS: u32 = 3u;
const KIND_FLOAT: u32 = 4u;

// Classes of formats that are read alike.
const CLASS_PACKED: u32 = 0u;
const CLASS_CENTROIDS: u32 = 1u;
const CLASS_FLOATS: u32 = 2u;

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

var<private> CLASS: u32;
var<private> BITS: u32;
var<private> HEADER_WORDS: u32;
var<private> BF16: bool;

fn class_of(kind: u32) -> u32 {
    if kind == KIND_FLOAT {
        return CLASS_FLOATS;
    }
    return select(CLASS_PACKED, CLASS_CENTROIDS, kind == KIND_CODEBOOK || kind == KIND_BLOCKS);
}

fn enter_format() {
    CLASS = class_of(table.kind);
    BITS = table.bits;
    HEADER_WORDS = table.header_words;
    BF16 = table.is_half == 0u;
}

// Whether rows are such as few tables have, centroids or floats of 32 bits: they are read by columns and by one walk for
// all, because a tile of them is much code.
fn is_rare() -> bool {
    return has_centroids() || (FLOATS_32 && CLASS == CLASS_FLOATS && BITS == 32u);
}

// Sums a tile of a bag by one of several walks, one for each class and width, which are constants there. A branch within
// a walk would be taken for every row, and drivers that run both sides of a branch would read each row in every way.
fn class_sum(bag: u32, range: vec2<u32>, column: u32, leads: bool) -> Sum {
    let format_class = CLASS;
    let bits = BITS;
    var sum = Sum();
    if CODES_2 && format_class == CLASS_PACKED && bits == 2u {
        CLASS = CLASS_PACKED;
        BITS = 2u;
        sum = walk_bag(bag, range, column, leads);
    }
    if CODES_3 && format_class == CLASS_PACKED && bits == 3u {
        CLASS = CLASS_PACKED;
        BITS = 3u;
        sum = walk_bag(bag, range, column, leads);
    }
    if CODES_4 && format_class == CLASS_PACKED && bits == 4u {
        CLASS = CLASS_PACKED;
        BITS = 4u;
        sum = walk_bag(bag, range, column, leads);
    }
    if CODES_8 && format_class == CLASS_PACKED && bits == 8u {
        CLASS = CLASS_PACKED;
        BITS = 8u;
        sum = walk_bag(bag, range, column, leads);
    }
    if FLOATS_16 && format_class == CLASS_FLOATS && bits == 16u {
        CLASS = CLASS_FLOATS;
        BITS = 16u;
        sum = walk_bag(bag, range, column, leads);
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

fn has_centroids() -> bool {
    return CENTROIDS && CLASS == CLASS_CENTROIDS;
}

fn is_float() -> bool {
    return (FLOATS_16 || FLOATS_32) && CLASS == CLASS_FLOATS;
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
