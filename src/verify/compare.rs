//! The comparators. `tests/harness.rs` plants defects and sees each of them caught.

use half::f16;

use crate::reference::Pooled;
use crate::{Output, Pooling, Promise};

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The largest error in units of its bound; where bits are compared, 0 if they agree.
    pub largest: f64,
    /// The first thing wrong; `None` where all is well.
    pub failure: Option<String>,
}

impl Outcome {
    /// All is well.
    pub const PASS: Self = Self {
        largest: 0.0,
        failure: None,
    };

    /// Something is wrong beyond any bound.
    pub fn fail(failure: String) -> Self {
        Self {
            largest: f64::INFINITY,
            failure: Some(failure),
        }
    }

    /// The worse of two outcomes; the first failure is kept.
    pub fn and(self, other: Self) -> Self {
        Self {
            largest: self.largest.max(other.largest),
            failure: self.failure.or(other.failure),
        }
    }
}

/// Which word fills an output before a kernel runs, and what stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The output itself: a NaN in f32 and in both halves of f16 that no arithmetic makes.
    Poison,
    /// The words on both sides of it.
    Sentinel,
}

impl Fill {
    /// The word.
    pub const fn word(self) -> u32 {
        match self {
            Self::Poison => 0x7fed_7fed,
            Self::Sentinel => 0x5e17_1e15,
        }
    }
}

/// Checks that a kernel wrote every word of its output and none beside it.
///
/// `memory` is the output with words of [`Fill::Sentinel`] on both sides, `output` where it lies.
pub fn guards(memory: &[u32], output: std::ops::Range<usize>) -> Outcome {
    let sentinel = |word: &u32| *word == Fill::Sentinel.word();
    if let Some(at) = memory[..output.start]
        .iter()
        .position(|word| !sentinel(word))
    {
        return Outcome::fail(format!(
            "word {} before the output was overwritten",
            output.start - at
        ));
    }
    if let Some(at) = memory[output.end..].iter().position(|word| !sentinel(word)) {
        return Outcome::fail(format!("word {at} behind the output was overwritten"));
    }
    let unwritten = |word: &u32| *word == Fill::Poison.word();
    match memory[output].iter().position(unwritten) {
        Some(at) => Outcome::fail(format!("word {at} of the output was not written")),
        None => Outcome::PASS,
    }
}

/// Compares words bit by bit.
pub fn words(what: &str, expected: &[u32], got: &[u32]) -> Outcome {
    if expected.len() != got.len() {
        return Outcome::fail(format!(
            "{what}: {} words, expected {}",
            got.len(),
            expected.len()
        ));
    }
    match expected
        .iter()
        .zip(got)
        .position(|(expected, got)| expected != got)
    {
        Some(at) => Outcome::fail(format!(
            "{what}: word {at} is {:#010x}, expected {:#010x}",
            got[at], expected[at]
        )),
        None => Outcome::PASS,
    }
}

/// Compares floats bit by bit; any NaN equals any other.
pub fn bits(expected: &[f32], got: &[f32]) -> Outcome {
    elements(expected.len(), got, |at, got| {
        let same = expected[at].to_bits() == got.to_bits() || expected[at].is_nan() && got.is_nan();
        (
            if same { 0.0 } else { f64::INFINITY },
            f64::from(expected[at]),
        )
    })
}

/// Compares a lookup's output with the reference: by bits where the kernel promises bits, else by the
/// element's bound.
pub fn lookup(expected: &Pooled, pooling: Pooling, output: Output, got: &[f32]) -> Outcome {
    match pooling.promise() {
        Promise::Bits => {
            let rounded = |x: &f64| match output {
                Output::F32 => *x as f32,
                Output::F16 => f16::from_f32(*x as f32).to_f32(),
            };
            bits(
                &expected.output.iter().map(rounded).collect::<Vec<_>>(),
                got,
            )
        }
        Promise::Bound => elements(expected.output.len(), got, |at, got| {
            let exact = expected.output[at];
            let bound = expected.bound(at, output);
            (error_in_bounds(exact, bound, output, f64::from(got)), exact)
        }),
    }
}

/// The error of one element in units of its bound.
fn error_in_bounds(exact: f64, bound: f64, output: Output, got: f64) -> f64 {
    if exact.is_nan() || got.is_nan() {
        return if exact.is_nan() && got.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if !bound.is_finite() {
        // Infinity went in: exactly that must come out.
        return if got == exact { 0.0 } else { f64::INFINITY };
    }
    let overflows = |x: f64| match output {
        Output::F32 => (x as f32).is_infinite(),
        Output::F16 => f16::from_f64(x).is_infinite(),
    };
    // Near the largest number, rounding to infinity and not doing so may both be within the bound.
    let may_overflow = overflows(exact.abs() + bound);
    let may_be_finite = !overflows((exact.abs() - bound).max(0.0));
    match (got.is_infinite(), overflows(exact)) {
        (true, _) if may_overflow && got.is_sign_positive() == exact.is_sign_positive() => 0.0,
        (false, true) if may_be_finite && got.is_sign_positive() == exact.is_sign_positive() => 0.0,
        (false, false) => (exact - got).abs() / bound,
        _ => f64::INFINITY,
    }
}

/// Compares element by element; `error` gives an element's error in units of its bound, and what was
/// expected.
fn elements(expected: usize, got: &[f32], error: impl Fn(usize, f32) -> (f64, f64)) -> Outcome {
    if expected != got.len() {
        return Outcome::fail(format!("{} elements, expected {expected}", got.len()));
    }
    let mut outcome = Outcome::PASS;
    for (at, &value) in got.iter().enumerate() {
        let (error, expected) = error(at, value);
        outcome.largest = outcome.largest.max(error);
        // Written so that a NaN fails.
        let within = error <= 1.0;
        if !within && outcome.failure.is_none() {
            outcome.failure = Some(format!(
                "element {at} is {value:e}, expected {expected:e}: {error} times its bound"
            ));
        }
    }
    outcome
}
