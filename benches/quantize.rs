//! Quantize against a copy of as many bytes. Every answer is checked first.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use qembed::gpu::{QuantizeArgs, TableDesc};
use qembed::{Format, Method, PackedTable, QuantizeSpec};

const ROWS: u32 = 20_000;

fn quantize(criterion: &mut Criterion) {
    let Some(session) = common::session() else {
        return;
    };
    for dim in [32u32, 128, 384] {
        for format in Format::all() {
            let values = common::values((ROWS * dim) as usize);
            let expected =
                PackedTable::quantize(&values, dim as usize, format, Method::Asym).unwrap();
            let table = session
                .quantize(&values, dim as usize, format, Method::Asym)
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
                method: Method::Asym,
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

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = quantize
}
criterion_main!(benches);
