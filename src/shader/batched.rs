//! From a batch to its kernel.

use super::variants::{binding, flag};
use super::{Access, Binding, Promise, Variant, WORKGROUP};
use crate::{Float, Format, IndexType, Output, Params, Pooling, Weighting};

macro_rules! batched {
    ($($file:literal),+) => {
        module!("dispatch.wgsl", "exact.wgsl", "decode.wgsl", "codes.wgsl", "centroids.wgsl", "blocks.wgsl", "floats.wgsl", "batched_decode.wgsl",
            "indices.wgsl", "lookup.wgsl", "lookup_weights.wgsl", "lookup_bags.wgsl", "lookup_chunks.wgsl", "lookup_max.wgsl", "lookup_sum.wgsl", "lookup_walk.wgsl", "batched.wgsl", $($file),+)
    };
}

const COLUMNS: &str = batched!("batched_columns.wgsl");
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
    /// Bags of a feature whose offsets the range holds.
    pub offset_bags: u32,
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
    /// Four columns to a lane.
    Columns,
    /// 32 columns to a lane; four for a max, and of rows with centroids or floats of 32 bits.
    Tiles,
}

impl BatchedPlan {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Columns, Self::Tiles];

    /// Lanes of a workgroup. A feature of few bags has few tiles, and drivers that run lanes one after the other run
    /// those without work, too.
    pub const fn workgroup(self) -> u32 {
        match self {
            Self::Columns => WORKGROUP,
            Self::Tiles => 16,
        }
    }

    /// Columns that a lane pools of a feature: what [`FeatureWords::tile`] has to be.
    pub const fn tile(self, feature: &FeatureWords) -> u32 {
        let by_columns = matches!(
            (feature.kind, feature.bits, feature.pooling),
            (_, _, 3) | (2 | 3, _, _) | (4, 32, _)
        );
        match self {
            Self::Tiles if !by_columns => 32,
            Self::Columns | Self::Tiles => 4,
        }
    }

    /// What it adds to a variant's label.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Columns => "+columns",
            Self::Tiles => "+tiles",
        }
    }
}

/// What some feature of a batch has; a kernel for batches that have less is smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(u32);

impl Parts {
    /// The constants of the kernel, one for each part.
    const NAMES: [&'static str; 12] = [
        "CODES_2",
        "CODES_3",
        "CODES_4",
        "CODES_8",
        "SIGNED",
        "HEADERS_F16",
        "HEADERS_F32",
        "CENTROIDS",
        "FLOATS_16",
        "FLOATS_32",
        "MAXIMA",
        "REMAPS",
    ];

    /// All of it.
    pub const ALL: Self = Self((1 << Self::NAMES.len()) - 1);

    /// What a feature adds.
    pub fn with(self, words: &FeatureWords) -> Self {
        let read = match (words.kind, words.bits) {
            (0 | 1, 2) => "CODES_2",
            (0 | 1, 3) => "CODES_3",
            (0 | 1, 4) => "CODES_4",
            (0 | 1, _) => "CODES_8",
            (4, 16) => "FLOATS_16",
            (4, _) => "FLOATS_32",
            (_, _) => "CENTROIDS",
        };
        let has = |name| match name {
            "SIGNED" => words.kind == 1,
            "HEADERS_F16" => words.kind < 2 && words.is_half == 1,
            "HEADERS_F32" => words.kind < 2 && words.is_half == 0,
            "MAXIMA" => words.pooling == 3,
            "REMAPS" => words.remap_len > 0,
            name => name == read,
        };
        let bits = Self::NAMES.iter().enumerate();
        let bits = bits.map(|(bit, name)| u32::from(has(*name)) << bit);
        Self(self.0 | bits.sum::<u32>())
    }

    fn constants(self) -> impl Iterator<Item = (&'static str, f64)> {
        let names = Self::NAMES.into_iter().enumerate();
        names.map(move |(bit, name)| (name, flag(self.0 >> bit & 1 == 1)))
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
    let mut constants = vec![
        ("WORKGROUP", f64::from(kernel.plan.workgroup())),
        ("WEIGHTED", flag(kernel.weighting == Weighting::Weighted)),
        ("OUTPUT_F16", flag(kernel.output == Output::F16)),
        ("INDEX_I64", flag(kernel.index == IndexType::I64)),
    ];
    constants.extend(kernel.parts.constants());
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
        constants,
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
