//! The kernels as WGSL text, with everything that a pipeline is made from.
//!
//! Knows no wgpu: an engine that builds its own pipelines needs only this module.
//! A [`Variant`] names its source, entry point, pipeline-overridable constants and bindings, all in
//! bind group 0. The head of each file under `shaders/` says what the bindings hold and what the
//! host must guarantee.

/// Joins fragments of `shaders/` into one module.
macro_rules! module {
    ($($file:literal),+) => {
        concat!($(include_str!(concat!("../../shaders/", $file))),+)
    };
}

mod batched;
mod collect;
mod quantize;
mod sort;
mod update;
mod variants;

pub use batched::{
    BatchedKernel, BatchedPlan, BatchedUniform, FeatureWords, Parts, batched, batched_label,
};
pub use collect::{COLLECT_LANE_WORDS, collect, collect_lanes_per_row, collected};
pub use quantize::{quantize, quantize_rows_per_group};
pub use sort::{
    SORT_DIGIT_BITS, SORT_FEW_TILES, SORT_TILE, SORT_WORKGROUP, sort_count, sort_emit, sort_mark,
    sort_scan, sort_scatter,
};
pub use update::{
    BatchUniform, HyperUniform, Pass, TEAM, accumulate, learn, locate, stage, update, weigh,
};
pub use variants::{all, dequantize, lookup, prepare};

/// Lanes of a workgroup, in every kernel but `prepare`, which has one, and those that sort
/// ([`SORT_WORKGROUP`]).
pub const WORKGROUP: u32 = 64;

/// Workgroups beyond this many in x continue in the next y.
pub const GRID_WIDTH: u32 = 65535;

/// The fragment that holds all arithmetic of kernels that promise bits.
pub const EXACT: &str = include_str!("../../shaders/exact.wgsl");

/// The fragment that holds the generator of random bits, the twin of [`crate::philox`].
pub const PHILOX: &str = include_str!("../../shaders/philox.wgsl");

/// How a kernel reaches a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A uniform buffer.
    Uniform,
    /// A read-only storage buffer.
    Read,
    /// A read-write storage buffer.
    ReadWrite,
}

/// One buffer of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its number in bind group 0.
    pub number: u32,
    /// The WGSL variable.
    pub name: &'static str,
    /// How the kernel reaches it.
    pub access: Access,
}

pub use crate::spec::{IndexType, LookupPlan, Promise};
use crate::{Method, Search};

/// One kernel, specialised.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name everywhere.
    pub label: String,
    /// The whole module.
    pub source: &'static str,
    /// The entry point.
    pub entry_point: &'static str,
    /// Pipeline-overridable constants; none has a default.
    pub constants: Vec<(&'static str, f64)>,
    /// Every buffer that the entry point reaches.
    pub bindings: &'static [Binding],
    /// What its output is compared with.
    pub promise: Promise,
}

/// The uniform at binding 0 of every kernel that has a table.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct TableUniform {
    /// Rows of the table.
    pub rows: u32,
    /// Columns of the table.
    pub dim: u32,
    /// Words from one row to the next.
    pub row_words: u32,
    /// Must be 0.
    pub zero: u32,
    /// Blocks of rows that share a codebook; 0 in other formats.
    pub blocks: u32,
    /// Bits of a row's block id.
    pub id_bits: u32,
}

/// Binding 1 of `lookup`, and what `prepare` reads.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct CountsWords {
    /// Number of bags; not read by a gather.
    pub bags: u32,
    /// Number of indices.
    pub indices: u32,
}

/// Binding 1 of `dequantize`, in rows of the table.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct RowRangeUniform {
    /// First row.
    pub first_row: u32,
    /// Number of rows.
    pub rows: u32,
    /// The row that the binding `rows` begins with: 0 where the table lies in one buffer.
    pub shard_row: u32,
    /// The row that the binding `values` begins with.
    pub values_row: u32,
}

/// Binding 4 of `collect`: which rows of the table its binding `rows` holds.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct ShardUniform {
    /// First row.
    pub first_row: u32,
    /// Number of rows.
    pub rows: u32,
}

