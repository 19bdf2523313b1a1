//! Ring 1: what an update touches, refuses and skips, and what its random bits depend on. No GPU.

mod common;

use common::training::{
    bags, bits, frozen, gather, nearest, random_table, stochastic, symmetric, symmetric_format,
    update,
};
use proptest::prelude::*;
use qembed::philox::RandomKey;
use qembed::reference::{self, UpdateArgs};
use qembed::training::{
    BadInput, Batch, LearnedSteps, Optimizer, Parameters, Rounding, TrainingSpec, UpdateSpec,
    UpdateStatus, UpdateStep,
};
use qembed::verify::shapes::Random;
use qembed::{Bits, Error, Format, PackedTable, Params, Pooling, cpu};

const S4H32: Format = symmetric_format(Bits::B4, Params::F32);
const ROWS: usize = 9;
const DIM: usize = 5;

/// A table with its state and the steps that are given to it, where any are.
#[derive(Clone, Debug, PartialEq)]
struct Trained {
    table: PackedTable,
    state: Vec<f32>,
    steps: Vec<f32>,
    spec: UpdateSpec,
}

impl Trained {
    fn new(spec: UpdateSpec, random: &mut Random) -> Self {
        let table = random_table(spec.format, (ROWS, DIM), random);
        let len = ROWS * spec.optimizer.state_len(DIM as u32) as usize;
        let mut positive = |count: usize| -> Vec<f32> {
            (0..count).map(|_| 0.01 + random.signed().abs()).collect()
        };
        let given = spec.parameters == Parameters::Given;
        Self {
            table,
            state: positive(len),
            steps: positive(if given { ROWS } else { 0 }),
            spec,
        }
    }

    fn update(&mut self, batch: Batch<'_>, gradient: &[f32], step: UpdateStep) -> UpdateStatus {
        let args = UpdateArgs {
            batch,
            gradient,
            spec: self.spec,
            step,
            steps: &self.steps,
        };
        reference::update(&mut self.table, &mut self.state, args).unwrap()
    }

    fn state_of(&self, row: usize) -> Vec<u32> {
        let len = self.state.len() / ROWS;
        bits(&self.state[row * len..][..len])
    }

    /// Whether a row and its state have the same bits here and there.
    fn is_same(&self, other: &Self, row: usize) -> bool {
        self.table.row_words(row) == other.table.row_words(row)
            && self.state_of(row) == other.state_of(row)
    }
}

fn gradient(values: usize, random: &mut Random) -> Vec<f32> {
    (0..values).map(|_| random.signed()).collect()
}

/// `check` for every update that there is.
fn each_update(check: impl Fn(Trained, &mut Random)) {
    let mut random = Random::new(3);
    for spec in UpdateSpec::all() {
        let trained = Trained::new(spec, &mut random);
        check(trained, &mut random);
    }
}

#[test]
fn only_the_rows_of_bags_change() {
    each_update(|before, random| {
        let mut after = before.clone();
        // Rows 0 and 8 are in no bag.
        let batch = bags(Pooling::Mean, &[0, 3, 1, 3, 8], &[1, 2, 2, 4]);
        let gradient = gradient(3 * DIM, random);
        let status = after.update(batch, &gradient, stochastic(0.5));
        assert_eq!(status, UpdateStatus::CLEAR);
        for row in 0..ROWS {
            let changed = !after.is_same(&before, row);
            assert_eq!(
                changed,
                [1, 3].contains(&row),
                "{} row {row}",
                before.spec.label()
            );
        }
    });
}

#[test]
fn empty_batches_change_nothing() {
    each_update(|before, _| {
        let empty = [
            (gather(&[]), 0),
            (bags(Pooling::Sum, &[], &[0]), 0),
            (bags(Pooling::Mean, &[1, 2], &[1, 1, 1]), 2),
        ];
        for (batch, bags) in empty {
            let mut after = before.clone();
            let status = after.update(batch, &vec![1.0; bags * DIM], stochastic(0.5));
            assert_eq!((status, &after), (UpdateStatus::CLEAR, &before));
        }
    });
}

