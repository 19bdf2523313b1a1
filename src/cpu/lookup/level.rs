//! Which instruction set lookups run on.

#[cfg(target_arch = "x86_64")]
use super::isa::{Avx2, Avx512};
use super::isa::{Baseline, Isa, Task};
use crate::{Error, Result};

/// An instruction set that lookups are compiled for. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// What the build's target has: SSE2 on x86-64, NEON on aarch64.
    Baseline,
    /// AVX2 and F16C, on x86-64.
    Avx2,
    /// AVX-512 F, BW, CD, DQ and VL, on x86-64.
    Avx512,
}

impl Level {
    /// Every level, narrowest first.
    pub const ALL: [Self; 3] = [Self::Baseline, Self::Avx2, Self::Avx512];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::find().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::find().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The widest that this machine has: what [`super::lookup`] takes.
    pub fn best() -> Self {
        let widest_first = Self::ALL.into_iter().rev();
        let mut available = widest_first.filter(|level| level.is_available());
        available.next().unwrap_or(Self::Baseline)
    }

    pub(super) fn check(self) -> Result<()> {
        match self.is_available() {
            true => Ok(()),
            false => Err(Error::Unsupported {
                what: format!("{} on this machine", self.name()),
                instead: "ask Level::is_available first, or take Level::best",
            }),
        }
    }

    /// Runs a task on it; on the baseline where the machine lacks it.
    #[inline]
    pub(super) fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            Self::Baseline => Baseline.run(task),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => match Avx2::find() {
                Some(isa) => isa.run(task),
                None => Baseline.run(task),
            },
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => match Avx512::find() {
                Some(isa) => isa.run(task),
                None => Baseline.run(task),
            },
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => Baseline.run(task),
        }
    }
}
