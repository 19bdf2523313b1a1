//! Codebooks that rows share.

use super::row::{get_bits, put_bits};
use super::{Bits, Codebook};
use crate::{Error, Result};

/// The codebooks of a table of [`super::Format::Blocks`], and the block of every row.
///
/// Source: KMEANS-CLS of Guan et al. 2019, "Post-Training 4-bit Quantization on Embedding Tables".
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks {
    bits: Bits,
    count: u32,
    rows: u32,
    /// Codebooks, then block ids.
    words: Vec<u32>,
}

impl Blocks {
    /// Codebooks of `2^bits` f16 centroids, two to a word, and the block of every row.
    ///
    /// # Errors
    /// [`Error::Shape`] where there is no codebook, where `codebooks` is not a whole number of them, where
    /// a row's block has none, and where there are more rows than a u32 index reaches;
    /// [`Error::Unsupported`] for codebooks of 8 bits.
    pub fn new(bits: Bits, codebooks: Vec<u32>, ids: &[u32]) -> Result<Self> {
        let (count, rows) = check(bits, codebooks.len(), ids.len())?;
        if let Some(id) = ids.iter().find(|id| **id >= count) {
            return Err(id_out_of_range(count, *id));
        }
        let mut blocks = Self {
            bits,
            count,
            rows,
            words: codebooks,
        };
        let width = blocks.id_bits();
        let mut packed = vec![0; id_words(rows, width)];
        for (row, id) in ids.iter().enumerate() {
            put_bits(&mut packed, row, width, *id);
        }
        blocks.words.extend(packed);
        Ok(blocks)
    }

    /// As [`Blocks::new`], with the ids as they are stored: [`Blocks::id_bits`] each, dense, low bits first.
    ///
    /// # Errors
    /// Those of [`Blocks::new`], and [`Error::Shape`] where `ids` has another length than the rows need.
    pub fn from_words(bits: Bits, codebooks: Vec<u32>, rows: u32, ids: &[u32]) -> Result<Self> {
        let (count, _) = check(bits, codebooks.len(), rows as usize)?;
        let mut blocks = Self {
            bits,
            count,
            rows,
            words: codebooks,
        };
        let needed = id_words(rows, blocks.id_bits());
        if ids.len() != needed {
            return Err(Error::Shape {
                argument: "block ids",
                needed: format!("{needed} words, {} bits for every row", blocks.id_bits()),
                got: ids.len().to_string(),
            });
        }
        blocks.words.extend(ids);
        // Of one block there is nothing to check.
        let rows = if count == 1 { 0 } else { rows };
        match (0..rows).map(|row| blocks.id(row)).find(|id| *id >= count) {
            Some(id) => Err(id_out_of_range(count, id)),
            None => Ok(blocks),
        }
    }

    /// Bits of a code.
    pub const fn bits(&self) -> Bits {
        self.bits
    }

    /// Number of blocks.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Number of rows that have a block.
    pub const fn rows(&self) -> u32 {
        self.rows
    }

    /// Bits of a row's block id: as few as tell the blocks apart.
    pub const fn id_bits(&self) -> u32 {
        id_bits(self.count)
    }

    /// The block of a row.
    ///
    /// # Panics
    /// Where the table has no such row.
    pub fn id(&self, row: u32) -> u32 {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        get_bits(self.id_words(), row as usize, self.id_bits())
    }

    /// The codebook of a block.
    ///
    /// # Panics
    /// Where there is no such block.
    pub fn codebook(&self, block: u32) -> Codebook<'_> {
        let words = codebook_words(self.bits) as usize;
        Codebook::new(&self.words[block as usize * words..][..words])
    }

    /// All codebooks, one after the other.
    pub fn codebook_words(&self) -> &[u32] {
        &self.words[..self.codebooks_end()]
    }

    /// The block ids as stored.
    pub fn id_words(&self) -> &[u32] {
        &self.words[self.codebooks_end()..]
    }

    /// Codebooks and block ids as the kernels read them.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    fn codebooks_end(&self) -> usize {
        self.count as usize * codebook_words(self.bits) as usize
    }
}

/// Words of a codebook.
pub(crate) const fn codebook_words(bits: Bits) -> u32 {
    1 << (bits.count() - 1)
}

/// Bits that tell this many blocks apart.
pub(crate) const fn id_bits(blocks: u32) -> u32 {
    u32::BITS - blocks.saturating_sub(1).leading_zeros()
}

/// Words that hold the block ids of all rows.
pub(crate) fn id_words(rows: u32, id_bits: u32) -> usize {
    (u64::from(rows) * u64::from(id_bits)).div_ceil(32) as usize
}

/// Numbers of blocks and rows.
fn check(bits: Bits, codebook_len: usize, rows: usize) -> Result<(u32, u32)> {
    super::check_codebook_bits(bits)?;
    let words = codebook_words(bits) as usize;
    let count = u32::try_from(codebook_len / words).unwrap_or(0);
    if count == 0 || !codebook_len.is_multiple_of(words) {
        return Err(Error::Shape {
            argument: "codebooks",
            needed: format!("a multiple of {words} words, at least one codebook"),
            got: codebook_len.to_string(),
        });
    }
    Ok((count, super::check_rows(rows)?))
}

fn id_out_of_range(count: u32, id: u32) -> Error {
    Error::Shape {
        argument: "block ids",
        needed: format!("below {count}, the number of codebooks"),
        got: id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_take_as_few_bits_as_tell_blocks_apart() {
        assert_eq!([1, 2, 3, 4, 5, 1 << 31].map(id_bits), [0, 1, 2, 2, 3, 31]);
        assert_eq!(id_bits(u32::MAX), 32);
    }

    #[test]
    fn ids_survive_and_wrong_ones_are_refused() {
        let codebooks = vec![0x3c00_0000; 5 * 2];
        let ids = [4, 0, 3, 1, 2, 4, 4];
        let blocks = Blocks::new(Bits::B2, codebooks.clone(), &ids).unwrap();
        assert_eq!((blocks.count(), blocks.id_bits()), (5, 3));
        assert_eq!((0..7).map(|row| blocks.id(row)).collect::<Vec<_>>(), ids);
        assert_eq!(blocks.codebook(4).value(1), 1.0);
        let again = Blocks::from_words(Bits::B2, codebooks.clone(), 7, blocks.id_words());
        assert_eq!(again.unwrap(), blocks);
        let error = Blocks::new(Bits::B2, codebooks.clone(), &[5]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "block ids: needed below 5, the number of codebooks, got 5"
        );
        let bad = [u32::MAX];
        assert!(Blocks::from_words(Bits::B2, codebooks.clone(), 7, &bad).is_err());
        assert!(Blocks::new(Bits::B8, codebooks, &ids).is_err());
        assert!(Blocks::new(Bits::B4, vec![], &[]).is_err());
    }
}
