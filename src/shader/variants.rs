//! From a spec to its variant: lookups, dequantize, prepare; `quantize.rs` has the others. The one place that
//! knows constants, bindings and labels.

use super::{Access, Binding, Promise, Variant, WORKGROUP};
use crate::{
    Bits, Float, Format, IndexType, LookupPlan, LookupSpec, Output, Params, Pooling, Weighting,
};

/// The modules of a lookup, one for every way to decode.
macro_rules! by_decoding {
    ($($file:literal),+) => {
        Sources {
            affine: module!("dispatch.wgsl", "table.wgsl", "format.wgsl", "exact.wgsl", "decode.wgsl", "codes.wgsl", "decode_codes.wgsl", "decode_affine.wgsl", $($file),+),
            symmetric: module!("dispatch.wgsl", "table.wgsl", "format.wgsl", "exact.wgsl", "decode.wgsl", "codes.wgsl", "decode_codes.wgsl", "decode_symmetric.wgsl", $($file),+),
            codebook: module!("dispatch.wgsl", "table.wgsl", "format.wgsl", "exact.wgsl", "decode.wgsl", "codes.wgsl", "decode_codes.wgsl", "centroids.wgsl", "decode_codebook.wgsl", $($file),+),
            blocks: module!("dispatch.wgsl", "table.wgsl", "format.wgsl", "exact.wgsl", "decode.wgsl", "codes.wgsl", "decode_codes.wgsl", "centroids.wgsl", "blocks.wgsl", "decode_blocks.wgsl", $($file),+),
            float: module!("dispatch.wgsl", "table.wgsl", "format.wgsl", "exact.wgsl", "decode.wgsl", "floats.wgsl", "decode_float.wgsl", $($file),+),
        }
    };
}

/// The modules of one kernel that reads rows.
struct Sources {
    affine: &'static str,
    symmetric: &'static str,
    codebook: &'static str,
    blocks: &'static str,
    float: &'static str,
}

impl Sources {
    const fn of(&self, format: Format) -> &'static str {
        match format {
            Format::Affine { .. } => self.affine,
            Format::Symmetric { .. } => self.symmetric,
            Format::Codebook { .. } => self.codebook,
            Format::Blocks { .. } => self.blocks,
            Format::Float(_) => self.float,
        }
    }
}

const GATHER: Sources = by_decoding!(
    "indices.wgsl",
    "lookup.wgsl",
    "lookup_table.wgsl",
    "lookup_columns.wgsl",
    "lookup_weights.wgsl",
    "lookup_gather.wgsl"
);
const SUM: Sources = by_decoding!(
    "indices.wgsl",
    "lookup.wgsl",
    "lookup_table.wgsl",
    "lookup_columns.wgsl",
    "lookup_weights.wgsl",
    "lookup_bags.wgsl",
    "lookup_mean.wgsl",
    "lookup_chunks.wgsl",
    "lookup_sum.wgsl",
    "lookup_walk.wgsl",
    "lookup_columns_sum.wgsl"
);
const SUM_TILES: Sources = by_decoding!(
    "indices.wgsl",
    "lookup.wgsl",
    "lookup_table.wgsl",
    "lookup_weights.wgsl",
    "lookup_bags.wgsl",
    "lookup_mean.wgsl",
    "lookup_chunks.wgsl",
    "lookup_tile.wgsl",
    "lookup_tiles.wgsl"
);
const SUM_SPLIT: Sources = by_decoding!(
    "indices.wgsl",
    "lookup.wgsl",
    "lookup_table.wgsl",
    "lookup_weights.wgsl",
    "lookup_bags.wgsl",
    "lookup_mean.wgsl",
    "lookup_chunks.wgsl",
    "lookup_sum.wgsl",
    "lookup_split.wgsl"
);
const MAX: Sources = by_decoding!(
    "indices.wgsl",
    "lookup.wgsl",
    "lookup_table.wgsl",
    "lookup_columns.wgsl",
    "lookup_bags.wgsl",
    "lookup_max.wgsl",
    "lookup_columns_max.wgsl"
);
const DEQUANTIZE: Sources = by_decoding!("dequantize.wgsl");
const COUNTS: &str = module!("counts.wgsl");

pub(super) const fn binding(number: u32, name: &'static str, access: Access) -> Binding {
    Binding {
        number,
        name,
        access,
    }
}

const GATHER_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(5, "weights", Access::Read),
    binding(6, "output", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
];
const GATHER_BLOCKS_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(5, "weights", Access::Read),
    binding(6, "output", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
    binding(8, "shared_words", Access::Read),
];
const SUM_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(4, "offsets", Access::Read),
    binding(5, "weights", Access::Read),
    binding(6, "output", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
];
const SUM_BLOCKS_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(4, "offsets", Access::Read),
    binding(5, "weights", Access::Read),
    binding(6, "output", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
    binding(8, "shared_words", Access::Read),
];
const MAX_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(4, "offsets", Access::Read),
    binding(6, "output", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
];
const MAX_BLOCKS_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(4, "offsets", Access::Read),
    binding(6, "output", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
    binding(8, "shared_words", Access::Read),
];
const DEQUANTIZE_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "range", Access::Uniform),
    binding(2, "rows", Access::Read),
    binding(3, "values", Access::ReadWrite),
];
const DEQUANTIZE_BLOCKS_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "range", Access::Uniform),
    binding(2, "rows", Access::Read),
    binding(3, "values", Access::ReadWrite),
    binding(8, "shared_words", Access::Read),
];
const PREPARE_BINDINGS: &[Binding] = &[
    binding(0, "capacity", Access::Uniform),
    binding(1, "requested", Access::Read),
    binding(2, "prepared", Access::ReadWrite),
];