/// What is wrong with a batch of rows 0 to 4 whose second position, or row 1, is bad.
fn bad_batches() -> Vec<(&'static str, [u32; 5], Vec<f32>)> {
    let good = vec![0.125; 5 * DIM];
    let with = |value: f32| {
        let mut gradient = good.clone();
        gradient[DIM + 2] = value;
        gradient
    };
    vec![
        ("index", [0, ROWS as u32, 2, 3, 4], good.clone()),
        ("index", [0, u32::MAX, 2, 3, 4], good.clone()),
        ("row", [0, 1, 2, 3, 4], with(f32::NAN)),
        ("row", [0, 1, 2, 3, 4], with(f32::NEG_INFINITY)),
        // Times the rate, which is 2.
        ("row", [0, 1, 2, 3, 4], with(3e38)),
    ]
}

#[test]
fn bad_indices_and_rows_are_refused_or_skipped() {
    each_update(|before, _| {
        for (what, indices, gradient) in bad_batches() {
            let name = format!("{} {what} {gradient:?}", before.spec.label());
            // A square that overflows, or a rate that lets the value do so.
            let step = stochastic(2.0);
            let mut refused = before.clone();
            let status = refused.update(gather(&indices), &gradient, step);
            assert_eq!(refused, before, "{name}");
            let (indices_at, row_at) = match what {
                "index" => ((1, 1), (0, u32::MAX)),
                _ => ((0, u32::MAX), (1, 1)),
            };
            let got = (status.bad_indices, status.first_position);
            assert_eq!(got, indices_at, "{name}");
            assert_eq!((status.bad_rows, status.first_row), row_at, "{name}");

            let mut skipped = before.clone();
            let bad_input = BadInput::Skip;
            let skip = UpdateStep { bad_input, ..step };
            let same = skipped.update(gather(&indices), &gradient, skip);
            assert_eq!(same, status, "{name}");
            // As if the bad one had not been there.
            let mut without = before.clone();
            let rest = [&gradient[..DIM], &gradient[2 * DIM..]].concat();
            without.update(gather(&[0, 2, 3, 4]), &rest, step);
            assert_eq!(skipped, without, "{name}");
            assert!(!skipped.is_same(&before, 0) && skipped.is_same(&before, 1));
        }
    });
}

#[test]
fn state_that_cannot_be_is_a_bad_row() {
    let with_moments = |optimizer: &Optimizer| match optimizer {
        Optimizer::Sgd => None,
        Optimizer::Momentum { .. } => Some((2, f32::NAN)),
        Optimizer::Adagrad { .. } | Optimizer::Adam { .. } => Some((2, -10.0)),
        Optimizer::RowwiseAdagrad { .. } => Some((0, -10.0)),
    };
    for optimizer in Optimizer::ALL {
        let Some((column, bad)) = with_moments(&optimizer) else {
            continue;
        };
        let mut before = Trained::new(frozen(S4H32, optimizer), &mut Random::new(1));
        let len = before.state.len() / ROWS;
        // Row 1; Adam's second moments are behind its first.
        before.state[2 * len - (len.min(DIM) - column)] = bad;
        for bad_input in [BadInput::Refuse, BadInput::Skip] {
            let mut after = before.clone();
            let step = UpdateStep {
                bad_input,
                ..stochastic(0.125)
            };
            let status = after.update(gather(&[1, 2]), &[0.5; 2 * DIM], step);
            assert_eq!((status.bad_rows, status.first_row), (1, 1), "{optimizer:?}");
            assert!(after.is_same(&before, 1));
            assert_eq!(after.is_same(&before, 2), bad_input == BadInput::Refuse);
        }
    }
}

#[test]
fn values_that_no_header_holds_are_a_bad_row() {
    let format = Format::affine(Bits::B4);
    let spec = UpdateSpec {
        parameters: Parameters::Refreshed,
        ..frozen(format, Optimizer::Sgd)
    };
    let before = Trained::new(spec, &mut Random::new(2));
    let mut after = before.clone();
    // f16 ends at 65504.
    let status = after.update(gather(&[3]), &[1e5; DIM], stochastic(1.0));
    assert_eq!((status.bad_rows, status.first_row), (1, 3));
    assert_eq!(after, before);
    // A frozen header clips them.
    let spec = frozen(format, Optimizer::Sgd);
    let mut clipped = Trained { spec, ..before };
    let status = clipped.update(gather(&[3]), &[1e5; DIM], stochastic(1.0));
    assert_eq!(status, UpdateStatus::CLEAR);
    assert!((0..DIM).all(|column| clipped.table.row(3).code(column) == 0));
}

