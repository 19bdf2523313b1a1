//! Dequantize against a copy of as many bytes. Every answer is checked first.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use qembed::gpu::DequantizeArgs;
use qembed::verify::compare;
use qembed::{Format, shader};

const ROWS: u32 = 20_000;

fn dequantize(criterion: &mut Criterion) {
    let Some(session) = common::session() else {
        return;
    };
    for dim in [32u32, 128, 384] {
        for format in Format::all() {
            let packed = common::table(format, ROWS, dim);
            let table = session.upload(&packed).unwrap();
            let got = session.dequantize(&table).unwrap();
            assert_eq!(
                compare::bits(&packed.dequantize(), &got).failure,
                None,
                "{format}"
            );

            let values = common::buffer(&session, 4 * u64::from(ROWS * dim));
            let args = DequantizeArgs {
                rows: 0..ROWS,
                values: Some(values.as_entire_buffer_binding()),
            };
            let bound = session
                .kernels()
                .dequantize(format)
                .unwrap()
                .bind(&table, args)
                .unwrap();
            let moved = values.size() + table.desc().bytes();

            let mut group =
                criterion.benchmark_group(format!("{}/dim{dim}", shader::dequantize(format).label));
            common::beside_a_copy(&mut group, &session, moved, |pass| bound.record(pass));
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = dequantize
}
criterion_main!(benches);
