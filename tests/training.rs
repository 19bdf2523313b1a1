//! Ring 1: the reference of training against hand-computed literals and PyTorch's formulas in f64. No GPU.

mod common;

use common::table;
use common::training::{
    bags, bits, codes, frozen, gather, nearest, random_table, symmetric, symmetric_format, update,
};
use qembed::reference::{self, LookupArgs, UpdateArgs};
use qembed::training::{
    Batch, Optimizer, Parameters, UpdateSpec, UpdateStatus, UpdateStep, training_formats,
};
use qembed::verify::shapes::Random;
use qembed::{Bits, Format, Header, Params, Pooling};

const Q4H32: Format = Format::Affine {
    bits: Bits::B4,
    params: Params::F32,
};
const Q4H16: Format = Format::affine(Bits::B4);
const S4H32: Format = symmetric_format(Bits::B4, Params::F32);

/// Half a unit of the last place: what one rounding costs, relative to its result.
const U: f64 = f32::EPSILON as f64 / 2.0;

// Gradients.

/// The gradient of every row of a batch, `(row, [dim])`.
fn gradients(batch: &Batch<'_>, gradient: &[f32], dim: usize) -> Vec<(u32, Vec<f32>)> {
    let mut status = UpdateStatus::CLEAR;
    let found = reference::occurrences(batch, 10, &mut status).unwrap();
    assert_eq!(status, UpdateStatus::CLEAR);
    let of = |row: &[reference::Occurrence]| {
        (0..dim)
            .map(|column| reference::gradient_of(row, gradient, (dim, column)).unwrap())
            .collect()
    };
    found.iter().map(|(row, at)| (*row, of(at))).collect()
}

#[test]
fn gradients_of_sums_means_and_weights() {
    // Bag 0 holds rows 1 and 0, bag 1 holds row 1.
    let (indices, offsets): (&[u32], &[u32]) = (&[1, 0, 1], &[0, 2, 3]);
    let gradient = [1.0, 2.0, 10.0, 20.0];
    let sum = bags(Pooling::Sum, indices, offsets);
    let mean = bags(Pooling::Mean, indices, offsets);
    let weights = Some(&[2.0, -1.0, 0.5][..]);
    // Row 1: 1 + 10, 2 + 20.
    let expected = [(0, vec![1.0, 2.0]), (1, vec![11.0, 22.0])];
    assert_eq!(gradients(&sum, &gradient, 2), expected);
    // Row 1: 1/2 + 10, 2/2 + 20.
    let expected = [(0, vec![0.5, 1.0]), (1, vec![10.5, 21.0])];
    assert_eq!(gradients(&mean, &gradient, 2), expected);
    // Row 1: 2 * 1 + 0.5 * 10, 2 * 2 + 0.5 * 20; row 0: -1 * 1, -1 * 2.
    let expected = [(0, vec![-1.0, -2.0]), (1, vec![7.0, 14.0])];
    assert_eq!(gradients(&Batch { weights, ..sum }, &gradient, 2), expected);
    // Row 1: 2/2 * 1 + 0.5/1 * 10; row 0: -1/2 * 1.
    let expected = [(0, vec![-0.5, -1.0]), (1, vec![6.0, 12.0])];
    assert_eq!(
        gradients(&Batch { weights, ..mean }, &gradient, 2),
        expected
    );
    // A gather's bags are its positions.
    let gathered = gather(&[4, 2, 4]);
    let expected = [(2, vec![10.0]), (4, vec![101.0])];
    assert_eq!(gradients(&gathered, &[1.0, 10.0, 100.0], 1), expected);
}

/// The weight is divided by the bag's length, not multiplied by its reciprocal: 5/3 is 0x3fd55555, and five
/// times the rounded third 0x3fd55556. Bad indices stay in the length, as in the lookup.
#[test]
fn a_mean_divides_the_weight() {
    let weights = Some(&[5.0, 5.0, 5.0][..]);
    let mean = bags(Pooling::Mean, &[0, 99, 0], &[0, 3]);
    let mut status = UpdateStatus::CLEAR;
    let batch = Batch { weights, ..mean };
    let found = reference::occurrences(&batch, 10, &mut status).unwrap();
    assert_eq!((status.bad_indices, status.first_position), (1, 1));
    let coefficients: Vec<_> = found[&0].iter().map(|o| o.coefficient.to_bits()).collect();
    assert_eq!(coefficients, [0x3fd5_5555; 2]);
    assert_eq!((5.0 * (1.0f32 / 3.0)).to_bits(), 0x3fd5_5556);
}