#[test]
fn bad_bags_are_refused_always() {
    each_update(|before, _| {
        for offsets in [[0, 3, 2, 5], [0, 3, 4, 6], [0, u32::MAX, 4, 5]] {
            for bad_input in [BadInput::Refuse, BadInput::Skip] {
                let step = UpdateStep {
                    bad_input,
                    ..stochastic(0.5)
                };
                let batch = bags(Pooling::Sum, &[0, 1, 2, 3, 4], &offsets);
                let mut after = before.clone();
                let status = after.update(batch, &[0.5; 3 * DIM], step);
                assert!(status.bad_bags > 0 && status.first_bag < 3);
                assert_eq!(after, before);
            }
        }
    });
}

// What the calls of a run say.

fn message<T: std::fmt::Debug>(result: qembed::Result<T>) -> String {
    result.unwrap_err().to_string()
}

fn run(spec: TrainingSpec) -> cpu::Training {
    let table = symmetric(S4H32, &[(0.5, &[1, 2]), (0.25, &[-3, 4])]);
    cpu::Training::new(table, spec).unwrap()
}

#[test]
fn a_run_names_what_is_wrong_and_stays_as_it_was() {
    let mut lpt = run(TrainingSpec::lpt(Optimizer::Sgd, 1));
    let before = lpt.checkpoint().clone();
    let mut update = |batch: Batch<'_>, gradient: &[f32], rate| {
        let message = message(lpt.backward_update(&batch, gradient, rate));
        assert_eq!(lpt.checkpoint(), &before);
        message
    };
    let one = gather(&[0]);
    assert_eq!(
        update(one, &[1.0], 0.5),
        "gradient: needed 2 values: 1 bags of dim 2, got 1"
    );
    assert_eq!(
        update(one, &[1.0; 2], -0.5),
        "learning rate: needed 0e0 to 3.4028235e38, got -0.5"
    );
    assert_eq!(
        update(gather(&[0, 2]), &[1.0; 4], 0.5),
        "indices: position 1 holds 2, the table has 2 rows; remove it or skip indices out of range"
    );
    let text = update(gather(&[0, 1]), &[1.0, 1.0, f32::NAN, 1.0], 0.5);
    assert!(
        text.starts_with("row 1: its gradient, weights, state"),
        "{text}"
    );
    let text = update(bags(Pooling::Sum, &[0, 1], &[0, 2, 1, 3]), &[1.0; 6], 0.5);
    assert!(text.starts_with("offsets: bag 1 spans 2..1; "), "{text}");
    let text = update(bags(Pooling::Max, &[0], &[0, 1]), &[1.0; 2], 0.5);
    assert!(
        text.starts_with("an update through max pooling is not"),
        "{text}"
    );
    let text = update(bags(Pooling::None, &[0], &[0, 1]), &[1.0; 2], 0.5);
    assert_eq!(text, "offsets: needed None for a gather, got offsets");
    let offsets = None;
    let pooled = bags(Pooling::Sum, &[0], &[]);
    let text = "offsets: needed bags + 1 entries, at least one, to pool, got none";
    assert_eq!(update(pooled, &[], 0.5), text);
    assert_eq!(update(Batch { offsets, ..pooled }, &[], 0.5), text);
    let weights = Some(&[1.0, 2.0][..]);
    let text = "weights: needed 1, one for every index, got 2";
    assert_eq!(update(Batch { weights, ..one }, &[1.0; 2], 0.5), text);

    let bad = bags(Pooling::Sum, &[0, 7], &[0, 2]);
    assert!(message(lpt.weight_gradient(&bad, &[1.0; 2])).starts_with("indices: position 1"));
    assert!(message(lpt.weight_gradient(&bad, &[1.0])).starts_with("gradient: "));
    assert!(message(lpt.forward(&bad)).starts_with("indices: position 1"));
}

