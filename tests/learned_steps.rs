//! Ring 1: learned step sizes by hand, and a problem that is solved with them. No GPU.

mod common;

use common::training::{
    bags, bits, codes, frozen, gather, nearest, random_table, stochastic, symmetric,
    symmetric_format,
};
use proptest::prelude::*;
use qembed::reference::{self, Ruler, StepArgs, UpdateArgs};
use qembed::training::{
    BadInput, Batch, Boundary, GradientScale, Granularity, LearnedSteps, MIN_STEP, Optimizer,
    TrainingSpec, UpdateStatus, UpdateStep,
};
use qembed::verify::shapes::Random;
use qembed::{Bits, Format, PackedTable, Params, Pooling, cpu};

const S4H32: Format = symmetric_format(Bits::B4, Params::F32);
const S4H16: Format = symmetric_format(Bits::B4, Params::F16);

/// SGD, no scale, one step a row.
const PLAIN: LearnedSteps = LearnedSteps {
    optimizer: Optimizer::Sgd,
    gradient_scale: GradientScale::One,
    weight_decay: 0.0,
    boundary: Boundary::Strict,
    granularity: Granularity::Row,
};

#[test]
fn slopes_at_and_beyond_the_ends() {
    for (bits, low, high) in [
        (Bits::B2, -2.0, 1.0),
        (Bits::B4, -8.0, 7.0),
        (Bits::B8, -128.0, 127.0),
    ] {
        let format = symmetric_format(bits, Params::F32);
        let ruler = Ruler::symmetric(0.5, format).unwrap();
        let slope = |steps: f32, boundary| reference::slope(&ruler, 0.5 * steps, boundary);
        for boundary in [Boundary::Strict, Boundary::Inclusive] {
            // rne(u) - u: 0.25 is above 0, 0.75 below 1, -0.25 below 0; ties go to the even code.
            assert_eq!(slope(0.25, boundary), -0.25);
            assert_eq!(slope(0.75, boundary), 0.25);
            assert_eq!(slope(-0.25, boundary), 0.25);
            assert_eq!(slope(0.5, boundary), -0.5);
            assert_eq!(slope(-0.5, boundary), 0.5);
            assert_eq!(slope(-1.5, boundary), -0.5);
            assert_eq!(slope(0.0, boundary), 0.0);
            // Beyond the ends the stored value is the end times the step.
            assert_eq!(slope(low - 0.25, boundary), low);
            assert_eq!(slope(high + 0.25, boundary), high);
            assert_eq!(slope(-1e9, boundary), low);
            assert_eq!(slope(1e9, boundary), high);
            // Just inside.
            assert_eq!(slope(low + 0.25, boundary), -0.25);
            assert_eq!(slope(high - 0.25, boundary), 0.25);
        }
        // At the ends themselves the two differ.
        assert_eq!(slope(low, Boundary::Strict), 0.0);
        assert_eq!(slope(high, Boundary::Strict), 0.0);
        assert_eq!(slope(low, Boundary::Inclusive), low);
        assert_eq!(slope(high, Boundary::Inclusive), high);
    }
}

/// One step of ALPT on the reference: both gradients, the rate of the steps.
struct Step<'a> {
    batch: Batch<'a>,
    first: &'a [f32],
    second: &'a [f32],
    update: UpdateStep,
    learned: LearnedSteps,
    learning_rate: f32,
}

impl Step<'_> {
    /// The status of both halves.
    fn take(
        &self,
        table: &mut PackedTable,
        state: &mut [f32],
    ) -> (reference::Staged, UpdateStatus, UpdateStatus) {
        let mut args = UpdateArgs {
            batch: self.batch,
            gradient: self.first,
            spec: frozen(table.format(), Optimizer::Sgd),
            step: self.update,
            steps: &[],
        };
        let (staged, first) = reference::stage(table, &mut [], args).unwrap();
        args.gradient = self.second;
        let args = StepArgs {
            update: args,
            learned: self.learned,
            learning_rate: self.learning_rate,
        };
        let second = reference::learn_steps(table, state, &staged, args).unwrap();
        (staged, first, second)
    }
}