/// Chunks of 256 begin where the row's own occurrences begin. After 2^24 each 1 of its chunk is lost (2^24 + 1
/// is a tie, and 2^24 even), so of 511 ones remain those of the second chunk, 256 together.
#[test]
fn chunks_are_summed_before_they_are_added() {
    const BIG: f32 = 16_777_216.0;
    let indices: Vec<u32> = [vec![0; 3], vec![1; 512]].concat();
    let mut gradient = vec![1.0; 515];
    gradient[3] = BIG;
    let expected = [(0, vec![3.0]), (1, vec![BIG + 256.0])];
    assert_eq!(gradients(&gather(&indices), &gradient, 1), expected);
    // The last of a chunk: 255 ones are summed before it and count, 256 after it are a chunk of their own.
    gradient[3] = 1.0;
    gradient[3 + 255] = BIG;
    let expected = [(0, vec![3.0]), (1, vec![BIG + 255.0 + 1.0 + 256.0])];
    assert_eq!(gradients(&gather(&indices), &gradient, 1), expected);
    // The first of the second chunk: it loses the 255 ones of its own.
    gradient[3 + 255] = 1.0;
    gradient[3 + 256] = BIG;
    let expected = [(0, vec![3.0]), (1, vec![BIG + 256.0])];
    assert_eq!(gradients(&gather(&indices), &gradient, 1), expected);
}

#[test]
fn what_is_not_finite_has_no_gradient() {
    let of = |batch: &Batch<'_>, gradient: &[f32]| {
        let found = reference::occurrences(batch, 10, &mut UpdateStatus::CLEAR.clone()).unwrap();
        reference::gradient_of(&found[&0], gradient, (1, 0))
    };
    let twice = gather(&[0, 0]);
    assert_eq!(of(&twice, &[1.0, 2.0]), Some(3.0));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(of(&twice, &[1.0, bad]), None);
        let weights = Some(&[bad, 0.0][..]);
        assert_eq!(of(&Batch { weights, ..twice }, &[1.0, 2.0]), None);
    }
    // A sum that overflows, also where a later term would bring it back.
    assert_eq!(of(&twice, &[f32::MAX, f32::MAX]), None);
    assert_eq!(
        of(&gather(&[0, 0, 0]), &[f32::MAX, f32::MAX, -f32::MAX]),
        None
    );
    // A weight of zero does not hide what is not finite.
    let weights = Some(&[0.0, 1.0][..]);
    assert_eq!(of(&Batch { weights, ..twice }, &[f32::INFINITY, 2.0]), None);
}

// Optimizers.

type Moved = (Vec<f32>, Vec<f32>);

fn advance(optimizer: Optimizer, step: UpdateStep, row: (&[f32], &[f32], &[f32])) -> Option<Moved> {
    let constants = step.constants(optimizer).unwrap();
    reference::advance(optimizer, &constants, row)
}

