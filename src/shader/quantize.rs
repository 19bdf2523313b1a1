//! From a method to its kernel.

use super::variants::{binding, flag, format_constants};
use super::{Access, Binding, Promise, Variant, WORKGROUP};
use crate::method::{clip, cut};
use crate::{Bits, Format, Method, QuantizeSpec};

/// The modules of an affine method: what they share, then its own fragments.
macro_rules! affine {
    ($($file:literal),+) => {
        module!("dispatch.wgsl", "table.wgsl", "format.wgsl", "exact.wgsl", "quantize.wgsl", "grid.wgsl", "quantize_grid.wgsl", $($file),+)
    };
}

const ASYM: &str = affine!("quantize_asym.wgsl");
const GSS: &str = affine!("quantize_team.wgsl", "quantize_gss.wgsl");
const ACIQ: &str = affine!("quantize_team.wgsl", "quantize_aciq.wgsl");
const HISTOGRAM: &str = affine!("quantize_histogram.wgsl");
const GREEDY: &str = affine!(
    "quantize_team.wgsl",
    "quantize_greedy.wgsl",
    "quantize_choose_greedy.wgsl"
);
const TORCH: &str = affine!("quantize_torch.wgsl");
const LSQ: &str = affine!(
    "quantize_team.wgsl",
    "quantize_greedy.wgsl",
    "quantize_least_squares.wgsl",
    "quantize_lsq.wgsl"
);
const KMEANS: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "format.wgsl",
    "exact.wgsl",
    "quantize.wgsl",
    "quantize_kmeans.wgsl"
);

const ABSMAX: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "format.wgsl",
    "exact.wgsl",
    "quantize.wgsl",
    "quantize_reach.wgsl",
    "quantize_absmax.wgsl"
);

const CAST: &str = module!(
    "dispatch.wgsl",
    "table.wgsl",
    "format.wgsl",
    "exact.wgsl",
    "quantize.wgsl",
    "quantize_reach.wgsl",
    "quantize_cast.wgsl"
);

const BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "work", Access::Uniform),
    binding(2, "values", Access::Read),
    binding(3, "rows", Access::ReadWrite),
    binding(4, "status", Access::ReadWrite),
];
const HISTOGRAM_BINDINGS: &[Binding] = &[
    binding(0, "table", Access::Uniform),
    binding(1, "work", Access::Uniform),
    binding(2, "values", Access::Read),
    binding(3, "rows", Access::ReadWrite),
    binding(4, "status", Access::ReadWrite),
    binding(5, "errors", Access::Read),
];

/// Lanes that own a row in the kernels that search.
const TEAM: u32 = 16;

/// The longest row that a team keeps in workgroup memory: four of them, and what the lanes exchange, take
/// 15,888 of the 16,384 bytes that every device has.
const MOST_CACHED: u32 = 896;

