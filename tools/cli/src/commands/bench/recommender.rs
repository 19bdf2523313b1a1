//! Many tables at once: as many as Criteo's categorical features, of mixed dims and formats.

use qembed::verify::batched::rows_of;
use qembed::{BatchedTable, Bits, Feature, Float, Format, PackedTable, Place, Pooling};

use super::batch::Batches;
use super::check::{Sample, right};
use super::point::Point;
use super::refusal::Refusal;
use super::scale::Scale;
use super::subject::{Dispatches, affine_f16, sum_of};
use super::tables;
use super::traffic::Traffic;

/// Tables of a batch, a feature each.
pub const TABLES: u32 = 26;

/// The tables and batches of a point, whose rows are those of a table and whose bags those of a feature.
pub struct Recommender {
    pub tables: Vec<PackedTable>,
    pub features: Vec<Feature>,
    /// Of all features.
    pub batches: Batches,
    bags: u32,
    length: u32,
}

impl Recommender {
    /// Tables of 16 to 128 columns, one in four of them floats.
    pub fn new(point: &Point, scale: &Scale) -> Result<Self, Refusal> {
        let formats = [
            affine_f16(Bits::B4),
            affine_f16(Bits::B8),
            affine_f16(Bits::B2),
            Format::Float(Float::F16),
        ];
        let tables = (0..TABLES as usize).map(|number| {
            let dim = [16, 32, 64, 128][number / 4 % 4];
            tables::packed(formats[number % 4], point.rows, dim)
        });
        let tables: Vec<_> = tables.collect::<Result<_, _>>()?;
        let row_bytes = |table: &PackedTable| u64::from(table.format().row_bytes(table.dim()));
        let mean_bytes = tables.iter().map(row_bytes).sum::<u64>() / u64::from(TABLES);
        let bags = point.bags.checked_mul(TABLES).ok_or_else(|| {
            Refusal::Skip(format!(
                "{} bags of {TABLES} features are too many",
                point.bags
            ))
        })?;
        let all = Point { bags, ..*point };
        let features = (0..tables.len()).map(|table| Feature {
            table,
            pooling: Pooling::Sum,
        });
        Ok(Self {
            features: features.collect(),
            tables,
            batches: Batches::new(&all, mean_bytes, scale.touched_bytes)?,
            bags: point.bags,
            length: point.bag_length.max(1),
        })
    }

    /// The tables as every wing takes them.
    pub fn batched_tables(&self) -> Vec<BatchedTable<'_>> {
        let tables = self.tables.iter();
        tables
            .map(|rows| BatchedTable { rows, remap: None })
            .collect()
    }

    /// Columns of all features.
    pub fn columns(&self) -> u32 {
        self.tables.iter().map(PackedTable::dim).sum()
    }

    /// Lookups of a batch.
    pub fn lookups(&self) -> u64 {
        self.batches.indices[0].len() as u64
    }

    /// The offsets of a feature's bags.
    pub fn offsets(&self, feature: usize) -> &[u32] {
        let first = feature * self.bags as usize;
        &self.batches.offsets[first..=first + self.bags as usize]
    }

    /// A feature's part of the batches, by itself.
    fn part(&self, feature: usize) -> Batches {
        let count = (self.bags * self.length) as usize;
        let of = |indices: &Vec<u32>| indices[feature * count..][..count].to_vec();
        Batches {
            offsets: (0..=self.bags).map(|bag| bag * self.length).collect(),
            indices: self.batches.indices.iter().map(of).collect(),
            weights: self.batches.weights[..count].to_vec(),
        }
    }

    /// What the lookups of a batch move.
    pub fn traffic(&self) -> Traffic {
        let parts = self.tables.iter().enumerate().map(|(feature, table)| {
            Traffic::lookup(sum_of(table.format()), table, &self.part(feature))
        });
        parts.fold(Traffic::default(), Traffic::and)
    }

    /// Holds the output of the first batch against the reference: the features' rows beside each other where one
    /// dispatch wrote them, feature after feature where many did.
    pub fn check(
        &self,
        label: &str,
        values: &[f32],
        dispatches: Dispatches,
    ) -> Result<(), Refusal> {
        let mut columns = 0;
        for (feature, table) in self.tables.iter().enumerate() {
            let dim = table.dim();
            let place = match dispatches {
                Dispatches::One => Place {
                    first: columns,
                    stride: self.columns(),
                },
                Dispatches::Many => Place {
                    first: columns * self.bags,
                    stride: dim,
                },
            };
            let sample = Sample::new(sum_of(table.format()), table, &self.part(feature))?;
            let rows = rows_of(values, place, (dim, self.bags));
            right(label, sample.compare(&rows))?;
            columns += dim;
        }
        Ok(())
    }
}