#[test]
fn every_optimizer_by_hand() {
    let (values, gradient) = ([1.0, -2.0], [0.5, 0.25]);
    let step = nearest(0.5);
    let by_hand = |optimizer, step, gradient: &[f32], state: &[f32]| {
        advance(optimizer, step, (&values, gradient, state)).unwrap()
    };
    // 1 - 0.5 * 0.5, -2 - 0.5 * 0.25
    let moved = by_hand(Optimizer::Sgd, step, &gradient, &[]);
    assert_eq!(moved, (vec![0.75, -2.125], vec![]));
    // With decay the gradient is 0.5 + 0.25 * 1 and 0.25 - 0.25 * 2.
    let decay = UpdateStep {
        weight_decay: 0.25,
        ..step
    };
    let moved = by_hand(Optimizer::Sgd, decay, &gradient, &[]);
    assert_eq!(moved, (vec![1.0 - 0.375, -2.0 + 0.125], vec![]));
    // 0.5 * 1 + 0.5, 0.5 * -1 + 0.25
    let momentum = Optimizer::Momentum { momentum: 0.5 };
    let moved = by_hand(momentum, step, &gradient, &[1.0, -1.0]);
    assert_eq!(moved, (vec![1.0 - 0.5, -2.0 + 0.125], vec![1.0, -0.25]));
    // With decay it is the decayed gradient that is gathered: 0.5 + 0.75, -0.5 - 0.25.
    let moved = by_hand(momentum, decay, &gradient, &[1.0, -1.0]);
    assert_eq!(moved, (vec![1.0 - 0.625, -2.0 + 0.375], vec![1.25, -0.75]));
    // 0 + 0.25 and 0.1875 + 0.0625: both roots are 0.5, and 0.5 with epsilon makes 1.
    let adagrad = Optimizer::Adagrad { epsilon: 0.5 };
    let moved = by_hand(adagrad, step, &gradient, &[0.0, 0.1875]);
    assert_eq!(moved, (vec![0.75, -2.125], vec![0.25, 0.25]));
    // 1.75 + (1 + 0) / 2 = 2.25, its root 1.5, with epsilon 2: directions 0.5 and 0.
    let rowwise = Optimizer::RowwiseAdagrad { epsilon: 0.5 };
    let moved = by_hand(rowwise, step, &[1.0, 0.0], &[1.75]);
    assert_eq!(moved, (vec![0.75, -2.0], vec![2.25]));
}

#[test]
fn adam_by_hand_at_steps_1_and_2() {
    let adam = Optimizer::Adam {
        beta1: 0.5,
        beta2: 0.75,
        epsilon: 1.0,
    };
    // Step 1: m = 0.5 * 1, v = 0.25 * 1; sqrt(v) / sqrt(1 - 0.75) + 1 = 2; 1 - 0.5 / (1 - 0.5) * 0.5 / 2.
    let first = nearest(0.5);
    let (values, state) = advance(adam, first, (&[1.0], &[1.0], &[0.0, 0.0])).unwrap();
    assert_eq!((&values[..], &state[..]), (&[0.75][..], &[0.5, 0.25][..]));
    // Step 2: m = 0.25 + 0.5, v = 0.75 * 0.25 + 0.25 = 0.4375 = 1 - 0.75^2, so that the quotient of the roots
    // is 1; the direction is 0.75 / 2, the rate 0.5 / 0.75 = rn(2/3), and rn(rn(2/3) * 0.375) = 0.25.
    let mut second = first;
    second.key.step = 2;
    let (values, state) = advance(adam, second, (&values, &[1.0], &state)).unwrap();
    assert_eq!((&values[..], &state[..]), (&[0.5][..], &[0.75, 0.4375][..]));
    // The state of a row is all first moments, then all second ones.
    let row: (&[f32], &[f32], &[f32]) = (&[1.0, 0.0], &[1.0, 0.0], &[0.0; 4]);
    let (_, state) = advance(adam, first, row).unwrap();
    assert_eq!(state, [0.5, 0.0, 0.25, 0.0]);
}

