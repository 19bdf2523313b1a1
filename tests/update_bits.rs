//! Ring 4, training on the device: what its bits depend on, and what memory it takes.

mod common;

use common::training::{bags, bits, gather, random_table};
use common::{Bench, gpu};
use qembed::gpu::{
    BatchArgs, BatchSpec, Kernels, KernelsOptions, LearnArgs, LearnSpec, UpdateArgs,
};
use qembed::philox::RandomKey;
use qembed::reference;
use qembed::shader::HyperUniform;
use qembed::training::{
    BadInput, Batch, LearnedSteps, Optimizer, Parameters, Rounding, TrainingSpec, UpdateSpec,
    UpdateStatus, UpdateStep,
};
use qembed::verify::shapes::Random;
use qembed::wgpu::{self, BufferUsages};
use qembed::{Bits, Format, PackedTable, Params, Pooling, Session, Weighting};

const S4: Format = Format::Symmetric {
    bits: Bits::B4,
    params: Params::F32,
};

const STEP: UpdateStep = UpdateStep {
    learning_rate: 0.1,
    weight_decay: 0.001,
    rounding: Rounding::Stochastic,
    key: RandomKey {
        seed: 99,
        table: 1,
        step: 5,
    },
    bad_input: BadInput::Refuse,
};

/// What an update gives: rows, state, status.
#[derive(Clone, Debug, PartialEq)]
struct Updated {
    words: Vec<u32>,
    state: Vec<u32>,
    status: UpdateStatus,
}

/// One update, on kernels of one's own.
struct Job<'a> {
    table: &'a PackedTable,
    state: &'a [f32],
    spec: UpdateSpec,
    step: UpdateStep,
    batch: Batch<'a>,
    gradient: &'a [f32],
    steps: &'a [f32],
}

fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

impl Job<'_> {
    fn on_device(&self, session: &Session, options: KernelsOptions) -> Updated {
        let kernels = Kernels::with_options(session.device(), options).unwrap();
        let bench = Bench { session };
        let uniform = session.device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: size_of::<HyperUniform>() as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let hyper = HyperUniform::new(self.spec.optimizer, &self.step).unwrap();
        bench.write(&uniform, bytemuck::cast_slice(bytemuck::bytes_of(&hyper)));
        let batch = &self.batch;
        let weighting = match batch.weights {
            Some(_) => Weighting::Weighted,
            None => Weighting::Unweighted,
        };
        let pooling = batch.pooling;
        let spec = BatchSpec { pooling, weighting };
        let update = kernels.update(self.spec, spec).unwrap();
        let table = kernels.upload(session.queue(), self.table).unwrap();
        let dim = self.table.dim();
        let buffers = kernels.update_buffers(batch.indices.len() as u32, dim);
        let indices = bench.buffer(batch.indices);
        let offsets = batch.offsets.map(|offsets| bench.buffer(offsets));
        let weights = batch.weights.map(|weights| bench.buffer(&words(weights)));
        let gradient = bench.buffer(&words(self.gradient));
        let state = (!self.state.is_empty()).then(|| bench.buffer(&words(self.state)));
        let steps = (!self.steps.is_empty()).then(|| bench.buffer(&words(self.steps)));
        let status = bench.buffer(bytemuck::cast_slice(bytemuck::bytes_of(
            &UpdateStatus::CLEAR,
        )));
        let whole = |buffer: &'_ Option<wgpu::Buffer>| buffer.clone();
        let (offsets, weights) = (whole(&offsets), whole(&weights));
        let args = UpdateArgs {
            batch: BatchArgs {
                bags: batch.bags() as u32,
                positions: batch.indices.len() as u32,
                indices: Some(indices.as_entire_buffer_binding()),
                offsets: offsets.as_ref().map(wgpu::Buffer::as_entire_buffer_binding),
                weights: weights.as_ref().map(wgpu::Buffer::as_entire_buffer_binding),
            },
            gradient: Some(gradient.as_entire_buffer_binding()),
            state: state.as_ref().map(wgpu::Buffer::as_entire_buffer_binding),
            steps: steps.as_ref().map(wgpu::Buffer::as_entire_buffer_binding),
            hyper: uniform.as_entire_buffer_binding(),
            status: status.as_entire_buffer_binding(),
            bad_input: self.step.bad_input,
        };
        let bound = update.bind(&table, &buffers.unwrap(), args).unwrap();
        bench.submit(|pass| bound.record(pass));
        Updated {
            words: bench.read(table.shards().next().unwrap().words.buffer),
            state: state.map_or(vec![], |state| bench.read(&state)),
            status: bytemuck::pod_read_unaligned(bytemuck::cast_slice(&bench.read(&status))),
        }
    }

    fn on_reference(&self) -> Updated {
        let mut table = self.table.clone();
        let mut state = self.state.to_vec();
        let args = reference::UpdateArgs {
            batch: self.batch,
            gradient: self.gradient,
            spec: self.spec,
            step: self.step,
            steps: self.steps,
        };
        let status = reference::update(&mut table, &mut state, args).unwrap();
        Updated {
            words: table.words().to_vec(),
            state: words(&state),
            status,
        }
    }
}

