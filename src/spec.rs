//! Which lookup: the names that reference, shaders, kernels, tests and benches share.

use crate::format::Format;
use crate::{Error, Result};

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

/// One of the 84 lookups.
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
    /// Indices that are not rows of the table, each counted once.
    pub bad_indices: u32,
    /// Position in `indices` of the first of them; `u32::MAX` where there is none.
    pub first_position: u32,
    /// Bags whose offsets decrease or pass the end.
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

/// What went wrong in a quantize; the same four words that the kernel writes.
///
/// Such rows are stored as zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct QuantizeStatus {
    /// Rows with a NaN or an infinity.
    pub not_finite: u32,
    /// The first of them; `u32::MAX` where there is none.
    pub first_not_finite: u32,
    /// Rows whose scale or bias the header's type cannot hold.
    pub out_of_range: u32,
    /// The first of them; `u32::MAX` where there is none.
    pub first_out_of_range: u32,
}

impl QuantizeStatus {
    /// Nothing wrong; what the caller writes into `status` before a quantize.
    pub const CLEAR: Self = Self {
        not_finite: 0,
        first_not_finite: u32::MAX,
        out_of_range: 0,
        first_out_of_range: u32::MAX,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_four_lookups_with_a_label_each() {
        let labels: std::collections::BTreeSet<_> = LookupSpec::all().map(|s| s.label()).collect();
        assert_eq!(labels.len(), 84);
        assert!(labels.contains("lookup.q4h16.sum.unweighted.f32"));
    }
}
