//! Which lookup: the names that reference, shaders, kernels, tests and benches share.

use crate::format::Format;
use crate::{Error, Method, Result};

/// How the rows of a bag become one row of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pooling {
    /// No bags: one output row for every index (a gather).
    None,
    /// The sum of the bag's rows.
    Sum,
    /// The sum divided by the number of indices in the bag, bad ones included.
    Mean,
    /// The largest value of every column; NaN wins.
    Max,
}

impl Pooling {
    /// Every pooling.
    pub const ALL: [Self; 4] = [Self::None, Self::Sum, Self::Mean, Self::Max];

    /// Its part of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
        }
    }

    /// What its lookups promise.
    pub const fn promise(self) -> Promise {
        match self {
            Self::None | Self::Max => Promise::Bits,
            Self::Sum | Self::Mean => Promise::Bound,
        }
    }
}

/// What a kernel's output is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The reference's bits, on every device.
    Bits,
    /// The bound of `docs/accuracy.md`.
    Bound,
}

/// Whether every index carries a weight of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Weighting {
    /// Every row counts once.
    Unweighted,
    /// Row `k` of a bag is multiplied by `weights[k]` (PyTorch: `per_sample_weights`).
    Weighted,
}

impl Weighting {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Unweighted, Self::Weighted];

    /// Which it is with these weights, or none.
    pub(crate) const fn of(weights: Option<&[f32]>) -> Self {
        match weights {
            Some(_) => Self::Weighted,
            None => Self::Unweighted,
        }
    }

    /// Its part of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unweighted => "unweighted",
            Self::Weighted => "weighted",
        }
    }
}

/// Type of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Output {
    /// f32.
    F32,
    /// f16, rounded once from f32, to nearest even; two to a word.
    F16,
}

impl Output {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// Its part of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// Bytes of one element.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// Type of the indices and offsets that a kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum IndexType {
    /// u32.
    #[default]
    U32,
    /// i64, as PyTorch has them, little-endian; what 32 bits do not hold is a bad index or a bad bag.
    I64,
}

impl IndexType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::U32, Self::I64];

    /// What it adds to a variant's label.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::U32 => "",
            Self::I64 => "+i64",
        }
    }

    /// Bytes of one.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::U32 => 4,
            Self::I64 => 8,
        }
    }
}

/// Which lanes of a kernel compute what in a lookup; the order of summation is the same in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LookupPlan {
    /// Four columns of an output row to a lane: many lanes, few registers. Every lookup has it.
    Columns,
    /// 32 columns of an output row to a lane: few loads. Sums and means alone.
    Tiles32,
    /// 64 columns of an output row to a lane: fewer still. Sums and means alone.
    Tiles64,
    /// A workgroup to a bag, its chunks of 64 indices side by side: long bags. Sums and means alone.
    Split,
}

impl LookupPlan {
    /// Every plan.
    pub const ALL: [Self; 4] = [Self::Columns, Self::Tiles32, Self::Tiles64, Self::Split];

    /// What it adds to a variant's label.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Columns => "+columns",
            Self::Tiles32 => "+tiles32",
            Self::Tiles64 => "+tiles64",
            Self::Split => "+split",
        }
    }

    /// Whether a lookup can be computed so.
    pub const fn fits(self, spec: &LookupSpec) -> bool {
        match self {
            Self::Columns => true,
            Self::Tiles32 | Self::Tiles64 | Self::Split => {
                matches!(spec.pooling, Pooling::Sum | Pooling::Mean)
            }
        }
    }
}

/// One of the 322 lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupSpec {
    /// Format of the table's rows.
    pub format: Format,
    /// How bags are pooled.
    pub pooling: Pooling,
    /// With or without weights.
    pub weighting: Weighting,
    /// Type of the output.
    pub output: Output,
}

impl LookupSpec {
    /// Every supported lookup.
    pub fn all() -> impl Iterator<Item = Self> {
        Format::all()
            .flat_map(|format| Pooling::ALL.map(|pooling| (format, pooling)))
            .flat_map(|(format, pooling)| {
                Weighting::ALL.map(|weighting| (format, pooling, weighting))
            })
            .flat_map(|(format, pooling, weighting)| {
                Output::ALL.map(|output| Self {
                    format,
                    pooling,
                    weighting,
                    output,
                })
            })
            .filter(|spec| spec.check().is_ok())
    }

