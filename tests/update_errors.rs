//! Ring 4, training: what the calls of a run refuse on the GPU and on the CPU alike, and that a call that fails
//! leaves table, state and step number as they were.

mod common;

use common::gpu;
use common::training::{bags, gather, symmetric, symmetric_format};
use qembed::training::{
    BadInput, Batch, Checkpoint, GradientScale, LearnedSteps, Optimizer, Parameters, TrainingSpec,
    UpdateStatus,
};
use qembed::{Bits, Error, Format, Method, PackedTable, Params, Pooling, Result, Training, cpu};

const S8: Format = symmetric_format(Bits::B8, Params::F32);
const ADAM: TrainingSpec = TrainingSpec::lpt(Optimizer::ADAM, 7);

fn alpt() -> TrainingSpec {
    TrainingSpec::alpt(Optimizer::ADAM, LearnedSteps::default(), 7)
}

/// Four rows of three columns.
fn table() -> PackedTable {
    let rows: [(f32, &[i32]); 4] = [
        (0.5, &[1, 2, 3]),
        (0.25, &[-1, 0, 100]),
        (0.125, &[5, 5, 5]),
        (2.0, &[-128, 127, 0]),
    ];
    symmetric(S8, &rows)
}

/// A run on either device.
enum Run {
    Gpu(Box<Training<'static>>),
    Cpu(Box<cpu::Training>),
}

/// The same call on whichever device the run is on.
macro_rules! on {
    ($run:expr, $training:ident => $call:expr) => {
        match $run {
            Run::Gpu($training) => $call,
            Run::Cpu($training) => $call,
        }
    };
}

impl Run {
    fn checkpoint(&self) -> Checkpoint {
        match self {
            Self::Gpu(training) => training.checkpoint().unwrap(),
            Self::Cpu(training) => training.checkpoint().clone(),
        }
    }

    fn update(&mut self, batch: &Batch<'_>, gradient: &[f32], rate: f32) -> Result<UpdateStatus> {
        on!(self, training => training.backward_update(batch, gradient, rate))
    }

    fn stage(&mut self, batch: &Batch<'_>, gradient: &[f32], rate: f32) -> Result<UpdateStatus> {
        on!(self, training => training.backward_stage(batch, gradient, rate))
    }

    fn steps(&mut self, batch: &Batch<'_>, gradient: &[f32], rate: f32) -> Result<UpdateStatus> {
        on!(self, training => training.backward_steps(batch, gradient, rate))
    }

    fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        on!(self, training => training.forward(batch))
    }

    fn forward_staged(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        on!(self, training => training.forward_staged(batch))
    }

    fn weigh(&mut self, batch: &Batch<'_>, gradient: &[f32]) -> Result<Vec<f32>> {
        on!(self, training => training.weight_gradient(batch, gradient))
    }
}

/// The run begun on each device, or how it was refused.
fn begin(start: &Checkpoint) -> Vec<Result<Run>> {
    let run = cpu::Training::resume(start.clone());
    let mut runs = vec![run.map(|run| Run::Cpu(Box::new(run)))];
    if let Some(session) = gpu() {
        let run = session.resume(start);
        runs.push(run.map(|run| Run::Gpu(Box::new(run))));
    }
    runs
}

/// A run in its second step, on each device.
fn on_each(spec: TrainingSpec, check: impl Fn(&mut Run)) {
    let start = Checkpoint::start(table(), spec);
    for run in begin(&start) {
        let mut run = run.unwrap();
        run.update(&gather(&[1, 3, 1]), &[0.5; 9], 0.1).unwrap();
        assert_eq!(run.checkpoint().number, 1);
        check(&mut run);
    }
}

/// Checks that a call is refused with these words and changes nothing.
fn refused<T: std::fmt::Debug>(
    run: &mut Run,
    text: &str,
    call: impl FnOnce(&mut Run) -> Result<T>,
) {
    let before = run.checkpoint();
    let error = call(run).unwrap_err().to_string();
    assert!(error.starts_with(text), "{error}\nexpected {text}");
    assert_eq!(run.checkpoint(), before, "{text}");
}

