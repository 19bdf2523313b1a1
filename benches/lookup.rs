//! Sum-pooled lookups against a copy of as many bytes. Every answer is checked first.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use qembed::gpu::{Counts, LookupArgs};
use qembed::verify::compare;
use qembed::verify::shapes::Random;
use qembed::{Format, LookupSpec, Output, Pooling, Weighting, reference};

const ROWS: usize = 20_000;
const BAGS: u32 = 1024;
const BAG_LENGTH: u32 = 32;

fn lookup(criterion: &mut Criterion) {
    let Some(session) = common::session() else {
        return;
    };
    for dim in [32, 64, 128, 384] {
        for format in Format::all() {
            let spec = LookupSpec {
                format,
                pooling: Pooling::Sum,
                weighting: Weighting::Unweighted,
                output: Output::F32,
            };
            let packed = common::table(format, ROWS as u32, dim as u32);
            let mut random = Random::new(1);
            let indices: Vec<u32> = (0..BAGS * BAG_LENGTH)
                .map(|_| random.below(ROWS as u32))
                .collect();
            let offsets: Vec<u32> = (0..=BAGS).map(|bag| bag * BAG_LENGTH).collect();

            let table = session.upload(&packed).unwrap();
            let args = reference::LookupArgs {
                pooling: Pooling::Sum,
                indices: &indices,
                offsets: Some(&offsets),
                weights: None,
            };
            let expected = reference::lookup(&packed, args).unwrap();
            let got = session
                .pool(&table, &indices, &offsets, Pooling::Sum)
                .unwrap();
            let outcome = compare::lookup(&expected, Pooling::Sum, Output::F32, &got);
            assert_eq!(outcome.failure, None, "{}", spec.label());

            let index_buffer = common::filled(&session, bytemuck::cast_slice(&indices));
            let offset_buffer = common::filled(&session, bytemuck::cast_slice(&offsets));
            let output = common::buffer(&session, 4 * u64::from(BAGS) * dim as u64);
            let bound = session
                .kernels()
                .lookup(spec)
                .unwrap()
                .bind(
                    &table,
                    LookupArgs {
                        counts: Counts::Host {
                            bags: BAGS,
                            indices: indices.len() as u32,
                        },
                        indices: Some(index_buffer.as_entire_buffer_binding()),
                        offsets: Some(offset_buffer.as_entire_buffer_binding()),
                        weights: None,
                        output: Some(output.as_entire_buffer_binding()),
                        status: None,
                    },
                )
                .unwrap();
            let row_bytes = u64::from(format.row_bytes(dim as u32));
            let moved =
                indices.len() as u64 * (row_bytes + 4) + 4 * offsets.len() as u64 + output.size();

            let mut group = criterion.benchmark_group(format!("{}/dim{dim}", spec.label()));
            common::beside_a_copy(&mut group, &session, moved, |pass| bound.record(pass));
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = lookup
}
criterion_main!(benches);
