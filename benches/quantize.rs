//! Quantize: method asym in every affine format and casts to every float against a copy of as many bytes, and every
//! method at 4 bits on the CPU and the GPU. Every answer is checked first.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use qembed::gpu::{QuantizeArgs, TableDesc};
use qembed::{Bits, Format, Method, PackedTable, QuantizeSpec};

const ROWS: u32 = 20_000;

fn quantize(criterion: &mut Criterion) {
    let Some(session) = common::session() else {
        return;
    };
    for dim in [32u32, 128, 384] {
        let methods = [Method::Asym, Method::Cast];
        let pairings = Format::all().flat_map(|format| methods.map(|method| (format, method)));
        for (format, method) in pairings.filter(|(format, method)| method.check(*format).is_ok()) {
            let values = common::values((ROWS * dim) as usize);
            let expected = PackedTable::quantize(&values, dim as usize, format, method).unwrap();
            let table = session
                .quantize(&values, dim as usize, format, method)
                .unwrap();
            assert!(session.download(&table).unwrap() == expected, "{format}");

            let values = common::filled(&session, bytemuck::cast_slice(&values));
            let table = session
                .kernels()
                .allocate(TableDesc {
                    format,
                    rows: ROWS,
                    dim,
                })
                .unwrap();
            let spec = QuantizeSpec {
                format,
                method,
                dim,
            };
            let args = QuantizeArgs {
                rows: 0..ROWS,
                values: Some(values.as_entire_buffer_binding()),
                status: None,
            };
            let bound = session
                .kernels()
                .quantize(spec)
                .unwrap()
                .bind(&table, args)
                .unwrap();
            let moved = values.size() + table.desc().bytes();

            let mut group = criterion.benchmark_group(format!("{}/dim{dim}", spec.label()));
            common::beside_a_copy(&mut group, &session, moved, |pass| bound.record(pass));
            group.finish();
        }
    }
}

/// Rows for all methods, some of which are slow on a software adapter.
const FEW_ROWS: u32 = 512;

fn methods(criterion: &mut Criterion) {
    let session = common::session();
    for dim in [64usize, 384] {
        let values = common::values(FEW_ROWS as usize * dim);
        for &method in Method::ALL {
            let Ok(format) = method.format(Bits::B4, None) else {
                continue;
            };
            let expected = PackedTable::quantize(&values, dim, format, method).unwrap();
            let mut group = criterion.benchmark_group(format!("{}/dim{dim}", method.name()));
            group.throughput(Throughput::Elements(FEW_ROWS.into()));
            group.bench_function("cpu", |bencher| {
                bencher.iter(|| PackedTable::quantize(&values, dim, format, method).unwrap());
            });
            let on_gpu = !matches!(method, Method::KmeansCls { .. });
            if let Some(session) = session.as_ref().filter(|_| on_gpu) {
                let table = session.quantize(&values, dim, format, method).unwrap();
                // On a GPU the centroids are Lloyd's.
                let same = session.download(&table).unwrap() == expected;
                assert!(
                    same || matches!(method, Method::Kmeans { .. }),
                    "{method:?}"
                );
                group.bench_function("gpu", |bencher| {
                    bencher.iter(|| {
                        session.quantize(&values, dim, format, method).unwrap();
                        session.wait().unwrap();
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = quantize, methods
}
criterion_main!(benches);
