// Learned steps: the gradient of a row's step, and the optimizer of steps. The twin of src/reference/steps.rs.
//
// Bindings that its kernels share: 0 table, 1 work, 2 hyper (of the steps' optimizer), 3 rows, 4 segments,
//   5 totals, 6 sums [chunks, dim] (of the second gradient), 7 state (of the steps), 8 status, 9 moved
//   [chunks, dim] (the new values, where update.wgsl left them).

@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(7) var<storage, read_write> state: array<u32>;
@group(0) @binding(9) var<storage, read> moved_values: array<u32>;

// Whether the row keeps its values, as rows that no batch touches do where the table has one step.
var<private> keeps_values: bool;

// What a stored value gains where its step grows by one.
fn slope(value: f32, ruler: Ruler) -> f32 {
    let steps = bitcast<u32>(div_rn(value, ruler.step));
    // Infinities too, which no float operation is to see.
    if (steps & MAGNITUDE) >= 0x47800000u {
        return select(ruler.high, ruler.low, steps >= SIGN);
    }
    let number = bitcast<f32>(steps);
    let inclusive = hyper.inclusive == 1u;
    if number < ruler.low || (inclusive && number == ruler.low) {
        return ruler.low;
    }
    if number > ruler.high || (inclusive && number == ruler.high) {
        return ruler.high;
    }
    return sub_rn(round(number), number);
}

fn new_value(column: u32) -> f32 {
    if keeps_values {
        return row_values(row, column / 4u * 4u)[column % 4u];
    }
    return bitcast<f32>(moved_values[values_at + column]);
}

// Stores the words that fall to a lane; each reads no other word of the row.
fn store_words(ruler: Ruler) {
    let base = row * table.row_words + HEADER_WORDS;
    for (var word = lane; word < table.row_words - HEADER_WORDS; word += TEAM) {
        rows[base + word] = packed_word(row, word, ruler, hyper.stochastic == 1u);
    }
}

// Whether the first half updated the team's row; one that it could not is left alone without another word.
fn is_moved() -> bool {
    return columns > 0u && is_finite(moved_values[values_at]);
}

// The bits of the gradient of the step of the team's row; not finite where it has none.
fn step_gradient(mine: bool) -> u32 {
    var partial = vec4<f32>();
    var bad = 0u;
    var ruler = Ruler(1.0, 0.0, 0.0, 0.0);
    if mine {
        let header = step_header(row_step(row));
        ruler = header.ruler;
        bad = select(1u, 0u, header.good);
    }
    if mine && bad == 0u {
        for (var column = 4u * lane; column < columns; column += 4u * TEAM) {
            for (var i = 0u; i < columns_left(column); i++) {
                let sum = sums[values_at + column + i];
                bad |= select(1u, 0u, is_finite(sum));
                if is_finite(sum) {
                    let term = mul_rn(bitcast<f32>(sum), slope(new_value(column + i), ruler));
                    partial[i] = add_rn(partial[i], term);
                }
            }
        }
    }
    let total = mul_rn(team_sum16(partial), hyper.gradient_scale);
    let flags = team_range(vec3<u32>(0u, 0u, bad));
    return select(bitcast<u32>(total), NAN, flags.z != 0u);
}

// Steps stay positive: the smallest is 2^-24, the smallest positive f16.
const MIN_STEP: f32 = 0x1p-24f;

// A step, its state and its gradient, one step on. `at` is where its state begins.
fn moved_step(old: f32, gradient: f32, at: u32) -> Moved {
    var first = 0.0;
    var second = 0.0;
    if OPTIMIZER == MOMENTUM || OPTIMIZER == ADAM {
        first = bitcast<f32>(input_bits(state[at]));
    }
    if OPTIMIZER == ADAGRAD {
        second = bitcast<f32>(input_bits(state[at]));
    }
    if OPTIMIZER == ADAM {
        second = bitcast<f32>(input_bits(state[at + 1u]));
    }
    var result = moved(old, decayed(old, gradient), first, second);
    if result.good && !(result.value > MIN_STEP) {
        result.value = MIN_STEP;
    }
    return result;
}

// Where the state of the step of a row begins.
fn step_state_at(row: u32) -> u32 {
    return select(row, 2u * row, OPTIMIZER == ADAM);
}

fn store_step_state(at: u32, result: Moved) {
    if OPTIMIZER == MOMENTUM || OPTIMIZER == ADAM {
        state[at] = bitcast<u32>(result.first);
    }
    if OPTIMIZER == ADAGRAD {
        state[at] = bitcast<u32>(result.second);
    }
    if OPTIMIZER == ADAM {
        state[at + 1u] = bitcast<u32>(result.second);
    }
}
