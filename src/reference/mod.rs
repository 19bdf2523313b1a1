//! The specification: what every kernel must compute, naive, slow and obviously right.
//!
//! It shares no code with the kernels but the row formats' positions.
//! GPU kernels and CPU engines are tested against it, and it is tested against hand-computed
//! literals and PyTorch's own output (`docs/testing.md`).

mod batched;
mod dequantize;
pub mod exact;
mod lookup;
pub mod quantize;
mod sort;
mod steps;
mod update;

pub use batched::{Batched, BatchedArgs, batched};
pub use dequantize::{dequantize, row_value};
pub use lookup::{LookupArgs, Pooled, lookup};
pub use quantize::{RowProblem, quantize_row};
pub use sort::{Sorted, sort};
pub use steps::{Staged, StepArgs, learn_steps, slope, stage};
pub(crate) use steps::{check_learning, check_symmetric};
pub(crate) use update::check as check_update;
pub use update::{
    Moved, NewHeader, Occurrence, Ruler, UpdateArgs, advance, advance_rows, gradient_of, header,
    is_rounded_up, occurrences, update, weight_gradient, write,
};
