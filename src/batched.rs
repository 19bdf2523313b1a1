//! Many tables at once: what a batch is, checked in one place for the reference and for every device.

use crate::request::{self, check_count, check_ends, check_weights};
use crate::spec::check_weighting;
use crate::{Error, LookupStatus, OutOfRange, Output, PackedTable, Pooling, Result, Weighting};

/// A table of a batch on the host, and which of its rows an index stands for.
#[derive(Clone, Copy, Debug)]
pub struct BatchedTable<'a> {
    /// The rows.
    pub rows: &'a PackedTable,
    /// For every index the row that it stands for, or [`PRUNED`]; `None` where indices are rows.
    ///
    /// Source: the `index_remapping` of FBGEMM's inference TBE.
    pub remap: Option<&'a [i32]>,
}

/// The remap's entry of an index whose row was pruned: it contributes nothing, is no fault, and stays in the divisor of
/// a mean.
pub const PRUNED: i32 = -1;

/// One feature of a batch: a table, and how its bags are pooled. Features may share a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Feature {
    /// Number of the table among those of the batch.
    pub table: usize,
    /// How its bags are pooled; not [`Pooling::None`].
    pub pooling: Pooling,
}

/// Where a feature's rows go in the output, in elements.
///
/// The row of bag `b` begins at `first + b * stride`.
/// Where places overlap, every element is of one of their features; of which is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Where the row of the feature's first bag begins.
    pub first: u32,
    /// From one bag's row to the next's, at least the table's dim.
    pub stride: u32,
}

/// Arguments of [`crate::Session::batched`] and [`crate::cpu::batched`].
#[derive(Clone, Copy, Debug)]
pub struct BatchedRequest<'a> {
    /// What is looked up.
    pub features: &'a [Feature],
    /// Where each feature's rows go; `None` for `[bags, sum of dims]`, feature beside feature.
    pub places: Option<&'a [Place]>,
    /// Rows to look up, or entries of a remap.
    pub indices: &'a [u32],
    /// Where bags begin: `features * bags + 1` entries, all bags of a feature before those of the next.
    pub offsets: &'a [u32],
    /// One weight for every index.
    pub weights: Option<&'a [f32]>,
    /// Type of the output.
    pub output: Output,
    /// What bad indices and bad bags do.
    pub out_of_range: OutOfRange,
}

impl BatchedRequest<'_> {
    /// Checks what the host sees of indices, offsets and weights; gives the bags of a feature.
    pub(crate) fn check(&self) -> Result<usize> {
        let indices = self.indices.len();
        let bags = check_lengths(self.features.len(), indices, self.offsets, self.weights)?;
        if self.out_of_range == OutOfRange::Error {
            check_ends(self.offsets, indices)?;
        }
        Ok(bags)
    }
}

/// What a batch asks of each feature, found good.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    pub(crate) places: Vec<Place>,
    pub(crate) dims: Vec<u32>,
}

impl Placed {
    /// Checks features and places against the dims of the tables.
    pub(crate) fn new(
        dims: &[u32],
        features: &[Feature],
        places: Option<&[Place]>,
        (weighting, output): (Weighting, Output),
    ) -> Result<Self> {
        check_features(dims.len(), features, weighting)?;
        let dims: Vec<_> = features.iter().map(|feature| dims[feature.table]).collect();
        let places = match places {
            None => beside_each_other(&dims)?,
            Some(places) => places.to_vec(),
        };
        if places.len() != dims.len() {
            return Err(Error::Shape {
                argument: "places",
                needed: format!("{}, one for every feature", dims.len()),
                got: places.len().to_string(),
            });
        }
        for (number, (place, dim)) in places.iter().zip(&dims).enumerate() {
            check_place(number, place, *dim, output)?;
        }
        Ok(Self { places, dims })
    }

    /// Elements of an output that holds so many bags of every feature.
    pub(crate) fn elements(&self, bags: u64) -> u64 {
        let ends = self.places.iter().zip(&self.dims).map(|(place, dim)| {
            let last = bags.saturating_sub(1) * u64::from(place.stride);
            u64::from(place.first) + last + u64::from(*dim)
        });
        match bags {
            0 => 0,
            _ => ends.max().unwrap_or(0),
        }
    }

    /// Bags that so many elements of output hold, every feature's row of the last one whole.
    #[cfg(feature = "gpu")]
    pub(crate) fn bags(&self, elements: u64) -> u64 {
        let held = self.places.iter().zip(&self.dims).map(|(place, dim)| {
            let first = u64::from(place.first) + u64::from(*dim);
            match elements.checked_sub(first) {
                Some(rest) => rest / u64::from(place.stride) + 1,
                None => 0,
            }
        });
        held.min().unwrap_or(0)
    }
}

