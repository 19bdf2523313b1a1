// Pooling sum and mean. Order of summation: chunks of 64 consecutive indices of the bag, each
// summed in order, then the chunks' sums in order. Each value is opaque before it is added, so that no
// compiler adds its bias to the sum apart.

override MEAN: bool;

const CHUNK: u32 = 64u;

fn opaque_quad(values: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(values) ^ vec4<u32>(table.zero));
}

fn output_quad(bag: u32, quad: u32, leads: bool) -> vec4<f32> {
    let range = bag_range(bag, leads);
    var total = vec4<f32>();
    var position = range.x;
    while position < range.y {
        let stop = min(position + CHUNK, range.y);
        var chunk = vec4<f32>();
        for (; position < stop; position++) {
            if is_row(position, leads) {
                let header = row_header(indices[position]);
                let codes = row_codes(indices[position], quad);
                let values = opaque_quad(header.scale * codes + header.bias);
                if WEIGHTED {
                    chunk += weights[position] * values;
                } else {
                    chunk += values;
                }
            }
        }
        total += chunk;
    }
    if MEAN && range.x < range.y {
        // Division may be off by 2.5 ulp; the exact reciprocal, once a bag, keeps the bound.
        total *= div_rn(1.0, f32(range.y - range.x));
    }
    return total;
}
