//! From a spec to its variant. The one place that knows constants, bindings and labels.

use super::{Access, Binding, Promise, Variant, WORKGROUP};
use crate::{Format, LookupSpec, Method, Output, Pooling, QuantizeSpec, Weighting};

/// Joins fragments of `shaders/` into one module.
macro_rules! module {
    ($($file:literal),+) => {
        concat!($(include_str!(concat!("../../shaders/", $file))),+)
    };
}

const GATHER: &str = module!(
    "table.wgsl",
    "exact.wgsl",
    "decode.wgsl",
    "lookup.wgsl",
    "lookup_weights.wgsl",
    "lookup_gather.wgsl"
);
const SUM: &str = module!(
    "table.wgsl",
    "exact.wgsl",
    "decode.wgsl",
    "lookup.wgsl",
    "lookup_weights.wgsl",
    "lookup_bags.wgsl",
    "lookup_sum.wgsl"
);
const MAX: &str = module!(
    "table.wgsl",
    "exact.wgsl",
    "decode.wgsl",
    "lookup.wgsl",
    "lookup_bags.wgsl",
    "lookup_max.wgsl"
);
const QUANTIZE: &str = module!("table.wgsl", "exact.wgsl", "quantize.wgsl");
const DEQUANTIZE: &str = module!("table.wgsl", "exact.wgsl", "decode.wgsl", "dequantize.wgsl");
const COUNTS: &str = module!("counts.wgsl");

const fn binding(number: u32, name: &'static str, access: Access) -> Binding {
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
const MAX_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "counts", Access::Read),
    binding(2, "rows", Access::Read),
    binding(3, "indices", Access::Read),
    binding(4, "offsets", Access::Read),
    binding(6, "output", Access::ReadWrite),
    binding(7, "status", Access::ReadWrite),
];
const QUANTIZE_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "range", Access::Uniform),
    binding(2, "values", Access::Read),
    binding(3, "rows", Access::ReadWrite),
    binding(4, "status", Access::ReadWrite),
];
const DEQUANTIZE_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "range", Access::Uniform),
    binding(2, "rows", Access::Read),
    binding(3, "values", Access::ReadWrite),
];
const PREPARE_BINDINGS: &[Binding] = &[
    binding(0, "capacity", Access::Uniform),
    binding(1, "requested", Access::Read),
    binding(2, "prepared", Access::ReadWrite),
];

/// The lookup kernel of a spec that [`LookupSpec::check`] accepts.
pub fn lookup(spec: &LookupSpec) -> Variant {
    let (source, bindings) = match spec.pooling {
        Pooling::None => (GATHER, GATHER_BINDINGS),
        Pooling::Sum | Pooling::Mean => (SUM, SUM_BINDINGS),
        Pooling::Max => (MAX, MAX_BINDINGS),
    };
    let mut constants = format_constants(spec.format);
    constants.push(("OUTPUT_F16", flag(spec.output == Output::F16)));
    if spec.pooling != Pooling::Max {
        constants.push(("WEIGHTED", flag(spec.weighting == Weighting::Weighted)));
    }
    if bindings == SUM_BINDINGS {
        constants.push(("MEAN", flag(spec.pooling == Pooling::Mean)));
    }
    Variant {
        label: spec.label(),
        source,
        entry_point: "lookup",
        constants,
        bindings,
        promise: spec.pooling.promise(),
    }
}

/// The quantize kernel, with [`quantize_team`] lanes to a row.
pub fn quantize(spec: &QuantizeSpec) -> Variant {
    let mut constants = format_constants(spec.format);
    constants.push(("TEAM", f64::from(quantize_team(spec.dim))));
    Variant {
        label: spec.label(),
        source: QUANTIZE,
        entry_point: "quantize",
        constants,
        bindings: QUANTIZE_BINDINGS,
        promise: Promise::Bits,
    }
}

/// Lanes that own one row of `dim` columns in the quantize kernel: a power of two, about a lane for
/// every four columns, so that short rows share a workgroup.
pub fn quantize_team(dim: u32) -> u32 {
    dim.div_ceil(4).next_power_of_two().min(WORKGROUP)
}

/// The dequantize kernel.
pub fn dequantize(format: Format) -> Variant {
    Variant {
        label: format!("dequantize.{format}"),
        source: DEQUANTIZE,
        entry_point: "dequantize",
        constants: format_constants(format),
        bindings: DEQUANTIZE_BINDINGS,
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
    let lookups = LookupSpec::all().map(|spec| lookup(&spec));
    let quantizes = Format::all().flat_map(|format| {
        // A dim for every size of team.
        let dims = (0..=WORKGROUP.ilog2()).map(|log| 4 << log);
        dims.map(move |dim| {
            quantize(&QuantizeSpec {
                format,
                method: Method::Asym,
                dim,
            })
        })
    });
    let dequantizes = Format::all().map(dequantize);
    lookups
        .chain(quantizes)
        .chain(dequantizes)
        .chain([prepare()])
}

fn format_constants(format: Format) -> Vec<(&'static str, f64)> {
    vec![
        ("BITS", f64::from(format.bits().count())),
        ("HEADER_WORDS", f64::from(format.header_words())),
        ("WORKGROUP", f64::from(WORKGROUP)),
    ]
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}