#[test]
fn a_step_has_its_halves_in_order() {
    let one = gather(&[0]);
    let mut lpt = run(TrainingSpec::lpt(Optimizer::Sgd, 1));
    let text = message(lpt.backward_stage(&one, &[1.0; 2], 0.5));
    assert_eq!(
        text,
        "learning steps in a run without them is not supported: begin it with TrainingSpec::alpt"
    );
    let mut alpt = run(TrainingSpec::alpt(
        Optimizer::Sgd,
        LearnedSteps::default(),
        1,
    ));
    let text =
        "the second half of a step before its first is not supported: call backward_stage first";
    assert_eq!(message(alpt.forward_staged(&one)), text);
    assert_eq!(message(alpt.backward_steps(&one, &[1.0; 2], 0.5)), text);
    alpt.backward_stage(&one, &[1.0; 2], 0.5).unwrap();
    let before = alpt.checkpoint().clone();
    for gradient in [&[1.0; 1][..], &[1.0; 3], &[f32::NAN, 1.0]] {
        assert!(alpt.backward_steps(&one, gradient, 0.5).is_err());
        assert_eq!(alpt.checkpoint(), &before);
    }
    assert!(alpt.backward_steps(&one, &[1.0; 2], f32::NAN).is_err());
    alpt.backward_steps(&one, &[1.0; 2], 0.5).unwrap();
    assert_eq!(alpt.checkpoint().number, 1);
    assert_eq!(message(alpt.backward_steps(&one, &[1.0; 2], 0.5)), text);
}

