// Method gss: golden-section search for a symmetric range; the best tried, the full one included.

const GOLDEN_STEPS: u32 = 20u;
// (sqrt(5) - 1) / 2
const GOLDEN: f32 = 0.618034;

fn symmetric_grid(high: f32) -> Grid {
    return range_grid(negated(high), high);
}

// A golden part of the way from b down to a.
fn lower(a: f32, b: f32) -> f32 {
    return add_rn(b, mul_rn(GOLDEN, sub_rn(a, b)));
}

// A golden part of the way from a up to b.
fn upper(a: f32, b: f32) -> f32 {
    return add_rn(a, mul_rn(GOLDEN, sub_rn(b, a)));
}

fn choose(low: f32, high: f32) -> Grid {
    var a = 0.0;
    var b = reach(low, high);
    var best = b;
    var least = loss(symmetric_grid(b));
    var c = lower(a, b);
    var d = upper(a, b);
    var cost = losses(symmetric_grid(c), symmetric_grid(d));
    if cost.x < least {
        least = cost.x;
        best = c;
    }
    if cost.y < least {
        least = cost.y;
        best = d;
    }
    for (var i = 0u; i < GOLDEN_STEPS; i++) {
        let left = cost.x < cost.y;
        if left {
            b = d;
            d = c;
            c = lower(a, b);
        } else {
            a = c;
            c = d;
            d = upper(a, b);
        }
        let point = select(d, c, left);
        let tried = loss(symmetric_grid(point));
        if tried < least {
            least = tried;
            best = point;
        }
        cost = select(vec2<f32>(cost.y, tried), vec2<f32>(tried, cost.x), left);
    }
    return symmetric_grid(best);
}
