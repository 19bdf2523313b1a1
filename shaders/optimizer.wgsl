// One step of an optimizer for one number; the twin of src/reference/update/optimizer.rs.

// 0 SGD, 1 momentum, 2 Adagrad, 3 row-wise Adagrad, 4 Adam.
override OPTIMIZER: u32;
const MOMENTUM: u32 = 1u;
const ADAGRAD: u32 = 2u;
const ROWWISE_ADAGRAD: u32 = 3u;
const ADAM: u32 = 4u;

// The numbers of one step, written by the caller; see shader::HyperUniform.
struct Hyper {
    learning_rate: f32,
    weight_decay: f32,
    decay1: f32,
    fresh1: f32,
    decay2: f32,
    fresh2: f32,
    correction: f32,
    epsilon: f32,
    seed_low: u32,
    seed_high: u32,
    table: u32,
    number: u32,
    // 1 stochastic, 0 nearest.
    stochastic: u32,
    gradient_scale: f32,
    // 1 where values at the ends of the codes' range count as clipped.
    inclusive: u32,
    pad: u32,
}

// A number and its moments; not good where anything on the way is not finite or a second moment is negative.
struct Moved {
    value: f32,
    first: f32,
    second: f32,
    good: bool,
}

fn are_finite(a: f32, b: f32) -> bool {
    return is_finite(bitcast<u32>(a)) && is_finite(bitcast<u32>(b));
}

// x / (sqrt(square) / correction + epsilon)
fn normalized(x: f32, square: f32) -> f32 {
    var root = sqrt_rn(square);
    if OPTIMIZER == ADAM {
        root = div_rn(root, hyper.correction);
    }
    return div_rn(x, add_rn(root, hyper.epsilon));
}

// The gradient with its weight decay.
fn decayed(value: f32, gradient: f32) -> f32 {
    return add_rn(gradient, mul_rn(hyper.weight_decay, value));
}

// `gradient` is decayed; `first` and `second` are the moments as they were, the second of row-wise Adagrad as
// it will be.
fn moved(value: f32, gradient: f32, first: f32, second: f32) -> Moved {
    var result = Moved(value, first, second, true);
    var direction = gradient;
    if OPTIMIZER == MOMENTUM {
        result.first = add_rn(mul_rn(hyper.decay1, first), gradient);
        direction = result.first;
    }
    if OPTIMIZER == ADAGRAD {
        result.second = add_rn(second, squared(gradient));
    }
    if OPTIMIZER == ADAM {
        result.first = add_rn(mul_rn(hyper.decay1, first), mul_rn(hyper.fresh1, gradient));
        let fresh = mul_rn(hyper.fresh2, squared(gradient));
        result.second = add_rn(mul_rn(hyper.decay2, second), fresh);
        direction = result.first;
    }
    let sound = are_finite(value, gradient)
        && are_finite(first, second)
        && are_finite(result.first, result.second);
    // Whatever is not sound goes no further: division and root take finite numbers.
    let positive = bitcast<u32>(result.second) < SIGN;
    result.good = sound && positive;
    if OPTIMIZER >= ADAGRAD && result.good {
        direction = normalized(direction, result.second);
    }
    if result.good {
        result.value = sub_rn(value, mul_rn(hyper.learning_rate, direction));
        result.good = are_finite(direction, result.value);
    }
    return result;
}
