//! The rows that a comparison is made on.

use std::path::Path;

use qembed::Error;
use qembed::io::MatrixFile;

use crate::failure::Failure;

/// Rows of a matrix, evenly spaced over the whole of it.
pub struct Sample {
    /// Rows of the whole matrix.
    pub rows_in_file: usize,
    /// Number of columns.
    pub dim: usize,
    /// Where each row stands in the file, ascending.
    pub places: Vec<usize>,
    /// The rows, `[places, dim]`, row-major.
    pub values: Vec<f32>,
}

impl Sample {
    /// Reads at most `most` rows of a file, and no others.
    pub fn read(path: &Path, tensor: Option<&str>, most: usize) -> Result<Self, Failure> {
        let mut file = MatrixFile::open(path, tensor)?;
        let places = evenly_spaced(file.rows(), most);
        let mut values = vec![];
        for run in places.chunk_by(|row, next| row + 1 == *next) {
            values.extend(file.read_rows(run[0]..run[0] + run.len())?);
        }
        let sample = Self {
            rows_in_file: file.rows(),
            dim: file.dim(),
            places,
            values,
        };
        match sample.not_finite() {
            Some(error) => Err(Failure::about(path, error)),
            None => Ok(sample),
        }
    }

    /// The first value that no method can quantize: looked for once, before hours may be spent.
    fn not_finite(&self) -> Option<Error> {
        let at = self.values.iter().position(|value| !value.is_finite())?;
        Some(Error::NotFinite {
            row: self.places[at / self.dim],
            column: at % self.dim,
            value: self.values[at],
        })
    }

    /// An error that names a row of the sample, so that it names the row of the file.
    pub fn in_file(&self, mut error: Error) -> Error {
        if let Error::NotFinite { row, .. }
        | Error::HeaderRange { row, .. }
        | Error::StepRange { row, .. }
        | Error::CentroidRange { row, .. }
        | Error::Unfinished { row } = &mut error
        {
            *row = self.places.get(*row).copied().unwrap_or(*row);
        }
        error
    }
}

/// `most` of `rows` rows at equal distances from the first on; all of them where there are fewer.
fn evenly_spaced(rows: usize, most: usize) -> Vec<usize> {
    let count = rows.min(most);
    // In u128, which no product of two lengths overflows.
    let place = |at: usize| (at as u128 * rows as u128 / count as u128) as usize;
    (0..count).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spaced_evenly_over_the_whole() {
        assert_eq!(evenly_spaced(10, 5), [0, 2, 4, 6, 8]);
        assert_eq!(evenly_spaced(7, 3), [0, 2, 4]);
        assert_eq!(evenly_spaced(5, 4), [0, 1, 2, 3]);
        assert_eq!(evenly_spaced(3, 2048), [0, 1, 2]);
        assert_eq!(evenly_spaced(0, 4), [0; 0]);
        assert_eq!(evenly_spaced(usize::MAX, 2), [0, usize::MAX / 2]);
    }
}