/// What no batch may be, for every call that takes a gradient.
fn for_each_call(
    spec: TrainingSpec,
    check: impl Fn(&mut Run, &str, &dyn Fn(&mut Run, &Batch<'_>, &[f32]) -> Result<()>),
) {
    on_each(spec, |run| {
        check(run, "update", &|run, batch, gradient| {
            run.update(batch, gradient, 0.1).map(drop)
        });
        check(run, "weigh", &|run, batch, gradient| {
            run.weigh(batch, gradient).map(drop)
        });
        if spec.learned.is_some() {
            check(run, "stage", &|run, batch, gradient| {
                run.stage(batch, gradient, 0.1).map(drop)
            });
        }
    });
}

#[test]
fn lengths_that_do_not_fit() {
    for spec in [ADAM, alpt()] {
        for_each_call(spec, |run, _, call| {
            for len in [0, 5, 7] {
                let text = format!("gradient: needed 6 values: 2 bags of dim 3, got {len}");
                let gradient = vec![0.5; len];
                refused(run, &text, |run| call(run, &gather(&[0, 1]), &gradient));
                let pooled = bags(Pooling::Sum, &[0, 1, 2], &[0, 1, 3]);
                refused(run, &text, |run| call(run, &pooled, &gradient));
            }
            let weighted = Batch {
                weights: Some(&[1.0]),
                ..gather(&[0, 1])
            };
            refused(
                run,
                "weights: needed 2, one for every index, got 1",
                |run| call(run, &weighted, &[0.5; 6]),
            );
            let offsets = Batch {
                offsets: Some(&[0, 2]),
                ..gather(&[0, 1])
            };
            refused(
                run,
                "offsets: needed None for a gather, got offsets",
                |run| call(run, &offsets, &[0.5; 3]),
            );
            for offsets in [None, Some(&[][..])] {
                let batch = Batch {
                    offsets,
                    ..bags(Pooling::Mean, &[0, 1], &[])
                };
                refused(run, "offsets: needed bags + 1 entries", |run| {
                    call(run, &batch, &[])
                });
            }
            let max = bags(Pooling::Max, &[0, 1], &[0, 2]);
            refused(
                run,
                "an update through max pooling is not supported",
                |run| call(run, &max, &[0.5; 3]),
            );
        });
    }
}

#[test]
fn offsets_that_do_not_delimit_bags() {
    for bad_input in [BadInput::Refuse, BadInput::Skip] {
        for spec in [ADAM, alpt()] {
            for_each_call(TrainingSpec { bad_input, ..spec }, |run, _, call| {
                let decreasing = bags(Pooling::Sum, &[0, 1, 2], &[0, 2, 1, 3]);
                refused(run, "offsets: bag 1 spans 2..1;", |run| {
                    call(run, &decreasing, &[0.5; 9])
                });
                let long = bags(Pooling::Mean, &[0, 1, 2], &[0, 1, 4]);
                refused(run, "offsets: bag 1 spans 1..4;", |run| {
                    call(run, &long, &[0.5; 6])
                });
                let nothing = bags(Pooling::Mean, &[], &[0, 0, 1]);
                refused(run, "offsets: bag 1 spans 0..1;", |run| {
                    call(run, &nothing, &[0.5; 6])
                });
            });
        }
    }
}

#[test]
fn indices_that_are_no_rows() {
    for spec in [ADAM, alpt()] {
        for_each_call(spec, |run, _, call| {
            for index in [4, u32::MAX] {
                let text = format!("indices: position 1 holds {index}, the table has 4 rows");
                refused(run, &text, |run| {
                    call(run, &gather(&[0, index, 2]), &[0.5; 9])
                });
                let pooled = [0, index, 9];
                let pooled = bags(Pooling::Sum, &pooled, &[0, 0, 3]);
                refused(run, &text, |run| call(run, &pooled, &[0.5; 6]));
            }
        });
    }
    on_each(ADAM, |run| {
        refused(run, "indices: position 0 holds 4,", |run| {
            run.forward(&gather(&[4]))
        });
    });
}

#[test]
fn indices_that_are_skipped_are_counted() {
    let skip = TrainingSpec {
        bad_input: BadInput::Skip,
        ..alpt()
    };
    on_each(skip, |run| {
        let before = run.checkpoint();
        let batch = gather(&[4, 0, u32::MAX]);
        let expected = UpdateStatus {
            bad_indices: 2,
            first_position: 0,
            ..UpdateStatus::CLEAR
        };
        assert_eq!(run.update(&batch, &[0.5; 9], 20.0).unwrap(), expected);
        let after = run.checkpoint();
        assert_ne!(after.table.row_words(0), before.table.row_words(0));
        for row in 1..4 {
            assert_eq!(after.table.row_words(row), before.table.row_words(row));
        }
        assert_eq!(run.weigh(&batch, &[0.5; 9]).unwrap()[0].to_bits(), 0);
        // Both halves of a step tell them.
        assert_eq!(run.stage(&batch, &[0.5; 9], 0.1).unwrap(), expected);
        assert_eq!(run.forward_staged(&batch).unwrap()[..3], [0.0; 3]);
        assert_eq!(run.steps(&batch, &[0.5; 9], 0.1).unwrap(), expected);
        assert_eq!(run.checkpoint().number, 3);
    });
}

/// A number that is not finite in the gradient of row 2, in its weight, or in what row 3 becomes.
#[test]
fn rows_that_cannot_be_updated() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut gradient = [0.5; 9];
        gradient[4] = bad;
        let weights = [1.0, bad, 1.0];
        let weighted = Batch {
            weights: Some(&weights),
            ..gather(&[0, 2, 3])
        };
        let text = "row 2: its gradient, weights, state or new values are not finite";
        on_each(ADAM, |run| {
            refused(run, text, |run| {
                run.update(&gather(&[0, 2, 3]), &gradient, 0.1)
            });
            refused(run, text, |run| run.update(&weighted, &[0.5; 9], 0.1));
        });
        on_each(alpt(), |run| {
            refused(run, text, |run| {
                run.stage(&gather(&[0, 2, 3]), &gradient, 0.1)
            });
            refused(run, text, |run| run.stage(&weighted, &[0.5; 9], 0.1));
        });
        for spec in [ADAM, alpt()] {
            let skip = TrainingSpec {
                bad_input: BadInput::Skip,
                ..spec
            };
            on_each(skip, |run| {
                let before = run.checkpoint();
                let status = run.update(&gather(&[0, 2, 3]), &gradient, 20.0).unwrap();
                assert_eq!((status.bad_rows, status.first_row), (1, 2));
                let after = run.checkpoint();
                for (row, same) in [(0, false), (1, true), (2, true), (3, false)] {
                    let [old, new] = [&before, &after].map(|run| run.table.row_words(row).to_vec());
                    assert_eq!(old == new, same, "row {row}");
                    let [old, new] =
                        [&before, &after].map(|run| run.state[6 * row..][..6].to_vec());
                    assert_eq!(old == new, same, "state of row {row}");
                }
                assert_eq!(after.number, 2);
            });
        }
    }
}

