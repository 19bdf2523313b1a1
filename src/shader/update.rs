//! The kernels that train rows.

use super::variants::{binding, flag, format_constants};
use super::{Access, Binding, Promise, Variant};
use crate::training::{
    Boundary, Granularity, LearnedSteps, Optimizer, OptimizerConstants, Parameters, Rounding,
    UpdateSpec, UpdateStep, no_steps_of, training_formats,
};
use crate::{Format, Pooling, Weighting};

/// The numbers of one step: binding 2 of the kernels that write rows.
///
/// The caller writes it before every step; nothing else of an update changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct HyperUniform {
    /// The optimizer's numbers.
    pub constants: OptimizerConstants,
    /// Low half of the seed.
    pub seed_low: u32,
    /// High half of the seed.
    pub seed_high: u32,
    /// Number of the table.
    pub table: u32,
    /// Number of the step.
    pub number: u32,
    /// 1 to round stochastically, 0 to nearest.
    pub stochastic: u32,
    /// Factor of the gradient of a step size; of no use where none is learned.
    pub gradient_scale: f32,
    /// 1 where values at the ends of the codes' range count as clipped.
    pub inclusive: u32,
    /// Of no use.
    pub pad: u32,
}

impl HyperUniform {
    /// What the kernel of an optimizer is told about a step.
    ///
    /// # Errors
    /// Those of [`Optimizer::constants`].
    pub fn new(optimizer: Optimizer, step: &UpdateStep) -> crate::Result<Self> {
        Ok(Self {
            constants: step.constants(optimizer)?,
            seed_low: step.key.seed as u32,
            seed_high: (step.key.seed >> 32) as u32,
            table: step.key.table,
            number: step.key.step,
            stochastic: (step.rounding == Rounding::Stochastic).into(),
            gradient_scale: 0.0,
            inclusive: 0,
            pad: 0,
        })
    }

    /// What the kernels that learn steps are told: `step` with the learning rate of the steps, and `bags` of
    /// a batch of `format` rows of `dim` columns.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for rows that are not symmetric, those of [`Optimizer::constants`] and of
    /// the gradient's scale.
    pub fn learned(
        learned: &LearnedSteps,
        step: &UpdateStep,
        (format, dim, bags): (Format, u32, u32),
    ) -> crate::Result<Self> {
        let Format::Symmetric { bits, .. } = format else {
            return Err(no_steps_of(format));
        };
        let of_steps = UpdateStep {
            weight_decay: learned.weight_decay,
            ..*step
        };
        Ok(Self {
            gradient_scale: learned.gradient_scale.value(bits, dim, bags)?,
            inclusive: (learned.boundary == Boundary::Inclusive).into(),
            ..Self::new(learned.optimizer, &of_steps)?
        })
    }
}

/// What a dispatch over the rows of a batch may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Pass {
    /// Finds out what is wrong and stores nothing.
    Check = 0,
    /// Stores, unless something was found.
    StoreUnlessBad = 1,
    /// Stores what is good.
    StoreGood = 2,
}

/// Binding 1 of the kernels of an update.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct BatchUniform {
    /// Number of bags; of a gather, of indices.
    pub bags: u32,
    /// Number of indices.
    pub indices: u32,
    /// A [`Pass`].
    pub pass_kind: u32,
    /// Of no use.
    pub pad: u32,
}

/// Lanes that own a row together in the kernels that train.
pub const TEAM: u32 = 4;

macro_rules! training_module {
    ($($file:literal),+) => {
        module!("dispatch.wgsl", "table.wgsl", "format.wgsl", "exact.wgsl", "philox.wgsl", "batch.wgsl", "decode.wgsl", "codes.wgsl", "decode_codes.wgsl", "team.wgsl",
            "optimizer.wgsl", "passes.wgsl", "segments.wgsl", "rounding.wgsl", "store.wgsl", $($file),+)
    };
}

const LOCATE: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "exact.wgsl",
    "batch.wgsl",
    "locate.wgsl"
);
const ACCUMULATE: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "exact.wgsl",
    "batch.wgsl",
    "accumulate.wgsl"
);
const AFFINE: &str = training_module!(
    "grid.wgsl",
    "decode_affine.wgsl",
    "update_affine.wgsl",
    "update.wgsl",
    "update_place.wgsl"
);
const FROZEN: &str = training_module!(
    "decode_symmetric.wgsl",
    "step_header.wgsl",
    "update_frozen.wgsl",
    "update.wgsl",
    "update_place.wgsl"
);
const GIVEN: &str = training_module!(
    "decode_symmetric.wgsl",
    "step_header.wgsl",
    "update_given.wgsl",
    "update.wgsl",
    "update_place.wgsl"
);
const STAGED: &str = training_module!(
    "decode_symmetric.wgsl",
    "step_header.wgsl",
    "update_frozen.wgsl",
    "update.wgsl",
    "update_staged.wgsl"
);
const LEARN: &str = training_module!(
    "decode_symmetric.wgsl",
    "step_header.wgsl",
    "learn.wgsl",
    "learn_rows.wgsl",
    "learn_table.wgsl"
);
const WEIGH_AFFINE: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "format.wgsl",
    "exact.wgsl",
    "batch.wgsl",
    "decode.wgsl",
    "codes.wgsl",
    "decode_codes.wgsl",
    "decode_affine.wgsl",
    "team.wgsl",
    "weigh.wgsl"
);
const WEIGH_SYMMETRIC: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "format.wgsl",
    "exact.wgsl",
    "batch.wgsl",
    "decode.wgsl",
    "codes.wgsl",
    "decode_codes.wgsl",
    "decode_symmetric.wgsl",
    "team.wgsl",
    "weigh.wgsl"
);

