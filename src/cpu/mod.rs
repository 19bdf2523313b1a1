//! The kernels on the CPU, in parallel over bags and rows.
//!
//! Rows are quantized and trained by code of their own, sixteen numbers at a time; each bag is looked up by the
//! reference itself.
//! The answers are the reference's.

mod dequantize;
mod lanes;
mod lookup;
mod quantize;
mod training;
mod update;

pub use dequantize::dequantize;
pub use lookup::lookup;
pub use quantize::quantize_counting;
pub use training::Training;
pub use update::{learn_steps, stage, update, weight_gradient};
