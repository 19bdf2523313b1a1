//! The case table of batches: tables, features, and the data that fills them.

use super::BatchedVariant;
use crate::verify::shapes::{self, Faults, Random, Shape};
use crate::{
    BatchedTable, Bits, Feature, Float, Format, Output, PRUNED, PackedTable, Place, Pooling,
    Result, Weighting,
};

/// One table of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableShape {
    /// Format of its rows.
    pub format: Format,
    /// Number of columns.
    pub dim: u32,
    /// Number of rows.
    pub rows: u32,
    /// Entries of its remap, of which every third stands for a row that was pruned; 0 for none.
    pub remap: u32,
}

/// One batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchedShape {
    /// Its part of a case's name.
    pub name: &'static str,
    /// The tables.
    pub tables: Vec<TableShape>,
    /// What is looked up.
    pub features: Vec<Feature>,
    /// Bags of a feature.
    pub bags: u32,
    /// Lengths of bags, in turn.
    pub lengths: &'static [u32],
    /// Whether each feature's rows lie by themselves, feature after feature, in place of beside each other.
    pub is_apart: bool,
    /// Whether indices and bags hold faults.
    pub faults: Faults,
}

impl BatchedShape {
    /// F16 rows have even lengths; long ones are there for the lanes that share them.
    pub(super) fn is_worth(&self, variant: &BatchedVariant) -> bool {
        let mut dims = self.tables.iter().map(|table| table.dim);
        variant.output == Output::F32 || dims.all(|dim| dim % 2 == 0)
    }
}

/// A batch's data.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchedData {
    /// The tables, with what their indices stand for.
    pub tables: Vec<(PackedTable, Option<Vec<i32>>)>,
    /// What is looked up.
    pub features: Vec<Feature>,
    /// Where each feature's rows go; `None` for beside each other.
    pub places: Option<Vec<Place>>,
    /// Bags of a feature.
    pub bags: u32,
    /// Rows to look up, or entries of a remap.
    pub indices: Vec<u32>,
    /// `features * bags + 1` entries.
    pub offsets: Vec<u32>,
    /// One for every index.
    pub weights: Vec<f32>,
}

impl BatchedData {
    /// The tables as every wing takes them.
    pub fn tables(&self) -> Vec<BatchedTable<'_>> {
        let tables = self.tables.iter().map(|(rows, remap)| BatchedTable {
            rows,
            remap: remap.as_deref(),
        });
        tables.collect()
    }
}

/// Every batch: all formats in one, with rows that were pruned; twenty-six tables as a recommender has them; one table of
/// each dim about a tile's edges; features that share a table, apart from each other; faults; nothing.
pub fn batched_shapes() -> Vec<BatchedShape> {
    const LENGTHS: &[u32] = &[0, 1, 2, 33, 64, 65, 130, 3];
    let pools = [Pooling::Sum, Pooling::Mean, Pooling::Max];
    let each = |tables: &[TableShape]| -> Vec<_> {
        let pools = pools.into_iter().cycle();
        let features = (0..tables.len()).zip(pools);
        features
            .map(|(table, pooling)| Feature { table, pooling })
            .collect()
    };
    let shape = |name, tables: Vec<TableShape>, bags| BatchedShape {
        name,
        features: each(&tables),
        tables,
        bags,
        lengths: LENGTHS,
        is_apart: false,
        faults: Faults::None,
    };
    let edges = [1, 3, 4, 31, 32, 33, 63, 64, 65, 127, 129, 300];
    let edges = edges.map(|dim| table(Format::affine(Bits::B4), dim, 19));
    let shared = BatchedShape {
        features: (0..6)
            .map(|number| Feature {
                table: number % 2,
                pooling: pools[number / 2],
            })
            .collect(),
        is_apart: true,
        ..shape("shared", formats(16), 9)
    };
    let faulty = BatchedShape {
        faults: Faults::Some,
        ..shape("faults", formats(8), 7)
    };
    let empty = BatchedShape {
        lengths: &[0],
        ..shape("empty", formats(8), 4)
    };
    vec![
        shape("formats", formats(16), 11),
        shape("recommender", recommender(), 16),
        shape("edges", edges.to_vec(), 8),
        shape("many", vec![table(Format::Float(Float::F32), 2, 5); 300], 3),
        shape("no-bags", formats(8), 0),
        shape("no-features", vec![], 0),
        shared,
        faulty,
        empty,
    ]
}

