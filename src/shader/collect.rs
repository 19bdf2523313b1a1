//! From a format to the kernel that collects rows of it out of several buffers.

use super::variants::{binding, flag, format_constants};
use super::{Access, Binding, Promise, Variant, WORKGROUP};
use crate::{Bits, Format, IndexType};

/// Words of a row that a lane of `collect` copies.
pub const COLLECT_LANE_WORDS: u32 = 4;

const WORDS: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "indices.wgsl",
    "collect.wgsl",
    "collect_words.wgsl"
);
const BLOCKS: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "format.wgsl",
    "exact.wgsl",
    "centroids.wgsl",
    "blocks.wgsl",
    "decode_blocks.wgsl",
    "indices.wgsl",
    "collect.wgsl",
    "collect_blocks.wgsl"
);

const WORDS_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(4, "shard", Access::Uniform),
    binding(5, "collected", Access::ReadWrite),
    binding(6, "collected_indices", Access::ReadWrite),
];
const BLOCKS_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(4, "shard", Access::Uniform),
    binding(5, "collected", Access::ReadWrite),
    binding(6, "collected_indices", Access::ReadWrite),
    binding(8, "shared_words", Access::Read),
];

/// The kernel that collects the rows of a batch out of one shard of a table, as rows of the format [`collected`].
pub fn collect(format: Format, index: IndexType) -> Variant {
    let (label, source, mut constants, bindings) = match format {
        Format::Blocks { .. } => (
            format!("collect.{format}"),
            BLOCKS,
            format_constants(format),
            BLOCKS_BINDINGS,
        ),
        Format::Affine { .. }
        | Format::Symmetric { .. }
        | Format::Codebook { .. }
        | Format::Float(_) => (
            "collect.words".into(),
            WORDS,
            vec![("WORKGROUP", f64::from(WORKGROUP))],
            WORDS_BINDINGS,
        ),
    };
    constants.push(("INDEX_I64", flag(index == IndexType::I64)));
    Variant {
        label: format!("{label}{}", index.suffix()),
        source,
        entry_point: "collect",
        constants,
        bindings,
        promise: Promise::Bits,
    }
}

/// The format of rows that are collected: rows that share codebooks get one of their own.
pub const fn collected(format: Format) -> Format {
    match format {
        Format::Blocks { bits } => Format::Codebook { bits },
        Format::Affine { .. }
        | Format::Symmetric { .. }
        | Format::Codebook { .. }
        | Format::Float(_) => format,
    }
}

/// Lanes of `collect` for one position.
pub const fn collect_lanes_per_row(format: Format, dim: u32) -> u32 {
    collected(format)
        .row_words(dim)
        .div_ceil(COLLECT_LANE_WORDS)
}

/// Every variant: one for all rows that are copied as they are, and one for each width of codes in blocks.
pub(super) fn all() -> impl Iterator<Item = Variant> {
    let blocks = Format::all().filter(|format| matches!(format, Format::Blocks { .. }));
    [Format::affine(Bits::B4)]
        .into_iter()
        .chain(blocks)
        .flat_map(|format| IndexType::ALL.map(|index| collect(format, index)))
}
