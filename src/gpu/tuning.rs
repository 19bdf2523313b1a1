//! Which plan a lookup takes. Answers do not depend on it, time does.

use crate::shader::BatchedPlan;
use crate::{LookupPlan, LookupSpec, Output};

/// What was found to be fast on a kind of device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    /// The plan of sums and means of bags that are not long, in tables of at most 32 columns.
    narrow: LookupPlan,
    /// The same in wider ones.
    wide: LookupPlan,
    /// Indices of a bag from which on it is long.
    long: u64,
    /// Which bag of a batch decides.
    by: Decisive,
}

/// The bag by whose length a batch is taken for one of long bags.
#[derive(Clone, Copy, Debug)]
enum Decisive {
    /// The longest, where it is known: each must be walked to its end.
    Longest,
    /// The mean: what is fast for most.
    Mean,
}

/// A lane's loads are made one by one there, so that few lanes that load little are best, and splitting gains nothing
/// but an end of each lane's walk: llvmpipe ends loops after 65535 iterations.
///
/// Records: `docs/tuning.md`, llvmpipe and SwiftShader.
const SOFTWARE: Tuning = Tuning {
    narrow: LookupPlan::Tiles32,
    wide: LookupPlan::Tiles64,
    long: 32_768,
    by: Decisive::Longest,
};

/// Many lanes hide the latency of memory; one lane that walks a long bag alone hides none.
///
/// No record stands behind it yet: it is the plan with the most lanes, and eight chunks to a bag, below which a
/// workgroup of 64 lanes has too little to share out.
const HARDWARE: Tuning = Tuning {
    narrow: LookupPlan::Columns,
    wide: LookupPlan::Columns,
    long: 512,
    by: Decisive::Mean,
};

impl Tuning {
    pub(super) fn of(device: &wgpu::Device) -> Self {
        match device.adapter_info().device_type {
            wgpu::DeviceType::Cpu => SOFTWARE,
            _ => HARDWARE,
        }
    }

    /// One plan for all batches.
    pub(super) fn fixed(plan: LookupPlan) -> Self {
        Self {
            narrow: plan,
            wide: plan,
            long: match plan {
                LookupPlan::Split => 0,
                _ => u64::MAX,
            },
            by: Decisive::Mean,
        }
    }

    /// How the lookups of a batch share out columns.
    pub(super) fn batched_plan(&self) -> BatchedPlan {
        match self.wide {
            LookupPlan::Tiles32 | LookupPlan::Tiles64 => BatchedPlan::Tiles,
            LookupPlan::Columns | LookupPlan::Split => BatchedPlan::Columns,
        }
    }

    /// The plan of bags that are not long in wide tables, where the table's shape allows it.
    pub(super) fn usual(&self, spec: &LookupSpec) -> LookupPlan {
        match LookupPlan::Split.fits(spec) {
            true => self.wide,
            false => LookupPlan::Columns,
        }
    }

    /// The plan of a batch.
    pub(super) fn plan(&self, spec: &LookupSpec, batch: &BatchShape) -> LookupPlan {
        if !LookupPlan::Split.fits(spec) {
            return LookupPlan::Columns;
        }
        let length = match (self.by, batch.longest_bag) {
            (Decisive::Longest, Some(longest)) => longest,
            _ => batch.mean_bag,
        };
        let wanted = match (length >= self.long, batch.dim) {
            (true, _) => LookupPlan::Split,
            (false, ..=32) => self.narrow,
            (false, _) => self.wide,
        };
        match wanted {
            LookupPlan::Split if !batch.splits() => LookupPlan::Columns,
            wanted => written(wanted, spec.output, batch.dim),
        }
    }
}

/// The plan that can write rows of so many columns: f16 rows of an odd length share words, which by columns alone can
/// be written.
const fn written(plan: LookupPlan, output: Output, dim: u32) -> LookupPlan {
    match output {
        Output::F16 if dim % 2 == 1 => LookupPlan::Columns,
        Output::F16 | Output::F32 => plan,
    }
}

/// What a plan is chosen by.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchShape {
    /// Columns of the table.
    pub(super) dim: u32,
    /// Bags.
    pub(super) bags: u64,
    /// Indices of a bag in the mean.
    pub(super) mean_bag: u64,
    /// Indices of the longest, where that is known.
    pub(super) longest_bag: Option<u64>,
}

impl BatchShape {
    /// Whether the lanes of [`LookupPlan::Split`] can be counted in 32 bits.
    fn splits(&self) -> bool {
        let lanes = u64::from(crate::shader::WORKGROUP);
        let groups = self
            .bags
            .saturating_mul(u64::from(self.dim).div_ceil(4 * lanes));
        groups.saturating_mul(lanes) <= u64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bits, Format, Pooling, Weighting};

    fn sum(output: Output) -> LookupSpec {
        LookupSpec {
            format: Format::affine(Bits::B4),
            pooling: Pooling::Sum,
            weighting: Weighting::Unweighted,
            output,
        }
    }

    fn batch(dim: u32, bags: u64, mean_bag: u64) -> BatchShape {
        BatchShape {
            dim,
            bags,
            mean_bag,
            longest_bag: None,
        }
    }

    #[test]
    fn one_long_bag_decides_where_walks_are_ended() {
        let spec = sum(Output::F32);
        let one_long = BatchShape {
            longest_bag: Some(40_000),
            ..batch(64, 9000, 10)
        };
        assert_eq!(SOFTWARE.plan(&spec, &one_long), LookupPlan::Split);
        assert_eq!(HARDWARE.plan(&spec, &one_long), LookupPlan::Columns);
    }

    #[test]
    fn long_bags_are_split_and_odd_halves_never() {
        let f32 = sum(Output::F32);
        assert_eq!(HARDWARE.plan(&f32, &batch(64, 9, 511)), LookupPlan::Columns);
        assert_eq!(HARDWARE.plan(&f32, &batch(64, 9, 512)), LookupPlan::Split);
        assert_eq!(SOFTWARE.plan(&f32, &batch(65, 9, 512)), LookupPlan::Tiles64);
        assert_eq!(SOFTWARE.plan(&f32, &batch(32, 9, 512)), LookupPlan::Tiles32);
        let f16 = sum(Output::F16);
        assert_eq!(
            SOFTWARE.plan(&f16, &batch(65, 9, 1 << 20)),
            LookupPlan::Columns
        );
        assert_eq!(
            SOFTWARE.plan(&f16, &batch(66, 9, 1 << 20)),
            LookupPlan::Split
        );
    }

    #[test]
    fn lanes_that_pass_32_bits_are_not_split() {
        let spec = sum(Output::F32);
        let split = Tuning::fixed(LookupPlan::Split);
        assert_eq!(
            split.plan(&spec, &batch(256, 67_108_863, 0)),
            LookupPlan::Split
        );
        assert_eq!(
            split.plan(&spec, &batch(257, 67_108_863, 0)),
            LookupPlan::Columns
        );
        assert_eq!(
            split.plan(&spec, &batch(1, 67_108_864, 0)),
            LookupPlan::Columns
        );
    }

    #[test]
    fn gathers_and_max_have_one_plan() {
        for pooling in [Pooling::None, Pooling::Max] {
            let spec = LookupSpec {
                pooling,
                ..sum(Output::F32)
            };
            assert_eq!(
                SOFTWARE.plan(&spec, &batch(64, 1, 1 << 20)),
                LookupPlan::Columns
            );
            assert_eq!(SOFTWARE.usual(&spec), LookupPlan::Columns);
        }
    }
}
