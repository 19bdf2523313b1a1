//! The CPU engine of training against the reference, bit by bit.

use qembed::philox::RandomKey;
use qembed::reference::{self, Staged, StepArgs, UpdateArgs};
use qembed::training::{
    BadInput, Batch, Boundary, Checkpoint, GradientScale, Granularity, LearnedSteps, Optimizer,
    Parameters, Rounding, TrainingSpec, UpdateSpec, UpdateStep, training_formats,
};
use qembed::verify::shapes::Random;
use qembed::{Bits, Format, PackedTable, Params, Pooling, cpu};

const DIMS: [usize; 8] = [1, 3, 7, 16, 33, 64, 130, 260];

/// Numbers from `-scale` to `scale`.
fn signed(random: &mut Random, count: usize, scale: f32) -> Vec<f32> {
    (0..count).map(|_| scale * random.signed()).collect()
}

/// A batch that owns its arrays.
#[derive(Clone, Debug)]
struct Owned {
    pooling: Pooling,
    indices: Vec<u32>,
    offsets: Option<Vec<u32>>,
    weights: Option<Vec<f32>>,
}

impl Owned {
    /// Few rows are named often, some positions lie in no bag, some bags are empty.
    fn random(
        random: &mut Random,
        rows: u32,
        pooling: Pooling,
        weighted: bool,
        count: u32,
    ) -> Self {
        let index = |random: &mut Random| match random.below(2) {
            0 => random.below(rows),
            _ => random.below(rows.min(3)),
        };
        let indices: Vec<_> = (0..count).map(|_| index(random)).collect();
        let offsets = (pooling != Pooling::None).then(|| {
            let bags = count / 5;
            let mut offsets: Vec<u32> = (0..=bags).map(|_| random.below(count + 1)).collect();
            offsets.sort_unstable();
            offsets
        });
        let weights = weighted.then(|| signed(random, indices.len(), 2.0));
        Self {
            pooling,
            indices,
            offsets,
            weights,
        }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            pooling: self.pooling,
            indices: &self.indices,
            offsets: self.offsets.as_deref(),
            weights: self.weights.as_deref(),
        }
    }

    fn gradient(&self, random: &mut Random, dim: usize) -> Vec<f32> {
        signed(random, self.batch().bags() * dim, 1.0)
    }
}