/// A table, a state and a gradient of one update of row-wise Adagrad.
struct Setting {
    table: PackedTable,
    state: Vec<f32>,
    gradient: Vec<f32>,
}

const SPEC: UpdateSpec = UpdateSpec {
    format: S4,
    optimizer: Optimizer::RowwiseAdagrad { epsilon: 1e-6 },
    parameters: Parameters::Frozen,
};

impl Setting {
    fn new(rows: usize, dim: usize, bags: usize) -> Self {
        let mut random = Random::new(77);
        Self {
            table: random_table(S4, (rows, dim), &mut random),
            state: (0..rows).map(|_| random.signed().abs()).collect(),
            gradient: (0..bags * dim).map(|_| random.signed()).collect(),
        }
    }

    fn job<'a>(&'a self, batch: Batch<'a>, gradient: &'a [f32]) -> Job<'a> {
        Job {
            table: &self.table,
            state: &self.state,
            spec: SPEC,
            step: STEP,
            batch,
            gradient,
            steps: &[],
        }
    }
}

#[test]
fn workgroups_of_every_size_give_the_same_bits() {
    let Some(session) = gpu() else { return };
    let setting = Setting::new(100, 40, 300);
    let indices: Vec<u32> = (0..300).map(|i| i * i % 100).collect();
    let job = setting.job(gather(&indices), &setting.gradient);
    let expected = job.on_reference();
    for lanes in [64, 128, 256] {
        let options = KernelsOptions {
            training_workgroup: Some(lanes),
            ..KernelsOptions::default()
        };
        assert_eq!(job.on_device(session, options), expected, "{lanes} lanes");
    }
}

#[test]
fn rows_of_a_batch_in_any_order_and_in_two_batches_give_the_same_bits() {
    let Some(session) = gpu() else { return };
    let dim = 20;
    let setting = Setting::new(64, dim, 48);
    let indices: Vec<u32> = (0..48).map(|i| i * 5 % 64).collect();
    let whole = setting.job(gather(&indices), &setting.gradient);
    let expected = whole.on_device(session, KernelsOptions::default());
    assert_eq!(expected, whole.on_reference());

    let order: Vec<usize> = (0..48).map(|i| i * 7 % 48).rev().collect();
    let permuted: Vec<u32> = order.iter().map(|&at| indices[at]).collect();
    let gradient: Vec<f32> = order
        .iter()
        .flat_map(|&at| setting.gradient[at * dim..][..dim].to_vec())
        .collect();
    let permuted = setting.job(gather(&permuted), &gradient);
    assert_eq!(
        permuted.on_device(session, KernelsOptions::default()),
        expected
    );

    let (first, second) = indices.split_at(17);
    let (first_gradient, second_gradient) = setting.gradient.split_at(17 * dim);
    let half = setting.job(gather(first), first_gradient);
    let half = half.on_device(session, KernelsOptions::default());
    let rest = Setting {
        table: PackedTable::from_words(S4, dim, half.words).unwrap(),
        state: half.state.iter().map(|&x| f32::from_bits(x)).collect(),
        gradient: vec![],
    };
    let both = rest.job(gather(second), second_gradient);
    assert_eq!(both.on_device(session, KernelsOptions::default()), expected);
}

#[test]
fn rows_that_come_often_are_summed_in_chunks() {
    let Some(session) = gpu() else { return };
    let setting = Setting::new(10, 12, 1700);
    let indices: Vec<u32> = (0..1700)
        .map(|i| if i % 3 == 0 { i % 10 } else { 4 })
        .collect();
    let job = setting.job(gather(&indices), &setting.gradient);
    assert_eq!(
        job.on_device(session, KernelsOptions::default()),
        job.on_reference()
    );

    let offsets: Vec<u32> = (0..=100).map(|bag| bag * 17).collect();
    let weights: Vec<f32> = (0..1700).map(|i| (i as f32).sin()).collect();
    let gradient = &setting.gradient[..100 * 12];
    for pooling in [Pooling::Sum, Pooling::Mean] {
        let batch = Batch {
            weights: Some(&weights),
            ..bags(pooling, &indices, &offsets)
        };
        let job = setting.job(batch, gradient);
        let got = job.on_device(session, KernelsOptions::default());
        assert_eq!(got, job.on_reference(), "{pooling:?}");
    }
}

