//! The kernels that sort a batch.

use super::variants::binding;
use super::{Access, Binding, Promise, Variant};
use crate::training::CHUNK;

/// Lanes of a workgroup of the kernels that sort: one for every value of a digit.
pub const SORT_WORKGROUP: u32 = 1 << SORT_DIGIT_BITS;

/// Bits of a key that one pass orders by.
pub const SORT_DIGIT_BITS: u32 = 8;

/// Slots that one workgroup owns.
pub const SORT_TILE: u32 = 2048;

/// Up to so many tiles, every workgroup sums the counts up for itself, and nobody dispatches `sort_scan`.
pub const SORT_FEW_TILES: u32 = 64;

const COUNT: &str = module!("sort.wgsl", "sort_count.wgsl");
const SCAN: &str = module!("sort.wgsl", "sort_sum.wgsl", "sort_scan.wgsl");
const SCATTER: &str = module!(
    "sort.wgsl",
    "sort_sum.wgsl",
    "sort_counts.wgsl",
    "sort_scatter.wgsl"
);
const MARK: &str = module!("sort.wgsl", "sort_runs.wgsl", "sort_mark.wgsl");
const EMIT: &str = module!(
    "sort.wgsl",
    "sort_sum.wgsl",
    "sort_counts.wgsl",
    "sort_runs.wgsl",
    "sort_emit.wgsl"
);

const COUNT_BINDINGS: &[Binding] = &[
    binding(0, "sort", Access::Uniform),
    binding(1, "keys", Access::Read),
    binding(2, "counts", Access::ReadWrite),
];
const SCAN_BINDINGS: &[Binding] = &[
    binding(0, "sort", Access::Uniform),
    binding(2, "counts", Access::ReadWrite),
];
const SCATTER_BINDINGS: &[Binding] = &[
    binding(0, "sort", Access::Uniform),
    binding(1, "keys", Access::Read),
    binding(2, "counts", Access::Read),
    binding(3, "positions", Access::Read),
    binding(4, "to_keys", Access::ReadWrite),
    binding(5, "to_positions", Access::ReadWrite),
];
const MARK_BINDINGS: &[Binding] = COUNT_BINDINGS;
const EMIT_BINDINGS: &[Binding] = &[
    binding(0, "sort", Access::Uniform),
    binding(1, "keys", Access::Read),
    binding(2, "counts", Access::Read),
    binding(3, "positions", Access::Read),
    binding(4, "segments", Access::ReadWrite),
    binding(5, "chunks", Access::ReadWrite),
    binding(6, "ranks", Access::ReadWrite),
    binding(7, "totals", Access::ReadWrite),
];

const CHUNK_CONSTANT: (&str, f64) = ("CHUNK", CHUNK as f64);
const FEW_TILES_CONSTANT: (&str, f64) = ("FEW_TILES", SORT_FEW_TILES as f64);

/// Counts the digits of every tile.
pub fn sort_count() -> Variant {
    Variant {
        label: "sort.count".into(),
        source: COUNT,
        entry_point: "sort_count",
        constants: vec![],
        bindings: COUNT_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Sums the counts of one kind up over the tiles.
pub fn sort_scan() -> Variant {
    Variant {
        label: "sort.scan".into(),
        source: SCAN,
        entry_point: "sort_scan",
        constants: vec![],
        bindings: SCAN_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Moves every key, and its position, to where its digit says.
pub fn sort_scatter() -> Variant {
    Variant {
        label: "sort.scatter".into(),
        source: SCATTER,
        entry_point: "sort_scatter",
        constants: vec![FEW_TILES_CONSTANT],
        bindings: SCATTER_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Counts the segments and the chunks that begin in every tile.
pub fn sort_mark() -> Variant {
    Variant {
        label: "sort.mark".into(),
        source: MARK,
        entry_point: "sort_mark",
        constants: vec![CHUNK_CONSTANT],
        bindings: MARK_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Writes segments, chunks, ranks and totals.
pub fn sort_emit() -> Variant {
    Variant {
        label: "sort.emit".into(),
        source: EMIT,
        entry_point: "sort_emit",
        constants: vec![CHUNK_CONSTANT, FEW_TILES_CONSTANT],
        bindings: EMIT_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Every kernel that sorts.
pub(super) fn all() -> [Variant; 5] {
    [
        sort_count(),
        sort_scan(),
        sort_scatter(),
        sort_mark(),
        sort_emit(),
    ]
}