#[test]
fn one_step_by_hand() {
    // Row 1, twice in the batch: values 1, -2 and 3.5, less 0.5 * (0.5 + 0), 0 and 0.5 * (-1 - 1): 0.75, -2
    // and 4.5, which are 1.5, -4 and 9 steps of 0.5: slopes rne(1.5) - 1.5 = 0.5, 0, and 7 beyond the end.
    let mut table = symmetric(S4H32, &[(0.25, &[1, 1, 1]), (0.5, &[2, -4, 7])]);
    let before = table.clone();
    let step = Step {
        batch: gather(&[1, 1]),
        first: &[0.5, 0.0, -1.0, 0.0, 0.0, -1.0],
        // Sums 0.5, 8 and -0.25: 0.5 * 0.5 + 8 * 0 - 0.25 * 7 = -1.5.
        second: &[0.25, 4.0, -0.25, 0.25, 4.0, 0.0],
        update: nearest(0.5),
        learned: PLAIN,
        learning_rate: 0.125,
    };
    let (staged, first, second) = step.take(&mut table, &mut []);
    assert_eq!((first, second), (UpdateStatus::CLEAR, UpdateStatus::CLEAR));
    assert_eq!(
        (&staged.rows[..], &staged.ranks[..]),
        (&[1][..], &[0, 0][..])
    );
    assert_eq!(staged.values, [0.75, -2.0, 4.5]);
    // To nearest with the old step: 1.5 is a tie, 9 is clipped.
    assert_eq!(staged.packed, symmetric(S4H32, &[(0.5, &[2, -4, 7])]));
    // 0.5 - 0.125 * -1.5 = 0.6875: 1.09, -2.9 and 6.5454 steps of it.
    assert_eq!(
        table,
        symmetric(S4H32, &[(0.25, &[1, 1, 1]), (0.6875, &[1, -3, 7])])
    );
    // At half the scale half the way: 0.59375, and 0.75 is 1.26 steps, -2 are -3.37, 4.5 are 7.58.
    let mut table = before;
    let learned = LearnedSteps {
        gradient_scale: GradientScale::Fixed(0.5),
        ..PLAIN
    };
    Step { learned, ..step }.take(&mut table, &mut []);
    assert_eq!(table.row(1).step(), Some(0.59375));
    assert_eq!(codes(&table, 1), [1, -3, 7]);
}

/// One step for the table: the rows' gradients are added, and every row is rounded to the new step, those
/// that no batch holds from what they were.
#[test]
fn one_step_for_the_table_by_hand() {
    let mut table = symmetric(S4H32, &[(0.5, &[4, -2]), (0.5, &[1, 7]), (0.5, &[2, 6])]);
    let learned = LearnedSteps {
        granularity: Granularity::Table,
        optimizer: Optimizer::Momentum { momentum: 0.5 },
        ..PLAIN
    };
    let step = Step {
        batch: gather(&[2, 0]),
        // Row 2 to 1.125 and 2, which are 2.25 and 4 steps; row 0 to 2 and -0.875, which are 4 and -1.75.
        first: &[-0.125, 1.0, 0.0, -0.125],
        // Row 2: 2 * -0.25 + 1 * 0; row 0: 1 * 0 + 4 * -0.25: together -1.5.
        second: &[2.0, 1.0, 1.0, 4.0],
        update: nearest(1.0),
        learned,
        learning_rate: 0.25,
    };
    let mut state = [-1.0];
    let (staged, _, status) = step.take(&mut table, &mut state);
    assert_eq!(status, UpdateStatus::CLEAR);
    assert_eq!(
        (&staged.rows[..], &staged.ranks[..]),
        (&[0, 2][..], &[1, 0][..])
    );
    // 0.5 * -1 - 1.5 = -2; 0.5 + 0.25 * 2 = 1. Row 1 was 0.5 and 3.5, both ties.
    assert_eq!(state, [-2.0]);
    let expected = symmetric(S4H32, &[(1.0, &[2, -1]), (1.0, &[0, 4]), (1.0, &[1, 2])]);
    assert_eq!(table, expected);
    // An empty batch learns nothing and touches nothing.
    let empty = Step {
        batch: gather(&[]),
        first: &[],
        second: &[],
        ..step
    };
    empty.take(&mut table, &mut state);
    assert_eq!((state, table), ([-2.0], expected));
}

