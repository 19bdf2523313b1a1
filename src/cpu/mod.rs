//! The kernels on the CPU, in parallel over bags and rows.
//!
//! Each bag and each row is computed by the reference itself, so the answers are the reference's.

mod dequantize;
mod lookup;
mod quantize;

pub use dequantize::dequantize;
pub use lookup::lookup;
pub use quantize::quantize_counting;
