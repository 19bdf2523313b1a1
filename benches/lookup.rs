//! Sum-pooled lookups on the GPU against a copy of as many bytes, and on the CPU against a loop that only reads a
//! word of every cache line of the rows. Every answer is checked first.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use qembed::cpu::{self, LookupOutput};
use qembed::gpu::{Counts, LookupArgs};
use qembed::verify::compare;
use qembed::verify::shapes::Random;
use qembed::{
    Bits, Format, LookupRequest, LookupSpec, OutOfRange, Output, PackedTable, Pooling, Weighting,
    reference,
};

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

const CPU_BAGS: u32 = 4096;
/// Rows and columns of the CPU's tables: in a cache and in none.
const CPU_TABLES: [(u32, u32); 3] = [(200_000, 64), (200_000, 128), (4_000_000, 64)];

fn cpu_lookup(criterion: &mut Criterion) {
    for (rows, dim) in CPU_TABLES {
        for bits in [Bits::B8, Bits::B4, Bits::B2] {
            let format = Format::affine(bits);
            let spec = LookupSpec {
                format,
                pooling: Pooling::Sum,
                weighting: Weighting::Unweighted,
                output: Output::F32,
            };
            let packed = common::table(format, rows, dim);
            let mut random = Random::new(1);
            let count = CPU_BAGS * BAG_LENGTH;
            let indices: Vec<u32> = (0..count).map(|_| random.below(rows)).collect();
            let offsets: Vec<u32> = (0..=CPU_BAGS).map(|bag| bag * BAG_LENGTH).collect();
            let request = LookupRequest {
                pooling: Pooling::Sum,
                indices: &indices,
                offsets: Some(&offsets),
                weights: None,
                output: Output::F32,
                out_of_range: OutOfRange::Error,
            };
            let mut sums = vec![0.0; (CPU_BAGS * dim) as usize];
            let mut run = || {
                cpu::lookup_into(&packed, request, LookupOutput::F32(&mut sums)).unwrap();
            };
            run();
            let name = format!("{}/dim{dim}.rows{rows}.cpu", spec.label());
            let mut group = criterion.benchmark_group(name);
            group.throughput(Throughput::Elements(count.into()));
            group.bench_function("lookup", |bench| bench.iter(&mut run));
            group.bench_function("cache lines", |bench| {
                bench.iter(|| common::touch(&packed, &indices));
            });
            group.finish();
            check_some(&packed, request, &sums);
        }
    }
}

/// Checks every 64th bag, of the last run.
fn check_some(packed: &PackedTable, request: LookupRequest<'_>, sums: &[f32]) {
    let (length, dim) = (BAG_LENGTH as usize, packed.dim() as usize);
    for bag in (0..CPU_BAGS as usize).step_by(64) {
        let args = reference::LookupArgs {
            pooling: request.pooling,
            indices: &request.indices[bag * length..][..length],
            offsets: Some(&[0, BAG_LENGTH]),
            weights: None,
        };
        let expected = reference::lookup(packed, args).unwrap();
        let got = &sums[bag * dim..][..dim];
        let outcome = compare::lookup(&expected, Pooling::Sum, Output::F32, got);
        assert_eq!(outcome.failure, None, "bag {bag}");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = lookup, cpu_lookup
}
criterion_main!(benches);
