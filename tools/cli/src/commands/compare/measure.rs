//! One method at one width: its error, its bytes, its time, and whether the GPU agrees.

use std::fmt;
use std::time::Instant;

use qembed::{Bits, Format, Method, PackedTable, Result, Session};

use super::sample::Sample;

/// Rows of the run that compiles the kernel.
const FEW_ROWS: usize = 4;

/// One method at one width.
pub struct Pairing {
    /// The method.
    pub method: Method,
    /// The width.
    pub bits: Bits,
    /// The rows that it writes.
    pub format: Format,
}

impl fmt::Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} bits", self.method.name(), self.bits.count())
    }
}

/// What came of a pairing.
pub struct Outcome {
    /// The method and the width.
    pub pairing: Pairing,
    /// What the CPU stored; `None` where it refused.
    pub cpu: Option<OnCpu>,
    /// What the GPU stored; `None` where there is none, no kernel, or it refused.
    pub gpu: Option<OnGpu>,
    /// Why something is missing that should be there.
    pub failure: Option<String>,
}

impl Outcome {
    /// The failure, with the pairing's name.
    pub fn failed(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        Some(format!("{}: {failure}", self.pairing))
    }
}

/// What the CPU stored.
pub struct OnCpu {
    /// Seconds of one run.
    pub seconds: f64,
    /// How far the stored rows are from the values.
    pub errors: Errors,
    /// Bytes of the table divided by its rows: what rows share is shared out.
    pub row_bytes: f64,
    /// The same in percent of f32.
    pub percent_of_f32: f64,
}

/// What the GPU stored.
pub struct OnGpu {
    /// Seconds of one run, from values on the host to a table on the device.
    pub seconds: f64,
    /// Whether its rows are the CPU's, byte for byte.
    pub same: bool,
    /// The normalised error of its rows.
    pub error: f64,
}

/// Quantizes the sample on the CPU, and on the GPU where there is one and a kernel for it.
pub fn measure(pairing: Pairing, sample: &Sample, session: Option<&Session>) -> Outcome {
    let mut outcome = Outcome {
        pairing,
        cpu: None,
        gpu: None,
        failure: None,
    };
    let (packed, cpu) = match on_cpu(&outcome.pairing, sample) {
        Ok(stored) => stored,
        Err(error) => {
            outcome.failure = Some(sample.in_file(error).to_string());
            return outcome;
        }
    };
    // Its codebooks are shared by rows all over the table: on the CPU alone.
    let has_kernel = !matches!(outcome.pairing.method, Method::KmeansCls { .. });
    if let Some(session) = session.filter(|_| has_kernel) {
        match on_gpu(&outcome.pairing, sample, session, (&packed, &cpu)) {
            Ok(gpu) => outcome.gpu = Some(gpu),
            Err(error) => {
                outcome.failure = Some(format!("on the GPU: {}", sample.in_file(error)));
            }
        }
    }
    outcome.cpu = Some(cpu);
    outcome
}

fn on_cpu(pairing: &Pairing, sample: &Sample) -> Result<(PackedTable, OnCpu)> {
    let (dim, format) = (sample.dim, pairing.format);
    let start = Instant::now();
    let packed = PackedTable::quantize(&sample.values, dim, format, pairing.method)?;
    let seconds = start.elapsed().as_secs_f64();
    let row_bytes = packed.total_bytes() as f64 / f64::from(packed.rows());
    let cpu = OnCpu {
        seconds,
        errors: Errors::of(sample, &packed.dequantize()),
        row_bytes,
        percent_of_f32: 100.0 * row_bytes / (4 * dim) as f64,
    };
    Ok((packed, cpu))
}

fn on_gpu(
    pairing: &Pairing,
    sample: &Sample,
    session: &Session,
    (expected, cpu): (&PackedTable, &OnCpu),
) -> Result<OnGpu> {
    let quantize = |values| {
        let table = session.quantize(values, sample.dim, pairing.format, pairing.method)?;
        session.wait().map(|()| table)
    };
    // The first run compiles.
    let few = sample.values.len().min(FEW_ROWS * sample.dim);
    quantize(&sample.values[..few])?;
    let start = Instant::now();
    let table = quantize(&sample.values)?;
    let seconds = start.elapsed().as_secs_f64();
    let packed = session.download(&table)?;
    let same = packed == *expected;
    let error = match same {
        true => cpu.errors.whole,
        false => Errors::of(sample, &packed.dequantize()).whole,
    };
    Ok(OnGpu {
        seconds,
        same,
        error,
    })
}

/// How far stored rows are from the values: `|x - y| / |x|`, Frobenius, in f64.
pub struct Errors {
    /// Of all rows together.
    pub whole: f64,
    /// The row with the largest error of its own, as the file counts it.
    pub worst_row: usize,
    /// That row's error.
    pub worst_row_error: f64,
}

impl Errors {
    /// Of rows that were restored.
    fn of(sample: &Sample, restored: &[f32]) -> Self {
        let (mut difference, mut whole) = (0.0, 0.0);
        let (mut worst_row, mut worst_row_error) = (0, -1.0);
        let rows = sample.values.chunks_exact(sample.dim);
        let restored = restored.chunks_exact(sample.dim);
        for ((x, y), &place) in rows.zip(restored).zip(&sample.places) {
            let row_difference: f64 = x.iter().zip(y).map(|(x, y)| distance(*x, *y)).sum();
            let row_whole: f64 = x.iter().map(|x| distance(*x, 0.0)).sum();
            let error = ratio(row_difference, row_whole);
            if error > worst_row_error {
                (worst_row, worst_row_error) = (place, error);
            }
            difference += row_difference;
            whole += row_whole;
        }
        Self {
            whole: ratio(difference, whole),
            worst_row,
            worst_row_error,
        }
    }
}

/// The square of a distance; both numbers are exact in f64.
fn distance(x: f32, y: f32) -> f64 {
    (f64::from(x) - f64::from(y)).powi(2)
}

/// The root of a ratio of squares. Zeros have no error of their own: 0.
fn ratio(difference: f64, whole: f64) -> f64 {
    match whole > 0.0 {
        true => (difference / whole).sqrt(),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_hand() {
        let sample = Sample {
            rows_in_file: 9,
            dim: 2,
            places: vec![0, 3, 6],
            values: vec![3.0, 4.0, 0.0, 0.0, 0.0, 2.0],
        };
        let errors = Errors::of(&sample, &[3.0, 4.0, 0.0, 1.0, 1.0, 2.0]);
        assert_eq!(errors.whole, (2.0f64 / 29.0).sqrt());
        assert_eq!((errors.worst_row, errors.worst_row_error), (6, 0.5));
        let exact = Errors::of(&sample, &sample.values);
        assert_eq!((exact.whole, exact.worst_row), (0.0, 0));
    }
}
