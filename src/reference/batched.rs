//! Bags of many tables pooled at once.

use super::lookup::{LookupArgs, Pooled, lookup};
use crate::batched::{Placed, check_lengths, check_remap};
use crate::{BatchedTable, Feature, LookupStatus, Output, PRUNED, Result, Weighting};

/// Arguments of [`batched`].
#[derive(Clone, Copy, Debug)]
pub struct BatchedArgs<'a> {
    /// The tables.
    pub tables: &'a [BatchedTable<'a>],
    /// What is looked up.
    pub features: &'a [Feature],
    /// Rows to look up, or entries of a remap.
    pub indices: &'a [u32],
    /// Where bags begin: `features * bags + 1` entries, all bags of a feature before those of the next.
    pub offsets: &'a [u32],
    /// One weight for every index.
    pub weights: Option<&'a [f32]>,
}

/// What [`batched`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Batched {
    /// Each feature's own output; its status is not the batch's.
    pub features: Vec<Pooled>,
    /// Bad indices and bad bags, counted through all features.
    pub status: LookupStatus,
}

/// What an index stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Row(u32),
    Pruned,
    Nothing,
}

/// Every feature is a [`lookup`] of its own, in its table, of its bags.
///
/// An index is a row, or where the table has a remap, the number of one of its entries. An index whose row was pruned
/// contributes nothing, is no fault, and stays in the divisor of a mean, as a bad one does.
///
/// # Errors
/// [`crate::Error::Shape`] where a feature names a table that is not there, and for lengths that do not fit together;
/// [`crate::Error::Unsupported`] for a gather and a weighted max; [`crate::Error::Remap`] for an entry that is no row.
pub fn batched(args: BatchedArgs<'_>) -> Result<Batched> {
    let bags = check(&args)?;
    let mut status = LookupStatus::CLEAR;
    let mut outputs = vec![];
    for (number, feature) in args.features.iter().enumerate() {
        let table = &args.tables[feature.table];
        let first_bag = number * bags;
        let offsets = &args.offsets[first_bag..=first_bag + bags];
        let meanings: Vec<_> = args
            .indices
            .iter()
            .map(|index| meaning(table, *index))
            .collect();
        let rows: Vec<_> = meanings
            .iter()
            .map(|meaning| match meaning {
                Meaning::Row(row) => *row,
                // No table has so many rows.
                Meaning::Pruned | Meaning::Nothing => u32::MAX,
            })
            .collect();
        let pooled = lookup(
            table.rows,
            LookupArgs {
                pooling: feature.pooling,
                indices: &rows,
                offsets: Some(offsets),
                weights: args.weights,
            },
        )?;
        count(&meanings, offsets, first_bag, &mut status);
        outputs.push(pooled);
    }
    Ok(Batched {
        features: outputs,
        status,
    })
}

fn check(args: &BatchedArgs<'_>) -> Result<usize> {
    let dims: Vec<_> = args.tables.iter().map(|table| table.rows.dim()).collect();
    let kind = (Weighting::of(args.weights), Output::F32);
    Placed::new(&dims, args.features, None, kind)?;
    for (number, table) in args.tables.iter().enumerate() {
        if let Some(remap) = table.remap {
            check_remap(number, remap, table.rows.rows())?;
        }
    }
    let indices = args.indices.len();
    check_lengths(args.features.len(), indices, args.offsets, args.weights)
}

fn meaning(table: &BatchedTable<'_>, index: u32) -> Meaning {
    match table.remap {
        None if index < table.rows.rows() => Meaning::Row(index),
        None => Meaning::Nothing,
        Some(remap) => match remap.get(index as usize) {
            None => Meaning::Nothing,
            Some(&PRUNED) => Meaning::Pruned,
            Some(&row) => Meaning::Row(row as u32),
        },
    }
}

/// Adds what is wrong with a feature's bags.
fn count(meanings: &[Meaning], offsets: &[u32], first_bag: usize, status: &mut LookupStatus) {
    for (bag, ends) in offsets.windows(2).enumerate() {
        let Some(bag_meanings) = meanings.get(ends[0] as usize..ends[1] as usize) else {
            status.bad_bags = status.bad_bags.wrapping_add(1);
            status.first_bag = status.first_bag.min((first_bag + bag) as u32);
            continue;
        };
        for (position, meaning) in (ends[0]..).zip(bag_meanings) {
            if *meaning == Meaning::Nothing {
                status.bad_indices = status.bad_indices.wrapping_add(1);
                status.first_position = status.first_position.min(position);
            }
        }
    }
}