const LOCATE_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "work", Access::Uniform),
    binding(2, "indices", Access::Read),
    binding(3, "offsets", Access::Read),
    binding(4, "weights", Access::Read),
    binding(5, "keys", Access::ReadWrite),
    binding(6, "occurrences", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
];
const ACCUMULATE_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "totals", Access::Read),
    binding(2, "chunks", Access::Read),
    binding(3, "positions", Access::Read),
    binding(4, "occurrences", Access::Read),
    binding(5, "gradient", Access::Read),
    binding(6, "sums", Access::ReadWrite),
];
const WEIGH_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "work", Access::Uniform),
    binding(2, "rows", Access::Read),
    binding(3, "keys", Access::Read),
    binding(4, "occurrences", Access::Read),
    binding(5, "gradient", Access::Read),
    binding(6, "weight_gradient", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
];

/// The bindings of a kernel that owns segments, with those of its own.
macro_rules! segment_bindings {
    ($($binding:expr),*) => {
        &[
            binding(0, "table", Access::Uniform),
            binding(1, "work", Access::Uniform),
            binding(2, "hyper", Access::Uniform),
            binding(4, "segments", Access::Read),
            binding(5, "totals", Access::Read),
            binding(8, "status", Access::ReadWrite),
            $($binding),*
        ]
    };
}

const UPDATE_BINDINGS: &[Binding] = segment_bindings!(
    binding(3, "rows", Access::ReadWrite),
    binding(6, "sums", Access::ReadWrite),
    binding(7, "state", Access::ReadWrite)
);
const GIVEN_BINDINGS: &[Binding] = segment_bindings!(
    binding(3, "rows", Access::ReadWrite),
    binding(6, "sums", Access::ReadWrite),
    binding(7, "state", Access::ReadWrite),
    binding(9, "steps", Access::Read)
);
const STAGED_BINDINGS: &[Binding] = segment_bindings!(
    binding(3, "rows", Access::Read),
    binding(6, "sums", Access::ReadWrite),
    binding(7, "state", Access::ReadWrite),
    binding(9, "staged", Access::ReadWrite)
);
const LEARN_ROWS_BINDINGS: &[Binding] = segment_bindings!(
    binding(3, "rows", Access::ReadWrite),
    binding(6, "sums", Access::ReadWrite),
    binding(7, "state", Access::ReadWrite),
    binding(9, "moved_values", Access::Read)
);
const LEARN_GRADIENTS_BINDINGS: &[Binding] = segment_bindings!(
    binding(3, "rows", Access::ReadWrite),
    binding(6, "sums", Access::ReadWrite),
    binding(9, "moved_values", Access::Read),
    binding(10, "gradients", Access::ReadWrite)
);
const LEARN_STEP_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "work", Access::Uniform),
    binding(2, "hyper", Access::Uniform),
    binding(3, "rows", Access::ReadWrite),
    binding(5, "totals", Access::Read),
    binding(7, "state", Access::ReadWrite),
    binding(8, "status", Access::ReadWrite),
    binding(10, "gradients", Access::ReadWrite),
    binding(11, "new_step", Access::ReadWrite),
];
const RESTEP_BINDINGS: &[Binding] = segment_bindings!(
    binding(3, "rows", Access::ReadWrite),
    binding(9, "moved_values", Access::Read),
    binding(10, "gradients", Access::ReadWrite),
    binding(11, "new_step", Access::ReadWrite)
);