/// Lanes of 64 segments, then halves. Lane 0 holds 2^24, to which a 1 is lost (2^24 + 1 is a tie, 2^24 even): that
/// of segment 64, and that of lane 32. Then it takes lane 16's 2, 8's 4, 4's 8, and 2's, which is 16 and the 1 of
/// segment 66: 17 on 2^24 + 14 is a tie and makes 2^24 + 32. Last lane 1's, 33 with segment 65: 2^24 + 65 is a
/// tie, and makes 2^24 + 64.
#[test]
fn the_tables_gradient_is_summed_in_its_order() {
    const BIG: f32 = 16_777_216.0;
    let rows = 67;
    // Every value is half a step above 0: slope -0.5.
    let row: &[i32] = &[0];
    let mut table = symmetric(S4H32, &vec![(1.0, row); rows]);
    let indices: Vec<u32> = (0..rows as u32).collect();
    let mut second = vec![-2.0; rows];
    second[0] = -2.0 * BIG;
    let step = Step {
        batch: gather(&indices),
        first: &vec![-0.5; rows],
        second: &second,
        update: nearest(1.0),
        learned: LearnedSteps {
            granularity: Granularity::Table,
            optimizer: Optimizer::Momentum { momentum: 0.0 },
            ..PLAIN
        },
        learning_rate: 0.0,
    };
    let mut state = [0.0];
    step.take(&mut table, &mut state);
    assert_eq!(state, [BIG + 64.0]);
}