/// Binding 1 of `quantize`; rows are those of the table.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct WorkUniform {
    /// First row.
    pub first_row: u32,
    /// Number of rows.
    pub rows: u32,
    /// The row that the binding `rows` begins with: 0 where the table lies in one buffer.
    pub shard_row: u32,
    /// The row that the binding `values` begins with.
    pub values_row: u32,
    /// Steps after which a greedy walk ends wherever it is.
    pub most_steps: u32,
    /// The most alternations of least squares, or of Lloyd's algorithm.
    pub iterations: u32,
    /// Steps that the full range is divided into.
    pub bins: f32,
    /// Steps that the range keeps at least.
    pub kept: f32,
}

impl WorkUniform {
    /// What a method's kernel is told about a range of rows.
    pub fn new(method: Method, range: RowRangeUniform) -> Self {
        let search = match method {
            Method::Greedy(search) | Method::GreedyTorch(search) | Method::GreedyPaper(search) => {
                search
            }
            Method::Lsq { search, .. } | Method::Best { search, .. } => search,
            _ => Search::default(),
        };
        let iterations = match method {
            Method::Lsq { iterations, .. }
            | Method::Best { iterations, .. }
            | Method::Kmeans { iterations } => iterations,
            _ => 0,
        };
        Self {
            first_row: range.first_row,
            rows: range.rows,
            shard_row: range.shard_row,
            values_row: range.values_row,
            most_steps: search.most_steps(),
            iterations,
            bins: search.bins as f32,
            kept: match method {
                Method::GreedyPaper(search) => search.kept_bins_exactly(),
                _ => search.kept_bins() as f32,
            },
        }
    }
}

/// Binding 0 of `prepare`.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct CapacityUniform {
    /// Bags that the bound ranges hold.
    pub bags: u32,
    /// Indices that the bound ranges hold.
    pub indices: u32,
    /// Lanes of the lookup for two rows of output.
    pub lanes_per_two_rows: u32,
    /// 1 where every index makes an output row.
    pub gather: u32,
    /// Lanes of the lookup's workgroup.
    pub workgroup: u32,
}

/// What `prepare` writes: the counts, then the arguments of the indirect dispatch.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct PreparedWords {
    /// The counts, clamped.
    pub counts: CountsWords,
    /// Workgroups in x, y, z.
    pub groups: [u32; 3],
}

/// Binding 0 of the kernels that sort.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct SortUniform {
    /// Number of keys.
    pub count: u32,
    /// Rows of the table; a key is taken for `rows` where it is larger.
    pub rows: u32,
    /// Tiles that the keys fill, at least 1.
    pub tiles: u32,
    /// Where the digit of this pass begins in a key; 0 in the first pass.
    pub shift: u32,
}

/// Folds a number of workgroups into two dimensions; `None` where even they do not hold it.
pub fn grid(groups: u64) -> Option<[u32; 3]> {
    let width = u64::from(GRID_WIDTH);
    let y = groups.div_ceil(width);
    (y <= width).then(|| [groups.min(width) as u32, y as u32, 1])
}

/// Lanes of a lookup for two rows of output of `dim` columns.
///
/// By columns a lane owns four columns of a row, or one word of output where f16 rows have an odd length; by tiles 32
/// or 64 columns; split, one or more workgroups own a row.
pub const fn lookup_lanes_per_two_rows(dim: u32, output: crate::Output, plan: LookupPlan) -> u32 {
    match (plan, output) {
        (LookupPlan::Columns, crate::Output::F16) if dim % 2 == 1 => dim,
        (LookupPlan::Columns, _) => 2 * dim.div_ceil(4),
        (LookupPlan::Tiles32, _) => 2 * dim.div_ceil(32),
        (LookupPlan::Tiles64, _) => 2 * dim.div_ceil(64),
        (LookupPlan::Split, _) => 2 * WORKGROUP * dim.div_ceil(4 * WORKGROUP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_folds_at_its_width_and_holds_every_group() {
        assert_eq!(grid(0), Some([0, 0, 1]));
        assert_eq!(grid(65535), Some([65535, 1, 1]));
        assert_eq!(grid(65536), Some([65535, 2, 1]));
        assert_eq!(grid(65535 * 65535), Some([65535, 65535, 1]));
        assert_eq!(grid(65535 * 65535 + 1), None);
    }
}
