//! Ring 5: properties of lookups on random shapes.

mod common;

use common::gpu;
use proptest::prelude::*;
use qembed::verify::compare;
use qembed::verify::shapes::{self, Batch, Faults, Shape};
use qembed::{Format, LookupRequest, OutOfRange, Output, PackedTable, Pooling, cpu, reference};

/// Any format, dim, number of rows, and bags.
fn cases() -> impl Strategy<Value = (Shape, Format, u64)> {
    let formats: Vec<_> = Format::all().collect();
    let bags = prop::collection::vec(0u32..90, 0..6);
    (
        1u32..80,
        1u32..40,
        bags,
        prop::sample::select(formats),
        any::<u64>(),
    )
        .prop_map(|(dim, rows, bags, format, seed)| {
            let faults = Faults::None;
            (
                Shape {
                    dim,
                    rows,
                    bags,
                    faults,
                },
                format,
                seed,
            )
        })
}

fn request<'a>(
    pooling: Pooling,
    batch: &'a Batch,
    weights: Option<&'a [f32]>,
) -> LookupRequest<'a> {
    LookupRequest {
        pooling,
        indices: &batch.indices,
        offsets: Some(&batch.offsets),
        weights,
        output: Output::F32,
        out_of_range: OutOfRange::Error,
    }
}

/// The lookup on the GPU, or, where there is none, on the CPU.
fn lookup(table: &PackedTable, request: LookupRequest<'_>) -> Vec<f32> {
    let looked = match gpu() {
        Some(session) => session.lookup(&session.upload(table).unwrap(), request),
        None => cpu::lookup(table, request),
    };
    looked.unwrap().values.into_f32()
}

/// The reference's result with its bounds.
fn expected(table: &PackedTable, request: &LookupRequest<'_>) -> reference::Pooled {
    let args = reference::LookupArgs {
        pooling: request.pooling,
        indices: request.indices,
        offsets: request.offsets,
        weights: request.weights,
    };
    reference::lookup(table, args).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    /// Reversing every bag moves a sum within its bound and a max not at all.
    #[test]
    fn the_order_in_a_bag((shape, format, seed) in cases()) {
        let table = shapes::table(&shape, format, seed).unwrap();
        let batch = shapes::batch(&shape, seed);
        let mut reversed = batch.clone();
        for bag in batch.offsets.windows(2) {
            reversed.indices[bag[0] as usize..bag[1] as usize].reverse();
        }
        for pooling in [Pooling::Sum, Pooling::Mean, Pooling::Max] {
            let expected = expected(&table, &request(pooling, &batch, None));
            let got = lookup(&table, request(pooling, &reversed, None));
            let outcome = compare::lookup(&expected, pooling, Output::F32, &got);
            prop_assert_eq!(outcome.failure, None);
        }
    }

    /// Weights that are powers of two scale every bit of a sum; weights of one are no weights.
    #[test]
    fn linear_in_the_weights((shape, format, seed) in cases()) {
        let table = shapes::table(&shape, format, seed).unwrap();
        let batch = shapes::batch(&shape, seed);
        let ones = vec![1.0; batch.indices.len()];
        let fours = vec![4.0; batch.indices.len()];
        for pooling in [Pooling::Sum, Pooling::Mean] {
            let unweighted = expected(&table, &request(pooling, &batch, None));
            let with_ones = lookup(&table, request(pooling, &batch, Some(&ones)));
            let outcome = compare::lookup(&unweighted, pooling, Output::F32, &with_ones);
            prop_assert_eq!(outcome.failure, None);
            let with_fours = lookup(&table, request(pooling, &batch, Some(&fours)));
            for (one, four) in with_ones.iter().zip(&with_fours) {
                prop_assert_eq!((4.0 * one).to_bits(), four.to_bits());
            }
        }
    }

    /// The sum of a bag is that of its parts, within the bounds of all three.
    #[test]
    fn bags_concatenate((shape, format, seed) in cases()) {
        let table = shapes::table(&shape, format, seed).unwrap();
        let batch = shapes::batch(&shape, seed);
        let whole = Batch {
            offsets: vec![0, batch.indices.len() as u32],
            ..batch.clone()
        };
        let total = expected(&table, &request(Pooling::Sum, &whole, None));
        let parts = lookup(&table, request(Pooling::Sum, &batch, None));
        let bounds = expected(&table, &request(Pooling::Sum, &batch, None));
        let dim = shape.dim as usize;
        for column in 0..dim {
            let elements = || (column..parts.len()).step_by(dim);
            let sum: f64 = elements().map(|at| f64::from(parts[at])).sum();
            let bound: f64 = elements().map(|at| bounds.bound(at, Output::F32)).sum();
            prop_assert!((sum - total.output[column]).abs() <= bound + f64::EPSILON * total.magnitude[column]);
        }
    }

    /// A bag of one row is that row.
    #[test]
    fn bags_of_one_are_a_gather((shape, format, seed) in cases()) {
        let table = shapes::table(&shape, format, seed).unwrap();
        let mut batch = shapes::batch(&shape, seed);
        batch.offsets = (0..=batch.indices.len() as u32).collect();
        let gathered = lookup(&table, LookupRequest { offsets: None, ..request(Pooling::None, &batch, None) });
        let largest = lookup(&table, request(Pooling::Max, &batch, None));
        prop_assert_eq!(compare::bits(&gathered, &largest).failure, None);
    }
}
