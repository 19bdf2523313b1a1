//! The case table: shapes at every boundary, and the data that fills them.

use half::f16;

use crate::format::{codebook_words, put_code, write_step};
use crate::{Blocks, Float, Format, Header, Method, PackedTable, Params, Result};

/// One shape of table and bags.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Number of columns.
    pub dim: u32,
    /// Number of rows.
    pub rows: u32,
    /// Length of every bag.
    pub bags: Vec<u32>,
    /// Whether indices, bags and rows hold faults.
    pub faults: Faults,
}

/// Whether a case holds what a caller should not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// All good.
    None,
    /// Indices out of range, offsets that decrease or pass the end, values that are not finite.
    Some,
}

impl Shape {
    /// The shape's part of a case's name.
    pub fn name(&self) -> String {
        let faults = match self.faults {
            Faults::None => "",
            Faults::Some => ".faults",
        };
        let indices: u32 = self.bags.iter().sum();
        let bags = self.bags.len();
        format!(
            "dim{}.rows{}.bags{bags}.indices{indices}{faults}",
            self.dim, self.rows
        )
    }
}

impl Shape {
    /// Whether a method is tried on it. All are tried on faults and on one row; those that search, in no
    /// other way for one dim than for the next, on both sides of every boundary of theirs (16 lanes,
    /// 64, 256 and 896 columns of memory); the reference's k-means is quadratic in the columns.
    pub fn is_worth(&self, method: Method) -> bool {
        const SEARCHED: [u32; 11] = [1, 3, 15, 16, 17, 33, 64, 65, 384, 1024, 8192];
        let special = self.faults == Faults::Some || self.rows == 1;
        match method {
            Method::Asym | Method::Sym | Method::Absmax | Method::Cast => true,
            Method::Kmeans { .. } if self.dim > 1024 => false,
            _ => special || (self.rows < 100 && SEARCHED.contains(&self.dim)),
        }
    }
}

/// Every shape: each dim of the boundaries with bags of 0, 1, 2, 31 to 33, the short ones with a bag
/// of 500 too; then no bags, no indices, one row, a bag of 70 thousand, no rows, and faults.
pub fn shapes() -> Vec<Shape> {
    const DIMS: [u32; 21] = [
        1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 384, 1023, 1024, 1025, 8192,
    ];
    let shape = |dim, rows, bags: &[u32], faults| Shape {
        dim,
        rows,
        bags: bags.to_vec(),
        faults,
    };
    let by_dim = DIMS.map(|dim| match dim {
        ..=65 => shape(
            dim,
            61,
            &[0, 1, 2, 31, 32, 33, 500, 64, 65, 0],
            Faults::None,
        ),
        66..=1025 => shape(dim, 37, &[0, 1, 2, 31, 32, 33, 0], Faults::None),
        _ => shape(dim, 5, &[0, 1, 2, 31, 0], Faults::None),
    });
    let special = [
        shape(64, 10, &[], Faults::None),
        shape(9, 10, &[0, 0, 0], Faults::None),
        shape(33, 1, &[1, 3], Faults::None),
        shape(4, 1000, &[1; 300], Faults::None),
        shape(12, 50, &[700], Faults::None),
        shape(4, 100, &[70_000], Faults::None),
        shape(5, 0, &[2, 0, 1], Faults::Some),
        shape(7, 20, &[3, 5, 2, 66, 0, 4, 9], Faults::Some),
        shape(64, 20, &[1, 130, 2, 0, 7, 7], Faults::Some),
    ];
    by_dim.into_iter().chain(special).collect()
}

/// A small generator of test data: SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same data everywhere.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 32 random bits.
    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 32) as u32
    }

    /// Uniform in `0..end`; 0 where `end` is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(end)) >> 32) as u32
    }

    /// Uniform in `-1..1`.
    pub fn signed(&mut self) -> f32 {
        self.word() as i32 as f32 / 2.0f32.powi(31)
    }

    /// Independent numbers of mean 0 and deviation 1, by the polar method.
    pub fn normals(&mut self, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let (x, y) = (f64::from(self.signed()), f64::from(self.signed()));
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                values.extend([(x * factor) as f32, (y * factor) as f32]);
            }
        }
        values.truncate(count);
        values
    }
}

/// Rows of random codes and levels; of affine rows every seventh has a subnormal or zero f16 scale, of
/// symmetric ones such a step, which no row that is quantized has, of floats one in seven is subnormal.
pub fn table(shape: &Shape, format: Format, seed: u64) -> Result<PackedTable> {
    let mut random = Random::new(seed);
    let row_words = format.row_words(shape.dim) as usize;
    let mut words = vec![0; shape.rows as usize * row_words];
    for (row, words) in words.chunks_exact_mut(row_words).enumerate() {
        match format {
            Format::Affine { params, .. } => {
                random_header(row, &mut random).write(words, params);
            }
            Format::Symmetric { params, .. } => {
                write_step(words, params, random_step(row, &mut random));
            }
            Format::Codebook { .. } | Format::Blocks { .. } => {
                let header_words = format.header_words() as usize;
                words[..header_words].copy_from_slice(&centroids(header_words, &mut random));
            }
            Format::Float(_) => {}
        }
        for column in 0..shape.dim as usize {
            let code = match format {
                Format::Float(float) => random_float(float, &mut random),
                _ => random.word() & format.column_mask(),
            };
            put_code(words, format, column, code);
        }
    }
    let Format::Blocks { bits } = format else {
        return PackedTable::from_words(format, shape.dim as usize, words);
    };
    // One block, which takes no bits to name, up to as many as rows.
    let count = 1 + random.below(shape.rows);
    let codebooks = centroids((count * codebook_words(bits)) as usize, &mut random);
    let ids: Vec<_> = (0..shape.rows).map(|_| random.below(count)).collect();
    let blocks = Blocks::new(bits, codebooks, &ids)?;
    PackedTable::from_blocks(shape.dim as usize, words, blocks)
}