/// PyTorch's formulas in f64 from f32 state: new value, and what the roundings of the f32 way may cost it.
///
/// Every operation of the f32 way costs half a unit of its result. First moments may cancel, so their cost
/// is relative to `M = b1 |m| + f1 |g|`; second moments, their roots and the denominator only add, so theirs is
/// relative to themselves. A term of `k` roundings is off by at most `(1 + U)^k - 1 < 1.001 k U`.
/// - SGD: the product, 1 of `lr |g|`.
/// - Momentum: product and sum, 2 of M; the product with the rate 1.
/// - Adagrad: square and sum, 2 of s, 1 of its root, 1 the root, 1 the sum with epsilon, 1 the quotient, 1
///   the product: 5 of `lr |direction|`.
/// - Row-wise: squares, `ceil(dim / 16) + 4` sums, the quotient by dim, the sum with s:
///   `ceil(dim / 16) + 7` of s, half of that of its root, then 4 as above.
/// - Adam: m has 3 of M (constant, product, sum); v has 4 (constant, square, product, sum), so its root 3
///   with its own, 5 with correction and quotient, 6 with epsilon; the quotient 1, the rate 1, the product 1:
///   12 of `lr M / denominator`, since `|m| <= M`.
///
/// The difference from the old value costs one more, of the result.
fn in_f64(
    optimizer: Optimizer,
    (rate, number): (f64, i32),
    (values, gradient, state): (&[f32], &[f32], &[f32]),
) -> Vec<(f64, f64)> {
    let dim = values.len();
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|x| f64::from(*x)).collect() };
    let (values, g, state) = (wide(values), wide(gradient), wide(state));
    let mean_square = g.iter().map(|g| g * g).sum::<f64>() / dim as f64;
    let moved = (0..dim).map(|c| {
        // What is subtracted, and its cost in units of U.
        let (change, cost) = match optimizer {
            Optimizer::Sgd => (rate * g[c], rate * g[c].abs()),
            Optimizer::Momentum { momentum } => {
                let kept = f64::from(momentum) * state[c];
                let magnitude = kept.abs() + g[c].abs();
                (rate * (kept + g[c]), 3.0 * rate * magnitude)
            }
            Optimizer::Adagrad { epsilon } => {
                let root = (state[c] + g[c] * g[c]).sqrt();
                let change = rate * g[c] / (root + f64::from(epsilon));
                (change, 6.0 * change.abs())
            }
            Optimizer::RowwiseAdagrad { epsilon } => {
                let root = (state[0] + mean_square).sqrt();
                let change = rate * g[c] / (root + f64::from(epsilon));
                let roundings = (dim.div_ceil(16) + 7) as f64 / 2.0 + 4.0;
                (change, roundings * change.abs())
            }
            Optimizer::Adam {
                beta1,
                beta2,
                epsilon,
            } => {
                let (b1, b2) = (f64::from(beta1), f64::from(beta2));
                let (kept, fresh) = (b1 * state[c], (1.0 - b1) * g[c]);
                let second = b2 * state[dim + c] + (1.0 - b2) * g[c] * g[c];
                let correction = (1.0 - b2.powi(number)).sqrt();
                let denominator = second.sqrt() / correction + f64::from(epsilon);
                let factor = rate / (1.0 - b1.powi(number)) / denominator;
                let magnitude = kept.abs() + fresh.abs();
                (factor * (kept + fresh), 12.0 * factor * magnitude)
            }
        };
        let value = values[c] - change;
        (value, 1.001 * U * (cost + value.abs()))
    });
    moved.collect()
}

#[test]
fn every_optimizer_is_pytorchs_within_its_roundings() {
    let mut random = Random::new(11);
    for optimizer in Optimizer::ALL {
        for dim in [1, 3, 16, 17, 64, 100] {
            let len = optimizer.state_len(dim as u32) as usize;
            let mut values: Vec<f32> = (0..dim).map(|_| random.signed()).collect();
            let mut state = vec![0.0; len];
            for number in 1..=30 {
                let gradient: Vec<f32> = (0..dim).map(|_| random.signed()).collect();
                let mut step = nearest(0.125);
                step.key.step = number;
                let row = (&values[..], &gradient[..], &state[..]);
                let expected = in_f64(optimizer, (0.125, number as i32), row);
                let (moved, new_state) = advance(optimizer, step, row).unwrap();
                for (column, (value, bound)) in expected.into_iter().enumerate() {
                    let error = (f64::from(moved[column]) - value).abs();
                    let name = optimizer.name();
                    assert!(
                        error <= bound,
                        "{name} dim {dim} step {number}: {error:e} > {bound:e}"
                    );
                }
                (values, state) = (moved, new_state);
            }
        }
    }
}

/// The f64 comparison is sharp enough to see a wrong formula: Adam's epsilon inside of the correction, as
/// in PyTorch's SparseAdam, or the correction of another step.
#[test]
fn the_comparison_sees_another_formula() {
    let adam = Optimizer::Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-3,
    };
    let row: (&[f32], &[f32], &[f32]) = (&[0.5], &[0.25], &[0.125, 0.0625]);
    let mut step = nearest(0.125);
    step.key.step = 3;
    let (moved, _) = advance(adam, step, row).unwrap();
    let misses = |(value, bound): (f64, f64)| (f64::from(moved[0]) - value).abs() > bound;
    assert!(!misses(in_f64(adam, (0.125, 3), row)[0]));
    assert!(misses(in_f64(adam, (0.125, 4), row)[0]));
    let correction = (1.0 - f64::from(0.999f32).powi(3)).sqrt();
    let inside = Optimizer::Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: (1e-3 / correction) as f32,
    };
    assert!(misses(in_f64(inside, (0.125, 3), row)[0]));
}

