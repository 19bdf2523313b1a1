//! The kernels that sort a batch.

use super::variants::binding;
use super::{Access, Binding, Promise, Variant};
use crate::spec::CHUNK;

/// Lanes of a workgroup of the kernels that sort: one for every value of a digit.
pub const SORT_WORKGROUP: u32 = 1 << SORT_DIGIT_BITS;

/// Bits of a key that one pass orders by.
pub const SORT_DIGIT_BITS: u32 = 8;

/// Slots that one workgroup owns.
pub const SORT_TILE: u32 = 2048;

const COUNT: &str = module!("sort.wgsl", "sort_count.wgsl");
const SCAN: &str = module!("sort.wgsl", "sort_sum.wgsl", "sort_scan.wgsl");
const SCATTER: &str = module!("sort.wgsl", "sort_sum.wgsl", "sort_scatter.wgsl");
const MARK: &str = module!(
    "sort.wgsl",
    "sort_sum.wgsl",
    "sort_runs.wgsl",
    "sort_mark.wgsl"
);
const EMIT: &str = module!(
    "sort.wgsl",
    "sort_sum.wgsl",
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
    binding(3, "sums_of_rows", Access::ReadWrite),
];
const SCATTER_BINDINGS: &[Binding] = &[
    binding(0, "sort", Access::Uniform),
    binding(1, "keys", Access::Read),
    binding(2, "counts", Access::Read),
    binding(3, "sums_of_rows", Access::Read),
    binding(4, "positions", Access::Read),
    binding(5, "to_keys", Access::ReadWrite),
    binding(6, "to_positions", Access::ReadWrite),
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

/// Counts the digits of every tile.
pub fn sort_count() -> Variant {
    variant("sort.count", "sort_count", COUNT, COUNT_BINDINGS)
}

/// Sums up every row of counts over the tiles.
pub fn sort_scan() -> Variant {
    variant("sort.scan", "sort_scan", SCAN, SCAN_BINDINGS)
}

/// Moves every key, and its position, to where its digit says.
pub fn sort_scatter() -> Variant {
    variant("sort.scatter", "sort_scatter", SCATTER, SCATTER_BINDINGS)
}

/// Counts the segments and the chunks that begin in every tile.
pub fn sort_mark() -> Variant {
    Variant {
        constants: vec![("CHUNK", f64::from(CHUNK))],
        ..variant("sort.mark", "sort_mark", MARK, MARK_BINDINGS)
    }
}

/// Writes segments, chunks, ranks and totals.
pub fn sort_emit() -> Variant {
    Variant {
        constants: vec![("CHUNK", f64::from(CHUNK))],
        ..variant("sort.emit", "sort_emit", EMIT, EMIT_BINDINGS)
    }
}

/// Every kernel that sorts.
pub(super) fn all() -> impl Iterator<Item = Variant> {
    [
        sort_count(),
        sort_scan(),
        sort_scatter(),
        sort_mark(),
        sort_emit(),
    ]
    .into_iter()
}

fn variant(
    label: &str,
    entry_point: &'static str,
    source: &'static str,
    bindings: &'static [Binding],
) -> Variant {
    Variant {
        label: label.into(),
        source,
        entry_point,
        constants: vec![],
        bindings,
        promise: Promise::Bits,
    }
}