/// The gradient of a weight is NaN where that of its bag is not finite; nothing is refused for it.
#[test]
fn gradients_of_weights_that_are_not_finite() {
    on_each(ADAM, |run| {
        let gradient = [0.5, f32::NAN, 0.5, 1.0, 1.0, 1.0];
        let values = run.weigh(&gather(&[0, 2]), &gradient).unwrap();
        assert_eq!((values[0].is_nan(), values[1]), (true, 1.875));
    });
}

#[test]
fn learning_rates_that_are_none() {
    for rate in [f32::NAN, f32::INFINITY, -0.1, -f32::MIN_POSITIVE] {
        let text = format!("learning rate: needed 0e0 to {:e}, got {rate}", f32::MAX);
        on_each(alpt(), |run| {
            let batch = gather(&[0, 2]);
            refused(run, &text, |run| run.update(&batch, &[0.5; 6], rate));
            refused(run, &text, |run| run.stage(&batch, &[0.5; 6], rate));
            run.stage(&batch, &[0.5; 6], 0.1).unwrap();
            refused(run, &text, |run| run.steps(&batch, &[0.5; 6], rate));
            // The half that failed can be called again.
            run.steps(&batch, &[0.5; 6], 0.1).unwrap();
        });
    }
}

#[test]
fn runs_that_cannot_begin() {
    let refused = |start: &Checkpoint, text: &str| {
        for run in begin(start) {
            let error = run.map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}\nexpected {text}");
        }
    };
    let start = Checkpoint::start(table(), alpt());
    for step in [0.0f32, -0.5, f32::NAN, f32::INFINITY, 1e-40] {
        let mut words = table().words().to_vec();
        words[2 * table().row_words(0).len()] = step.to_bits();
        let broken = PackedTable::from_words(S8, 3, words).unwrap();
        let text = format!("row 2: {step:e} is no step of an f32 header");
        refused(&Checkpoint::start(broken, ADAM), &text);
    }
    for (state, step_state) in [(0, 8), (23, 8), (25, 8)] {
        let run = Checkpoint {
            state: vec![0.0; state],
            step_state: vec![0.0; step_state],
            ..start.clone()
        };
        refused(&run, &format!("state: needed 24 numbers, got {state}"));
    }
    let run = Checkpoint {
        step_state: vec![0.0; 2],
        ..start.clone()
    };
    refused(&run, "step_state: needed 8 numbers, got 2");

    let begun = |spec| Checkpoint::start(table(), spec);
    let parameters = |parameters| begun(TrainingSpec { parameters, ..ADAM });
    refused(
        &parameters(Parameters::Given),
        "a run whose steps are given is not supported",
    );
    refused(
        &parameters(Parameters::Refreshed),
        "refreshing the step of symmetric rows",
    );
    let weight_decay = f32::NAN;
    refused(
        &begun(TrainingSpec {
            weight_decay,
            ..ADAM
        }),
        "weight decay: ",
    );
    let momentum = Optimizer::Momentum { momentum: 1.0 };
    refused(&begun(TrainingSpec::lpt(momentum, 0)), "momentum: ");
    let learned = LearnedSteps {
        gradient_scale: GradientScale::Fixed(-1.0),
        ..LearnedSteps::default()
    };
    refused(
        &begun(TrainingSpec::alpt(Optimizer::Sgd, learned, 0)),
        "gradient scale: ",
    );
    let q4 = PackedTable::quantize(&[0.5; 6], 3, Format::affine(Bits::B4), Method::Asym).unwrap();
    refused(
        &Checkpoint::start(q4, alpt()),
        "learning the steps of q4h16 rows",
    );
    let format = Format::Codebook { bits: Bits::B4 };
    let c4 = PackedTable::quantize(&[0.5; 6], 3, format, Method::Kmeans { iterations: 3 }).unwrap();
    refused(&Checkpoint::start(c4, ADAM), "training c4 rows");
}