#[test]
fn what_cannot_be_computed_moves_nothing() {
    let step = nearest(1.0);
    let none = |optimizer, row: (&[f32], &[f32], &[f32])| {
        assert_eq!(advance(optimizer, step, row), None);
    };
    let adagrad = Optimizer::Adagrad { epsilon: 1e-10 };
    for bad in [f32::NAN, f32::INFINITY] {
        none(Optimizer::Sgd, (&[bad], &[1.0], &[]));
        none(Optimizer::Sgd, (&[1.0], &[bad], &[]));
        none(adagrad, (&[1.0], &[1.0], &[bad]));
    }
    none(Optimizer::Sgd, (&[f32::MAX], &[-f32::MAX], &[]));
    // The square overflows, though the row would move by nothing.
    none(adagrad, (&[1.0], &[1e20], &[0.0]));
    // Second moments that stay below zero; one that rises above it counts as what it is then.
    none(adagrad, (&[1.0], &[1.0], &[-2.0]));
    none(
        Optimizer::RowwiseAdagrad { epsilon: 0.5 },
        (&[1.0], &[1.0], &[-2.0]),
    );
    none(Optimizer::ADAM, (&[1.0], &[1.0], &[0.0, -1.0]));
    assert!(advance(adagrad, step, (&[1.0], &[1.0], &[-0.5])).is_some());
    // First moments may be negative.
    assert!(advance(Optimizer::ADAM, step, (&[1.0], &[1.0], &[-1.0, 0.0])).is_some());
    // One column is enough to leave the row alone.
    none(Optimizer::Sgd, (&[1.0, 1.0], &[1.0, f32::NAN], &[]));
}

#[test]
fn subnormal_state_counts_as_zero() {
    let momentum = Optimizer::Momentum { momentum: 0.5 };
    let row: (&[f32], &[f32], &[f32]) = (&[1.0], &[0.0], &[1e-40]);
    assert_eq!(
        advance(momentum, nearest(1.0), row),
        Some((vec![1.0], vec![0.0]))
    );
}

// Headers.

#[test]
fn frozen_headers_clip_at_both_ends() {
    // Values -1, 0.5, 6.5 and 3 less the gradient: -2 is below code 0, 16.5 = 35 steps above 15; 0.75 is 3.5
    // steps, a tie, so 4; 2.5 is 7 steps.
    let mut frozen_table = table(
        Q4H32,
        &[(0.5, -1.0, &[0, 3, 15, 8]), (9.0, 9.0, &[1, 2, 3, 4])],
    );
    let gradient = [1.0, -0.25, -10.0, 0.5];
    let spec = frozen(Q4H32, Optimizer::Sgd);
    let args = ((gather(&[0]), &gradient[..]), (spec, nearest(1.0)));
    let status = update(&mut frozen_table, &mut [], args.0, args.1).unwrap();
    assert_eq!(status, UpdateStatus::CLEAR);
    let expected: &[(f32, f32, &[u32])] = &[(0.5, -1.0, &[0, 4, 15, 7]), (9.0, 9.0, &[1, 2, 3, 4])];
    assert_eq!(frozen_table, table(Q4H32, expected));
    // Symmetric, step 0.5: -4 - 1 = -10 steps, 3.5 + 0.75 = 8.5 steps, 0.25 = half a step, a tie, so 0.
    let mut frozen_table = symmetric(S4H32, &[(0.5, &[-8, 7, 0])]);
    let spec = frozen(S4H32, Optimizer::Sgd);
    let args = (
        (gather(&[0]), &[1.0, -0.75, -0.25][..]),
        (spec, nearest(1.0)),
    );
    update(&mut frozen_table, &mut [], args.0, args.1).unwrap();
    assert_eq!(frozen_table, symmetric(S4H32, &[(0.5, &[-8, 7, 0])]));
}

