//! How large what is measured is, unless told otherwise.

use super::recommender::TABLES;
use super::subject::{Axis, Subject, affine_f16};
use crate::measure::Effort;
use qembed::{Bits, Method};

/// Sizes that fit a device and the time that there is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Rows of a table that is looked up: more than a cache holds.
    rows: u32,
    /// Rows that are read or written from the first to the last.
    streamed_rows: u32,
    /// Rows that are quantized by methods that search.
    searched_rows: u32,
    /// Rows that are trained: there is a state of f32 beside them.
    trained_rows: u32,
    /// Indices of a batch.
    indices: u32,
    /// Bytes that batches in turn touch: more than a cache holds.
    pub touched_bytes: u64,
    /// Bytes of the copy.
    pub copy_bytes: u64,
    /// What every axis takes, the first of them where others are varied.
    dims: &'static [u32],
    bag_lengths: &'static [u32],
    /// Bags of a feature where many tables are looked up at once: from a request to a training batch.
    batches: &'static [u32],
    zipfs: &'static [f64],
    /// How long it is timed.
    pub effort: Effort,
    /// Whether there is little time.
    pub pace: Pace,
}

/// How much time there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Some minutes.
    Usual,
    /// Less than one.
    Quick,
}

impl Scale {
    /// For a GPU that is one.
    pub const HARDWARE: Self = Self {
        rows: 4_000_000,
        streamed_rows: 1 << 18,
        searched_rows: 1 << 15,
        trained_rows: 1_000_000,
        indices: 1 << 18,
        touched_bytes: 256 << 20,
        copy_bytes: 256 << 20,
        dims: &[128, 32, 64, 384],
        bag_lengths: &[16, 1, 64],
        batches: &[16, 64, 256, 1024, 4096],
        zipfs: &[0.0, 1.05, 1.15],
        effort: Effort::USUAL,
        pace: Pace::Usual,
    };
    /// For a CPU.
    pub const CPU: Self = Self {
        rows: 1_000_000,
        streamed_rows: 1 << 14,
        searched_rows: 1 << 9,
        trained_rows: 100_000,
        indices: 1 << 14,
        touched_bytes: 64 << 20,
        copy_bytes: 64 << 20,
        ..Self::HARDWARE
    };
    /// For a CPU that plays GPU, and binds 128 MiB: f32 rows of dim 128 fit.
    pub const SOFTWARE: Self = Self {
        rows: 200_000,
        ..Self::CPU
    };
    /// For a first impression of anything.
    pub const QUICK: Self = Self {
        rows: 20_000,
        streamed_rows: 1 << 11,
        searched_rows: 1 << 6,
        trained_rows: 10_000,
        indices: 1 << 12,
        touched_bytes: 4 << 20,
        copy_bytes: 16 << 20,
        dims: &[64, 128],
        bag_lengths: &[16, 1],
        batches: &[16],
        zipfs: &[0.0, 1.15],
        effort: Effort::QUICK,
        pace: Pace::Quick,
    };

    /// Rows of a subject's table.
    pub fn rows(&self, subject: &Subject) -> u32 {
        match subject {
            Subject::Quantize(_, Method::Asym | Method::Sym | Method::Absmax | Method::Cast)
            | Subject::Dequantize(_) => self.streamed_rows,
            Subject::Quantize(..) => self.searched_rows,
            Subject::Update(_) => self.trained_rows,
            // As many in all its tables.
            Subject::Batched(_) => self.rows / TABLES,
            Subject::Copy | Subject::Lookup(..) | Subject::Sort | Subject::Baseline(..) => {
                self.rows
            }
        }
    }

    /// What an axis takes where it is varied, its usual value first.
    pub fn sweep(&self, axis: Axis, subject: &Subject) -> Vec<f64> {
        let is_batch = matches!(subject, Subject::Batched(_));
        let numbers = |numbers: &[u32]| numbers.iter().map(|x| f64::from(*x)).collect();
        match axis {
            Axis::Rows => vec![f64::from(self.rows(subject))],
            Axis::Dim => numbers(self.dims),
            Axis::Bags if is_batch => numbers(self.batches),
            // As many as make a batch of any length of bags.
            Axis::Bags => vec![],
            Axis::BagLength if is_batch => vec![f64::from(self.bag_lengths[0])],
            Axis::BagLength => numbers(self.bag_lengths),
            Axis::Zipf if is_batch => vec![self.zipfs[0]],
            Axis::Zipf => self.zipfs.to_vec(),
        }
    }

    /// Bags of a batch.
    pub fn bags(&self, bag_length: u32) -> u32 {
        (self.indices / bag_length.max(1)).max(1)
    }

    /// Whether a subject is measured unless told otherwise.
    pub fn selects(&self, subject: &Subject) -> bool {
        subject.is_usual() && (self.pace == Pace::Usual || subject.is_quick())
    }

    /// Whether a subject that was not asked for by name is swept: the usual widths of one lookup.
    pub fn sweeps(&self, subject: &Subject) -> bool {
        let widths: &[Bits] = match self.pace {
            Pace::Usual => &[Bits::B2, Bits::B4, Bits::B8],
            Pace::Quick => &[Bits::B4],
        };
        match subject {
            Subject::Lookup(spec, _) => {
                subject.is_swept() && widths.iter().any(|bits| affine_f16(*bits) == spec.format)
            }
            Subject::Batched(_) | Subject::Baseline(..) => self.pace == Pace::Usual,
            _ => false,
        }
    }
}