/// Rows of random codes; the padding has bits of its own.
fn table(random: &mut Random, format: Format, rows: u32, dim: usize) -> PackedTable {
    let row_words = format.row_words(dim as u32) as usize;
    let mut words: Vec<u32> = (0..rows as usize * row_words)
        .map(|_| random.word())
        .collect();
    for row in words.chunks_mut(row_words) {
        let scale = 0.01 + 0.01 * random.signed().abs();
        let half = |x: f32| u32::from(qembed::half::f16::from_f32(x).to_bits());
        match (format, format.params().unwrap()) {
            (Format::Symmetric { .. }, Params::F32) => row[0] = scale.to_bits(),
            // The high half is nobody's.
            (Format::Symmetric { .. }, Params::F16) => row[0] = half(scale) | 0xabcd_0000,
            (_, Params::F32) => {
                row[0] = scale.to_bits();
                row[1] = (-8.0 * scale).to_bits();
            }
            (_, Params::F16) => row[0] = half(scale) | half(-8.0 * scale) << 16,
        }
    }
    PackedTable::from_words(format, dim, words).unwrap()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn step(bad_input: BadInput) -> UpdateStep {
    UpdateStep {
        learning_rate: 0.05,
        weight_decay: 0.0,
        rounding: Rounding::Stochastic,
        key: RandomKey {
            seed: 0x1234_5678_9abc,
            table: 3,
            step: 2,
        },
        bad_input,
    }
}

/// Updates copies by the engine and by the reference; table, state and status must be the same.
fn same_update(
    table: &PackedTable,
    state: &[f32],
    args: UpdateArgs<'_>,
    case: &str,
) -> (PackedTable, Vec<f32>) {
    let (mut expected, mut expected_state) = (table.clone(), state.to_vec());
    let expected_status = reference::update(&mut expected, &mut expected_state, args).unwrap();
    let (mut got, mut got_state) = (table.clone(), state.to_vec());
    let status = cpu::update(&mut got, &mut got_state, args).unwrap();
    assert_eq!(status, expected_status, "{case}");
    for row in 0..table.rows() as usize {
        assert_eq!(
            got.row_words(row),
            expected.row_words(row),
            "{case}, row {row}"
        );
    }
    assert_eq!(bits(&got_state), bits(&expected_state), "{case}");
    if status.refuses(args.step.bad_input) {
        assert!(got.words() == table.words(), "{case}: refused, but changed");
    }
    (got, got_state)
}

/// State as some steps leave it: second moments are not negative.
fn state(random: &mut Random, optimizer: Optimizer, rows: u32, dim: usize) -> Vec<f32> {
    let len = optimizer.state_len(dim as u32) as usize;
    let first = match optimizer {
        Optimizer::Adam { .. } | Optimizer::Momentum { .. } => dim,
        _ => 0,
    };
    (0..rows as usize * len)
        .map(|at| match at % len < first {
            true => random.signed(),
            false => random.signed().abs(),
        })
        .collect()
}

fn given(random: &mut Random, parameters: Parameters, rows: u32) -> Vec<f32> {
    match parameters {
        Parameters::Given => (0..rows).map(|_| 0.02 + 0.01 * random.signed()).collect(),
        Parameters::Frozen | Parameters::Refreshed => vec![],
    }
}

const POOLINGS: [Pooling; 3] = [Pooling::None, Pooling::Sum, Pooling::Mean];

/// Every update x rounding x pooling x weights, over all dims.
#[test]
fn every_update_has_the_bits_of_the_reference() {
    let mut random = Random::new(1);
    for (number, spec) in UpdateSpec::all().enumerate() {
        for (turn, (rounding, pooling)) in Rounding::ALL
            .into_iter()
            .flat_map(|r| POOLINGS.map(|p| (r, p)))
            .enumerate()
        {
            for weighted in [false, true] {
                let dim = DIMS[(number + turn + usize::from(weighted) * 3) % DIMS.len()];
                let rows = 40;
                let table = table(&mut random, spec.format, rows, dim);
                let owned = Owned::random(&mut random, rows, pooling, weighted, 100);
                let gradient = owned.gradient(&mut random, dim);
                let args = UpdateArgs {
                    batch: owned.batch(),
                    gradient: &gradient,
                    spec,
                    step: UpdateStep {
                        weight_decay: if turn % 2 == 0 { 0.0 } else { 0.01 },
                        rounding,
                        ..step([BadInput::Refuse, BadInput::Skip][turn % 2])
                    },
                    steps: &given(&mut random, spec.parameters, rows),
                };
                let state = state(&mut random, spec.optimizer, rows, dim);
                let case = format!(
                    "{} dim {dim} {rounding:?} {pooling:?} {weighted}",
                    spec.label()
                );
                same_update(&table, &state, args, &case);
            }
        }
    }
}

/// Rows that occur in several chunks of 256, and more tasks than cores.
#[test]
fn frequent_rows_are_summed_chunk_by_chunk() {
    let mut random = Random::new(2);
    for (optimizer, dim) in Optimizer::ALL.into_iter().zip([16, 33, 130, 64, 7]) {
        for (pooling, weighted) in POOLINGS.into_iter().flat_map(|p| [(p, false), (p, true)]) {
            let format = Format::affine(Bits::B8);
            let table = table(&mut random, format, 5000, dim);
            let mut owned = Owned::random(&mut random, 5000, pooling, weighted, 6000);
            // 3 rows have some 1000 occurrences each; one has 256, one 257.
            owned.indices[100..356].fill(4000);
            owned.indices[1000..1257].fill(4001);
            let gradient = owned.gradient(&mut random, dim);
            let args = UpdateArgs {
                batch: owned.batch(),
                gradient: &gradient,
                spec: UpdateSpec {
                    format,
                    optimizer,
                    parameters: Parameters::Refreshed,
                },
                step: step(BadInput::Refuse),
                steps: &[],
            };
            let state = state(&mut random, optimizer, 5000, dim);
            let case = format!("{optimizer:?} dim {dim} {pooling:?} {weighted}");
            same_update(&table, &state, args, &case);
        }
    }
}

#[test]
fn batches_of_nothing() {
    let mut random = Random::new(3);
    let format = Format::affine(Bits::B4);
    let batches: [(&[u32], Option<&[u32]>); 6] = [
        (&[], None),
        (&[], Some(&[0])),
        (&[], Some(&[0, 0, 0])),
        (&[1, 2], Some(&[1])),
        (&[1, 2], Some(&[1, 1])),
        // Rows that no table here has.
        (&[900, u32::MAX], Some(&[0, 2])),
    ];
    for rows in [0, 1, 5] {
        let table = table(&mut random, format, rows, 9);
        for (indices, offsets) in batches {
            for bad_input in [BadInput::Refuse, BadInput::Skip] {
                let batch = Batch {
                    pooling: offsets.map_or(Pooling::None, |_| Pooling::Sum),
                    indices,
                    offsets,
                    weights: None,
                };
                let args = UpdateArgs {
                    batch,
                    gradient: &vec![1.0; batch.bags() * 9],
                    spec: UpdateSpec {
                        format,
                        optimizer: Optimizer::Sgd,
                        parameters: Parameters::Frozen,
                    },
                    step: step(bad_input),
                    steps: &[],
                };
                same_update(
                    &table,
                    &[],
                    args,
                    &format!("{rows} rows, {indices:?} {offsets:?}"),
                );
            }
        }
    }
}

/// Bits from anywhere, and what lies at the edges.
fn wild(random: &mut Random) -> f32 {
    let edge = |x: f32, random: &mut Random| {
        f32::from_bits(x.to_bits().wrapping_add(random.below(5)).wrapping_sub(2))
    };
    let x = match random.below(12) {
        0 => f32::from_bits(random.word()),
        1 => edge(f32::MIN_POSITIVE, random),
        2 => edge(0.5f32.powi(63), random),
        3 => f32::from_bits(random.below(1 << 23)),
        4 => 0.0,
        5 => edge(f32::MAX, random),
        6 => edge(0.5f32.powi(100 + random.below(26) as i32), random),
        _ => random.signed(),
    };
    if random.below(2) == 0 { x } else { -x }
}

/// Mostly plain numbers, here and there a wild one.
fn sprinkle(random: &mut Random, numbers: &mut [f32], one_in: u32) {
    for x in numbers {
        if random.below(one_in) == 0 {
            *x = wild(random);
        }
    }
}

/// A batch with everything in it that a caller should not send.
struct Faulty {
    table: PackedTable,
    state: Vec<f32>,
    owned: Owned,
    gradient: Vec<f32>,
}

impl Faulty {
    fn new(random: &mut Random, spec: UpdateSpec, dim: usize) -> Self {
        let rows = 60;
        let mut words = table(random, spec.format, rows, dim).words().to_vec();
        let row_words = spec.format.row_words(dim as u32) as usize;
        for header in words.chunks_mut(row_words) {
            if random.below(4) == 0 {
                let wild = [wild(random), wild(random)];
                match spec.format.params().unwrap() {
                    Params::F32 => header[0] = wild[0].to_bits(),
                    Params::F16 => header[0] = random.word(),
                }
                let affine = matches!(spec.format, Format::Affine { .. });
                if affine && spec.format.params().unwrap() == Params::F32 {
                    header[1] = wild[1].to_bits();
                }
            }
        }
        let pooling = POOLINGS[random.below(3) as usize];
        let weighted = random.below(2) == 0;
        let mut owned = Owned::random(random, rows, pooling, weighted, 120);
        if let Some(weights) = &mut owned.weights {
            sprinkle(random, weights, 20);
        }
        for index in &mut owned.indices {
            if random.below(50) == 0 {
                *index = rows + random.below(3);
            }
        }
        let mut gradient = owned.gradient(random, dim);
        let scale = [1.0, 1e-30, 1e-38, 1e19][random.below(4) as usize];
        gradient.iter_mut().for_each(|g| *g *= scale);
        sprinkle(random, &mut gradient, 10 * dim as u32);
        let mut state = state(random, spec.optimizer, rows, dim);
        sprinkle(random, &mut state, 5 * dim as u32);
        Self {
            table: PackedTable::from_words(spec.format, dim, words).unwrap(),
            state,
            owned,
            gradient,
        }
    }
}

fn wild_step(random: &mut Random) -> UpdateStep {
    UpdateStep {
        learning_rate: [0.1, 1e-20, 1e30, 0.0][random.below(4) as usize],
        weight_decay: [0.0, 0.01, 1e-30][random.below(3) as usize],
        rounding: Rounding::ALL[random.below(2) as usize],
        ..step([BadInput::Skip, BadInput::Skip, BadInput::Refuse][random.below(3) as usize])
    }
}

/// Indices out of range, numbers that are not finite or not normal, headers of any bits, negative moments,
/// overflow: skipped and refused as the reference does it.
#[test]
fn faults_are_found_and_counted() {
    let mut random = Random::new(4);
    for (number, spec) in UpdateSpec::all().enumerate() {
        for turn in 0..12 {
            let dim = DIMS[(number + turn) % DIMS.len()];
            let faulty = Faulty::new(&mut random, spec, dim);
            let mut steps = given(&mut random, spec.parameters, 60);
            sprinkle(&mut random, &mut steps, 4);
            let args = UpdateArgs {
                batch: faulty.owned.batch(),
                gradient: &faulty.gradient,
                spec,
                step: wild_step(&mut random),
                steps: &steps,
            };
            let case = format!("{} dim {dim} turn {turn} {:?}", spec.label(), args.step);
            same_update(&faulty.table, &faulty.state, args, &case);
        }
    }
}

#[test]
fn bad_bags_refuse_the_batch_whatever_is_skipped() {
    let mut random = Random::new(5);
    let format = Format::affine(Bits::B4);
    let table = table(&mut random, format, 10, 16);
    for offsets in [[0, 5, 3, 6], [0, 2, 99, 99], [7, 6, 6, 6]] {
        for bad_input in [BadInput::Refuse, BadInput::Skip] {
            let batch = Batch {
                pooling: Pooling::Mean,
                indices: &[0, 1, 99, 3, 4, 88],
                offsets: Some(&offsets),
                weights: None,
            };
            let gradient = vec![1.0; 3 * 16];
            let args = UpdateArgs {
                batch,
                gradient: &gradient,
                spec: UpdateSpec {
                    format,
                    optimizer: Optimizer::Sgd,
                    parameters: Parameters::Frozen,
                },
                step: step(bad_input),
                steps: &[],
            };
            same_update(&table, &[], args, &format!("{offsets:?}"));
            let expected = reference::weight_gradient(&table, &batch, &gradient).unwrap();
            assert_eq!(
                cpu::weight_gradient(&table, &batch, &gradient).unwrap(),
                expected
            );
        }
    }
}

#[test]
fn weight_gradients() {
    let mut random = Random::new(6);
    for format in training_formats() {
        for dim in DIMS {
            let spec = UpdateSpec {
                format,
                optimizer: Optimizer::Sgd,
                parameters: Parameters::Frozen,
            };
            let faulty = Faulty::new(&mut random, spec, dim);
            let batch = faulty.owned.batch();
            let (expected, expected_status) =
                reference::weight_gradient(&faulty.table, &batch, &faulty.gradient).unwrap();
            let (got, status) =
                cpu::weight_gradient(&faulty.table, &batch, &faulty.gradient).unwrap();
            assert_eq!(bits(&got), bits(&expected), "{format} dim {dim}");
            assert_eq!(status, expected_status, "{format} dim {dim}");
        }
    }
}

fn same_staged(got: &Staged, expected: &Staged, case: &str) {
    assert_eq!(got.rows, expected.rows, "{case}");
    assert_eq!(got.ranks, expected.ranks, "{case}");
    assert_eq!(bits(&got.values), bits(&expected.values), "{case}");
    assert!(got.packed.words() == expected.packed.words(), "{case}");
}

fn symmetric_formats() -> impl Iterator<Item = Format> {
    training_formats().filter(|format| matches!(format, Format::Symmetric { .. }))
}

/// Both halves of learning steps on copies; the second with a gradient of its own.
fn same_learning(
    faulty: &Faulty,
    step_state: &[f32],
    (args, learned, second): (UpdateArgs<'_>, LearnedSteps, &[f32]),
    case: &str,
) {
    let mut expected_state = faulty.state.clone();
    let (expected, expected_status) =
        reference::stage(&faulty.table, &mut expected_state, args).unwrap();
    let mut got_state = faulty.state.clone();
    let (got, status) = cpu::stage(&faulty.table, &mut got_state, args).unwrap();
    assert_eq!(status, expected_status, "{case}");
    assert_eq!(bits(&got_state), bits(&expected_state), "{case}");
    same_staged(&got, &expected, case);

    let args = StepArgs {
        update: UpdateArgs {
            gradient: second,
            ..args
        },
        learned,
        learning_rate: 0.01,
    };
    let (mut expected_table, mut expected_state) = (faulty.table.clone(), step_state.to_vec());
    let expected_status =
        reference::learn_steps(&mut expected_table, &mut expected_state, &expected, args).unwrap();
    let (mut table, mut state) = (faulty.table.clone(), step_state.to_vec());
    let status = cpu::learn_steps(&mut table, &mut state, &got, args).unwrap();
    assert_eq!(status, expected_status, "{case}");
    assert!(table.words() == expected_table.words(), "{case}");
    assert_eq!(bits(&state), bits(&expected_state), "{case}");
}

/// Every format x optimizer of the steps x granularity x boundary, with faults and without.
#[test]
fn learned_steps_have_the_bits_of_the_reference() {
    let mut random = Random::new(7);
    let scales = [
        GradientScale::BatchDim,
        GradientScale::Dim,
        GradientScale::One,
        GradientScale::Fixed(1e-40),
    ];
    for (number, format) in symmetric_formats().enumerate() {
        for (turn, optimizer) in Optimizer::ALL.into_iter().enumerate() {
            for granularity in [Granularity::Row, Granularity::Table] {
                for boundary in [Boundary::Strict, Boundary::Inclusive] {
                    for clean in [true, false] {
                        let dim = DIMS[random.below(8) as usize];
                        let spec = UpdateSpec {
                            format,
                            optimizer: Optimizer::ALL[(number + turn) % 5],
                            parameters: Parameters::Frozen,
                        };
                        let mut faulty = Faulty::new(&mut random, spec, dim);
                        let mut step = wild_step(&mut random);
                        if clean {
                            faulty.table = table(&mut random, format, 60, dim);
                            faulty.state = state(&mut random, spec.optimizer, 60, dim);
                            faulty
                                .owned
                                .indices
                                .iter_mut()
                                .for_each(|index| *index %= 60);
                            faulty.owned.weights = None;
                            faulty.gradient = faulty.owned.gradient(&mut random, dim);
                            step.learning_rate = 0.05;
                        }
                        let mut second = faulty.owned.gradient(&mut random, dim);
                        let steps = match granularity {
                            Granularity::Row => 60,
                            Granularity::Table => 1,
                        };
                        let mut step_state = state(&mut random, optimizer, steps, 1);
                        if !clean {
                            sprinkle(&mut random, &mut second, 10 * dim as u32);
                            sprinkle(&mut random, &mut step_state, 10);
                        }
                        let args = UpdateArgs {
                            batch: faulty.owned.batch(),
                            gradient: &faulty.gradient,
                            spec,
                            step,
                            steps: &[],
                        };
                        let learned = LearnedSteps {
                            optimizer,
                            gradient_scale: scales[random.below(4) as usize],
                            boundary,
                            granularity,
                            weight_decay: [0.0, 0.01, 1e-30][random.below(3) as usize],
                        };
                        let case = format!("{} dim {dim} {learned:?} clean {clean}", spec.label());
                        same_learning(&faulty, &step_state, (args, learned, &second), &case);
                    }
                }
            }
        }
    }
}

/// A run of the engine beside the same run of the reference.
#[test]
fn a_hundred_steps_in_a_row() {
    let mut random = Random::new(8);
    let (rows, dim) = (300, 16);
    for (number, optimizer) in Optimizer::ALL.into_iter().enumerate() {
        let format = training_formats().nth(2 * number + 1).unwrap();
        let spec = TrainingSpec {
            weight_decay: 0.001,
            ..TrainingSpec::lpt(optimizer, 77)
        };
        let mut expected = Checkpoint::start(table(&mut random, format, rows, dim), spec);
        let mut run = cpu::Training::resume(expected.clone()).unwrap();
        for number in 1..=100 {
            let pooling = POOLINGS[number as usize % 3];
            let owned = Owned::random(&mut random, rows, pooling, number % 2 == 0, 400);
            let gradient = owned.gradient(&mut random, dim);
            run.backward_update(&owned.batch(), &gradient, 0.05)
                .unwrap();
            let args = UpdateArgs {
                batch: owned.batch(),
                gradient: &gradient,
                spec: UpdateSpec {
                    format,
                    optimizer,
                    parameters: Parameters::Frozen,
                },
                step: UpdateStep {
                    weight_decay: 0.001,
                    key: RandomKey {
                        seed: 77,
                        table: 0,
                        step: number,
                    },
                    ..step(BadInput::Refuse)
                },
                steps: &[],
            };
            reference::update(&mut expected.table, &mut expected.state, args).unwrap();
            expected.number = number;
        }
        assert!(*run.checkpoint() == expected, "{format} {optimizer:?}");
    }
}

/// Gradients of the second half that do not fit are told, not read out of bounds.
#[test]
fn a_gradient_of_another_length_is_refused() {
    let mut random = Random::new(9);
    let format = Format::Symmetric {
        bits: Bits::B8,
        params: Params::F32,
    };
    let spec = TrainingSpec::alpt(Optimizer::Sgd, LearnedSteps::default(), 1);
    let mut run = cpu::Training::new(table(&mut random, format, 10, 4), spec).unwrap();
    let batch = Batch {
        pooling: Pooling::None,
        indices: &[1, 2, 3],
        offsets: None,
        weights: None,
    };
    run.backward_stage(&batch, &[0.5; 12], 0.1).unwrap();
    let error = run.backward_steps(&batch, &[0.5; 11], 0.1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "gradient: needed 12 values: 3 bags of dim 4, got 11"
    );
    run.backward_steps(&batch, &[0.5; 12], 0.1).unwrap();
}
