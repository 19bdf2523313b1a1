//! Which samples are for training, for choosing the epoch, and for the figures.

use crate::random::{Random, Stream};

/// The split is part of the data: one for all methods and all seeds.
const SEED: u64 = 2023;

/// Numbers of samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Eight tenths.
    pub training: Vec<u32>,
    /// One tenth.
    pub validation: Vec<u32>,
    /// The rest.
    pub test: Vec<u32>,
}

impl Split {
    /// Splits as many samples.
    pub fn new(samples: usize) -> Self {
        let mut training = Random::new(SEED, Stream::Split, 0).order(samples);
        let mut validation = training.split_off(samples * 8 / 10);
        let test = validation.split_off(samples / 10);
        Self {
            training,
            validation,
            test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_the_same_each_time_and_has_every_sample_once() {
        let split = Split::new(1003);
        assert_eq!(split, Split::new(1003));
        let sizes = [&split.training, &split.validation, &split.test].map(Vec::len);
        assert_eq!(sizes, [802, 100, 101]);
        let mut all = [split.training, split.validation, split.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1003).collect::<Vec<u32>>());
    }

    #[test]
    fn the_split_of_today_is_the_split_of_tomorrow() {
        assert_eq!(Split::new(10).training, FIRST);
    }

    /// A change here changes every figure.
    const FIRST: [u32; 8] = [2, 3, 4, 9, 7, 1, 5, 8];
}
