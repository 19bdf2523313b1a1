// Pooling sum and mean. Order of summation: chunks of 64 consecutive indices of the bag, each
// summed in order, then the chunks' sums in order. Values and sums are opaque, so that no compiler adds
// a value's bias apart or takes the additions in another order.

const CHUNK: u32 = 64u;

// The sum so far, and one row's values, weighted where the variant is.
fn plus_row(sum: vec4<f32>, levels: Levels, codes: vec4<u32>, weight: f32) -> vec4<f32> {
    let values = level_terms(levels, codes);
    if WEIGHTED {
        return opaque_columns(sum + weight * values);
    }
    return opaque_columns(sum + values);
}

fn weight_at(position: u32) -> f32 {
    if WEIGHTED {
        return weights[position];
    }
    return 1.0;
}

// What a bag's sum is multiplied by. Division may be off by 2.5 ulp; the exact reciprocal, once a bag, keeps the bound.
fn pooled_share(range: vec2<u32>) -> f32 {
    if MEAN && range.x < range.y {
        return div_rn(1.0, f32(range.y - range.x));
    }
    return 1.0;
}