/// The quantize kernel of a spec that [`Method::check`] accepts, [`Method::KmeansCls`] excepted, which has
/// none.
pub fn quantize(spec: &QuantizeSpec) -> Variant {
    let mut constants = format_constants(spec.format);
    let team = [
        ("CACHED", f64::from(cached(spec.dim))),
        (
            "CACHE",
            f64::from((WORKGROUP / TEAM * cached(spec.dim)).max(1)),
        ),
    ];
    let source = match spec.method {
        Method::Asym | Method::Sym => {
            constants.push(("TEAM", f64::from(row_team(spec.dim))));
            ASYM
        }
        Method::Absmax => {
            constants.push(("TEAM", f64::from(row_team(spec.dim))));
            ABSMAX
        }
        Method::Cast => {
            constants.push(("TEAM", f64::from(row_team(spec.dim))));
            CAST
        }
        Method::Gss => {
            constants.extend(team);
            GSS
        }
        Method::Aciq => {
            constants.extend(team);
            constants.extend(spec.format.bits().into_iter().flat_map(clips));
            ACIQ
        }
        Method::HistApprox { bins } | Method::HistBrute { bins } => {
            constants.push(("BINS", f64::from(bins)));
            constants.push((
                "BRUTE",
                flag(matches!(spec.method, Method::HistBrute { .. })),
            ));
            HISTOGRAM
        }
        Method::Greedy(_) | Method::GreedyPaper(_) => {
            constants.extend(team);
            constants.push(("PAPER", flag(matches!(spec.method, Method::GreedyPaper(_)))));
            GREEDY
        }
        Method::GreedyTorch(_) => TORCH,
        Method::Lsq { .. } | Method::Best { .. } => {
            constants.extend(team);
            let starts = match spec.method {
                Method::Best { .. } => 16.0,
                _ => 1.0,
            };
            constants.extend([("PAPER", flag(false)), ("STARTS", starts)]);
            let cut = spec.format.bits().map(cut);
            constants.extend(cut.map(|cut| ("CUT", f64::from(cut))));
            LSQ
        }
        Method::Kmeans { .. } | Method::KmeansCls { .. } => {
            constants.extend(team);
            KMEANS
        }
    };
    if let Format::Affine { .. } = spec.format {
        let symmetric = matches!(spec.method, Method::Sym | Method::Gss);
        constants.push(("SYMMETRIC", flag(symmetric)));
    }
    Variant {
        label: spec.label(),
        source,
        entry_point: "quantize",
        constants,
        bindings: match source {
            HISTOGRAM => HISTOGRAM_BINDINGS,
            _ => BINDINGS,
        },
        promise: Promise::Bits,
    }
}

fn clips(bits: Bits) -> [(&'static str, f64); 4] {
    let clip = clip(bits);
    [
        ("NORMAL_CLIP", f64::from(clip.normal)),
        ("NORMAL_ERROR", f64::from(clip.normal_error)),
        ("LAPLACE_CLIP", f64::from(clip.laplace)),
        ("LAPLACE_ERROR", f64::from(clip.laplace_error)),
    ]
}

/// Rows that a workgroup of the quantize kernel owns.
pub fn quantize_rows_per_group(spec: &QuantizeSpec) -> u32 {
    match spec.method {
        Method::Asym | Method::Sym | Method::Absmax | Method::Cast => {
            WORKGROUP / row_team(spec.dim)
        }
        Method::GreedyTorch(_) => WORKGROUP,
        Method::HistApprox { .. } | Method::HistBrute { .. } => 1,
        _ => WORKGROUP / TEAM,
    }
}

/// Lanes that own one row of `dim` columns where nothing is searched: a power of two, about a lane for
/// every four columns, so that short rows share a workgroup.
fn row_team(dim: u32) -> u32 {
    dim.div_ceil(4).next_power_of_two().min(WORKGROUP)
}

/// Columns of a row that a team keeps in workgroup memory: few sizes, so that few kernels are compiled; 0
/// where the row is too long.
fn cached(dim: u32) -> u32 {
    let sizes = [64, 256, MOST_CACHED];
    sizes.into_iter().find(|size| dim <= *size).unwrap_or(0)
}

/// Every quantize kernel of a format.
pub(super) fn all(format: Format) -> impl Iterator<Item = Variant> {
    let methods = Method::ALL.iter().copied().filter(move |method| {
        method.check(format).is_ok() && !matches!(method, Method::KmeansCls { .. })
    });
    methods.flat_map(move |method| {
        // A dim for every size of team, and for every size of row in workgroup memory.
        let dims: &[u32] = match method {
            Method::Asym | Method::Sym | Method::Absmax | Method::Cast => {
                &[4, 8, 16, 32, 64, 128, 256]
            }
            Method::GreedyTorch(_) | Method::HistApprox { .. } | Method::HistBrute { .. } => &[64],
            _ => &[64, 256, MOST_CACHED, 1024],
        };
        let spec = move |dim| QuantizeSpec {
            format,
            method,
            dim,
        };
        dims.iter().map(move |&dim| quantize(&spec(dim)))
    })
}
