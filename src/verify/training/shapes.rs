//! Batches at the boundaries of the kernels that train, and the data that fills them.

use crate::format::{put_code, write_step};
use crate::philox::RandomKey;
use crate::training::{self, BadInput, Optimizer, Rounding, UpdateStep};
use crate::verify::shapes::{self, Batch, Faults, Random, Shape};
use crate::{Format, Header, PackedTable, Pooling, Result, Weighting};

/// One shape of table and batch, and what is done with it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingShape {
    /// Table and bags; of a gather, bags of one.
    pub shape: Shape,
    /// How bags were pooled.
    pub pooling: Pooling,
    /// With or without weights.
    pub weighting: Weighting,
    /// How new values become codes.
    pub rounding: Rounding,
    /// What the faults do.
    pub bad_input: BadInput,
    /// Whether the faults are offsets that decrease or pass the end; else numbers, headers and indices.
    pub bad_offsets: bool,
}

impl TrainingShape {
    /// The shape's part of a case's name: `dim33.rows9.bags6.indices23.mean.weighted.stochastic`
    pub fn name(&self) -> String {
        let faults = match (self.shape.faults, self.bad_offsets, self.bad_input) {
            (Faults::None, _, _) => "",
            (Faults::Some, true, _) => ".offsets",
            (Faults::Some, false, BadInput::Refuse) => ".refuse",
            (Faults::Some, false, BadInput::Skip) => ".skip",
        };
        format!(
            "{}.{}.{}.{}{faults}",
            Shape {
                faults: Faults::None,
                ..self.shape.clone()
            }
            .name(),
            self.pooling.name(),
            self.weighting.name(),
            self.rounding.name()
        )
    }

    fn with(self, pooling: Pooling, weighting: Weighting, rounding: Rounding) -> Self {
        Self {
            pooling,
            weighting,
            rounding,
            ..self
        }
    }

    fn faulty(mut self, bad_input: BadInput) -> Self {
        self.shape.faults = Faults::Some;
        self.bad_input = bad_input;
        self
    }
}

/// Every shape: dims on both sides of a lane's four columns, of a team's sixteen and of words, duplicates, rows of
/// more than one chunk, empty bags, each pooling with and without weights; then faults that are skipped,
/// faults that are refused, bad offsets, no rows, no indices, no bags.
pub fn training_shapes() -> Vec<TrainingShape> {
    use Pooling::{Mean, None as Gather, Sum};
    use Rounding::{Nearest, Stochastic};
    use Weighting::{Unweighted, Weighted};
    let shape = |dim, rows, bags: &[u32]| TrainingShape {
        shape: Shape {
            dim,
            rows,
            bags: bags.to_vec(),
            faults: Faults::None,
        },
        pooling: Gather,
        weighting: Unweighted,
        rounding: Stochastic,
        bad_input: BadInput::Refuse,
        bad_offsets: false,
    };
    let mut bad_offsets = shape(16, 6, &[3, 2, 5, 2, 1]).with(Sum, Unweighted, Stochastic);
    bad_offsets.bad_offsets = true;
    vec![
        shape(1, 7, &[1; 30]),
        shape(4, 2, &[0, 3, 700, 1, 0]).with(Sum, Weighted, Nearest),
        shape(33, 9, &[2, 0, 7, 1, 13, 0]).with(Mean, Weighted, Stochastic),
        shape(1000, 3, &[2, 3]).with(Mean, Unweighted, Stochastic),
        shape(64, 40, &[5, 0, 9, 31])
            .with(Sum, Unweighted, Stochastic)
            .faulty(BadInput::Skip),
        shape(130, 30, &[4, 4, 0, 40])
            .with(Mean, Weighted, Nearest)
            .faulty(BadInput::Skip),
        shape(7, 20, &[1; 40])
            .with(Gather, Weighted, Stochastic)
            .faulty(BadInput::Refuse),
        bad_offsets.faulty(BadInput::Skip),
        shape(5, 0, &[2, 0, 1])
            .with(Sum, Weighted, Nearest)
            .faulty(BadInput::Skip),
        shape(9, 10, &[0, 0, 0]).with(Mean, Unweighted, Nearest),
        shape(9, 10, &[]).with(Sum, Weighted, Nearest),
    ]
}

/// What a case trains a table with.
#[derive(Clone, Debug)]
pub struct TrainingData {
    pooling: Pooling,
    weighting: Weighting,
    batch: Batch,
    /// The gradients of the first and of the second forward, `[bags, dim]`.
    pub gradients: [Vec<f32>; 2],
    /// A step for every row.
    pub steps: Vec<f32>,
    /// The step, Adam's fifth.
    pub step: UpdateStep,
}

impl TrainingData {
    /// The lookup.
    pub fn batch(&self) -> training::Batch<'_> {
        training::Batch {
            pooling: self.pooling,
            indices: &self.batch.indices,
            offsets: (self.pooling != Pooling::None).then_some(&self.batch.offsets),
            weights: (self.weighting == Weighting::Weighted).then_some(&self.batch.weights),
        }
    }
}

