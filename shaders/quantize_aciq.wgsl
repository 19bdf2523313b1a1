// Method aciq: analytical clipping around the mean.
// Source: Banner et al. 2018, "Post training 4-bit quantization of convolution networks for
// rapid-deployment"; the constants are those of src/method/constants.rs.

// Deviations that a normal and a Laplace distribution are clipped at, and the errors that this
// promises in units of their squares.
override NORMAL_CLIP: f32;
override NORMAL_ERROR: f32;
override LAPLACE_CLIP: f32;
override LAPLACE_ERROR: f32;

fn choose(low: f32, high: f32) -> Grid {
    let n = integer(table.dim);
    var terms = vec4<f32>();
    for (var column = lane; column < columns; column += TEAM) {
        terms.x = add_rn(terms.x, value(column));
    }
    let mean = div_rn(team_sums(terms).x, n);
    terms = vec4<f32>();
    for (var column = lane; column < columns; column += TEAM) {
        let distance = sub_rn(value(column), mean);
        terms.x = add_rn(terms.x, squared(distance));
        terms.y = add_rn(terms.y, abs(distance));
    }
    let total = team_sums(terms);
    // One value has no deviation; such a row is not searched.
    let variance = div_rn(total.x, integer(max(table.dim, 2u) - 1u));
    let deviation = div_rn(total.y, n);
    let normal_error = mul_rn(NORMAL_ERROR, variance);
    let laplace_error = mul_rn(LAPLACE_ERROR, squared(deviation));
    var reach = mul_rn(LAPLACE_CLIP, deviation);
    if normal_error < laplace_error {
        reach = mul_rn(NORMAL_CLIP, sqrt_rn(variance));
    }
    let clipped_low = sub_rn(mean, reach);
    let clipped_high = add_rn(mean, reach);
    return range_grid(
        select(low, clipped_low, clipped_low > low),
        select(high, clipped_high, clipped_high < high),
    );
}
