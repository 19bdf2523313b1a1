//! Random numbers that are the same on every machine and in every version.
//!
//! SplitMix64 (Steele, Lea and Flood, 2014): one addition and one mixing of 64 bits a number.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

/// What a stream is for; streams of one seed have nothing to do with each other.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Which samples are for training, validation and test.
    Split,
    /// Values of the table before training.
    Table,
    /// Weights of the network before training.
    Network,
    /// The order of samples in an epoch.
    Order,
    /// Generated samples.
    Samples,
    /// The model that generated samples follow.
    Truth,
}

impl Random {
    /// The stream of a seed, a purpose, and a number within it (an epoch, or 0).
    pub fn new(seed: u64, stream: Stream, number: u64) -> Self {
        let mut state = 0;
        for part in [seed, stream as u64, number] {
            state = mixed(state ^ part).wrapping_add(GOLDEN);
        }
        Self { state }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mixed(self.state)
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.bits() >> 11) as f64 * STEP
    }

    /// A whole number below `end`, which is not zero. Multiplied, not divided: the bias is `end / 2^64`.
    pub fn below(&mut self, end: usize) -> usize {
        let product = u128::from(self.bits()) * end as u128;
        (product >> 64) as usize
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Normal numbers of a deviation.
    pub fn normals(&mut self, count: usize, deviation: f64) -> Vec<f32> {
        (0..count)
            .map(|_| (deviation * self.normal()) as f32)
            .collect()
    }

    /// The whole numbers below `end` in random order (Fisher and Yates).
    pub fn order(&mut self, end: usize) -> Vec<u32> {
        let mut order: Vec<_> = (0..end as u32).collect();
        for last in (1..end).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

/// 2^64 divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = Random { state: 1_234_567 };
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn streams_differ() {
        let first = |stream, number| Random::new(7, stream, number).bits();
        assert_ne!(first(Stream::Order, 0), first(Stream::Order, 1));
        assert_ne!(first(Stream::Order, 0), first(Stream::Table, 0));
    }

    #[test]
    fn normals_have_the_deviation() {
        let values = Random::new(1, Stream::Table, 0).normals(10_000, 2.0);
        let squares: f32 = values.iter().map(|value| value * value).sum();
        assert!((squares / 10_000.0 - 4.0).abs() < 0.2);
    }

    #[test]
    fn an_order_has_every_number_once() {
        let mut order = Random::new(1, Stream::Order, 0).order(100);
        assert_ne!(order[..5], [0, 1, 2, 3, 4]);
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<u32>>());
    }
}