fn table(format: Format, dim: u32, rows: u32) -> TableShape {
    TableShape {
        format,
        dim,
        rows,
        remap: 0,
    }
}

/// A table of every format; every second has a remap, the last has no rows.
fn formats(dim: u32) -> Vec<TableShape> {
    let tables = Format::all()
        .enumerate()
        .map(|(number, format)| TableShape {
            remap: if number % 2 == 1 { 41 } else { 0 },
            ..table(format, dim * (1 + number as u32 % 5), 23)
        });
    let none = table(Format::affine(Bits::B8), dim, 0);
    tables.chain([none]).collect()
}

/// Twenty-six tables of 16 to 128 columns, as many as Criteo's categorical features.
fn recommender() -> Vec<TableShape> {
    let formats = [
        Format::affine(Bits::B4),
        Format::affine(Bits::B8),
        Format::affine(Bits::B2),
        Format::Float(Float::F16),
    ];
    let dims = [16, 32, 64, 128];
    let tables = (0..26).map(|number| {
        let rows = [7, 1000, 53][number % 3];
        table(formats[number % 4], dims[number / 4 % 4], rows)
    });
    tables.collect()
}

/// The data of a shape; a max has no weights, so in a weighted batch its features are summed.
///
/// # Errors
/// None that a shape of [`batched_shapes`] has.
pub fn batched_data(shape: &BatchedShape, weighting: Weighting, seed: u64) -> Result<BatchedData> {
    let mut random = Random::new(seed);
    let tables = shape.tables.iter().zip(0..);
    let tables: Result<Vec<_>> = tables
        .map(|(table, number)| {
            let one = Shape {
                dim: table.dim,
                rows: table.rows,
                bags: vec![],
                faults: Faults::None,
            };
            let packed = shapes::table(&one, table.format, seed + number)?;
            Ok((packed, remap(table, &mut random)))
        })
        .collect();
    let features = shape.features.iter().map(|feature| match feature.pooling {
        Pooling::Max if weighting == Weighting::Weighted => Feature {
            pooling: Pooling::Sum,
            ..*feature
        },
        _ => *feature,
    });
    let (indices, offsets) = bags(shape, &mut random);
    let weights = indices.iter().map(|_| random.signed()).collect();
    Ok(BatchedData {
        tables: tables?,
        features: features.collect(),
        places: shape.is_apart.then(|| apart(shape)),
        bags: shape.bags,
        indices,
        offsets,
        weights,
    })
}

fn remap(table: &TableShape, random: &mut Random) -> Option<Vec<i32>> {
    let entries = (0..table.remap).map(|entry| match entry % 3 {
        2 => PRUNED,
        _ => random.below(table.rows) as i32,
    });
    (table.remap > 0).then(|| entries.collect())
}

/// Indices and offsets. With faults every eighth index is none, and some bags begin behind their end or end behind the
/// last index.
fn bags(shape: &BatchedShape, random: &mut Random) -> (Vec<u32>, Vec<u32>) {
    let mut lengths = shape.lengths.iter().cycle();
    let (mut indices, mut offsets) = (vec![], vec![0]);
    for feature in &shape.features {
        let table = &shape.tables[feature.table];
        let known = if table.remap > 0 {
            table.remap
        } else {
            table.rows
        };
        for _ in 0..shape.bags {
            let length = lengths.next().copied().unwrap_or(0);
            let is_bad = |random: &mut Random| {
                known == 0 || (shape.faults == Faults::Some && random.below(8) == 0)
            };
            for _ in 0..length {
                indices.push(match is_bad(random) {
                    true => u32::MAX - random.below(2) * (u32::MAX - known),
                    false => random.below(known),
                });
            }
            offsets.push(indices.len() as u32);
        }
    }
    if shape.faults == Faults::Some {
        let len = offsets.len();
        offsets[len / 3] = u32::MAX;
        offsets[len / 2] = 0;
        offsets[len - 1] = indices.len() as u32 + 1;
    }
    (indices, offsets)
}

/// Each feature's rows one after the other, behind those of the feature before.
fn apart(shape: &BatchedShape) -> Vec<Place> {
    let mut first = 0;
    let places = shape.features.iter().map(|feature| {
        let stride = shape.tables[feature.table].dim;
        let place = Place { first, stride };
        first += stride * shape.bags;
        place
    });
    places.collect()
}
