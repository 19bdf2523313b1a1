//! qembed

pub mod cpu;
mod error;
mod format;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(feature = "io")]
pub mod io;
pub mod reference;
mod request;
#[cfg(feature = "session")]
mod session;
pub mod shader;
mod spec;
mod table;
pub mod verify;

pub use error::{Error, Result};
pub use format::{AffineRow, Bits, DIM_RANGE, Format, Header, Layout, Narrow, Params};
pub use reference::{Method, RowProblem};
pub use request::{Looked, LookupRequest, OutOfRange, Values};
#[cfg(feature = "session")]
pub use session::{Adapters, Session};
pub use spec::{LookupSpec, LookupStatus, Output, Pooling, QuantizeStatus, Weighting};
pub use table::PackedTable;
#[cfg(feature = "gpu")]
pub use wgpu;
