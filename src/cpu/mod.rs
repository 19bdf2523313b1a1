//! The kernels on the CPU, in parallel over bags and rows.
//!
//! Code of their own, sixteen numbers at a time, under the best instruction set that the machine has.
//! The answers are the reference's: its bits, but for sums and means, which lie within its bound
//! (`docs/accuracy.md`).

mod dequantize;
mod lanes;
mod lookup;
mod quantize;
mod training;
mod update;

pub use dequantize::dequantize;
pub use lookup::{Level, LookupOutput, batched, batched_into, lookup, lookup_at, lookup_into};
pub use quantize::quantize_counting;
pub use training::Training;
pub use update::{learn_steps, stage, update, weight_gradient};
