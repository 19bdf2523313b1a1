//! Ring 4, training: the GPU against the reference, bit for bit.

mod common;

use common::gpu;
use common::training::{Run, random_table};
use qembed::training::{
    Batch, Boundary, Checkpoint, GradientScale, Granularity, LearnedSteps, Optimizer, Parameters,
    Rounding, TrainingSpec, training_formats,
};
use qembed::verify::shapes::Random;
use qembed::{Bits, Format, PackedTable, Params, Pooling};

/// A batch that owns what it holds.
struct Owned {
    pooling: Pooling,
    indices: Vec<u32>,
    offsets: Option<Vec<u32>>,
    weights: Option<Vec<f32>>,
}

impl Owned {
    /// Bags of 0 to 7 rows, some rows far more often than others.
    fn random(rows: u32, pooling: Pooling, weighted: bool, random: &mut Random) -> Self {
        let mut offsets = vec![0];
        let mut indices = vec![];
        for _ in 0..random.below(40) {
            for _ in 0..random.below(8) {
                let most = 1 + random.below(rows);
                indices.push(random.below(most));
            }
            offsets.push(indices.len() as u32);
        }
        let weights = indices.iter().map(|_| random.signed()).collect();
        Self {
            pooling,
            indices,
            offsets: (pooling != Pooling::None).then_some(offsets),
            weights: weighted.then_some(weights),
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

    fn gradient(&self, dim: usize, random: &mut Random) -> Vec<f32> {
        let len = self.batch().bags() * dim;
        (0..len).map(|_| 0.1 * random.signed()).collect()
    }
}

const POOLINGS: [Pooling; 3] = [Pooling::None, Pooling::Sum, Pooling::Mean];

fn lpt(optimizer: Optimizer, parameters: Parameters) -> TrainingSpec {
    TrainingSpec {
        parameters,
        weight_decay: 0.01,
        table: 3,
        ..TrainingSpec::lpt(optimizer, 0x0123_4567_89ab_cdef)
    }
}

fn same(got: &Checkpoint, expected: &Checkpoint, context: &str) {
    for row in 0..expected.table.rows() as usize {
        assert_eq!(
            got.table.row_words(row),
            expected.table.row_words(row),
            "{context}, row {row}"
        );
    }
    let bits = common::training::bits;
    assert_eq!(bits(&got.state), bits(&expected.state), "{context}, state");
    let (a, b) = (bits(&got.step_state), bits(&expected.step_state));
    assert_eq!(a, b, "{context}, state of the steps");
    assert_eq!(got.number, expected.number, "{context}");
}

/// Steps of a run on the device and on the reference.
fn update_alike(start: Checkpoint, steps: usize, random: &mut Random, context: &str) {
    let Some(session) = gpu() else { return };
    let (rows, dim) = (start.table.rows(), start.table.dim() as usize);
    let mut training = session.resume(&start).unwrap();
    let mut run = Run::new(start);
    for step in 0..steps {
        let pooling = POOLINGS[step % 3];
        let owned = Owned::random(rows, pooling, step % 2 == 1, random);
        let gradient = owned.gradient(dim, random);
        let batch = owned.batch();
        let got = training.backward_update(&batch, &gradient, 0.05);
        let expected = run.update(&batch, &gradient, 0.05);
        assert_eq!(got.unwrap(), expected, "{context}, step {step}");
    }
    same(&training.checkpoint().unwrap(), &run.run, context);
}

#[test]
fn a_hundred_steps_of_every_optimizer() {
    let mut random = Random::new(1);
    let affine = |bits, params| Format::Affine { bits, params };
    let symmetric = |bits, params| Format::Symmetric { bits, params };
    for optimizer in Optimizer::ALL {
        for (format, parameters) in [
            (symmetric(Bits::B4, Params::F32), Parameters::Frozen),
            (affine(Bits::B8, Params::F32), Parameters::Refreshed),
        ] {
            let table = random_table(format, (23, 16), &mut random);
            let start = Checkpoint::start(table, lpt(optimizer, parameters));
            let context = format!("{format} {} {}", optimizer.name(), parameters.name());
            update_alike(start, 100, &mut random, &context);
        }
    }
}

/// Every variant of the kernel but that of given steps, which a run does not have, at dims around its quads.
#[test]
fn a_few_steps_of_every_format_and_dim() {
    let mut random = Random::new(2);
    let dims = [1, 3, 4, 7, 16, 33, 64, 130];
    let specs = training_formats().flat_map(|format| {
        let symmetric = matches!(format, Format::Symmetric { .. });
        let all = [Parameters::Frozen, Parameters::Refreshed];
        all.into_iter()
            .take(if symmetric { 1 } else { 2 })
            .map(move |parameters| (format, parameters))
    });
    for (case, (format, parameters)) in specs.enumerate() {
        for (at, optimizer) in Optimizer::ALL.into_iter().enumerate() {
            let dim = dims[(case + at) % dims.len()];
            let table = random_table(format, (9, dim), &mut random);
            let rounding = Rounding::ALL[(case + at) % 2];
            let spec = TrainingSpec {
                rounding,
                ..lpt(optimizer, parameters)
            };
            let context = format!("{format} {} {} {dim}", optimizer.name(), parameters.name());
            update_alike(Checkpoint::start(table, spec), 3, &mut random, &context);
        }
    }
}

/// Steps of a run whose steps are learned, on the device and on the reference.
fn learn_alike(start: Checkpoint, steps: usize, random: &mut Random, context: &str) {
    let Some(session) = gpu() else { return };
    let (rows, dim) = (start.table.rows(), start.table.dim() as usize);
    let mut training = session.resume(&start).unwrap();
    let mut run = Run::new(start);
    for step in 0..steps {
        let context = format!("{context}, step {step}");
        let pooling = POOLINGS[step % 3];
        let owned = Owned::random(rows, pooling, step % 2 == 1, random);
        let batch = owned.batch();
        let gradient = owned.gradient(dim, random);
        let got = training.backward_stage(&batch, &gradient, 0.05);
        let expected = run.stage(&batch, &gradient, 0.05);
        assert_eq!(got.unwrap(), expected, "{context}");
        if pooling == Pooling::None && owned.weights.is_none() {
            let staged = run.staged();
            let values = qembed::reference::dequantize(&staged.packed);
            let rows = staged.ranks.iter().map(|&rank| rank as usize);
            let expected: Vec<f32> = rows
                .flat_map(|row| values[row * dim..][..dim].to_vec())
                .collect();
            assert_eq!(
                training.forward_staged(&batch).unwrap(),
                expected,
                "{context}"
            );
        }
        let gradient = owned.gradient(dim, random);
        let got = training.backward_steps(&batch, &gradient, 0.003);
        let expected = run.learn(&batch, &gradient, 0.003);
        assert_eq!(got.unwrap(), expected, "{context}");
    }
    let end = training.checkpoint().unwrap();
    same(&end, &run.run, context);
}

#[test]
fn a_hundred_steps_that_learn_steps() {
    let mut random = Random::new(3);
    for granularity in [Granularity::Row, Granularity::Table] {
        let learned = LearnedSteps {
            granularity,
            gradient_scale: GradientScale::Dim,
            weight_decay: 0.02,
            ..LearnedSteps::default()
        };
        let format = Format::Symmetric {
            bits: Bits::B4,
            params: Params::F32,
        };
        let table = one_step(random_table(format, (23, 16), &mut random), granularity);
        let spec = TrainingSpec {
            learned: Some(learned),
            ..lpt(Optimizer::ADAM, Parameters::Frozen)
        };
        let start = Checkpoint::start(table, spec);
        learn_alike(start, 100, &mut random, &format!("{granularity:?}"));
    }
}

/// The table, with the step of its first row in all of them where it is to have one step.
fn one_step(table: PackedTable, granularity: Granularity) -> PackedTable {
    if granularity == Granularity::Row {
        return table;
    }
    let row_words = table.format().row_words(table.dim()) as usize;
    let mut words = table.words().to_vec();
    let first = words[0];
    words.chunks_mut(row_words).for_each(|row| row[0] = first);
    PackedTable::from_words(table.format(), table.dim() as usize, words).unwrap()
}

#[test]
fn a_few_steps_of_every_learning() {
    let mut random = Random::new(4);
    let formats = training_formats().filter(|format| matches!(format, Format::Symmetric { .. }));
    for (case, format) in formats.enumerate() {
        for (at, optimizer) in Optimizer::ALL.into_iter().enumerate() {
            let granularity = [Granularity::Row, Granularity::Table][at % 2];
            let learned = LearnedSteps {
                optimizer,
                granularity,
                gradient_scale: GradientScale::Fixed(0.1),
                weight_decay: 0.02 * (at % 2) as f32,
                boundary: [Boundary::Strict, Boundary::Inclusive][case % 2],
            };
            let dim = [1, 5, 16, 40][(case + at) % 4];
            let table = one_step(random_table(format, (9, dim), &mut random), granularity);
            let spec = TrainingSpec {
                learned: Some(learned),
                ..lpt(Optimizer::ALL[(at + 2) % 5], Parameters::Frozen)
            };
            let context = format!("{format} {} {granularity:?} {dim}", optimizer.name());
            learn_alike(Checkpoint::start(table, spec), 6, &mut random, &context);
        }
    }
}