fn random_header(row: usize, random: &mut Random) -> Header {
    let scale = random_scale(row, random);
    let bias = random.signed() * 2.0f32.powi(random.below(8) as i32 - 4);
    Header { scale, bias }
}

fn random_scale(row: usize, random: &mut Random) -> f32 {
    match row % 7 {
        6 => f16::from_bits(random.below(0x400) as u16).to_f32(),
        _ => random.signed() * 2.0f32.powi(random.below(12) as i32 - 8),
    }
}

/// Every thirteenth is about the smallest normal f32, whose codes decode to what is flushed and what is not.
fn random_step(row: usize, random: &mut Random) -> f32 {
    match row % 13 {
        12 => (1.0 + random.signed()) * f32::MIN_POSITIVE,
        _ => random_scale(row, random).abs(),
    }
}

/// A float of any sign, zeros among them; one in seven is subnormal in its type.
fn random_float(float: Float, random: &mut Random) -> u32 {
    match random.below(7) {
        6 => {
            let (sign, least_normal) = match float {
                Float::F32 => (1 << 31, 1 << 23),
                Float::F16 => (1 << 15, 1 << 10),
                Float::Bf16 => (1 << 15, 1 << 7),
            };
            random.word() & sign | random.below(least_normal)
        }
        exponent => float.rounded(random.signed() * 2.0f32.powi(3 * exponent as i32 - 12)),
    }
}

/// Words of two f16 each, some of them subnormal.
fn centroids(words: usize, random: &mut Random) -> Vec<u32> {
    let mut half = || match random.below(7) {
        6 => f16::from_bits(random.below(0x400) as u16),
        exponent => f16::from_f32(random.signed() * 2.0f32.powi(exponent as i32 - 4)),
    };
    let mut word = || u32::from(half().to_bits()) | u32::from(half().to_bits()) << 16;
    (0..words).map(|_| word()).collect()
}

/// Indices, offsets and weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Rows to look up; repeats and the last row are among them.
    pub indices: Vec<u32>,
    /// bags + 1 entries.
    pub offsets: Vec<u32>,
    /// One for every index, either sign.
    pub weights: Vec<f32>,
}

/// A batch of the shape's bags; with faults, every fifth index is out of range, one bag's offsets
/// decrease and the last one passes the end.
pub fn batch(shape: &Shape, seed: u64) -> Batch {
    let mut random = Random::new(seed);
    let mut offsets = vec![0];
    for length in &shape.bags {
        offsets.push(offsets[offsets.len() - 1] + length);
    }
    let count = offsets[offsets.len() - 1];
    let mut indices: Vec<_> = (0..count).map(|_| random.below(shape.rows)).collect();
    if let (Some(last), Faults::None) = (indices.last_mut(), shape.faults) {
        *last = shape.rows - 1;
    }
    if shape.faults == Faults::Some {
        for (i, index) in indices.iter_mut().enumerate().filter(|(i, _)| i % 5 == 3) {
            *index = if i % 2 == 0 { shape.rows } else { u32::MAX };
        }
        if offsets.len() > 4 {
            offsets.swap(2, 3);
        }
        if let Some(end) = offsets.last_mut() {
            *end += 1;
        }
    }
    let weights = (0..count).map(|_| 2.0 * random.signed()).collect();
    Batch {
        indices,
        offsets,
        weights,
    }
}

/// f32 rows to quantize, corner rows among them: zeros, constants, a tiny range, one that f16 cannot
/// tell apart, the limit of f16, a spike, a large offset, subnormals, zeros of both signs. With
/// faults, rows that are not finite or that no header and no float of the format holds; f32 holds all.
pub fn values(shape: &Shape, format: Format, seed: u64) -> Vec<f32> {
    let halves = format.params() == Some(Params::F16) || format == Format::Float(Float::F16);
    let mut random = Random::new(seed);
    let mut rows = Vec::with_capacity(shape.rows as usize * shape.dim as usize);
    for row in 0..shape.rows {
        for column in 0..shape.dim {
            let x = random.signed();
            rows.push(match row % 16 {
                0 => 0.0,
                1 => 0.37,
                2 => 1.0 + x * 1e-6,
                3 => x * 1e-9,
                4 => x * 60000.0,
                5 if column == shape.dim / 2 => 1000.0,
                6 => 500.0 + x,
                7 => x * f32::MIN_POSITIVE,
                8 if column % 2 == 0 => -0.0,
                8 => 0.0,
                9 => x.round() * 0.5,
                10 if shape.faults == Faults::Some && column == shape.dim - 1 => f32::NAN,
                11 if shape.faults == Faults::Some && column == 0 => f32::NEG_INFINITY,
                12 if shape.faults == Faults::Some && halves => 70000.0 + x,
                12 if shape.faults == Faults::Some => f32::MAX * x.signum(),
                _ => x * 0.25,
            });
        }
    }
    rows
}
