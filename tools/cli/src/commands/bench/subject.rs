//! What can be measured: every variant of every kernel, the baselines and the copy, each by its label.

use qembed::training::{Optimizer, Parameters, UpdateSpec};
use qembed::{
    Bits, Float, Format, IndexType, LookupPlan, LookupSpec, Method, Output, Params, Pooling,
    QuantizeSpec, Weighting, shader,
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subject {
    /// The copy that everything is held against.
    Copy,
    /// A lookup; on a GPU also by a plan that is not the kernels' own choice.
    Lookup(LookupSpec, Option<LookupPlan>),
    /// Sums of many tables' bags.
    Batched(Dispatches),
    /// Packed rows back to f32.
    Dequantize(Format),
    /// f32 rows to packed ones.
    Quantize(Format, Method),
    /// The positions of a batch in order of their rows.
    Sort,
    /// A batch's update of packed rows.
    Update(UpdateSpec),
    /// The same lookup as others do it.
    Baseline(Baseline, Bits),
}

/// By how many dispatches the bags of many tables are pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatches {
    /// One for all tables.
    One,
    /// One for each: a baseline.
    Many,
}

/// How others pool rows of a quantized table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// An f32 gather, one invocation for every element, then a reduction (ONNX Runtime, MLX).
    Element,
    /// An f32 gather, one invocation for every row, then a reduction (ggml).
    Row,
    /// The whole table to f32, then an f32 lookup (burn).
    Expand,
    /// An f32 lookup on a table that was never quantized.
    F32,
}

impl Baseline {
    /// Every baseline.
    pub const ALL: [Self; 4] = [Self::Element, Self::Row, Self::Expand, Self::F32];
    /// The widths that they read.
    pub const WIDTHS: [Bits; 3] = [Bits::B4, Bits::B2, Bits::B8];

    /// Its part of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Element => "element",
            Self::Row => "row",
            Self::Expand => "expand",
            Self::F32 => "f32",
        }
    }
}

/// What a measurement may vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Rows of the table.
    Rows,
    /// Columns of the table.
    Dim,
    /// Bags of a batch.
    Bags,
    /// Indices of a bag.
    BagLength,
    /// Exponent of Zipf's law.
    Zipf,
}

/// Affine rows with an f16 header.
pub const fn affine_f16(bits: Bits) -> Format {
    Format::Affine {
        bits,
        params: Params::F16,
    }
}

/// The plainest lookup of a format.
pub const fn sum_of(format: Format) -> LookupSpec {
    LookupSpec {
        format,
        pooling: Pooling::Sum,
        weighting: Weighting::Unweighted,
        output: Output::F32,
    }
}

/// A lookup by the kernels' own choice of plan, and by every plan where there are several.
fn lookups(spec: LookupSpec) -> impl Iterator<Item = Subject> {
    let plans = LookupPlan::ALL.into_iter();
    let plans = plans.filter(move |plan| LookupPlan::Split.fits(&spec) && plan.fits(&spec));
    let plans = [None].into_iter().chain(plans.map(Some));
    plans.map(move |plan| Subject::Lookup(spec, plan))
}

impl Subject {
    /// Everything that there is.
    pub fn all() -> Vec<Self> {
        let methods = |format| {
            let fits = move |method: &&Method| {
                !matches!(method, Method::KmeansCls { .. }) && method.check(format).is_ok()
            };
            let methods = Method::ALL.iter().filter(fits);
            methods.map(move |method| Self::Quantize(format, *method))
        };
        let baselines = Baseline::WIDTHS.into_iter().flat_map(|bits| {
            let all = Baseline::ALL.into_iter();
            // Rows of f32 have but one width.
            let all = all.filter(move |baseline| *baseline != Baseline::F32 || bits == Bits::B4);
            all.map(move |baseline| Self::Baseline(baseline, bits))
        });
        [Self::Copy]
            .into_iter()
            .chain(LookupSpec::all().flat_map(lookups))
            .chain([Dispatches::One, Dispatches::Many].map(Self::Batched))
            .chain(Format::all().map(Self::Dequantize))
            .chain(Format::all().flat_map(methods))
            .chain([Self::Sort])
            .chain(UpdateSpec::all().map(Self::Update))
            .chain(baselines)
            .collect()
    }

    /// Its name everywhere; that of a baseline names the format where it is not the usual one.
    pub fn label(&self) -> String {
        match self {
            Self::Copy => "copy".into(),
            Self::Lookup(spec, plan) => {
                format!("{}{}", spec.label(), plan.map_or("", LookupPlan::suffix))
            }
            Self::Batched(Dispatches::One) => {
                let kind = (Weighting::Unweighted, Output::F32);
                shader::batched_label(kind, None, IndexType::U32)
            }
            Self::Batched(Dispatches::Many) => "baseline.batched".into(),
            Self::Dequantize(format) => shader::dequantize(*format).label,
            Self::Quantize(format, method) => {
                let (format, method) = (*format, *method);
                // A label leaves the dim out.
                let spec = QuantizeSpec {
                    format,
                    method,
                    dim: 1,
                };
                spec.label()
            }
            Self::Sort => "sort".into(),
            Self::Update(spec) => spec.label(),
            Self::Baseline(baseline, Bits::B4) => format!("baseline.{}", baseline.name()),
            Self::Baseline(baseline, bits) => {
                format!("baseline.{}.{}", baseline.name(), affine_f16(*bits))
            }
        }
    }

    /// The lookup that a baseline is compared with.
    pub fn rival(&self) -> Option<Self> {
        match self {
            Self::Baseline(_, bits) => Some(Self::Lookup(sum_of(affine_f16(*bits)), None)),
            Self::Batched(Dispatches::Many) => Some(Self::Batched(Dispatches::One)),
            _ => None,
        }
    }

