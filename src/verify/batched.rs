//! Lookups in many tables at once against the reference.

mod shapes;

pub use shapes::{BatchedData, BatchedShape, TableShape, batched_data, batched_shapes};

use super::compare::{self, Outcome};
use super::{Case, Engine, Lookup};
use crate::batched::Placed;
use crate::reference::{self, BatchedArgs};
use crate::shader::{BatchedPlan, batched_label};
use crate::{BatchedTable, IndexType, Output, Place, Result, Weighting};

/// Which batched lookup is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchedVariant {
    /// With or without weights.
    pub weighting: Weighting,
    /// Type of the output.
    pub output: Output,
    /// Type of indices and offsets.
    pub index: IndexType,
    /// One of [`Engine::BATCHED_PLANS`], or `None` for the engine's own choice.
    pub plan: Option<BatchedPlan>,
}

impl BatchedVariant {
    /// The engine's own choice of plan for every weighting and output, each plan for one of them, and each type of
    /// indices for another: a kernel is compiled for each, and one has little to do with the other.
    fn all<E: Engine>() -> impl Iterator<Item = Self> {
        let of = |weighting, output| Self {
            weighting,
            output,
            index: IndexType::U32,
            plan: None,
        };
        let usual = Weighting::ALL
            .into_iter()
            .flat_map(move |weighting| Output::ALL.map(|output| of(weighting, output)));
        let planned = E::BATCHED_PLANS.iter().map(move |plan| Self {
            plan: Some(*plan),
            ..of(Weighting::Weighted, Output::F32)
        });
        let others = E::INDEX_TYPES
            .iter()
            .filter(|index| **index != IndexType::U32);
        let indexed = others.map(move |index| Self {
            index: *index,
            ..of(Weighting::Unweighted, Output::F16)
        });
        usual.chain(planned).chain(indexed)
    }

    fn label(&self) -> String {
        batched_label((self.weighting, self.output), self.plan, self.index)
    }
}

/// A shape's number, the shape, and a variant: every case of an engine whose name contains `filter`.
fn cases<E: Engine>(filter: &str) -> Vec<(u64, BatchedShape, BatchedVariant)> {
    let mut cases = vec![];
    for (number, shape) in (0..).zip(batched_shapes()) {
        let worth = BatchedVariant::all::<E>().filter(|variant| shape.is_worth(variant));
        for variant in worth {
            if format!("{}/{}", variant.label(), shape.name).contains(filter) {
                cases.push((number, shape.clone(), variant));
            }
        }
    }
    cases
}

/// Number of cases whose name contains `filter`.
pub(super) fn count<E: Engine>(filter: &str) -> usize {
    cases::<E>(filter).len()
}

/// Runs every case whose name contains `filter`.
pub(super) fn run<E: Engine>(engine: &E, filter: &str, done: &mut impl FnMut(Case)) -> Result<()> {
    for (number, shape, variant) in cases::<E>(filter) {
        let data = batched_data(&shape, variant.weighting, number)?;
        let got = engine.batched(&variant, &data)?;
        done(Case {
            label: variant.label(),
            shape: shape.name.into(),
            outcome: check(&variant, &data, &got)?,
        });
    }
    Ok(())
}

/// What a comparison of a batch's output, which holds every place, with the reference finds.
///
/// # Errors
/// Those of [`reference::batched`].
pub fn check(variant: &BatchedVariant, data: &BatchedData, got: &Lookup) -> Result<Outcome> {
    let expected = reference::batched(data.args(&data.tables(), variant.weighting))?;
    let placed = data.placed(variant)?;
    let status = compare::words(
        "status",
        bytemuck::cast_slice(&[expected.status]),
        bytemuck::cast_slice(&[got.status]),
    );
    let mut outcome = got.guards.clone().and(status);
    for (number, pooled) in expected.features.iter().enumerate() {
        let rows = rows_of(
            &got.values,
            placed.places[number],
            (placed.dims[number], data.bags),
        );
        let pooling = data.features[number].pooling;
        let compared = compare::lookup(pooled, pooling, variant.output, &rows);
        outcome = outcome.and(Outcome {
            failure: compared
                .failure
                .map(|failure| format!("feature {number}: {failure}")),
            ..compared
        });
    }
    Ok(outcome)
}

/// The rows of one feature.
pub fn rows_of(values: &[f32], place: Place, (dim, bags): (u32, u32)) -> Vec<f32> {
    let row = |bag: u32| {
        let first = place.first as usize + bag as usize * place.stride as usize;
        values.get(first..first + dim as usize).unwrap_or(&[])
    };
    (0..bags).flat_map(row).copied().collect()
}

impl BatchedData {
    /// The reference's arguments.
    pub fn args<'a>(
        &'a self,
        tables: &'a [BatchedTable<'a>],
        weighting: Weighting,
    ) -> BatchedArgs<'a> {
        BatchedArgs {
            tables,
            features: &self.features,
            indices: &self.indices,
            offsets: &self.offsets,
            weights: (weighting == Weighting::Weighted).then_some(&self.weights),
        }
    }

    /// Where the features' rows go.
    fn placed(&self, variant: &BatchedVariant) -> Result<Placed> {
        let dims: Vec<_> = self.tables.iter().map(|(table, _)| table.dim()).collect();
        let kind = (variant.weighting, variant.output);
        Placed::new(&dims, &self.features, self.places.as_deref(), kind)
    }
}