#[test]
fn a_run_that_has_no_steps_left() {
    let start = Checkpoint {
        number: u32::MAX,
        ..Checkpoint::start(table(), ADAM)
    };
    for run in begin(&start) {
        let mut run = run.unwrap();
        refused(&mut run, "step number: ", |run| {
            run.update(&gather(&[0]), &[0.5; 3], 0.1)
        });
    }
}

#[test]
fn halves_out_of_order() {
    let batch = gather(&[0, 2]);
    let early = "the second half of a step before its first is not supported";
    let second = |run: &mut Run, text: &str| {
        refused(run, text, |run| run.forward_staged(&batch));
        refused(run, text, |run| run.steps(&batch, &[0.5; 6], 0.1));
    };
    on_each(ADAM, |run| {
        let none = "learning steps in a run without them is not supported";
        refused(run, none, |run| run.stage(&batch, &[0.5; 6], 0.1));
        refused(run, none, |run| run.steps(&batch, &[0.5; 6], 0.1));
        refused(run, early, |run| run.forward_staged(&batch));
    });
    on_each(alpt(), |run| {
        second(run, early);
        run.stage(&batch, &[0.5; 6], 0.1).unwrap();
        run.steps(&batch, &[0.5; 6], 0.1).unwrap();
        // Once is enough.
        second(run, early);
        // A first half that was refused, even after one that was not.
        run.stage(&batch, &[0.5; 6], 0.1).unwrap();
        refused(run, "indices: ", |run| {
            run.stage(&gather(&[0, 9]), &[0.5; 6], 0.1)
        });
        second(run, early);
        // An update in between, refused or not, overwrites what was staged.
        run.stage(&batch, &[0.5; 6], 0.1).unwrap();
        refused(run, "row 1: ", |run| {
            run.update(&gather(&[1]), &[f32::NAN; 3], 0.1)
        });
        second(run, early);
        run.stage(&batch, &[0.5; 6], 0.1).unwrap();
        run.update(&gather(&[1]), &[0.5; 3], 0.1).unwrap();
        second(run, early);
    });
}

