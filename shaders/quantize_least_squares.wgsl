// Least squares: scale and bias fitted to the codes, codes to scale and bias, in turn.

// A grid, what storing the row with it costs, and what a fit to its codes needs.
struct Stand {
    grid: Grid,
    loss: f32,
    distances: f32,
    products: f32,
    codes: u32,
    squared_codes: u32,
}

// The float sums of a stand so far and its integer ones.
struct Terms {
    floats: vec4<f32>,
    integers: vec2<u32>,
}

// The sums so far and the terms of a column, if there is one.
fn add_terms(terms: Terms, column: u32, grid: Grid) -> Terms {
    if column >= columns {
        return terms;
    }
    let x = value(column);
    let distance = sub_rn(x, grid.bias);
    let bits = code(x, grid);
    let floats = vec4<f32>(
        add_rn(terms.floats.x, squared_error(x, grid)),
        add_rn(terms.floats.y, distance),
        add_rn(terms.floats.z, mul_rn(f32(bits), distance)),
        0.0,
    );
    return Terms(floats, terms.integers + vec2<u32>(bits, bits * bits));
}

fn stand(grid: Grid) -> Stand {
    var terms = Terms();
    for (var column = lane; column < columns; column += STEP) {
        terms = add_terms(terms, column, grid);
        terms = add_terms(terms, column + TEAM, grid);
        terms = add_terms(terms, column + 2u * TEAM, grid);
        terms = add_terms(terms, column + 3u * TEAM, grid);
    }
    let total = team_sums(terms.floats);
    let counted = team_counts(terms.integers);
    let cost = select(LARGEST, total.x, grid.good);
    return Stand(grid, cost, total.y, total.z, counted.x, counted.y);
}

// The grid of a scale and a bias, rounded to the header's type.
fn header_grid(scale: f32, bias: f32) -> Grid {
    if bitcast<i32>(scale) <= 0 {
        return Grid();
    }
    if HEADER_WORDS == 2u {
        return f32_grid(scale, bias);
    }
    let scale_half = f32_to_f16(scale);
    let bias_half = f32_to_f16(bias);
    if scale_half == 0u || scale_half >= 0x7c00u || (bias_half & 0x7fffu) >= 0x7c00u {
        return Grid();
    }
    let stored = f16_to_f32(scale_half);
    return Grid(true, stored, f16_to_f32(bias_half), div_rn(1.0, stored));
}

// The scale and bias with the least squares for the codes of a stand; none where all codes are one.
fn fitted(at: Stand) -> Grid {
    let n = integer(table.dim);
    let codes = integer(at.codes);
    let mean_code = div_rn(codes, n);
    let variance = sub_rn(integer(at.squared_codes), mul_rn(codes, mean_code));
    if !at.grid.good || bitcast<i32>(variance) <= 0 {
        return Grid();
    }
    let covariance = sub_rn(at.products, mul_rn(at.distances, mean_code));
    let scale = div_rn(covariance, variance);
    let rest = sub_rn(at.distances, mul_rn(scale, codes));
    return header_grid(scale, add_rn(at.grid.bias, div_rn(rest, n)));
}

// Alternates while the loss falls.
fn refined(start: Grid) -> Stand {
    var best = stand(start);
    var falling = true;
    for (var i = 0u; i < work.iterations; i++) {
        if !any_team(falling) {
            break;
        }
        let next = stand(fitted(best));
        falling = falling && next.loss < best.loss;
        if falling {
            best = next;
        }
    }
    return best;
}
