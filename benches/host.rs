//! What the host pays: to bind and to record a lookup, to pack rows, and to bring them into other libraries' layouts
//! and back. The kernels themselves are `qembed bench`'s.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use qembed::gpu::{Counts, LookupArgs};
use qembed::{
    Bits, Format, Layout, LookupSpec, Method, Narrow, Output, PackedTable, Pooling, RowAlignment,
    Weighting,
};

const ROWS: u32 = 4096;
const DIM: u32 = 128;
/// Lookups of a pass.
const RECORDS: u64 = 1000;

fn engine(criterion: &mut Criterion) {
    let Some(session) = common::session() else {
        return;
    };
    let format = Format::affine(Bits::B4);
    let table = session.upload(&common::table(format, ROWS, DIM)).unwrap();
    let indices = common::buffer(&session, 4 * 64);
    let offsets = common::buffer(&session, 4 * 5);
    let output = common::buffer(&session, 4 * 4 * u64::from(DIM));
    let spec = LookupSpec {
        format,
        pooling: Pooling::Sum,
        weighting: Weighting::Unweighted,
        output: Output::F32,
    };
    let lookup = session.kernels().lookup(spec).unwrap();
    let args = LookupArgs {
        counts: Counts::Host {
            bags: 4,
            indices: 64,
        },
        indices: Some(indices.as_entire_buffer_binding()),
        offsets: Some(offsets.as_entire_buffer_binding()),
        weights: None,
        output: Some(output.as_entire_buffer_binding()),
        status: None,
    };
    let mut group = criterion.benchmark_group("host");
    group.bench_function("bind", |bench| {
        bench.iter(|| lookup.bind(&table, args.clone()).unwrap());
    });
    let bound = lookup.bind(&table, args.clone()).unwrap();
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("record", |bench| {
        bench.iter_custom(|times| {
            let passes = (0..times).map(|_| {
                let mut encoder = session.device().create_command_encoder(&Default::default());
                let mut pass = encoder.begin_compute_pass(&Default::default());
                let start = std::time::Instant::now();
                (0..RECORDS).for_each(|_| bound.record(&mut pass));
                start.elapsed()
            });
            passes.sum()
        });
    });
    group.finish();
}

fn pack(criterion: &mut Criterion) {
    let values = common::values((ROWS * DIM) as usize);
    let mut group = criterion.benchmark_group("pack");
    group.throughput(Throughput::Elements(ROWS.into()));
    for method in [Method::Asym, Method::Absmax] {
        for bits in [Bits::B2, Bits::B4, Bits::B8] {
            let format = method.format(bits, None).unwrap();
            group.bench_function(format.label(), |bench| {
                let pack = || PackedTable::quantize(&values, DIM as usize, format, method);
                bench.iter(|| pack().unwrap());
            });
        }
    }
    group.finish();
}

fn transcode(criterion: &mut Criterion) {
    let row_alignment = RowAlignment::A16;
    let layouts = [
        ("pytorch", Layout::PyTorch),
        ("tbe", Layout::Tbe { row_alignment }),
    ];
    for (name, layout) in layouts {
        for bits in [Bits::B4, Bits::B8] {
            let packed = common::table(layout.native(bits), ROWS, DIM);
            let bytes = packed.export(layout, Narrow::Refuse).unwrap();
            let back = PackedTable::import(layout, bits, DIM as usize, &bytes).unwrap();
            assert!(back == packed, "{name} at {} bits", bits.count());
            let mut group = criterion.benchmark_group(format!("{name}/{}bits", bits.count()));
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function("export", |bench| {
                bench.iter(|| packed.export(layout, Narrow::Refuse).unwrap());
            });
            group.bench_function("import", |bench| {
                let import = || PackedTable::import(layout, bits, DIM as usize, &bytes);
                bench.iter(|| import().unwrap());
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = engine, pack, transcode
}
criterion_main!(benches);