fn check_features(tables: usize, features: &[Feature], weighting: Weighting) -> Result<()> {
    for (number, feature) in features.iter().enumerate() {
        if feature.table >= tables {
            return Err(Error::Shape {
                argument: "features",
                needed: format!("a table below {tables}, as many as the batch has"),
                got: format!("table {} in feature {number}", feature.table),
            });
        }
        if feature.pooling == Pooling::None {
            return Err(Error::Unsupported {
                what: format!("a gather in a batch (feature {number})"),
                instead: "give every index a bag of its own, or look it up in one table",
            });
        }
        check_weighting(feature.pooling, weighting)?;
    }
    Ok(())
}

/// Places in rows of `[bags, sum of dims]`.
fn beside_each_other(dims: &[u32]) -> Result<Vec<Place>> {
    let stride = dims.iter().try_fold(0u32, |sum, dim| sum.checked_add(*dim));
    let stride = stride.ok_or_else(|| Error::Shape {
        argument: "features",
        needed: format!("dims whose sum is at most {}", u32::MAX),
        got: format!("{} features", dims.len()),
    })?;
    let mut first = 0;
    let places = dims.iter().map(|dim| {
        let place = Place { first, stride };
        first += dim;
        place
    });
    Ok(places.collect())
}

/// Refuses rows that run into each other, and f16 rows that share words with others.
fn check_place(number: usize, place: &Place, dim: u32, output: Output) -> Result<()> {
    if place.stride < dim {
        return Err(Error::Shape {
            argument: "places",
            needed: format!("a stride of at least {dim}, the dim of feature {number}"),
            got: place.stride.to_string(),
        });
    }
    let is_even = [dim, place.first, place.stride]
        .iter()
        .all(|x| x.is_multiple_of(2));
    if output == Output::F16 && !is_even {
        return Err(Error::Shape {
            argument: "places",
            needed: format!(
                "an even dim, first and stride for f16 (feature {number}), so that rows share no word"
            ),
            got: format!("dim {dim}, first {}, stride {}", place.first, place.stride),
        });
    }
    Ok(())
}

/// Refuses a remap with an entry that is neither a row nor [`PRUNED`], and an empty one.
pub(crate) fn check_remap(table: usize, remap: &[i32], rows: u32) -> Result<()> {
    if remap.is_empty() {
        return Err(Error::Shape {
            argument: "remap",
            needed: format!("at least one entry (table {table}); None where indices are rows"),
            got: "none".into(),
        });
    }
    check_count("remap", remap.len())?;
    let is_good = |entry: i32| entry == PRUNED || u32::try_from(entry).is_ok_and(|row| row < rows);
    match remap.iter().position(|entry| !is_good(*entry)) {
        None => Ok(()),
        Some(index) => Err(Error::Remap {
            table,
            index,
            entry: remap[index],
            rows,
        }),
    }
}

/// Checks lengths; gives the bags of a feature.
pub(crate) fn check_lengths(
    features: usize,
    indices: usize,
    offsets: &[u32],
    weights: Option<&[f32]>,
) -> Result<usize> {
    check_weights(weights, indices)?;
    check_count("indices", indices)?;
    check_count("offsets", offsets.len())?;
    let bags = offsets.len().checked_sub(1);
    match bags {
        Some(bags) if features == 0 && bags == 0 => Ok(0),
        Some(bags) if features > 0 && bags.is_multiple_of(features) => Ok(bags / features),
        _ => Err(Error::Shape {
            argument: "offsets",
            needed: format!("bags + 1 entries, the bags a multiple of the {features} features"),
            got: format!("{} entries", offsets.len()),
        }),
    }
}

/// Turns what was counted into an error. `known` is how many indices a table knows.
pub(crate) fn refuse(
    status: &LookupStatus,
    request: &BatchedRequest<'_>,
    known: impl Fn(usize) -> u32,
) -> Result<()> {
    let given = (request.indices, Some(request.offsets));
    request::refuse(status, given, |position| known(table_at(request, position)))
}

/// The table that is looked up at a position, where no bag is bad, so that offsets never decrease.
fn table_at(request: &BatchedRequest<'_>, position: usize) -> usize {
    let is_before = |offset: &u32| *offset as usize <= position;
    let bag = request.offsets.partition_point(is_before) - 1;
    let bags = (request.offsets.len() - 1) / request.features.len();
    request.features[bag / bags].table
}

/// Turns what was counted into an error where it is an entry of a remap that is at fault, and no index.
pub(crate) fn refuse_entry(
    status: &LookupStatus,
    request: &BatchedRequest<'_>,
    tables: &[BatchedTable<'_>],
) -> Result<()> {
    if status.bad_bags > 0 || status.bad_indices == 0 {
        return Ok(());
    }
    let position = status.first_position as usize;
    let (table, index) = (
        table_at(request, position),
        request.indices[position] as usize,
    );
    let entry = tables[table].remap.and_then(|remap| remap.get(index));
    match entry {
        None => Ok(()),
        Some(entry) => Err(Error::Remap {
            table,
            index,
            entry: *entry,
            rows: tables[table].rows.rows(),
        }),
    }
}