/// Finds the row, the bag and the coefficient of every position of a batch.
pub fn locate(pooling: Pooling, weighting: Weighting) -> Variant {
    Variant {
        label: format!("locate.{}.{}", pooling.name(), weighting.name()),
        source: LOCATE,
        entry_point: "locate",
        constants: vec![
            ("WORKGROUP", f64::from(super::WORKGROUP)),
            ("GATHER", flag(pooling == Pooling::None)),
            ("MEAN", flag(pooling == Pooling::Mean)),
            ("WEIGHTED", flag(weighting == Weighting::Weighted)),
        ],
        bindings: LOCATE_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Sums the gradient of every chunk.
pub fn accumulate(pooling: Pooling, weighting: Weighting) -> Variant {
    let scaled = pooling == Pooling::Mean || weighting == Weighting::Weighted;
    let name = if scaled { "scaled" } else { "plain" };
    Variant {
        label: format!("accumulate.{name}"),
        source: ACCUMULATE,
        entry_point: "accumulate",
        constants: vec![
            ("WORKGROUP", f64::from(super::WORKGROUP)),
            ("SCALED", flag(scaled)),
        ],
        bindings: ACCUMULATE_BINDINGS,
        promise: Promise::Bits,
    }
}

/// The update of a spec that [`UpdateSpec::check`] accepts.
pub fn update(spec: &UpdateSpec) -> Variant {
    let (source, bindings) = match (spec.format, spec.parameters) {
        (Format::Symmetric { .. }, Parameters::Given) => (GIVEN, GIVEN_BINDINGS),
        (Format::Symmetric { .. }, _) => (FROZEN, UPDATE_BINDINGS),
        _ => (AFFINE, UPDATE_BINDINGS),
    };
    let mut constants = row_constants(spec.format, optimizer_number(spec.optimizer));
    if let Format::Affine { .. } = spec.format {
        let refreshed = spec.parameters == Parameters::Refreshed;
        constants.push(("REFRESHED", flag(refreshed)));
    }
    Variant {
        label: spec.label(),
        source,
        entry_point: "update",
        constants,
        bindings,
        promise: Promise::Bits,
    }
}

/// The first half of learning steps, of symmetric rows.
pub fn stage(format: Format, optimizer: Optimizer) -> Variant {
    Variant {
        label: format!("stage.{format}.{}", optimizer.name()),
        source: STAGED,
        entry_point: "update",
        constants: row_constants(format, optimizer_number(optimizer)),
        bindings: STAGED_BINDINGS,
        promise: Promise::Bits,
    }
}

/// The kernels of the second half of learning steps, in the order in which they run: `learn_rows`, or, where the
/// table has one step, `learn_gradients`, `learn_step` and `restep`.
pub fn learn(format: Format, optimizer: Optimizer, granularity: Granularity) -> Vec<Variant> {
    let kernel = |entry_point, bindings| Variant {
        label: format!("{entry_point}.{format}.{}", optimizer.name()),
        source: LEARN,
        entry_point,
        constants: row_constants(format, step_optimizer_number(optimizer)),
        bindings,
        promise: Promise::Bits,
    };
    match granularity {
        Granularity::Row => vec![kernel("learn_rows", LEARN_ROWS_BINDINGS)],
        Granularity::Table => vec![
            kernel("learn_gradients", LEARN_GRADIENTS_BINDINGS),
            kernel("learn_step", LEARN_STEP_BINDINGS),
            kernel("restep", RESTEP_BINDINGS),
        ],
    }
}

/// The gradient of weights.
pub fn weigh(format: Format) -> Variant {
    Variant {
        label: format!("weigh.{format}"),
        source: match format {
            Format::Symmetric { .. } => WEIGH_SYMMETRIC,
            _ => WEIGH_AFFINE,
        },
        entry_point: "weigh",
        constants: format_constants(format),
        bindings: WEIGH_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Every variant of every kernel that trains.
pub(super) fn all() -> impl Iterator<Item = Variant> {
    let batches = [Pooling::None, Pooling::Sum, Pooling::Mean]
        .into_iter()
        .flat_map(|pooling| Weighting::ALL.map(|weighting| (pooling, weighting)));
    let accumulates = [Weighting::Unweighted, Weighting::Weighted];
    let symmetric = || {
        training_formats()
            .filter(|format| matches!(format, Format::Symmetric { .. }))
            .flat_map(|format| Optimizer::ALL.map(|optimizer| (format, optimizer)))
    };
    let learns = symmetric().flat_map(|(format, optimizer)| {
        [Granularity::Row, Granularity::Table]
            .into_iter()
            .flat_map(move |granularity| learn(format, optimizer, granularity))
    });
    batches
        .map(|(pooling, weighting)| locate(pooling, weighting))
        .chain(accumulates.map(|weighting| accumulate(Pooling::Sum, weighting)))
        .chain(UpdateSpec::all().map(|spec| update(&spec)))
        .chain(symmetric().map(|(format, optimizer)| stage(format, optimizer)))
        .chain(learns)
        .chain(training_formats().map(weigh))
}

fn row_constants(format: Format, optimizer: u32) -> Vec<(&'static str, f64)> {
    let mut constants = format_constants(format);
    constants.push(("OPTIMIZER", f64::from(optimizer)));
    constants
}

/// The optimizer's number in `optimizer.wgsl`.
fn optimizer_number(optimizer: Optimizer) -> u32 {
    match optimizer {
        Optimizer::Sgd => 0,
        Optimizer::Momentum { .. } => 1,
        Optimizer::Adagrad { .. } => 2,
        Optimizer::RowwiseAdagrad { .. } => 3,
        Optimizer::Adam { .. } => 4,
    }
}

/// The same for a step size: a row of one column, where both kinds of Adagrad are one.
fn step_optimizer_number(optimizer: Optimizer) -> u32 {
    match optimizer {
        Optimizer::RowwiseAdagrad { epsilon } => optimizer_number(Optimizer::Adagrad { epsilon }),
        _ => optimizer_number(optimizer),
    }
}
