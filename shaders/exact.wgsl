// Arithmetic with one result on every device; the twin of src/reference/exact.rs.
//
// Compilers may fuse a product into the sum that takes it, reassociate, divide to 2.5 ulp and flush
// subnormals. So every product here passes through an integer operation that cannot be folded
// (table.zero), division and f16 are done in integers, and subnormals count as zero.
// A kernel that promises bits does all its float arithmetic through this file; ring 2 of the tests
// walks the code for any that does not.

const EXPONENT: u32 = 0x7f800000u;
const MAGNITUDE: u32 = 0x7fffffffu;
const SIGN: u32 = 0x80000000u;
const NAN: u32 = 0x7fc00000u;

// x, in a form that no later operation can be merged with.
fn opaque(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ table.zero);
}

// An input: a subnormal becomes a zero of its sign.
fn input_bits(bits: u32) -> u32 {
    return select(bits, bits & SIGN, (bits & EXPONENT) == 0u);
}

// A result: what is below the normals becomes +0.
fn flush(x: f32) -> f32 {
    return select(x, 0.0, (bitcast<u32>(x) & EXPONENT) == 0u);
}

fn is_nan(bits: u32) -> bool {
    return (bits & MAGNITUDE) > EXPONENT;
}

fn is_finite(bits: u32) -> bool {
    return (bits & EXPONENT) != EXPONENT;
}

// a + b. Exact where it is subnormal, so that flushing loses nothing to rounding.
fn add_rn(a: f32, b: f32) -> f32 {
    return flush(opaque(a) + opaque(b));
}

fn sub_rn(a: f32, b: f32) -> f32 {
    return add_rn(a, -b);
}

// -a, a zero's sign included, which an implementation may ignore.
fn negated(a: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(a) ^ SIGN);
}

// a * b, rounded as if the exponent had no lower end, then flushed.
// Small products are computed 2^64 times larger, where no device flushes or loses bits.
fn mul_rn(a: f32, b: f32) -> f32 {
    let product = opaque(a * b);
    let a_is_smaller = abs(a) < abs(b);
    let small = select(b, a, a_is_smaller);
    let large = select(a, b, a_is_smaller);
    let lifted = opaque(opaque(small * 0x1p64f) * large);
    let settled = select(product, lifted * 0x1p-64f, abs(lifted) < 1.0);
    return select(settled, 0.0, abs(lifted) < 0x1p-62f);
}

// a / b by long division, rounded to nearest even, then flushed.
// a is finite or infinite, not NaN; b is finite and not zero; neither is subnormal.
fn div_rn(a: f32, b: f32) -> f32 {
    let x = bitcast<u32>(a);
    let y = bitcast<u32>(b);
    let sign = (x ^ y) & SIGN;
    if !is_finite(x) {
        return bitcast<f32>(sign | EXPONENT);
    }
    if (x & EXPONENT) == 0u {
        return 0.0;
    }
    var dividend = (x & 0x7fffffu) | 0x800000u;
    let divisor = (y & 0x7fffffu) | 0x800000u;
    var exponent = i32((x & EXPONENT) >> 23u) - i32((y & EXPONENT) >> 23u) + 127;
    if dividend < divisor {
        dividend = dividend << 1u;
        exponent -= 1;
    }
    // One bit before the point, then 24 behind it: 24 bits of result and one to round by.
    // Three digits of 8 bits, without a loop: see STEP in lookup_bags.wgsl.
    let first = (dividend - divisor) << 8u;
    let second = (first % divisor) << 8u;
    let third = (second % divisor) << 8u;
    let remainder = third % divisor;
    var quotient = (1u << 24u)
        | ((first / divisor) << 16u)
        | ((second / divisor) << 8u)
        | (third / divisor);
    let half = quotient & 1u;
    quotient = quotient >> 1u;
    if half == 1u && (remainder != 0u || (quotient & 1u) == 1u) {
        quotient += 1u;
    }
    if quotient == 0x1000000u {
        quotient = 0x800000u;
        exponent += 1;
    }
    if exponent <= 0 {
        return 0.0;
    }
    if exponent >= 255 {
        return bitcast<f32>(sign | EXPONENT);
    }
    return bitcast<f32>(sign | (u32(exponent) << 23u) | (quotient & 0x7fffffu));
}

// x / 2, exact; what is no longer normal becomes 0.
fn halved(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    return bitcast<f32>(select(0u, bits - 0x00800000u, (bits & EXPONENT) > 0x00800000u));
}

// A square root so far: what of the radicand is left, what remains, and the digits.
struct RootDigits {
    radicand: u32,
    rest: u32,
    root: u32,
}

fn next_digit(digits: RootDigits) -> RootDigits {
    let rest = (digits.rest << 2u) | (digits.radicand >> 30u);
    let trial = (digits.root << 2u) | 1u;
    let fits = rest >= trial;
    return RootDigits(
        digits.radicand << 2u,
        select(rest, rest - trial, fits),
        (digits.root << 1u) | select(0u, 1u, fits),
    );
}

