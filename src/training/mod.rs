//! How packed rows are trained: the names that reference, CPU engine, shaders and kernels share.

mod optimizer;
mod run;
mod spec;
mod steps;

pub use optimizer::{Optimizer, OptimizerConstants};
pub use run::{Checkpoint, TrainingSpec};
pub(crate) use run::{StagedBatch, no_learned_steps, nothing_staged, refuse};
#[cfg(feature = "gpu")]
pub(crate) use spec::no_update_of_max;
pub use spec::{
    BadInput, Batch, Parameters, Rounding, UpdateSpec, UpdateStatus, UpdateStep, training_formats,
};
pub(crate) use spec::{check_format, check_gradient, no_steps_of};
pub use steps::{Boundary, GradientScale, Granularity, LearnedSteps, MIN_STEP};

/// Occurrences of a row that are summed together before anything else is added.
pub const CHUNK: u32 = 256;

/// The segment of a position that has none: its index is no row, or it lies in no bag.
pub const NO_SEGMENT: u32 = u32::MAX;