#[test]
fn given_steps_are_taken() {
    let Some(session) = gpu() else { return };
    let mut random = Random::new(5);
    for bits in [Bits::B2, Bits::B4, Bits::B8] {
        for params in Params::ALL {
            let format = Format::Symmetric { bits, params };
            let table = random_table(format, (30, 9), &mut random);
            let indices = [3, 9, 9, 28, 0];
            let gradient: Vec<f32> = (0..5 * 9).map(|_| random.signed()).collect();
            let mut steps: Vec<f32> = (0..30).map(|_| 0.01 + random.signed().abs()).collect();
            steps[28] = -1.0;
            let job = Job {
                table: &table,
                state: &[],
                spec: UpdateSpec {
                    format,
                    optimizer: Optimizer::Sgd,
                    parameters: Parameters::Given,
                },
                step: UpdateStep {
                    bad_input: BadInput::Skip,
                    ..STEP
                },
                batch: gather(&indices),
                gradient: &gradient,
                steps: &steps,
            };
            let got = job.on_device(session, KernelsOptions::default());
            assert_eq!((got.status.bad_rows, got.status.first_row), (1, 28));
            assert_eq!(got, job.on_reference(), "{format}");
        }
    }
}

/// Rows that cannot be updated: one with a gradient that is not finite, one whose state is negative, one that
/// overflows; and an index that is no row.
#[test]
fn bad_rows_are_skipped_or_the_batch_is_refused() {
    let Some(session) = gpu() else { return };
    let dim = 6;
    let mut setting = Setting::new(20, dim, 8);
    setting.state[3] = -1.0;
    let indices = [1, 2, 3, 4, 99, 1, 6, 5];
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut gradient = setting.gradient.clone();
        gradient[dim + 2] = poison;
        gradient[3 * dim] = 3e38;
        for bad_input in [BadInput::Skip, BadInput::Refuse] {
            let mut job = setting.job(gather(&indices), &gradient);
            job.step.bad_input = bad_input;
            let got = job.on_device(session, KernelsOptions::default());
            assert_eq!(got, job.on_reference(), "{poison} {bad_input:?}");
            assert_eq!((got.status.bad_rows, got.status.bad_indices), (3, 1));
            let unchanged =
                got.words == setting.table.words() && got.state == words(&setting.state);
            assert_eq!(unchanged, bad_input == BadInput::Refuse);
        }
    }
}

#[test]
fn the_gradient_of_weights_is_the_references() {
    let Some(session) = gpu() else { return };
    let mut random = Random::new(8);
    for format in [S4, Format::affine(Bits::B8), Format::affine(Bits::B2)] {
        let table = random_table(format, (25, 37), &mut random);
        let indices: Vec<u32> = (0..60).map(|_| random.below(25)).collect();
        let offsets = [0, 3, 3, 40, 60];
        let weights: Vec<f32> = (0..60).map(|_| random.signed()).collect();
        let mut gradient: Vec<f32> = (0..4 * 37).map(|_| random.signed()).collect();
        gradient[3 * 37 + 5] = f32::NAN;
        for pooling in [Pooling::Sum, Pooling::Mean] {
            let batch = Batch {
                weights: Some(&weights),
                ..bags(pooling, &indices, &offsets)
            };
            let spec = TrainingSpec::lpt(Optimizer::Sgd, 1);
            let mut training = session.train(&table, spec).unwrap();
            let got = training.weight_gradient(&batch, &gradient).unwrap();
            let expected = reference::weight_gradient(&table, &batch, &gradient).unwrap();
            let is_nan: Vec<_> = got.iter().map(|x| x.is_nan()).collect();
            assert_eq!(is_nan, (0..60).map(|at| at >= 40).collect::<Vec<_>>());
            assert_eq!(
                bits(&got[..40]),
                bits(&expected.0[..40]),
                "{format} {pooling:?}"
            );
        }
    }
}