/// Batch, gradients and steps of a shape. With faults, every fifth index is no row, every thirteenth weight and
/// an element of the first bag's gradient are not finite, and some steps are none.
pub fn training_data(case: &TrainingShape, seed: u64) -> TrainingData {
    let mut random = Random::new(seed);
    let batch = batch(case, seed);
    let bags = match case.pooling {
        Pooling::None => batch.indices.len(),
        Pooling::Sum | Pooling::Mean | Pooling::Max => batch.offsets.len() - 1,
    };
    let len = bags * case.shape.dim as usize;
    let mut gradients = [(); 2].map(|()| numbers(len, 0.1, &mut random));
    let mut steps: Vec<_> = (0..case.shape.rows).map(|_| step(&mut random)).collect();
    if case.shape.faults == Faults::Some {
        for (number, gradient) in gradients.iter_mut().enumerate() {
            damage(gradient, 0, [f32::NAN, f32::INFINITY][number]);
            damage(gradient, len / 2, f32::MIN_POSITIVE / 4.0);
        }
        for (row, bad) in [0.0, -1.0, f32::NAN, 1e6, 1e-40].into_iter().enumerate() {
            damage(&mut steps, row + 4, bad);
        }
    }
    TrainingData {
        pooling: case.pooling,
        weighting: case.weighting,
        batch,
        gradients,
        steps,
        step: UpdateStep {
            learning_rate: 0.05,
            weight_decay: 0.01,
            rounding: case.rounding,
            key: RandomKey {
                seed: 0x0123_4567_89ab_cdef ^ seed,
                table: 3,
                step: 5,
            },
            bad_input: case.bad_input,
        },
    }
}

fn damage(numbers: &mut [f32], at: usize, number: f32) {
    if let Some(found) = numbers.get_mut(at) {
        *found = number;
    }
}

fn numbers(len: usize, scale: f32, random: &mut Random) -> Vec<f32> {
    (0..len).map(|_| scale * random.signed()).collect()
}

fn batch(case: &TrainingShape, seed: u64) -> Batch {
    let shape = &case.shape;
    let mut batch = shapes::batch(
        &Shape {
            rows: shape.rows.max(1),
            faults: match case.bad_offsets {
                true => Faults::Some,
                false => Faults::None,
            },
            ..shape.clone()
        },
        seed,
    );
    if shape.faults == Faults::Some {
        for (at, index) in batch.indices.iter_mut().enumerate() {
            if at % 5 == 3 {
                *index = [shape.rows, u32::MAX][at % 2];
            }
        }
        for weight in batch.weights.iter_mut().skip(1).step_by(13) {
            *weight = f32::NAN;
        }
    }
    batch
}

/// The state of an optimizer of every row: moments as a run leaves them. With faults, row 1 has one that is not
/// finite, row 2 a negative square, row 3 a subnormal number.
pub fn state(case: &TrainingShape, optimizer: Optimizer, dim: u32, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed ^ 0x5747);
    let len = optimizer.state_len(dim) as usize;
    let first = match optimizer {
        Optimizer::Sgd => 0,
        Optimizer::Momentum { .. } | Optimizer::Adam { .. } => dim as usize,
        Optimizer::Adagrad { .. } | Optimizer::RowwiseAdagrad { .. } => 0,
    };
    let mut state = Vec::with_capacity(case.shape.rows as usize * len);
    for row in 0..case.shape.rows {
        let mut numbers = numbers(len, 0.01, &mut random);
        numbers.iter_mut().skip(first).for_each(|x| *x = x.abs());
        if case.shape.faults == Faults::Some && len > 0 {
            match row {
                1 => numbers[0] = f32::NAN,
                2 => numbers[len - 1] = -1.0,
                3 => numbers[len - 1] = f32::MIN_POSITIVE / 2.0,
                _ => {}
            }
        }
        state.extend(numbers);
    }
    state
}

/// Rows with steps of about the same size and codes of the whole range; with faults, those of [`shapes::table`],
/// whose steps may be none.
pub fn training_table(case: &TrainingShape, format: Format, seed: u64) -> Result<PackedTable> {
    let shape = &case.shape;
    if shape.faults == Faults::Some {
        return shapes::table(shape, format, seed);
    }
    let mut random = Random::new(seed);
    let row_words = format.row_words(shape.dim) as usize;
    let mut words = vec![0; shape.rows as usize * row_words];
    for words in words.chunks_exact_mut(row_words) {
        let scale = step(&mut random);
        match format {
            Format::Symmetric { params, .. } => write_step(words, params, scale),
            Format::Affine { params, .. } => Header {
                scale,
                bias: random.signed(),
            }
            .write(words, params),
            Format::Codebook { .. } | Format::Blocks { .. } | Format::Float(_) => {}
        }
        for column in 0..shape.dim as usize {
            let code = random.word() & format.column_mask();
            put_code(words, format, column, code);
        }
    }
    PackedTable::from_words(format, shape.dim as usize, words)
}

fn step(random: &mut Random) -> f32 {
    0.01 + 0.03 * random.signed().abs()
}
