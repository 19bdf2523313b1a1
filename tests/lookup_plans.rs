//! Ring 4, plans of a lookup: all take the documented order of summation, whoever counts the bags.

#![cfg(feature = "session")]

mod common;

use common::{Bench, gpu};
use qembed::gpu::{Counts, LookupArgs};
use qembed::verify::compare;
use qembed::{
    Bits, Error, Format, LookupPlan, LookupSpec, LookupStatus, Method, Output, PackedTable,
    Pooling, Weighting,
};

const ROWS: u32 = 64;

fn spec(pooling: Pooling, output: Output) -> LookupSpec {
    LookupSpec {
        format: Format::affine(Bits::B4),
        pooling,
        weighting: Weighting::Unweighted,
        output,
    }
}

fn packed(dim: usize) -> PackedTable {
    let values: Vec<f32> = (0..ROWS * dim as u32)
        .map(|i| ((i.wrapping_mul(7919) % 1009) as f32 - 500.0) / 77.0)
        .collect();
    PackedTable::quantize(&values, dim, Format::affine(Bits::B4), Method::Asym).unwrap()
}

/// Chunks of 64 indices, each summed in order, then their sums in order.
fn in_order(table: &PackedTable, indices: &[u32], offsets: &[u32]) -> Vec<f32> {
    let rows = table.dequantize();
    let dim = table.dim() as usize;
    let mut sums = vec![];
    for bag in offsets.windows(2) {
        let positions = &indices[bag[0] as usize..bag[1] as usize];
        for column in 0..dim {
            let mut total = 0.0f32;
            for chunk in positions.chunks(64) {
                let value = |index: &u32| rows[*index as usize * dim + column];
                total += chunk.iter().map(value).fold(0.0, |sum, x| sum + x);
            }
            sums.push(total);
        }
    }
    sums
}

/// The counts of a batch, known to the host or to the device.
#[derive(Clone, Copy, Debug)]
enum Counted {
    OnHost,
    OnDevice,
}

fn run(
    plan: LookupPlan,
    spec: LookupSpec,
    (table, indices, offsets): (&PackedTable, &[u32], &[u32]),
    counted: Counted,
) -> Vec<u32> {
    let session = gpu().unwrap();
    let bench = Bench { session };
    let (bags, count) = (offsets.len() as u32 - 1, indices.len() as u32);
    let indices = bench.buffer(indices);
    let offsets = bench.buffer(offsets);
    let elements = (bags * table.dim()) as usize;
    let words = match spec.output {
        Output::F32 => elements,
        Output::F16 => elements.div_ceil(2),
    };
    let output = bench.buffer(&vec![0xdead_beef; words]);
    let status = bench.buffer(bytemuck::cast_slice(&[LookupStatus::CLEAR]));
    let counts = bench.buffer(&[bags, count]);
    let uploaded = session.upload(table).unwrap();
    let kernel = session.kernels().lookup_by(spec, plan).unwrap();
    let args = LookupArgs {
        counts: match counted {
            Counted::OnHost => Counts::Host {
                bags,
                indices: count,
            },
            Counted::OnDevice => Counts::Device(counts.as_entire_buffer_binding()),
        },
        indices: Some(indices.as_entire_buffer_binding()),
        offsets: Some(offsets.as_entire_buffer_binding()),
        weights: None,
        output: Some(output.as_entire_buffer_binding()),
        status: Some(status.as_entire_buffer_binding()),
    };
    let bound = kernel.bind(&uploaded, args).unwrap();
    bench.submit(|pass| bound.record(pass));
    let clear: &[u32] = bytemuck::cast_slice(&[LookupStatus::CLEAR]);
    assert_eq!(bench.read(&status), clear);
    bench.read(&output)
}

/// Dims on both sides of a tile, of a workgroup's columns and of powers of two; bags on both sides of a chunk, and
/// one that a workgroup shares out several times.
#[test]
fn every_plan_sums_in_the_documented_order() {
    if gpu().is_none() {
        return;
    }
    let offsets = [0, 1, 65, 129, 130, 130, 330, 6000];
    let indices: Vec<u32> = (0..6000u32).map(|i| i.wrapping_mul(i) % ROWS).collect();
    for dim in [1, 8, 31, 32, 33, 64, 65, 97, 256, 260] {
        let table = packed(dim);
        let expected = in_order(&table, &indices, &offsets);
        for plan in LookupPlan::ALL {
            for counted in [Counted::OnHost, Counted::OnDevice] {
                let batch = (&table, &indices[..], &offsets[..]);
                let got = run(plan, spec(Pooling::Sum, Output::F32), batch, counted);
                let outcome = compare::bits(&expected, bytemuck::cast_slice(&got));
                assert_eq!(outcome.failure, None, "{plan:?}, dim {dim}, {counted:?}");
            }
        }
    }
}

/// Halves of neighbouring rows share words where dim is odd: there all plans are one.
#[test]
fn every_plan_writes_halves() {
    if gpu().is_none() {
        return;
    }
    let offsets = [0, 3, 3, 300];
    let indices: Vec<u32> = (0..300u32).map(|i| i * 5 % ROWS).collect();
    for dim in [31, 32, 34] {
        let table = packed(dim);
        let batch = (&table, &indices[..], &offsets[..]);
        let halves = spec(Pooling::Mean, Output::F16);
        let expected = run(LookupPlan::Columns, halves, batch, Counted::OnHost);
        for plan in [LookupPlan::Tiles32, LookupPlan::Tiles64, LookupPlan::Split] {
            for counted in [Counted::OnHost, Counted::OnDevice] {
                let got = run(plan, halves, batch, counted);
                assert_eq!(got, expected, "{plan:?}, dim {dim}, {counted:?}");
            }
        }
    }
}

#[test]
fn a_plan_that_does_not_fit_is_refused() {
    let Some(session) = gpu() else { return };
    for pooling in [Pooling::None, Pooling::Max] {
        for plan in [LookupPlan::Tiles32, LookupPlan::Tiles64, LookupPlan::Split] {
            let spec = spec(pooling, Output::F32);
            let error = session.kernels().lookup_by(spec, plan).unwrap_err();
            let Error::Unsupported { what, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(*what, format!("{}{}", spec.label(), plan.suffix()));
        }
        let kernels = session.kernels();
        let columns = kernels.lookup_by(spec(pooling, Output::F32), LookupPlan::Columns);
        assert!(columns.is_ok());
    }
}
