// The greedy walk: narrows the range from the end that costs less.
// Source: Guan et al. 2019, "Post-Training 4-bit Quantization on Embedding Tables".

// Whether a new best keeps the end that moved alone, as in the paper's pseudo-code.
override PAPER: bool;

fn greedy(full_low: f32, full_high: f32) -> Grid {
    let step = div_rn(sub_rn(full_high, full_low), work.bins);
    let kept = mul_rn(work.kept, step);
    var low = full_low;
    var high = full_high;
    var best_low = full_low;
    var best_high = full_high;
    var least = loss(range_grid(full_low, full_high));
    for (var i = 0u; i < work.most_steps; i++) {
        let walking = add_rn(low, kept) < high;
        if !any_team(walking) {
            break;
        }
        let left = add_rn(low, step);
        let right = sub_rn(high, step);
        let cost = losses(range_grid(left, high), range_grid(low, right));
        if walking {
            let moves_low = cost.x < cost.y;
            low = select(low, left, moves_low);
            high = select(right, high, moves_low);
            let less = select(cost.y, cost.x, moves_low);
            if less < least {
                least = less;
                best_low = select(low, best_low, PAPER && !moves_low);
                best_high = select(high, best_high, PAPER && moves_low);
            }
        }
    }
    return range_grid(best_low, best_high);
}
