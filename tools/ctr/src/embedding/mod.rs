//! The embedding table: what the network sees of it, and how it learns.

mod full;
mod quantized;

pub use full::Full;
pub use quantized::{Quantized, Way};

use crate::data::Batch;
use crate::failure::Result;

/// Columns of the table.
pub const DIM: usize = 16;

/// The gradient of the loss with respect to pooled vectors, where the network is now.
pub type Again<'a> = dyn FnMut(&[f32]) -> Result<Vec<f32>> + 'a;

/// A table that can be trained.
pub trait Embedding {
    /// The mean of every bag's rows, `[bags, DIM]`.
    fn forward(&self, batch: &Batch) -> Result<Vec<f32>>;

    /// Learns from the gradient of the loss with respect to what `forward` gave. The network has learned
    /// already; a table that goes through it a second time asks `again`.
    fn learn(&mut self, batch: &Batch, gradient: &[f32], again: &mut Again<'_>) -> Result<()>;

    /// Bytes of its rows, without the optimizer's state.
    fn bytes(&self) -> Result<u64>;

    /// The step of every row, where it has steps.
    fn steps(&self) -> Result<Option<Vec<f32>>>;
}
