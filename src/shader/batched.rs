//! From a batch to its kernel.

use super::variants::{binding, flag};
use super::{Access, Binding, Promise, Variant, WORKGROUP};
use crate::{Float, Format, IndexType, Output, Params, Pooling, Weighting};

macro_rules! batched {
    ($($file:literal),+) => {
        module!("dispatch.wgsl", "exact.wgsl", "decode.wgsl", "codes.wgsl", "centroids.wgsl", "blocks.wgsl", "floats.wgsl", "batched_decode.wgsl",
            "lookup.wgsl", "lookup_weights.wgsl", "lookup_bags.wgsl", "lookup_chunks.wgsl", "lookup_max.wgsl", "batched.wgsl", $($file),+)
    };
}

const COLUMNS: &str = batched!(
    "lookup_sum.wgsl",
    "lookup_walk.wgsl",
    "batched_columns.wgsl"
);
const TILES: &str = batched!("lookup_tile.wgsl", "batched_tiles.wgsl");

const BINDINGS: &[Binding] = &[
    binding(0, "batch", Access::Uniform),
    binding(1, "requested", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(4, "offsets", Access::Read),
    binding(5, "weights", Access::Read),
    binding(6, "output", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
    binding(8, "features", Access::Read),
];

/// Binding 0 of `batched`.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct BatchedUniform {
    /// Number of features.
    pub features: u32,
    /// Bags of a feature that the ranges hold.
    pub bags: u32,
    /// Indices that the ranges hold.
    pub indices: u32,
    /// Of no use.
    pub pad: u32,
}

/// An element of binding 8 of `batched`; the head of `shaders/batched.wgsl` says what each word is.
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct FeatureWords {
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
    /// First word of the rows in the arena.
    pub first_word: u32,
    /// First word of the codebooks, behind which the block ids lie.
    pub first_codebook: u32,
    /// First word of the remap.
    pub first_remap: u32,
    /// Entries of the remap; 0 where there is none.
    pub remap_len: u32,
    /// What the words of a row are ([`FeatureWords::of`]).
    pub kind: u32,
    /// Bits of a column.
    pub bits: u32,
    /// Words of a row's header.
    pub header_words: u32,
    /// 1 where scale, bias or step are f16, or floats of 16 bits are.
    pub is_half: u32,
    /// 1 sum, 2 mean, 3 max.
    pub pooling: u32,
    /// Columns that a lane pools.
    pub tile: u32,
    /// First workgroup of the feature.
    pub first_group: u32,
    /// Where the row of the feature's first bag begins in the output, in elements.
    pub output_first: u32,
    /// From one bag's row to the next's, in elements.
    pub output_stride: u32,
    /// Of no use.
    pub pad: u32,
}

impl FeatureWords {
    /// What a format and a pooling say; the other words are 0.
    pub fn of(format: Format, dim: u32, pooling: Pooling) -> Self {
        let is_half = match format {
            Format::Affine { params, .. } | Format::Symmetric { params, .. } => {
                params == Params::F16
            }
            Format::Float(float) => float == Float::F16,
            Format::Codebook { .. } | Format::Blocks { .. } => true,
        };
        Self {
            dim,
            row_words: format.row_words(dim),
            kind: match format {
                Format::Affine { .. } => 0,
                Format::Symmetric { .. } => 1,
                Format::Codebook { .. } => 2,
                Format::Blocks { .. } => 3,
                Format::Float(_) => 4,
            },
            bits: format.width_bits(),
            header_words: format.header_words(),
            is_half: is_half.into(),
            pooling: match pooling {
                Pooling::None => 0,
                Pooling::Sum => 1,
                Pooling::Mean => 2,
                Pooling::Max => 3,
            },
            ..Self::default()
        }
    }
}

/// How a batched lookup shares out columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchedPlan {
    /// Four columns to a lane; [`FeatureWords::tile`] is 4.
    Columns,
    /// 32 or 64 columns to a lane, as [`FeatureWords::tile`] says; 4 for a max.
    Tiles,
}

impl BatchedPlan {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Columns, Self::Tiles];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Columns => "+columns",
            Self::Tiles => "+tiles",
        }
    }
}

/// What some feature of a batch has; a kernel for batches that have less is smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Rows with codebooks, of their own or of their blocks.
    pub codebooks: bool,
    /// Rows of floats.
    pub floats: bool,
    /// Max pooling.
    pub maxima: bool,
    /// A remap.
    pub remaps: bool,
}

impl Parts {
    /// All of it.
    pub const ALL: Self = Self {
        codebooks: true,
        floats: true,
        maxima: true,
        remaps: true,
    };

    /// What a feature adds.
    pub fn with(self, words: &FeatureWords) -> Self {
        Self {
            codebooks: self.codebooks || matches!(words.kind, 2 | 3),
            floats: self.floats || words.kind == 4,
            maxima: self.maxima || words.pooling == 3,
            remaps: self.remaps || words.remap_len > 0,
        }
    }
}

/// Which batched lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchedKernel {
    /// With or without weights.
    pub weighting: Weighting,
    /// Type of the output.
    pub output: Output,
    /// Type of indices and offsets.
    pub index: IndexType,
    /// Which lanes compute what.
    pub plan: BatchedPlan,
    /// What the batch needs.
    pub parts: Parts,
}

/// The kernel of a batch.
pub fn batched(kernel: &BatchedKernel) -> Variant {
    let parts = kernel.parts;
    Variant {
        label: format!(
            "batched.{}.{}{}{}",
            kernel.weighting.name(),
            kernel.output.name(),
            kernel.plan.suffix(),
            kernel.index.suffix()
        ),
        source: match kernel.plan {
            BatchedPlan::Columns => COLUMNS,
            BatchedPlan::Tiles => TILES,
        },
        entry_point: "batched",
        constants: vec![
            ("WORKGROUP", f64::from(WORKGROUP)),
            ("WEIGHTED", flag(kernel.weighting == Weighting::Weighted)),
            ("OUTPUT_F16", flag(kernel.output == Output::F16)),
            ("INDEX_I64", flag(kernel.index == IndexType::I64)),
            ("CODEBOOKS", flag(parts.codebooks)),
            ("FLOATS", flag(parts.floats)),
            ("MAXIMA", flag(parts.maxima)),
            ("REMAPS", flag(parts.remaps)),
        ],
        bindings: BINDINGS,
        promise: Promise::Bound,
    }
}

/// Every batched lookup, with all parts and with none.
pub(super) fn all() -> impl Iterator<Item = Variant> {
    let kernels = Weighting::ALL.into_iter().flat_map(|weighting| {
        Output::ALL
            .into_iter()
            .flat_map(move |output| IndexType::ALL.map(|index| (weighting, output, index)))
    });
    let kernels = kernels.flat_map(|(weighting, output, index)| {
        BatchedPlan::ALL.into_iter().flat_map(move |plan| {
            [Parts::default(), Parts::ALL].map(|parts| BatchedKernel {
                weighting,
                output,
                index,
                plan,
                parts,
            })
        })
    });
    kernels.map(|kernel| batched(&kernel))
}
