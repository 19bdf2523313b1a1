use std::path::PathBuf;

use crate::{Float, Params};

/// The one error of this library.
///
/// Every variant names the argument or the file, what was needed and what was given.
/// Its `Display` is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Lengths, counts or formats that do not fit together.
    #[error("{argument}: needed {needed}, got {got}")]
    Shape {
        /// The argument at fault.
        argument: &'static str,
        /// What would have fitted.
        needed: String,
        /// What was given.
        got: String,
    },

    /// A value that cannot be quantized.
    #[error(
        "row {row}, column {column} holds {value}: quantizing needs finite values; replace it before quantizing"
    )]
    NotFinite {
        /// Row of the first such value.
        row: usize,
        /// Column of the first such value in that row.
        column: usize,
        /// The value.
        value: f32,
    },

    /// A row whose scale or bias the header's type cannot hold, or whose scale has no reciprocal.
    #[error(
        "row {row} spans {low:e} to {high:e}: an {} header cannot hold its scale and bias; {}",
        params.name(),
        remedy(*params)
    )]
    HeaderRange {
        /// The first such row.
        row: usize,
        /// Its smallest value.
        low: f32,
        /// Its largest value.
        high: f32,
        /// The header's type.
        params: Params,
    },

    /// A symmetric row whose step f16 cannot hold.
    #[error(
        "row {row} spans {low:e} to {high:e}: an f16 header cannot hold its step; use f32 headers or scale the values down"
    )]
    StepRange {
        /// The first such row.
        row: usize,
        /// Its smallest value.
        low: f32,
        /// Its largest value.
        high: f32,
    },

    /// A step that was given and is none, or none in the header's type.
    #[error(
        "row {row}: {step:e} is no step of an {} header; steps are positive and finite, no subnormal f32",
        params.name()
    )]
    Step {
        /// The first row with such a step; 0 where there is one step for all.
        row: usize,
        /// The step.
        step: f32,
        /// The header's type.
        params: Params,
    },

    /// A row with a value that no f16 centroid holds.
    #[error(
        "row {row} spans {low:e} to {high:e}: f16 centroids cannot hold it; take a method with scale and bias, and f32 headers"
    )]
    CentroidRange {
        /// The first such row.
        row: usize,
        /// Its smallest value.
        low: f32,
        /// Its largest value.
        high: f32,
    },

    /// A row with a value that a row of floats cannot hold.
    #[error(
        "row {row} spans {low:e} to {high:e}: {} cannot hold it; cast to {} or scale the values down",
        float.name(),
        wider(*float)
    )]
    FloatRange {
        /// The first such row.
        row: usize,
        /// Its smallest value.
        low: f32,
        /// Its largest value.
        high: f32,
        /// Type of the row's values.
        float: Float,
    },

    /// A row that cannot be updated.
    #[error(
        "row {row}: its gradient, weights, state or new values are not finite, or its header cannot hold them ({rows} such rows); nothing was stored; mend the batch, lower the learning rate, or skip such rows"
    )]
    Gradient {
        /// The first such row of the table.
        row: usize,
        /// How many there are.
        rows: u32,
    },

    /// A search that the driver did not let a kernel finish.
    #[error(
        "row {row}: the driver ended a loop early (llvmpipe counts 65535 iterations a lane); take fewer bins, iterations or duplicates, or the CPU"
    )]
    Unfinished {
        /// The first such row.
        row: usize,
    },

    /// An f32 header on its way into a layout that holds f16, where nobody allowed that.
    #[error(
        "the table has f32 headers, the layout f16 ones; allow narrowing or quantize with f16 headers"
    )]
    NarrowingRefused,

    /// A header that a narrower type cannot hold.
    #[error("row {row}: f16 cannot hold the {name} {value:e}; keep the f32 header")]
    Narrow {
        /// The first such row.
        row: usize,
        /// Scale or bias.
        name: &'static str,
        /// The number.
        value: f32,
    },

    /// What no kernel computes, or not on this device.
    #[error("{what} is not supported: {instead}")]
    Unsupported {
        /// The combination.
        what: String,
        /// What to do instead.
        instead: &'static str,
    },

    /// An index outside the table.
    #[error(
        "indices: position {position} holds {index}, the table has {rows} rows; remove it or skip indices out of range"
    )]
    IndexOutOfRange {
        /// Position in `indices`.
        position: usize,
        /// The index found there.
        index: u32,
        /// Rows of the table.
        rows: u32,
    },

    /// An entry of a remap that stands for no row.
    #[error(
        "remap of table {table}: index {index} has the entry {entry}, the table has {rows} rows; entries are rows, or -1 where the row was pruned"
    )]
    Remap {
        /// Number of the table in the batch.
        table: usize,
        /// The first such index.
        index: usize,
        /// Its entry.
        entry: i32,
        /// Rows of the table.
        rows: u32,
    },

    /// Offsets that do not delimit bags.
    #[error(
        "offsets: bag {bag} spans {begin}..{end}; offsets must start at 0, never decrease and end at the number of indices ({indices})"
    )]
    Offsets {
        /// The first bag at fault.
        bag: usize,
        /// Its first position.
        begin: u32,
        /// Its end.
        end: u32,
        /// Number of indices.
        indices: usize,
    },

    /// A buffer range shorter than the work needs.
    #[error("{argument}: the range has {got_bytes} bytes, {needed_bytes} are needed")]
    BufferTooSmall {
        /// The argument at fault.
        argument: &'static str,
        /// Bytes that the work needs.
        needed_bytes: u64,
        /// Bytes in the range given.
        got_bytes: u64,
    },

    /// A buffer created without a usage that the kernel needs.
    #[error("{argument}: the buffer lacks the usage {missing}; add it where the buffer is created")]
    BufferUsage {
        /// The argument at fault.
        argument: &'static str,
        /// The usage that is missing.
        missing: &'static str,
    },

    /// A range that starts where the device cannot bind it.
    #[error(
        "{argument}: the range starts at byte {offset_bytes}, which must be a multiple of {align_bytes}"
    )]
    Misaligned {
        /// The argument at fault.
        argument: &'static str,
        /// Where the range starts.
        offset_bytes: u64,
        /// The device's `min_storage_buffer_offset_alignment`.
        align_bytes: u64,
    },

    /// A written range that the device cannot bind beside another one.
    #[error("{argument} shares {overlap} with {other}: {remedy}")]
    Aliased {
        /// The written argument.
        argument: &'static str,
        /// The argument that it collides with.
        other: &'static str,
        /// What they share.
        overlap: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },

    /// A device limit that the work exceeds.
    #[error("{argument}: needs {needed} of the device's {name}, which is {available}")]
    Limit {
        /// What asked for it.
        argument: &'static str,
        /// The limit, in wgpu's spelling.
        name: &'static str,
        /// What the work needs.
        needed: u64,
        /// What the device has.
        available: u64,
    },

    /// No graphics adapter to run on.
    #[error("no {wanted} found{}", adapter_remedy(chosen.as_deref()))]
    NoAdapter {
        /// What was looked for.
        wanted: &'static str,
        /// wgpu's environment variables that choose among adapters, where they are set.
        chosen: Option<String>,
    },

    /// The device refused something that had passed every check here.
    #[error("device: {0}")]
    Device(String),

    /// The device ran out of memory.
    #[error("{argument}: the device is out of memory ({needed_bytes} bytes asked for)")]
    OutOfMemory {
        /// What asked for memory.
        argument: &'static str,
        /// Bytes asked for; 0 where the driver did not say.
        needed_bytes: u64,
    },

    /// The device is lost; make a new one.
    #[error("the device is lost; make a new one and upload again")]
    DeviceLost,

    /// A file that cannot be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
}

/// `Result` with this library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn remedy(params: Params) -> &'static str {
    match params {
        Params::F16 => "use f32 headers or scale the values down",
        Params::F32 => "scale the values down",
    }
}

/// A type that holds what this one does not.
fn wider(float: Float) -> &'static str {
    match float {
        Float::F16 => "bf16 or f32",
        Float::Bf16 | Float::F32 => "f32",
    }
}

fn adapter_remedy(chosen: Option<&str>) -> String {
    match chosen {
        Some(chosen) => format!(" with {chosen}; unset it or choose another"),
        None => "; install a Vulkan driver (Debian, Ubuntu: mesa-vulkan-drivers) or run on the CPU"
            .into(),
    }
}