#[test]
fn refreshed_headers_span_the_new_values() {
    let refresh = |format: Format, row: (f32, f32, &[u32]), gradient: &[f32]| {
        let mut refreshed = table(format, &[row]);
        let spec = UpdateSpec {
            parameters: Parameters::Refreshed,
            ..frozen(format, Optimizer::Sgd)
        };
        let args = ((gather(&[0]), gradient), (spec, nearest(1.0)));
        update(&mut refreshed, &mut [], args.0, args.1).unwrap();
        refreshed
    };
    // New values -2, 0.75, 13 and 2.5: bias -2, scale 15 / 15; 2.75 steps are 3, 4.5 are 4, a tie.
    let gradient = [1.0, -0.25, -6.5, 0.5];
    let got = refresh(Q4H32, (0.5, -1.0, &[0, 3, 15, 8]), &gradient);
    assert_eq!(got, table(Q4H32, &[(1.0, -2.0, &[0, 3, 15, 4])]));
    // The bias is rounded first: -2 - 2^-12 is -2 in f16, the lowest value a little below code 0.
    let gradient = [1.0 + 0.5f32.powi(12), -0.25, -6.5, 0.5];
    let got = refresh(Q4H16, (0.5, -1.0, &[0, 3, 15, 8]), &gradient);
    assert_eq!(got, table(Q4H16, &[(1.0, -2.0, &[0, 3, 15, 4])]));
    // 8 bits with an f32 header: scale 255 / 255.
    let q8 = Format::affine(Bits::B8);
    let got = refresh(q8, (0.5, 0.0, &[0, 200, 7]), &[1.0, -154.0, -0.25]);
    assert_eq!(got, table(q8, &[(1.0, -1.0, &[0, 255, 5])]));
    // A row of one value: scale 0 at 8 bits, 1 elsewhere, and code 0.
    let got = refresh(q8, (0.5, 0.0, &[4, 4]), &[0.5, 0.5]);
    assert_eq!(got, table(q8, &[(0.0, 1.5, &[0, 0])]));
    let got = refresh(Q4H32, (0.5, 0.0, &[4, 4]), &[0.5, 0.5]);
    assert_eq!(got, table(Q4H32, &[(1.0, 1.5, &[0, 0])]));
}

#[test]
fn a_scale_of_zero_has_but_one_code() {
    let mut flat = table(Q4H32, &[(0.0, 1.5, &[7, 3])]);
    let spec = frozen(Q4H32, Optimizer::Sgd);
    let args = ((gather(&[0]), &[1.0, -1.0][..]), (spec, nearest(1.0)));
    update(&mut flat, &mut [], args.0, args.1).unwrap();
    assert_eq!(flat, table(Q4H32, &[(0.0, 1.5, &[0, 0])]));
}

#[test]
fn given_steps_are_stored_and_rounded_to() {
    let give = |format: Format, steps: &[f32]| {
        let mut given = symmetric(format, &[(0.5, &[4, -4, 1]), (0.5, &[4, -4, 1])]);
        let args = UpdateArgs {
            batch: gather(&[1]),
            gradient: &[0.0; 3],
            spec: UpdateSpec {
                parameters: Parameters::Given,
                ..frozen(format, Optimizer::Sgd)
            },
            step: nearest(1.0),
            steps,
        };
        let status = reference::update(&mut given, &mut [], args).unwrap();
        (given, status)
    };
    // Values 2, -2 and 0.5: 8 steps of 0.25 are clipped to 7, -8 are a code, 0.5 is 2 steps.
    let (got, status) = give(S4H32, &[9.0, 0.25]);
    assert_eq!(status, UpdateStatus::CLEAR);
    let expected = symmetric(S4H32, &[(0.5, &[4, -4, 1]), (0.25, &[7, -8, 2])]);
    assert_eq!(got, expected);
    // 0.7 is 0x399a as f16, 0.7001953125: 2 / 0.70... = 2.86 steps, 0.5 / 0.70... = 0.71.
    let s4h16 = symmetric_format(Bits::B4, Params::F16);
    let (got, _) = give(s4h16, &[9.0, 0.7]);
    assert_eq!(got.row_words(1)[0], 0x399a);
    assert_eq!(codes(&got, 1), [3, -3, 1]);
    // No step, and none that f16 holds.
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
        assert_eq!(give(S4H32, &[9.0, bad]).1.bad_rows, 1, "{bad}");
    }
    assert_eq!(give(s4h16, &[9.0, 1e-9]).1.bad_rows, 1);
    assert_eq!(give(s4h16, &[9.0, 1e9]).1.bad_rows, 1);
}