/// The second half is for the batch of the first.
#[test]
fn another_batch_in_the_second_half() {
    on_each(alpt(), |run| {
        let batch = gather(&[0, 2]);
        run.stage(&batch, &[0.5; 6], 0.1).unwrap();
        for indices in [&[0][..], &[0, 2, 1], &[1; 40]] {
            let (other, gradient) = (gather(indices), vec![0.5; 3 * indices.len()]);
            let count = indices.len();
            let text = format!(
                "batch: needed the one that was staged (2 bags, 2 indices), got {count} bags, {count} indices"
            );
            refused(run, &text, |run| run.forward_staged(&other));
            refused(run, &text, |run| run.steps(&other, &gradient, 0.1));
        }
        let pooled = bags(Pooling::Sum, &[0, 2], &[0, 2]);
        let text =
            "batch: needed the one that was staged (2 bags, 2 indices), got 1 bags, 2 indices";
        refused(run, text, |run| run.steps(&pooled, &[0.5; 3], 0.1));
        run.steps(&batch, &[0.5; 6], 0.1).unwrap();
    });
}

/// Looking things up between the halves changes nothing, nor does a gradient of weights, of whatever batch.
#[test]
fn what_may_come_between_the_halves() {
    let ends = [false, true].map(|interrupted| {
        let mut ends = vec![];
        for run in begin(&Checkpoint::start(table(), alpt())) {
            let mut run = run.unwrap();
            let batch = bags(Pooling::Mean, &[0, 2, 2], &[0, 1, 3]);
            run.stage(&batch, &[0.5; 6], 0.1).unwrap();
            if interrupted {
                run.forward(&gather(&[3, 1])).unwrap();
                for count in [1, 3, 1000] {
                    let rows = vec![1; count];
                    run.weigh(&gather(&rows), &vec![0.5; 3 * count]).unwrap();
                }
                refused(&mut run, "gradient: ", |run| {
                    run.steps(&batch, &[0.5; 5], 0.1)
                });
                let not_finite = [f32::NAN; 6];
                refused(&mut run, "row 0: ", |run| {
                    run.steps(&batch, &not_finite, 0.1)
                });
            }
            let staged = run.forward_staged(&batch).unwrap();
            run.steps(&batch, &[0.25; 6], 0.1).unwrap();
            ends.push((staged, run.checkpoint()));
        }
        ends
    });
    assert_eq!(ends[0], ends[1]);
    assert!(ends[0].iter().all(|end| *end == ends[0][0]));
}

/// An error names its kind, not only its words.
#[test]
fn errors_have_their_kinds() {
    on_each(ADAM, |run| {
        let error = run
            .update(&gather(&[3, 2, 3]), &[f32::NAN; 9], 0.1)
            .unwrap_err();
        assert!(
            matches!(error, Error::Gradient { row: 2, rows: 2 }),
            "{error}"
        );
        let error = run.update(&gather(&[0, 7]), &[0.5; 6], 0.1).unwrap_err();
        let Error::IndexOutOfRange {
            position: 1,
            index: 7,
            rows: 4,
        } = error
        else {
            panic!("{error}");
        };
        let batch = bags(Pooling::Sum, &[0, 1], &[0, 2, 1]);
        let error = run.update(&batch, &[0.5; 6], 0.1).unwrap_err();
        let Error::Offsets {
            bag: 1,
            begin: 2,
            end: 1,
            indices: 2,
        } = error
        else {
            panic!("{error}");
        };
    });
}