// sqrt(x) by its binary digits, rounded to nearest even. x is finite, not negative, no subnormal.
fn sqrt_rn(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    if bits == 0u {
        return 0.0;
    }
    var exponent = i32(bits >> 23u) - 127;
    // The radicand's first 25 bits, the top two next; 25 more are zeros.
    var radicand = ((bits & 0x7fffffu) | 0x800000u) << 7u;
    if (exponent & 1) == 1 {
        radicand = radicand << 1u;
        exponent -= 1;
    }
    var digits = RootDigits(radicand, 0u, 0u);
    // Five to an iteration: some drivers count a lane's iterations.
    for (var digit = 0u; digit < 25u; digit += 5u) {
        digits = next_digit(next_digit(next_digit(next_digit(next_digit(digits)))));
    }
    let root = digits.root;
    // The last digit rounds; it cannot be a tie, whose square would have 50 bits.
    let rounded = (root >> 1u) + (root & 1u);
    return bitcast<f32>((u32(exponent / 2 + 127) << 23u) + rounded - 0x800000u);
}

// x * x; zero where it would be below the normals.
fn squared(x: f32) -> f32 {
    return select(opaque(x * x), 0.0, abs(x) < 0x1p-63f);
}

// An integer, rounded to nearest even: conversions may round either way.
fn integer(x: u32) -> f32 {
    return add_rn(f32(x >> 16u) * 65536.0, f32(x & 0xffffu));
}

// The code of a value as a float. What a subnormal product loses does not matter: it rounds to 0.
fn code_of(x: f32, bias: f32, codes_per_unit: f32, max_code: f32) -> f32 {
    return round(clamp(opaque(sub_rn(x, bias) * codes_per_unit), 0.0, max_code));
}

// The nearest code of a value in steps, of two the even one, as a float. The step is positive.
fn signed_code_of(x: f32, step: f32, least: f32, most: f32) -> f32 {
    return round(clamp(div_rn(x, step), least, most));
}

// The f16 in the low half of a word, in f32; exact.
fn f16_to_f32(half: u32) -> f32 {
    let magnitude = half & 0x7fffu;
    let sign = (half & 0x8000u) << 16u;
    var bits = (magnitude << 13u) + (112u << 23u);
    if magnitude >= 0x7c00u {
        bits = EXPONENT | (magnitude << 13u);
    } else if magnitude < 0x400u {
        // Subnormal: an integer times 2^-24, both exact.
        bits = bitcast<u32>(f32(magnitude) * 0x1p-24f);
    }
    return bitcast<f32>(sign | bits);
}

// f32 to f16 in the low half of a word, to nearest even; subnormals, infinities, one NaN.
fn f32_to_f16(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let magnitude = bits & MAGNITUDE;
    let sign = (bits & SIGN) >> 16u;
    if magnitude > EXPONENT {
        return sign | 0x7e00u;
    }
    if magnitude >= 0x47800000u {
        return sign | 0x7c00u;
    }
    if magnitude >= 0x38800000u {
        let rebased = magnitude - (112u << 23u);
        return sign | ((rebased + 0xfffu + ((rebased >> 13u) & 1u)) >> 13u);
    }
    if magnitude <= 0x33000000u {
        return sign;
    }
    let mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    let shift = 126u - (magnitude >> 23u);
    let kept = mantissa >> shift;
    let rest = mantissa & ((1u << shift) - 1u);
    let half = 1u << (shift - 1u);
    return sign | (kept + select(0u, 1u, rest > half || (rest == half && (kept & 1u) == 1u)));
}

// The bf16 in the low half of a word, in f32: its upper half. A subnormal becomes a zero of its sign.
fn bf16_to_f32(half: u32) -> f32 {
    return bitcast<f32>(input_bits(half << 16u));
}

// Bits of a finite f32 to a bf16 in the low half of a word, to nearest even; subnormals, infinities.
fn f32_to_bf16(bits: u32) -> u32 {
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

// An unsigned integer that orders as the float does, -0 below +0; NaN, made positive, above all.
fn ordered(bits: u32) -> u32 {
    let image = select(bits, NAN, is_nan(bits));
    return select(image | SIGN, ~image, (image & SIGN) != 0u);
}

// The float that ordered() made this from.
fn unordered(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & MAGNITUDE, (key & SIGN) != 0u));
}

// rn(rn(scale * code) + bias). A code is an integer and the scale no subnormal, so the product is
// zero or no smaller than the scale: nothing here needs mul_rn.
fn affine(scale: f32, code: f32, bias: f32) -> f32 {
    return flush(opaque(scale * code) + bias);
}

// rn(step * code), +0 where the code is 0. No mul_rn either, as in affine().
fn symmetric(step: f32, code: f32) -> f32 {
    return flush(opaque(step * code));
}

// Four values, in a form that no later operation can be merged with.
fn opaque_columns(values: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(values) ^ vec4<u32>(table.zero));
}