    /// What one of what it counts is called.
    pub const fn item(&self) -> &'static str {
        match self {
            Self::Copy => "bytes",
            Self::Lookup(..) | Self::Batched(_) | Self::Baseline(..) => "lookups",
            Self::Dequantize(_) | Self::Quantize(..) => "rows",
            Self::Sort | Self::Update(_) => "positions",
        }
    }

    /// Whether an axis changes anything for it.
    pub fn has(&self, axis: Axis) -> bool {
        match self {
            Self::Copy => false,
            Self::Dequantize(_) | Self::Quantize(..) => matches!(axis, Axis::Rows | Axis::Dim),
            // Its tables have dims of their own.
            Self::Sort | Self::Batched(_) => axis != Axis::Dim,
            Self::Lookup(spec, _) if spec.pooling == Pooling::None => axis != Axis::BagLength,
            Self::Lookup(..) | Self::Update(_) | Self::Baseline(..) => true,
        }
    }

    /// Whether every axis is swept for it unless told otherwise, and not only one point taken.
    pub fn is_swept(&self) -> bool {
        match self {
            Self::Lookup(spec, None) => *spec == sum_of(spec.format),
            Self::Batched(_) | Self::Baseline(..) => true,
            _ => false,
        }
    }

    /// Whether it is measured unless told otherwise.
    pub fn is_usual(&self) -> bool {
        let four = |format: Format| format == affine_f16(Bits::B4);
        match self {
            Self::Copy | Self::Dequantize(_) | Self::Sort | Self::Batched(_) => true,
            Self::Lookup(spec, None) if four(spec.format) => {
                // A change of one thing at a time.
                let sum = sum_of(spec.format);
                let changes = [
                    spec.pooling != sum.pooling,
                    spec.weighting != sum.weighting,
                    spec.output != sum.output,
                ];
                changes.into_iter().filter(|change| *change).count() <= 1
            }
            Self::Lookup(spec, None) => *spec == sum_of(spec.format),
            Self::Lookup(_, Some(_)) => false,
            Self::Quantize(_, Method::Asym | Method::Absmax) => true,
            // Cubic in its bins: as long as all others together.
            Self::Quantize(_, Method::HistBrute { .. }) => false,
            Self::Quantize(format, method) => {
                method.format(Bits::B4, None).is_ok_and(|f| f == *format)
            }
            Self::Update(spec) => is_usual_update(spec),
            Self::Baseline(_, bits) => *bits == Bits::B4,
        }
    }

    /// Whether it is among the few of `--quick`.
    pub fn is_quick(&self) -> bool {
        let few = |format: Format| match format {
            Format::Affine { bits, params } | Format::Symmetric { bits, params } => {
                params == Params::default_for(bits)
            }
            Format::Codebook { bits } | Format::Blocks { bits } => bits == Bits::B4,
            Format::Float(float) => float == Float::F16,
            _ => false,
        };
        match self {
            Self::Dequantize(format) => few(*format),
            Self::Quantize(format, method) => {
                matches!(method, Method::Asym | Method::Absmax | Method::Lsq { .. }) && few(*format)
            }
            Self::Lookup(spec, None) => few(spec.format),
            Self::Lookup(_, Some(_)) => false,
            Self::Update(spec) => spec.format.bits() == Some(Bits::B8),
            Self::Copy | Self::Sort | Self::Batched(_) | Self::Baseline(..) => true,
        }
    }
}

fn is_usual_update(spec: &UpdateSpec) -> bool {
    let Format::Symmetric {
        bits: Bits::B4 | Bits::B8,
        params: Params::F32,
    } = spec.format
    else {
        return false;
    };
    let usual = matches!(
        spec.optimizer,
        Optimizer::Sgd | Optimizer::RowwiseAdagrad { .. } | Optimizer::Adam { .. }
    );
    usual && spec.parameters == Parameters::Frozen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_differ() {
        let all = Subject::all();
        let labels: std::collections::BTreeSet<_> = all.iter().map(Subject::label).collect();
        assert_eq!(labels.len(), all.len());
        for label in [
            "copy",
            "sort",
            "lookup.q4h16.sum.unweighted.f32",
            "dequantize.b3",
            "quantize.q4h16.greedy-torch",
            "update.s4h32.adam.frozen",
            "batched.unweighted.f32",
            "baseline.batched",
            "baseline.element",
            "baseline.row.q8h16",
            "baseline.f32",
        ] {
            assert!(labels.contains(label), "{label}");
        }
    }

    /// Every kernel that has a label of its own can be measured; the others are parts of a sort or an update, learn
    /// steps and weights, or are a lookup but for the type of its indices.
    #[test]
    fn every_kernel_is_among_them() {
        let all: Vec<_> = Subject::all().iter().map(Subject::label).collect();
        for variant in shader::all() {
            let kernel = variant.label.split('.').next().unwrap_or_default();
            let is_measured = !variant.label.ends_with(IndexType::I64.suffix());
            if is_measured && ["lookup", "dequantize", "quantize", "update"].contains(&kernel) {
                assert!(all.contains(&variant.label), "{}", variant.label);
            }
        }
    }

    #[test]
    fn what_is_usual() {
        let all = Subject::all();
        let usual = all.iter().filter(|subject| subject.is_usual());
        let labels: Vec<_> = usual.map(Subject::label).collect();
        for format in Format::all() {
            assert!(labels.contains(&sum_of(format).label()), "{format}");
        }
        assert!(labels.contains(&"lookup.q4h16.max.unweighted.f32".into()));
        assert!(!labels.contains(&"lookup.q4h16.max.unweighted.f16".into()));
        assert!(labels.contains(&"quantize.c4.kmeans".into()));
    }
}