// Weights.

/// The loss is linear in the weights: the difference of two losses is the gradient itself. Against that of
/// f64 lookups: a product, `ceil(dim / 16) + 4` sums and, of a mean, the reciprocal and the product with it.
#[test]
fn gradients_of_weights_are_finite_differences() {
    let mut random = Random::new(5);
    for format in training_formats() {
        let dim = 21;
        let weighted = random_table(format, (7, dim), &mut random);
        let indices: Vec<u32> = (0..12).map(|_| random.below(7)).collect();
        let weights: Vec<f32> = (0..12).map(|_| random.signed()).collect();
        let gradient: Vec<f32> = (0..4 * dim).map(|_| random.signed()).collect();
        for pooling in [Pooling::Sum, Pooling::Mean] {
            let offsets = [0, 5, 5, 6, 12];
            let batch = Batch {
                weights: Some(&weights),
                ..bags(pooling, &indices, &offsets)
            };
            let loss = |weights: &[f32]| -> (f64, f64) {
                let args = LookupArgs {
                    pooling,
                    indices: &indices,
                    offsets: Some(&offsets),
                    weights: Some(weights),
                };
                let pooled = reference::lookup(&weighted, args).unwrap();
                let dot = |output: &[f64], of: fn(f64) -> f64| {
                    let terms = output.iter().zip(&gradient);
                    terms.map(|(x, g)| of(x * f64::from(*g))).sum()
                };
                (dot(&pooled.output, |x| x), dot(&pooled.magnitude, f64::abs))
            };
            let (got, status) = reference::weight_gradient(&weighted, &batch, &gradient).unwrap();
            assert_eq!(status, UpdateStatus::CLEAR);
            let zeros = [0.0; 12];
            for (position, got) in got.iter().enumerate() {
                let mut one = zeros;
                one[position] = 1.0;
                let (expected, magnitude) = loss(&one);
                let roundings = (1 + dim.div_ceil(16) + 4 + 2) as f64;
                let bound = 1.001 * U * roundings * magnitude;
                let error = (f64::from(*got) - expected).abs();
                assert!(error <= bound, "{format} {position}: {error:e} > {bound:e}");
            }
        }
    }
}

#[test]
fn weights_of_bad_indices_and_of_no_bag_have_no_gradient() {
    let weighted = symmetric(S4H32, &[(0.5, &[2, 4])]);
    let batch = bags(Pooling::Sum, &[0, 9, 0, 0], &[1, 3]);
    let (got, status) = reference::weight_gradient(&weighted, &batch, &[1.0, 10.0]).unwrap();
    // 1 * 1 + 2 * 10 at position 2 alone.
    assert_eq!(got, [0.0, 0.0, 21.0, 0.0]);
    assert_eq!((status.bad_indices, status.first_position), (1, 1));
    let (got, _) = reference::weight_gradient(&weighted, &batch, &[1.0, f32::INFINITY]).unwrap();
    assert_eq!(bits(&got), [0, 0, 0x7fc0_0000, 0]);
}

#[test]
fn header_of_affine_rows_is_kept_bit_for_bit() {
    // A subnormal scale counts as zero but is not written as one.
    let header = Header {
        scale: 1e-40,
        bias: -0.0,
    };
    let mut row = table(Q4H32, &[(header.scale, header.bias, &[5])]);
    let spec = frozen(Q4H32, Optimizer::Sgd);
    update(
        &mut row,
        &mut [],
        (gather(&[0]), &[1.0]),
        (spec, nearest(1.0)),
    )
    .unwrap();
    assert_eq!(row.words(), [1e-40f32.to_bits(), (-0.0f32).to_bits(), 0]);
}