#[test]
fn gradient_scales_by_hand() {
    // Four bags of dim 2 at 4 bits: q = 7.
    for (gradient_scale, expected) in [
        (GradientScale::One, 1.0),
        (GradientScale::Dim, (1.0 / 14f64.sqrt()) as f32),
        (GradientScale::BatchDim, (1.0 / 56f64.sqrt()) as f32),
        (GradientScale::Fixed(0.25), 0.25),
        (GradientScale::Fixed(0.0), 0.0),
    ] {
        let mut table = symmetric(S4H32, &[(1.0, &[0, 0])]);
        let mut state = [0.0];
        let step = Step {
            batch: bags(Pooling::Sum, &[0], &[0, 1, 1, 1, 1]),
            // 0.25 steps: slope -0.25, times -4.
            first: &[-0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            second: &[-4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            update: nearest(1.0),
            learned: LearnedSteps {
                optimizer: Optimizer::Momentum { momentum: 0.0 },
                gradient_scale,
                ..PLAIN
            },
            learning_rate: 0.5,
        };
        step.take(&mut table, &mut state);
        assert_eq!(state, [expected]);
        assert_eq!(table.row(0).step(), Some(1.0 - 0.5 * expected));
    }
}

/// The decay joins the gradient after its scale, and is the steps' own: that of the rows is another number.
#[test]
fn steps_decay_by_hand() {
    for (weight_decay, expected) in [(0.0, 0.75), (0.25, 0.625)] {
        let mut table = symmetric(S4H32, &[(1.0, &[0]), (1.0, &[0])]);
        let mut state = [0.0; 2];
        let step = Step {
            batch: gather(&[1]),
            // 0.25 steps: slope -0.25, times -4, times 0.5: 0.5, and 0.25 of a step of 1.
            first: &[-0.25],
            second: &[-4.0],
            update: nearest(1.0),
            learned: LearnedSteps {
                optimizer: Optimizer::Momentum { momentum: 0.0 },
                gradient_scale: GradientScale::Fixed(0.5),
                weight_decay,
                ..PLAIN
            },
            learning_rate: 0.5,
        };
        step.take(&mut table, &mut state);
        assert_eq!(state, [0.0, 0.5 + weight_decay]);
        assert_eq!(table.row(1).step(), Some(expected));
        // Steps of rows that no batch holds do not decay.
        assert_eq!(table.row(0).step(), Some(1.0));
    }
}

#[test]
fn steps_stay_positive() {
    for format in [S4H32, S4H16] {
        let mut table = symmetric(format, &[(0.5, &[1])]);
        let step = Step {
            batch: gather(&[0]),
            // 1.25 steps: slope -0.25; far below zero.
            first: &[-0.125],
            second: &[-4.0],
            update: nearest(1.0),
            learned: PLAIN,
            learning_rate: 100.0,
        };
        let (_, _, status) = step.take(&mut table, &mut []);
        assert_eq!(status, UpdateStatus::CLEAR);
        assert_eq!(table.row(0).step(), Some(MIN_STEP), "{format}");
        assert_eq!(codes(&table, 0), [7]);
    }
}

#[test]
fn f16_steps_are_rounded_before_the_row_is() {
    // 1 + 0.25 * 0.001 is 1 in f16, whose next number is 1 + 2^-10; 1.25 * 0.001 is nearer to 2^-10.
    for (rate, expected) in [(0.001, 1.0), (0.005, 1.0 + 0.5f32.powi(10))] {
        let mut table = symmetric(S4H16, &[(1.0, &[1])]);
        let step = Step {
            batch: gather(&[0]),
            // 1.25 steps: slope -0.25.
            first: &[-0.25],
            second: &[1.0],
            update: nearest(1.0),
            learned: PLAIN,
            learning_rate: rate,
        };
        step.take(&mut table, &mut []);
        assert_eq!(table.row(0).step(), Some(expected));
    }
    // 60000 + 10000 is more than f16 holds: refused, and skipped.
    for bad_input in [BadInput::Refuse, BadInput::Skip] {
        let before = symmetric(S4H16, &[(60000.0, &[0])]);
        let mut table = before.clone();
        let step = Step {
            batch: gather(&[0]),
            first: &[-15000.0],
            second: &[40000.0],
            update: UpdateStep {
                bad_input,
                ..nearest(1.0)
            },
            learned: PLAIN,
            learning_rate: 1.0,
        };
        let (_, _, status) = step.take(&mut table, &mut []);
        assert_eq!((status.bad_rows, status.first_row), (1, 0));
        assert_eq!(table, before);
    }
}

/// A bad gradient of the second half: the batch is refused, or its row stays while the others learn.
#[test]
fn bad_rows_are_refused_or_skipped() {
    for granularity in [Granularity::Row, Granularity::Table] {
        for bad_input in [BadInput::Refuse, BadInput::Skip] {
            let before = symmetric(S4H32, &[(0.5, &[2]), (0.5, &[3]), (0.5, &[4])]);
            let mut table = before.clone();
            let mut state = vec![0.0; 3];
            if granularity == Granularity::Table {
                state.truncate(1);
            }
            let zeros = state.clone();
            let step = Step {
                batch: gather(&[0, 1, 9]),
                first: &[-0.125; 3],
                second: &[f32::NAN, 1.0, f32::NAN],
                update: UpdateStep {
                    bad_input,
                    ..nearest(1.0)
                },
                learned: LearnedSteps {
                    optimizer: Optimizer::Momentum { momentum: 0.5 },
                    granularity,
                    ..PLAIN
                },
                learning_rate: 1.0,
            };
            let (staged, first, status) = step.take(&mut table, &mut state);
            assert_eq!((first.bad_indices, first.first_position), (1, 2));
            assert_eq!(staged.ranks, [0, 1, u32::MAX]);
            assert_eq!((status.bad_rows, status.first_row), (1, 0));
            if bad_input == BadInput::Refuse {
                assert_eq!((&table, &state), (&before, &zeros));
                continue;
            }
            // Row 1: 1.625 are 3.25 steps, slope -0.25, the step 0.75: 2.17 steps of it.
            assert_eq!(
                (table.row(1).step(), codes(&table, 1)),
                (Some(0.75), vec![2])
            );
            // The others stay, or are rounded to the table's step: 1 and 2 are 1.33 and 2.67 of it.
            let others = match granularity {
                Granularity::Row => (Some(0.5), [2, 4]),
                Granularity::Table => (Some(0.75), [1, 3]),
            };
            for (row, code) in [(0, others.1[0]), (2, others.1[1])] {
                assert_eq!(
                    (table.row(row).step(), codes(&table, row)),
                    (others.0, vec![code])
                );
            }
        }
    }
}

/// What the first half could not move is left alone by the second, and counted once.
#[test]
fn rows_that_did_not_move_are_left_alone() {
    let before = symmetric(S4H32, &[(0.5, &[2]), (0.5, &[3])]);
    let mut table = before.clone();
    let step = Step {
        batch: gather(&[0, 1]),
        first: &[f32::NAN, -0.125],
        second: &[1.0, 1.0],
        update: UpdateStep {
            bad_input: BadInput::Skip,
            ..nearest(1.0)
        },
        learned: PLAIN,
        learning_rate: 1.0,
    };
    let (staged, first, second) = step.take(&mut table, &mut []);
    assert_eq!(
        (first.bad_rows, first.first_row, second.bad_rows),
        (1, 0, 0)
    );
    assert_eq!(bits(&staged.values[1..]), bits(&[1.625]));
    // The second forward sees the row as it was.
    assert_eq!(codes(&staged.packed, 0), [2]);
    assert_eq!(table.row_words(0), before.row_words(0));
    assert_ne!(table.row_words(1), before.row_words(1));
}

#[test]
fn lengths_and_formats_are_checked() {
    let mut table = symmetric(S4H32, &[(0.5, &[2, 2])]);
    let args = UpdateArgs {
        batch: gather(&[0]),
        gradient: &[0.5; 2],
        spec: frozen(S4H32, Optimizer::Sgd),
        step: nearest(1.0),
        steps: &[],
    };
    let (staged, _) = reference::stage(&table, &mut [], args).unwrap();
    let mut learn = |gradient: &[f32], state: &mut [f32]| {
        let args = StepArgs {
            update: UpdateArgs { gradient, ..args },
            learned: LearnedSteps::default(),
            learning_rate: 1.0,
        };
        reference::learn_steps(&mut table, state, &staged, args)
            .unwrap_err()
            .to_string()
    };
    let text = "gradient: needed 2 values: 1 bags of dim 2, got 1";
    assert_eq!(learn(&[0.5], &mut [0.0; 2]), text);
    let text = "step_state: needed 2 numbers for adam and 1 rows, got 1";
    assert_eq!(learn(&[0.5; 2], &mut [0.0]), text);
    let affine = Format::affine(Bits::B4);
    let table = random_table(affine, (1, 2), &mut Random::new(1));
    let spec = frozen(affine, Optimizer::Sgd);
    let error = reference::stage(&table, &mut [], UpdateArgs { spec, ..args }).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("learning the steps of q4h16 rows is not")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    /// Neither the order of a batch nor, where the scale does not count it, its company matters to a row and its
    /// step; rows of no batch keep every bit.
    #[test]
    fn a_row_learns_by_itself(
        bits in prop::sample::select(&[Bits::B2, Bits::B4, Bits::B8]),
        params in prop::sample::select(&Params::ALL),
        order in Just((0..9u32).collect::<Vec<_>>()).prop_shuffle(),
        taken in 1usize..9,
        seed in any::<u64>(),
    ) {
        const DIM: usize = 5;
        let mut random = Random::new(seed);
        let before = random_table(symmetric_format(bits, params), (9, DIM), &mut random);
        let gradients: Vec<f32> = (0..2 * 9 * DIM).map(|_| random.signed()).collect();
        let learned = LearnedSteps { optimizer: Optimizer::ADAM, ..PLAIN };
        let learn = |batches: &[&[u32]]| {
            let mut table = before.clone();
            let mut state = vec![0.25; 2 * 9];
            for rows in batches {
                let of = |half: usize| -> Vec<f32> {
                    let at = |row: &u32| gradients[(half * 9 + *row as usize) * DIM..][..DIM].to_vec();
                    rows.iter().flat_map(at).collect()
                };
                let step = Step {
                    batch: gather(rows),
                    first: &of(0),
                    second: &of(1),
                    update: stochastic(0.05),
                    learned,
                    learning_rate: 0.01,
                };
                step.take(&mut table, &mut state);
            }
            (table, state)
        };
        let rows = &order[..taken];
        let mut sorted = rows.to_vec();
        sorted.sort();
        let whole = learn(&[&sorted]);
        prop_assert_eq!(&learn(&[rows]), &whole);
        let (some, others) = rows.split_at(taken / 2);
        prop_assert_eq!(&learn(&[some, others]), &whole);
        for row in &order[taken..] {
            let row = *row as usize;
            prop_assert_eq!(whole.0.row_words(row), before.row_words(row));
            prop_assert_eq!(&whole.1[2 * row..][..2], &[0.25; 2]);
        }
    }
}

// A problem that is solved.

/// Rows of the problem, each of them looked up alone.
const ROWS: usize = 24;
const DIM: usize = 16;

/// Half the squared distance of the table from `target`, and its gradient.
fn loss(values: &[f32], target: &[f32]) -> (f64, Vec<f32>) {
    let gradient: Vec<f32> = values.iter().zip(target).map(|(x, t)| x - t).collect();
    let squares = gradient.iter().map(|g| f64::from(*g).powi(2));
    (squares.sum::<f64>() / 2.0, gradient)
}

/// The step, of a grid finer than two percent, that holds the row with the least error.
fn best_step(row: &[f32]) -> f64 {
    let error = |step: f64| -> f64 {
        let stored = |x: f32| (f64::from(x) / step).round_ties_even().clamp(-8.0, 7.0) * step;
        row.iter()
            .map(|x| (f64::from(*x) - stored(*x)).powi(2))
            .sum()
    };
    let steps = (0..400).map(|at| 0.001 * 1.02f64.powi(at));
    steps
        .min_by(|a, b| error(*a).total_cmp(&error(*b)))
        .unwrap()
}

/// Runs 600 steps of ALPT, rows of zeros whose steps are `factor` times the best ones: the loss of the
/// first step, the mean loss of the last twenty, and the steps.
fn solve(
    (factor, rate): (f64, f32),
    granularity: Granularity,
    target: &[f32],
) -> (f64, f64, Vec<f64>) {
    let best: Vec<f64> = target.chunks(DIM).map(best_step).collect();
    let start = |row: usize| match granularity {
        Granularity::Row => best[row],
        Granularity::Table => best.iter().sum::<f64>() / ROWS as f64,
    };
    let zeros: &[i32] = &[0; DIM];
    let rows: Vec<_> = (0..ROWS)
        .map(|row| ((factor * start(row)) as f32, zeros))
        .collect();
    let learned = LearnedSteps {
        granularity,
        ..LearnedSteps::default()
    };
    let spec = TrainingSpec::alpt(Optimizer::Sgd, learned, 99);
    let mut training = cpu::Training::new(symmetric(S4H32, &rows), spec).unwrap();
    let indices: Vec<u32> = (0..ROWS as u32).collect();
    let batch = gather(&indices);
    let mut losses = vec![];
    for step in 0..600 {
        let (before, gradient) = loss(&training.forward(&batch).unwrap(), target);
        losses.push(before);
        training.backward_stage(&batch, &gradient, 0.1).unwrap();
        let (_, gradient) = loss(&training.forward_staged(&batch).unwrap(), target);
        let rate = if step < 400 { rate } else { rate / 10.0 };
        training.backward_steps(&batch, &gradient, rate).unwrap();
        assert!((0..ROWS).all(|row| training.table().row(row).step().unwrap() > 0.0));
    }
    let steps = (0..ROWS).map(|row| training.table().row(row).step().unwrap().into());
    let last = losses[580..].iter().sum::<f64>() / 20.0;
    (losses[0], last, steps.collect())
}

/// Steps four times too small or too large are learned: in the mean within a tenth of the best ones, or of a
/// table's one step within a factor of two; the loss falls below a tenth, and below half of what it is with
/// the same steps unlearned.
#[test]
fn wrong_steps_are_mended() {
    let target: Vec<f32> = Random::new(8).normals(ROWS * DIM);
    let best: Vec<f64> = target.chunks(DIM).map(best_step).collect();
    for granularity in [Granularity::Row, Granularity::Table] {
        for factor in [0.25, 4.0] {
            let (first, last, steps) = solve((factor, 0.01), granularity, &target);
            let (_, unlearned, still) = solve((factor, 0.0), granularity, &target);
            let distance = |steps: &[f64]| {
                let logarithms = steps.iter().zip(&best).map(|(s, b)| (s / b).ln());
                (logarithms.sum::<f64>() / ROWS as f64).abs()
            };
            let name = format!("{granularity:?} {factor}: {first} {last} {unlearned} {steps:?}");
            assert!(last < 0.1 * first, "{name}");
            assert!(last < 0.5 * unlearned, "{name}");
            let near: f64 = match granularity {
                Granularity::Row => 1.1,
                Granularity::Table => 2.0,
            };
            assert!(distance(&steps) < near.ln(), "{name}");
            assert!(distance(&still) > 3f64.ln(), "{name}");
        }
    }
}
