//! One step of an optimizer.

use super::exact;
use crate::training::{Optimizer, OptimizerConstants};

/// A row's new values and state; `None` where any number on the way is not finite, or a new second moment is
/// negative.
///
/// `state` is the row's [`Optimizer::state_len`] numbers, `gradient` one number a column.
pub fn advance(
    optimizer: Optimizer,
    constants: &OptimizerConstants,
    (values, gradient, state): (&[f32], &[f32], &[f32]),
) -> Option<(Vec<f32>, Vec<f32>)> {
    let dim = values.len();
    let decayed: Vec<f32> = (0..dim)
        .map(|column| {
            let decay = exact::mul(constants.weight_decay, values[column]);
            exact::add(gradient[column], decay)
        })
        .collect();
    let state: Vec<f32> = state.iter().map(|&x| exact::input(x)).collect();
    let mut new_state = state.clone();
    let mut directions = Vec::with_capacity(dim);
    match optimizer {
        Optimizer::Sgd => directions.clone_from(&decayed),
        Optimizer::Momentum { .. } => {
            for column in 0..dim {
                let kept = exact::mul(constants.decay1, state[column]);
                new_state[column] = exact::add(kept, decayed[column]);
            }
            directions.clone_from(&new_state);
        }
        Optimizer::Adagrad { .. } => {
            for column in 0..dim {
                let square = exact::squared(decayed[column]);
                new_state[column] = exact::add(state[column], square);
                directions.push(normalized(decayed[column], new_state[column], constants));
            }
        }
        Optimizer::RowwiseAdagrad { .. } => {
            let squares = exact::sum16(decayed.iter().map(|&g| exact::squared(g)));
            let mean = exact::div(squares, exact::integer(dim as u32));
            new_state[0] = exact::add(state[0], mean);
            directions.extend(
                decayed
                    .iter()
                    .map(|&g| normalized(g, new_state[0], constants)),
            );
        }
        Optimizer::Adam { .. } => {
            let (first, second) = (&state[..dim], &state[dim..]);
            for column in 0..dim {
                let g = decayed[column];
                let mean = exact::add(
                    exact::mul(constants.decay1, first[column]),
                    exact::mul(constants.fresh1, g),
                );
                let square = exact::add(
                    exact::mul(constants.decay2, second[column]),
                    exact::mul(constants.fresh2, exact::squared(g)),
                );
                new_state[column] = mean;
                new_state[dim + column] = square;
                directions.push(normalized(mean, square, constants));
            }
        }
    }
    let moved: Vec<f32> = (0..dim)
        .map(|column| {
            let step = exact::mul(constants.learning_rate, directions[column]);
            exact::sub(values[column], step)
        })
        .collect();
    let second_moments = match optimizer {
        Optimizer::Sgd | Optimizer::Momentum { .. } => &[],
        Optimizer::Adagrad { .. } | Optimizer::RowwiseAdagrad { .. } => &new_state[..],
        Optimizer::Adam { .. } => &new_state[dim..],
    };
    let finite = [values, &decayed, &state, &new_state, &directions, &moved]
        .iter()
        .all(|numbers| numbers.iter().all(|x| x.is_finite()));
    let sound = finite && second_moments.iter().all(|&x| x >= 0.0);
    sound.then_some((moved, new_state))
}

/// `x / (sqrt(square) / correction + epsilon)`; the correction is 1 but in Adam.
fn normalized(x: f32, square: f32, constants: &OptimizerConstants) -> f32 {
    let root = exact::div(exact::sqrt(square), constants.correction);
    exact::div(x, exact::add(root, constants.epsilon))
}