    /// The variant's name everywhere: pipeline, test case, bench row, JSON key.
    ///
    /// `lookup.q4h16.sum.unweighted.f32`
    pub fn label(&self) -> String {
        format!(
            "lookup.{}.{}.{}.{}",
            self.format,
            self.pooling.name(),
            self.weighting.name(),
            self.output.name()
        )
    }

    /// # Errors
    /// [`Error::Unsupported`] for a weighted max.
    pub fn check(&self) -> Result<()> {
        check_weighting(self.pooling, self.weighting)
    }
}

/// Which quantize.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizeSpec {
    /// Format of the rows to write.
    pub format: Format,
    /// How a row's levels are chosen.
    pub method: Method,
    /// Number of columns: it decides how many lanes share a row.
    pub dim: u32,
}

impl QuantizeSpec {
    /// The variant's name everywhere; it leaves dim and parameters out: `quantize.q4h16.asym`
    pub fn label(&self) -> String {
        format!("quantize.{}.{}", self.format, self.method.name())
    }
}

/// Refuses the one pairing without a meaning that the field agrees on.
pub(crate) fn check_weighting(pooling: Pooling, weighting: Weighting) -> Result<()> {
    if (pooling, weighting) == (Pooling::Max, Weighting::Weighted) {
        return Err(Error::Unsupported {
            what: "weighted max pooling".into(),
            instead: "drop the weights or pool by sum or mean",
        });
    }
    Ok(())
}

/// What went wrong in a lookup; the same four words that the kernel writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct LookupStatus {
    /// Positions in bags whose index is not a row of the table; a position in two overlapping bags
    /// counts twice, one in no bag not at all. Wraps at 2^32.
    pub bad_indices: u32,
    /// Position in `indices` of the first of them; `u32::MAX` where there is none.
    pub first_position: u32,
    /// Bags whose offsets decrease or pass the end. Also bags that the driver did not let the kernel walk
    /// to their end, which may count several times, and whose output means nothing (llvmpipe ends a
    /// lane's loops after 65535 iterations together; `docs/accuracy.md` says from which length on).
    pub bad_bags: u32,
    /// The first of them; `u32::MAX` where there is none.
    pub first_bag: u32,
}

impl LookupStatus {
    /// Nothing wrong; what the caller writes into `status` before a lookup.
    pub const CLEAR: Self = Self {
        bad_indices: 0,
        first_position: u32::MAX,
        bad_bags: 0,
        first_bag: u32::MAX,
    };
}

impl LookupStatus {
    /// The status of two parts together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            bad_indices: self.bad_indices.wrapping_add(other.bad_indices),
            first_position: self.first_position.min(other.first_position),
            bad_bags: self.bad_bags.wrapping_add(other.bad_bags),
            first_bag: self.first_bag.min(other.first_bag),
        }
    }
}

/// What went wrong in a quantize; the same six words that the kernel writes.
///
/// Such rows are stored as zeros, unfinished ones as anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct QuantizeStatus {
    /// Rows with a NaN or an infinity.
    pub not_finite: u32,
    /// The first of them, as a row of the table; `u32::MAX` where there is none.
    pub first_not_finite: u32,
    /// Rows whose scale or bias the header's type cannot hold, or, with an f32 header, whose scale is
    /// beyond 2^126, so that its reciprocal counts as zero; rows that no f16 centroid holds, or no row of floats.
    pub out_of_range: u32,
    /// The first of them, as a row of the table; `u32::MAX` where there is none.
    pub first_out_of_range: u32,
    /// Rows whose search the driver ended early (llvmpipe ends a lane's loops after 65535 iterations
    /// together); a row may count several times.
    pub unfinished: u32,
    /// The first of them, as a row of the table; `u32::MAX` where there is none.
    pub first_unfinished: u32,
}

impl QuantizeStatus {
    /// Nothing wrong; what the caller writes into `status` before a quantize.
    pub const CLEAR: Self = Self {
        not_finite: 0,
        first_not_finite: u32::MAX,
        out_of_range: 0,
        first_out_of_range: u32::MAX,
        unfinished: 0,
        first_unfinished: u32::MAX,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hundred_and_twenty_two_lookups_with_a_label_each() {
        let labels: std::collections::BTreeSet<_> = LookupSpec::all().map(|s| s.label()).collect();
        assert_eq!(labels.len(), 322);
        assert!(labels.contains("lookup.q4h16.sum.unweighted.f32"));
    }
}