#[test]
fn a_first_half_that_is_refused_leaves_the_state() {
    let momentum = Optimizer::Momentum { momentum: 0.5 };
    let spec = TrainingSpec::alpt(momentum, LearnedSteps::default(), 1);
    let mut alpt = run(spec);
    let before = alpt.checkpoint().clone();
    let bad: [(&[u32], &[f32]); 2] = [(&[0, 7], &[1.0; 4]), (&[0, 1], &[1.0, 1.0, f32::NAN, 1.0])];
    for (indices, gradient) in bad {
        let batch = gather(indices);
        assert!(alpt.backward_stage(&batch, gradient, 0.5).is_err());
        assert_eq!(alpt.checkpoint(), &before);
        assert!(alpt.forward_staged(&batch).is_err());
    }
    // Skipped, the good row's state goes on and the table stays.
    let bad_input = BadInput::Skip;
    let mut alpt = run(TrainingSpec { bad_input, ..spec });
    alpt.backward_stage(&gather(bad[1].0), bad[1].1, 0.5)
        .unwrap();
    assert_eq!(alpt.checkpoint().state, [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(alpt.table(), &before.table);
}

#[test]
fn runs_that_cannot_be_are_refused_at_their_beginning() {
    let begin = |format: Format, spec: TrainingSpec| {
        let table = random_table(format, (2, 3), &mut Random::new(1));
        cpu::Training::new(table, spec).map(|_| ())
    };
    let lpt = TrainingSpec::lpt(Optimizer::Sgd, 1);
    let alpt = TrainingSpec::alpt(Optimizer::Sgd, LearnedSteps::default(), 1);
    let affine = Format::affine(Bits::B4);
    let text = |format, spec| message(begin(format, spec));
    assert!(text(affine, alpt).starts_with("learning the steps of q4h16 rows is not supported"));
    assert!(text(Format::affine(Bits::B3), lpt).starts_with("training q3h16 rows is not"));
    let with = |parameters| TrainingSpec { parameters, ..lpt };
    assert!(text(affine, with(Parameters::Given)).starts_with("giving steps to affine rows"));
    assert!(text(S4H32, with(Parameters::Given)).starts_with("a run whose steps are given"));
    assert!(text(S4H32, with(Parameters::Refreshed)).starts_with("refreshing the step"));
    begin(affine, with(Parameters::Refreshed)).unwrap();
    let optimizer = Optimizer::Momentum { momentum: 1.0 };
    assert!(text(S4H32, TrainingSpec { optimizer, ..lpt }).starts_with("momentum: "));
    let learned = Some(LearnedSteps {
        optimizer,
        ..LearnedSteps::default()
    });
    assert!(text(S4H32, TrainingSpec { learned, ..lpt }).starts_with("momentum: "));
    let weight_decay = f32::INFINITY;
    assert!(
        text(
            S4H32,
            TrainingSpec {
                weight_decay,
                ..lpt
            }
        )
        .starts_with("weight decay: ")
    );
    for step in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
        let table = symmetric(S4H32, &[(1.0, &[1]), (step, &[1])]);
        let error = cpu::Training::new(table, lpt).unwrap_err();
        assert!(matches!(error, Error::Step { row: 1, .. }), "{error}");
    }
    let mut run = run(alpt).checkpoint().clone();
    run.step_state.pop();
    let text = message(cpu::Training::resume(run.clone()).map(|_| ()));
    assert_eq!(text, "step_state: needed 4 numbers, got 3");
    run.state.push(0.0);
    let text = message(cpu::Training::resume(run).map(|_| ()));
    assert_eq!(text, "state: needed 0 numbers, got 1");
}

#[test]
fn the_last_step_number_is_the_end() {
    let mut last = run(TrainingSpec::lpt(Optimizer::ADAM, 1))
        .checkpoint()
        .clone();
    last.number = u32::MAX - 1;
    let mut run = cpu::Training::resume(last).unwrap();
    run.backward_update(&gather(&[0]), &[1.0; 2], 0.5).unwrap();
    let text = message(run.backward_update(&gather(&[0]), &[1.0; 2], 0.5));
    assert!(text.starts_with("step number: "), "{text}");
}

// Random bits.

/// Draws of one step of one run.
const KEY: RandomKey = RandomKey {
    seed: 0x0123_4567_89ab_cdef,
    table: 3,
    step: 17,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Neither the order of a batch nor its company matters to a row: a shuffled batch, and the rows one after
    /// another in batches of their own, give the same bits.
    #[test]
    fn a_row_is_rounded_by_itself(
        spec in prop::sample::select(UpdateSpec::all().collect::<Vec<_>>()),
        order in Just((0..ROWS as u32).collect::<Vec<_>>()).prop_shuffle(),
        taken in 1..ROWS,
        seed in any::<u64>(),
    ) {
        let mut random = Random::new(seed);
        let before = Trained::new(spec, &mut random);
        let gradients = gradient(ROWS * DIM, &mut random);
        let of = |rows: &[u32]| -> Vec<f32> {
            rows.iter().flat_map(|row| gradients[*row as usize * DIM..][..DIM].to_vec()).collect()
        };
        let step = UpdateStep { key: KEY, ..stochastic(0.1) };
        let mut sorted = order[..taken].to_vec();
        sorted.sort();
        let mut whole = before.clone();
        whole.update(gather(&sorted), &of(&sorted), step);
        let mut shuffled = before.clone();
        shuffled.update(gather(&order[..taken]), &of(&order[..taken]), step);
        prop_assert_eq!(&shuffled, &whole);
        let mut split = before.clone();
        let (some, others) = order[..taken].split_at(taken / 2);
        split.update(gather(some), &of(some), step);
        split.update(gather(others), &of(others), step);
        prop_assert_eq!(&split, &whole);
    }

    /// A permutation of duplicates moves the sum by roundings of sums alone, because the terms are the same:
    /// at most `min(n, 256) - 1` sums in a chunk and one for every further chunk, each `U` of the terms'
    /// magnitude, on either side.
    #[test]
    fn duplicates_in_another_order(count in 1usize..1200, seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let gradients = gradient(count, &mut random);
        let weights = gradient(count, &mut random);
        let indices = vec![0; count];
        let sum = |gradients: &[f32], weights: &[f32]| {
            let batch = Batch { weights: Some(weights), ..gather(&indices) };
            let found = reference::occurrences(&batch, 1, &mut UpdateStatus::CLEAR.clone()).unwrap();
            f64::from(reference::gradient_of(&found[&0], gradients, (1, 0)).unwrap())
        };
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            order.swap(at, random.below(at as u32 + 1) as usize);
        }
        let permuted = |values: &[f32]| -> Vec<f32> { order.iter().map(|at| values[*at]).collect() };
        let difference = sum(&gradients, &weights) - sum(&permuted(&gradients), &permuted(&weights));
        let terms = gradients.iter().zip(&weights).map(|(g, w)| f64::from((g * w).abs()));
        let sums = (count.min(256) - 1 + count.div_ceil(256) - 1) as f64;
        let unit = f64::from(f32::EPSILON) / 2.0;
        let bound = 2.0 * 1.001 * sums * unit * terms.sum::<f64>();
        prop_assert!(difference.abs() <= bound, "{difference:e} > {bound:e}");
    }

    /// A rate of zero without decay keeps every value that a symmetric row already holds: rounded to nearest
    /// always; stochastically where `step * code` needs no rounding, which an f16 step (11 bits, and 8 of the
    /// code) never does. Of a rounded product the quotient may lie a unit beside its code.
    #[test]
    fn values_on_the_grid_stay(
        spec in prop::sample::select(UpdateSpec::all().filter(|spec| {
            spec.parameters == Parameters::Frozen && matches!(spec.format, Format::Symmetric { .. })
        }).collect::<Vec<_>>()),
        seed in any::<u64>(),
    ) {
        let mut random = Random::new(seed);
        let before = Trained::new(spec, &mut random);
        let rows: Vec<u32> = (0..ROWS as u32).collect();
        let gradients = gradient(ROWS * DIM, &mut random);
        for step in [nearest(0.0), stochastic(0.0)] {
            if step.rounding == Rounding::Stochastic && spec.format.params().unwrap() == Params::F32 {
                continue;
            }
            let mut after = before.clone();
            after.update(gather(&rows), &gradients, step);
            prop_assert_eq!(after.table, before.table.clone());
        }
    }
}

