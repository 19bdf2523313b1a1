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
    /// 1 where few tables have such rows: centroids, or floats of 32 bits.
    pub is_rare: u32,
}

const AFFINE: u32 = 0;
const SYMMETRIC: u32 = 1;
const CODEBOOK: u32 = 2;
const BLOCKS: u32 = 3;
const FLOAT: u32 = 4;

const MAX: u32 = 3;

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
                Format::Affine { .. } => AFFINE,
                Format::Symmetric { .. } => SYMMETRIC,
                Format::Codebook { .. } => CODEBOOK,
                Format::Blocks { .. } => BLOCKS,
                Format::Float(_) => FLOAT,
            },
            bits: format.width_bits(),
            header_words: format.header_words(),
            is_half: is_half.into(),
            pooling: match pooling {
                Pooling::None => 0,
                Pooling::Sum => 1,
                Pooling::Mean => 2,
                Pooling::Max => MAX,
            },
            is_rare: match format {
                Format::Affine { .. } | Format::Symmetric { .. } => 0,
                Format::Codebook { .. } | Format::Blocks { .. } => 1,
                Format::Float(float) => (float == Float::F32).into(),
            },
            ..Self::default()
        }
    }

    /// Whether its rows are codes with a scale or a step.
    const fn is_packed(&self) -> bool {
        matches!(self.kind, AFFINE | SYMMETRIC)
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
        let is_tiled = feature.is_rare == 0 && feature.pooling != MAX;
        match self {
            Self::Tiles if is_tiled => 32,
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

/// What a feature of a batch may have.
#[derive(Clone, Copy, Debug)]
enum Part {
    Codes2,
    Codes3,
    Codes4,
    Codes8,
    Signed,
    HeadersF16,
    HeadersF32,
    Centroids,
    Floats16,
    Floats32,
    Maxima,
    Remaps,
}

impl Part {
    const ALL: [Self; 12] = [
        Self::Codes2,
        Self::Codes3,
        Self::Codes4,
        Self::Codes8,
        Self::Signed,
        Self::HeadersF16,
        Self::HeadersF32,
        Self::Centroids,
        Self::Floats16,
        Self::Floats32,
        Self::Maxima,
        Self::Remaps,
    ];

    /// The kernel's constant.
    const fn name(self) -> &'static str {
        match self {
            Self::Codes2 => "CODES_2",
            Self::Codes3 => "CODES_3",
            Self::Codes4 => "CODES_4",
            Self::Codes8 => "CODES_8",
            Self::Signed => "SIGNED",
            Self::HeadersF16 => "HEADERS_F16",
            Self::HeadersF32 => "HEADERS_F32",
            Self::Centroids => "CENTROIDS",
            Self::Floats16 => "FLOATS_16",
            Self::Floats32 => "FLOATS_32",
            Self::Maxima => "MAXIMA",
            Self::Remaps => "REMAPS",
        }
    }

    const fn is_of(self, feature: &FeatureWords) -> bool {
        let is_packed = feature.is_packed();
        match self {
            Self::Codes2 => is_packed && feature.bits == 2,
            Self::Codes3 => is_packed && feature.bits == 3,
            Self::Codes4 => is_packed && feature.bits == 4,
            Self::Codes8 => is_packed && feature.bits == 8,
            Self::Signed => feature.kind == SYMMETRIC,
            Self::HeadersF16 => is_packed && feature.is_half == 1,
            Self::HeadersF32 => is_packed && feature.is_half == 0,
            Self::Centroids => matches!(feature.kind, CODEBOOK | BLOCKS),
            Self::Floats16 => feature.kind == FLOAT && feature.bits == 16,
            Self::Floats32 => feature.kind == FLOAT && feature.bits == 32,
            Self::Maxima => feature.pooling == MAX,
            Self::Remaps => feature.remap_len > 0,
        }
    }
}

/// What some feature of a batch has; a kernel for batches that have less is smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(u32);

impl Parts {
    /// All of it.
    pub const ALL: Self = Self((1 << Part::ALL.len()) - 1);

    /// What a feature adds.
    pub fn with(self, feature: &FeatureWords) -> Self {
        let has = Part::ALL.into_iter().filter(|part| part.is_of(feature));
        Self(has.fold(self.0, |parts, part| parts | 1 << part as u32))
    }

    fn constants(self) -> impl Iterator<Item = (&'static str, f64)> {
        let has = move |part: Part| self.0 >> part as u32 & 1 == 1;
        Part::ALL
            .into_iter()
            .map(move |part| (part.name(), flag(has(part))))
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

/// The name of a batched lookup everywhere, which leaves its parts out: `batched.unweighted.f32+tiles`; without the plan
/// where that is the kernels' own choice.
pub fn batched_label(
    (weighting, output): (Weighting, Output),
    plan: Option<BatchedPlan>,
    index: IndexType,
) -> String {
    format!(
        "batched.{}.{}{}{}",
        weighting.name(),
        output.name(),
        plan.map_or("", BatchedPlan::suffix),
        index.suffix()
    )
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
        label: batched_label(
            (kernel.weighting, kernel.output),
            Some(kernel.plan),
            kernel.index,
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
