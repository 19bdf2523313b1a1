// Scale and bias of a range; the twin of src/reference/quantize/grid.rs.

// What a row is stored with: its header, and the codes that one unit of value makes.
// Not good where the header cannot be stored. Nothing here is ever infinite or NaN, which a compiler
// may assume; whether it would be is decided on integers.
struct Grid {
    good: bool,
    scale: f32,
    bias: f32,
    codes_per_unit: f32,
}

fn max_code() -> f32 {
    return f32((1u << BITS) - 1u);
}

fn magnitude(x: f32) -> u32 {
    return bitcast<u32>(x) & MAGNITUDE;
}

// Whether high - low rounds to infinity: half of it reaches 2^127.
fn span_overflows(low: f32, high: f32) -> bool {
    return magnitude(sub_rn(halved(high), halved(low))) >= 0x7f000000u;
}

// PyTorch's 8-bit operator; f32 header.
fn byte_grid(low: f32, high: f32) -> Grid {
    if span_overflows(low, high) {
        return Grid();
    }
    let span = sub_rn(high, low);
    return Grid(true, div_rn(span, 255.0), low, div_rn(255.0, add_rn(span, 1e-8)));
}

// FBGEMM's n-bit operator, f32 header.
fn nbit_grid_f32(low: f32, high: f32) -> Grid {
    if span_overflows(low, high) {
        return Grid();
    }
    var scale = div_rn(sub_rn(high, low), max_code());
    if magnitude(scale) == 0u {
        scale = 1.0;
    }
    return f32_grid(scale, low);
}

// The reciprocal of a scale beyond 2^126 counts as zero.
fn f32_grid(scale: f32, bias: f32) -> Grid {
    return Grid(magnitude(scale) <= 0x7e800000u, scale, bias, div_rn(1.0, scale));
}

// The same, f16 header: the bias is rounded before the span is taken, and codes use the stored scale.
fn nbit_grid_f16(low: f32, high: f32) -> Grid {
    let bias_half = f32_to_f16(low);
    if (bias_half & 0x7fffu) >= 0x7c00u {
        return Grid();
    }
    let bias = f16_to_f32(bias_half);
    let scale_half = f32_to_f16(div_rn(sub_rn(high, bias), max_code()));
    if (scale_half & 0x7fffu) >= 0x7c00u {
        return Grid();
    }
    var scale = f16_to_f32(scale_half);
    if (scale_half & 0x7fffu) == 0u {
        scale = 1.0;
    }
    return Grid(true, scale, bias, div_rn(1.0, scale));
}

// The grid whose codes span a range.
fn range_grid(low: f32, high: f32) -> Grid {
    if HEADER_WORDS == 1u {
        return nbit_grid_f16(low, high);
    }
    if BITS == 8u {
        return byte_grid(low, high);
    }
    return nbit_grid_f32(low, high);
}
