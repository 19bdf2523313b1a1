// Methods lsq and best: from the best range of the greedy walk, and from others with 0 to 3 parts cut from
// each end; of equals the first.

// How many others: 1, the full range, or all 16.
override STARTS: u32;
// The part of the range that a start cuts off.
override CUT: f32;

// Steps of the grid in the largest value of a row, beyond which nothing is refined: the loss would measure
// how f32 rounds the values, not how the grid fits them.
const MOST_STEPS: f32 = 16384.0;

fn choose(low: f32, high: f32) -> Grid {
    let part = mul_rn(sub_rn(high, low), CUT);
    let first = greedy(low, high);
    var best = refined(first);
    for (var start = 0u; start < STARTS; start++) {
        let start_low = add_rn(low, mul_rn(f32(start / 4u), part));
        let start_high = sub_rn(high, mul_rn(f32(start % 4u), part));
        let found = refined(range_grid(start_low, start_high));
        if found.loss < best.loss {
            best = found;
        }
    }
    if mul_rn(first.scale, MOST_STEPS) < reach(low, high) {
        return first;
    }
    return best.grid;
}