/// The lookup kernel of a spec that [`LookupSpec::check`] accepts, by a plan that fits it ([`LookupPlan::fits`]); by
/// [`LookupPlan::Columns`] where the pooling knows no other.
pub fn lookup(spec: &LookupSpec, plan: LookupPlan, index: IndexType) -> Variant {
    let blocks = matches!(spec.format, Format::Blocks { .. });
    let (sources, suffix) = match (spec.pooling, plan) {
        (Pooling::None, _) => (GATHER, ""),
        (Pooling::Max, _) => (MAX, ""),
        (Pooling::Sum | Pooling::Mean, LookupPlan::Columns) => (SUM, plan.suffix()),
        (Pooling::Sum | Pooling::Mean, LookupPlan::Tiles32 | LookupPlan::Tiles64) => {
            (SUM_TILES, plan.suffix())
        }
        (Pooling::Sum | Pooling::Mean, LookupPlan::Split) => (SUM_SPLIT, plan.suffix()),
    };
    let bindings = match (spec.pooling, blocks) {
        (Pooling::None, false) => GATHER_BINDINGS,
        (Pooling::None, true) => GATHER_BLOCKS_BINDINGS,
        (Pooling::Sum | Pooling::Mean, false) => SUM_BINDINGS,
        (Pooling::Sum | Pooling::Mean, true) => SUM_BLOCKS_BINDINGS,
        (Pooling::Max, false) => MAX_BINDINGS,
        (Pooling::Max, true) => MAX_BLOCKS_BINDINGS,
    };
    let mut constants = format_constants(spec.format);
    constants.push(("OUTPUT_F16", flag(spec.output == Output::F16)));
    constants.push(("INDEX_I64", flag(index == IndexType::I64)));
    if spec.pooling != Pooling::Max {
        constants.push(("WEIGHTED", flag(spec.weighting == Weighting::Weighted)));
    }
    if let Pooling::Sum | Pooling::Mean = spec.pooling {
        constants.push(("MEAN", flag(spec.pooling == Pooling::Mean)));
        match plan {
            LookupPlan::Tiles32 => constants.push(("TILE", 32.0)),
            LookupPlan::Tiles64 => constants.push(("TILE", 64.0)),
            LookupPlan::Columns | LookupPlan::Split => (),
        }
    }
    Variant {
        label: format!("{}{suffix}{}", spec.label(), index.suffix()),
        source: sources.of(spec.format),
        entry_point: "lookup",
        constants,
        bindings,
        promise: spec.pooling.promise(),
    }
}

/// The dequantize kernel.
pub fn dequantize(format: Format) -> Variant {
    Variant {
        label: format!("dequantize.{format}"),
        source: DEQUANTIZE.of(format),
        entry_point: "dequantize",
        constants: format_constants(format),
        bindings: match format {
            Format::Blocks { .. } => DEQUANTIZE_BLOCKS_BINDINGS,
            Format::Affine { .. }
            | Format::Symmetric { .. }
            | Format::Codebook { .. }
            | Format::Float(_) => DEQUANTIZE_BINDINGS,
        },
        promise: Promise::Bits,
    }
}

/// The kernel that turns counts on the device into an indirect dispatch.
pub fn prepare() -> Variant {
    Variant {
        label: "prepare".into(),
        source: COUNTS,
        entry_point: "prepare",
        constants: vec![],
        bindings: PREPARE_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Every variant of every kernel.
pub fn all() -> impl Iterator<Item = Variant> {
    let lookups = LookupSpec::all().flat_map(|spec| {
        let plans = LookupPlan::ALL.into_iter();
        let plans = plans.filter(move |plan| plan.fits(&spec));
        // What reads i64 is the same in every format.
        let index_types = IndexType::ALL.into_iter().filter(move |index| {
            *index == IndexType::U32 || spec.format == Format::affine(Bits::B4)
        });
        plans.flat_map(move |plan| {
            index_types
                .clone()
                .map(move |index| lookup(&spec, plan, index))
        })
    });
    let quantizes = Format::all().flat_map(super::quantize::all);
    let dequantizes = Format::all().map(dequantize);
    lookups
        .chain(quantizes)
        .chain(dequantizes)
        .chain([prepare()])
        .chain(super::batched::all())
        .chain(super::collect::all())
        .chain(super::sort::all())
        .chain(super::update::all())
}

pub(super) fn format_constants(format: Format) -> Vec<(&'static str, f64)> {
    let mut constants = vec![
        ("BITS", f64::from(format.width_bits())),
        ("HEADER_WORDS", f64::from(format.header_words())),
        ("WORKGROUP", f64::from(WORKGROUP)),
    ];
    match format {
        Format::Symmetric { params, .. } => {
            constants.push(("STEP_F16", flag(params == Params::F16)));
        }
        Format::Float(float) => constants.push(("BF16", flag(float == Float::Bf16))),
        Format::Affine { .. } | Format::Codebook { .. } | Format::Blocks { .. } => {}
    }
    constants
}

pub(super) fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}