#[test]
fn another_seed_table_or_step_draws_other_bits() {
    let spec = frozen(symmetric_format(Bits::B8, Params::F32), Optimizer::Sgd);
    let before = Trained::new(spec, &mut Random::new(4));
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let codes = |key: RandomKey| {
        let mut after = before.clone();
        // A tenth of the smallest step or less: nothing but the draws decides.
        let step = UpdateStep {
            key,
            ..stochastic(0.001)
        };
        let gradients = gradient(ROWS * DIM, &mut Random::new(5));
        after.update(gather(&rows), &gradients, step);
        after.table
    };
    let all = [
        codes(KEY),
        codes(RandomKey { seed: 1, ..KEY }),
        codes(RandomKey {
            seed: KEY.seed ^ 1 << 63,
            ..KEY
        }),
        codes(RandomKey { table: 4, ..KEY }),
        codes(RandomKey { step: 18, ..KEY }),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| other != one), "{at}");
    }
    assert_eq!(codes(KEY), codes(KEY));
}

#[test]
fn a_spec_is_that_of_its_table() {
    let mut table = random_table(S4H32, (2, 3), &mut Random::new(1));
    let other = frozen(symmetric_format(Bits::B8, Params::F32), Optimizer::Sgd);
    let batch = (gather(&[0]), &[1.0; 3][..]);
    let error = update(&mut table, &mut [], batch, (other, nearest(1.0))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: needed s8h32 rows (the spec's), got s4h32 rows"
    );
    let momentum = frozen(S4H32, Optimizer::Momentum { momentum: 0.5 });
    let error = update(&mut table, &mut [], batch, (momentum, nearest(1.0))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "state: needed 6 numbers: 2 rows, 3 each for momentum, got 0"
    );
    let args = UpdateArgs {
        batch: batch.0,
        gradient: batch.1,
        spec: UpdateSpec {
            parameters: Parameters::Given,
            ..frozen(S4H32, Optimizer::Sgd)
        },
        step: nearest(1.0),
        steps: &[1.0],
    };
    let error = reference::update(&mut table, &mut [], args).unwrap_err();
    assert_eq!(
        error.to_string(),
        "steps: needed 2 (given parameters), got 1"
    );
}