/// A training step takes the packed table, the optimizer's state and scratch of the batch, and no table of f32.
#[test]
fn memory_is_the_packed_table_state_and_scratch() {
    let Some(session) = gpu() else { return };
    let allocated = || -> Option<u64> {
        session.wait().unwrap();
        let report = session.device().generate_allocator_report()?;
        Some(
            report
                .allocations
                .iter()
                .map(|allocation| allocation.size)
                .sum(),
        )
    };
    let (rows, dim, positions) = (100_000u32, 32u32, 2000u32);
    let row_words = S4.row_words(dim);
    let words = (0..rows).flat_map(|_| {
        let mut row = vec![0; row_words as usize];
        row[0] = 0.01f32.to_bits();
        row
    });
    let table = PackedTable::from_words(S4, dim as usize, words.collect()).unwrap();
    let indices: Vec<u32> = (0..positions).map(|i| i * 37 % rows).collect();
    let gradient = vec![0.01; (positions * dim) as usize];
    let spec = TrainingSpec::alpt(Optimizer::Sgd, LearnedSteps::default(), 1);
    let before = allocated();
    let mut training = session.train(&table, spec).unwrap();
    let batch = gather(&indices);
    training.backward_stage(&batch, &gradient, 0.1).unwrap();
    training.backward_steps(&batch, &gradient, 0.001).unwrap();
    let after = allocated();

    let memory = training.memory();
    let n = u64::from(positions);
    let dim_bytes = 4 * u64::from(dim);
    assert_eq!(memory.table_bytes, u64::from(rows * row_words * 4));
    // Adam of one step a row.
    assert_eq!(memory.state_bytes, 4 + 8 * u64::from(rows));
    assert_eq!(memory.batch_bytes, n * (4 + dim_bytes));
    // Two gradients and a packed row for every position, and 48 bytes of sorting and what is found.
    let least = n * (2 * dim_bytes + u64::from(4 * row_words) + 44);
    assert!(
        (least..least + n * 8 + 8192).contains(&memory.scratch_bytes),
        "{memory:?}"
    );
    println!(
        "table {} state {} scratch {} batch {}: {} bytes; f32 rows alone would be {}",
        memory.table_bytes,
        memory.state_bytes,
        memory.scratch_bytes,
        memory.batch_bytes,
        memory.total_bytes(),
        u64::from(rows) * dim_bytes
    );
    assert!(memory.total_bytes() < u64::from(rows) * dim_bytes / 2);
    // What the driver's allocator holds, with 64 KiB for uniforms and what rounds sizes up.
    if let (Some(before), Some(after)) = (before, after) {
        let taken = after - before;
        println!("allocated: {taken} bytes");
        assert!(
            taken <= memory.total_bytes() + (64 << 10),
            "{taken} {memory:?}"
        );
    }
}

/// An engine that records both halves of learning steps without a look at the first one's status, and clears it
/// between them: what the first refused, the second leaves alone.
#[test]
fn the_second_half_stores_nothing_of_a_first_that_was_refused() {
    let Some(session) = gpu() else { return };
    let (dim, kernels) = (8, session.kernels());
    let mut random = Random::new(21);
    let packed = random_table(S4, (10, dim), &mut random);
    let spec = LearnSpec {
        update: UpdateSpec {
            optimizer: Optimizer::Sgd,
            ..SPEC
        },
        learned: LearnedSteps {
            optimizer: Optimizer::Sgd,
            ..LearnedSteps::default()
        },
    };
    let batch = BatchSpec {
        pooling: Pooling::None,
        weighting: Weighting::Unweighted,
    };
    let learn = kernels.learn(spec, batch).unwrap();
    let bench = Bench { session };
    let indices = bench.buffer(&[1, 2, 3]);
    let mut first = vec![0.5; 3 * dim];
    for (poison, stores) in [(0.5, true), (f32::NAN, false)] {
        let table = session.upload(&packed).unwrap();
        let buffers = kernels.learn_buffers(3, S4, dim as u32).unwrap();
        first[dim] = poison;
        for half in [&first, &vec![0.25; 3 * dim]] {
            let gradient = bench.buffer(&words(half));
            let clear = bytemuck::bytes_of(&UpdateStatus::CLEAR);
            let status = bench.buffer(bytemuck::cast_slice(clear));
            let uniform = session.device().create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: size_of::<HyperUniform>() as u64,
                usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let hyper = HyperUniform::learned(&spec.learned, &STEP, (S4, dim as u32, 3)).unwrap();
            bench.write(&uniform, bytemuck::cast_slice(bytemuck::bytes_of(&hyper)));
            let args = LearnArgs {
                batch: BatchArgs {
                    bags: 3,
                    positions: 3,
                    indices: Some(indices.as_entire_buffer_binding()),
                    offsets: None,
                    weights: None,
                },
                gradient: Some(gradient.as_entire_buffer_binding()),
                state: None,
                hyper: uniform.as_entire_buffer_binding(),
                status: status.as_entire_buffer_binding(),
                bad_input: BadInput::Refuse,
            };
            let bound = match std::ptr::eq(half, &first) {
                true => learn.bind_stage(&table, &buffers, args),
                false => learn.bind_steps(&table, &buffers, args),
            };
            let bound = bound.unwrap();
            bench.submit(|pass| bound.record(pass));
        }
        let stored = session.download(&table).unwrap() != packed;
        assert_eq!(stored, stores, "{poison}");
    }
}
