//! Kernels on the caller's device. The only wing that imports wgpu.
//!
//! Nothing here submits, waits or reads back; `bind` checks everything, `record` cannot fail.

mod arena;
mod arguments;
mod batch;
mod batched;
mod chain;
mod collect;
mod counts;
mod dequantize;
mod kernels;
mod learn;
mod lookup;
mod pipeline;
mod quantize;
mod scope;
mod sort;
mod table;
mod tuning;
mod update;
mod weigh;
mod write_rows;

pub use arena::{Arena, ArenaBlocks, ArenaRemap, ArenaTable};
#[cfg(feature = "session")]
pub(crate) use arguments::max_binding_bytes;
pub use batch::{BatchArgs, BatchSpec, UpdateBuffers};
pub use batched::{BatchedLookup, BatchedSpec};
#[cfg(feature = "session")]
pub(crate) use collect::most_collected;
pub use dequantize::{BoundDequantize, Dequantize, DequantizeArgs};
pub use kernels::{Kernels, KernelsOptions};
pub use learn::{Learn, LearnArgs, LearnBuffers, LearnSpec};
pub use lookup::{BoundLookup, Counts, Lookup, LookupArgs};
pub use quantize::{BoundQuantize, Quantize, QuantizeArgs};
#[cfg(feature = "session")]
pub(crate) use scope::{alive, buffer, checked};
pub use sort::{BoundSort, Sort, SortArgs, SortBuffers};
pub use table::{BlocksBuffer, Shard, Table, TableBuffers, TableDesc};
pub use update::{BoundUpdate, Update, UpdateArgs};
pub use weigh::{BoundWeigh, Weigh, WeighArgs};
