//! Ring 4, lookup: literals on every implementation, then GPU and CPU against the reference.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{PYTORCH_BITS, gpu, oracles, symmetric, table};
use qembed::verify::{self, CpuEngine, Engine, GpuEngine, compare};
use qembed::{
    Bits, Error, Format, LookupRequest, LookupStatus, OutOfRange, Output, PackedTable, Params,
    Pooling, Session, cpu, reference,
};

const Q4: Format = Format::affine(Bits::B4);
const Q8: Format = Format::affine(Bits::B8);

/// Runs a lookup on the reference, the CPU and the GPU, skipping what is out of range, and hands
/// each result to `check`.
fn on_each(
    table: &PackedTable,
    request: LookupRequest<'_>,
    check: impl Fn(&str, &[f32], LookupStatus),
) {
    let args = reference::LookupArgs {
        pooling: request.pooling,
        indices: request.indices,
        offsets: request.offsets,
        weights: request.weights,
    };
    let pooled = reference::lookup(table, args).unwrap();
    let values: Vec<_> = pooled.output.iter().map(|x| *x as f32).collect();
    check("reference", &values, pooled.status);

    let request = LookupRequest {
        out_of_range: OutOfRange::Skip,
        ..request
    };
    let looked = cpu::lookup(table, request).unwrap();
    check("CPU", &looked.values.into_f32(), looked.status);

    if let Some(session) = gpu() {
        let uploaded = session.upload(table).unwrap();
        let looked = session.lookup(&uploaded, request).unwrap();
        check("GPU", &looked.values.into_f32(), looked.status);
    }
}

fn request<'a>(pooling: Pooling, indices: &'a [u32], offsets: &'a [u32]) -> LookupRequest<'a> {
    LookupRequest {
        pooling,
        indices,
        offsets: Some(offsets).filter(|_| pooling != Pooling::None),
        weights: None,
        output: Output::F32,
        out_of_range: OutOfRange::Error,
    }
}

/// Rows 0: 1, 2, 3; 1: 10, 20, 30; 2: -1, -1, -1.
fn small() -> PackedTable {
    table(
        Q4,
        &[
            (1.0, 0.0, &[1, 2, 3]),
            (10.0, 0.0, &[1, 2, 3]),
            (1.0, -1.0, &[0, 0, 0]),
        ],
    )
}

#[test]
fn poolings_by_hand() {
    let (indices, offsets) = ([0, 1, 2, 1], [0, 2, 2, 4]);
    for (pooling, expected) in [
        (
            Pooling::None,
            vec![
                1.0, 2.0, 3.0, 10.0, 20.0, 30.0, -1.0, -1.0, -1.0, 10.0, 20.0, 30.0,
            ],
        ),
        (
            Pooling::Sum,
            vec![11.0, 22.0, 33.0, 0.0, 0.0, 0.0, 9.0, 19.0, 29.0],
        ),
        (
            Pooling::Mean,
            vec![5.5, 11.0, 16.5, 0.0, 0.0, 0.0, 4.5, 9.5, 14.5],
        ),
        (
            Pooling::Max,
            vec![10.0, 20.0, 30.0, 0.0, 0.0, 0.0, 10.0, 20.0, 30.0],
        ),
    ] {
        on_each(
            &small(),
            request(pooling, &indices, &offsets),
            |name, values, status| {
                assert_eq!(values, expected, "{pooling:?} on the {name}");
                assert_eq!(status, LookupStatus::CLEAR, "{pooling:?} on the {name}");
            },
        );
    }
}

/// Rows -2, -1, 0, 1 times 0.5, and the outermost codes times 2.
#[test]
fn symmetric_rows_by_hand() {
    let formats = Format::all().filter(|format| matches!(format, Format::Symmetric { .. }));
    for format in formats {
        let (least, most) = format.bits().unwrap().signed_codes().into_inner();
        let table = symmetric(
            format,
            &[(0.5, &[-2, -1, 0, 1]), (2.0, &[least, most, 0, -1])],
        );
        let (least, most) = (2.0 * least as f32, 2.0 * most as f32);
        for (pooling, expected) in [
            (
                Pooling::None,
                vec![least, most, 0.0, -2.0, -1.0, -0.5, 0.0, 0.5],
            ),
            (Pooling::Sum, vec![least - 1.0, most - 0.5, 0.0, -1.5]),
            (
                Pooling::Mean,
                vec![(least - 1.0) / 2.0, (most - 0.5) / 2.0, 0.0, -0.75],
            ),
            (Pooling::Max, vec![-1.0, most, 0.0, 0.5]),
        ] {
            on_each(
                &table,
                request(pooling, &[1, 0], &[0, 2]),
                |name, values, status| {
                    assert_eq!(values, expected, "{format} {pooling:?} on the {name}");
                    assert_eq!(status, LookupStatus::CLEAR);
                },
            );
        }
    }
}

#[test]
fn weights_by_hand() {
    let (indices, offsets, weights) = ([0, 1, 2], [0, 2, 3], [2.0, -0.5, 4.0]);
    for (pooling, expected) in [
        (
            Pooling::None,
            vec![2.0, 4.0, 6.0, -5.0, -10.0, -15.0, -4.0, -4.0, -4.0],
        ),
        (Pooling::Sum, vec![-3.0, -6.0, -9.0, -4.0, -4.0, -4.0]),
        // Divided by the number of indices, not by the sum of the weights.
        (Pooling::Mean, vec![-1.5, -3.0, -4.5, -4.0, -4.0, -4.0]),
    ] {
        let request = LookupRequest {
            weights: Some(&weights),
            ..request(pooling, &indices, &offsets)
        };
        on_each(&small(), request, |name, values, _| {
            assert_eq!(values, expected, "{pooling:?} on the {name}");
        });
    }
}

/// A bad index contributes nothing, is counted once, and stays in the divisor of mean.
#[test]
fn bad_indices() {
    let (indices, offsets) = ([0, 3, 1, u32::MAX, 7], [0, 3, 5]);
    for (pooling, first, second) in [
        (Pooling::Sum, [11.0, 22.0, 33.0], [0.0; 3]),
        (Pooling::Mean, [11.0 / 3.0, 22.0 / 3.0, 11.0], [0.0; 3]),
        (Pooling::Max, [10.0, 20.0, 30.0], [0.0; 3]),
    ] {
        on_each(
            &small(),
            request(pooling, &indices, &offsets),
            |name, values, status| {
                for (value, expected) in values.iter().zip(first.iter().chain(&second)) {
                    // The bound of three terms whose magnitudes add up to 33 at the most.
                    let bound = 5.0 * 33.0 * f32::EPSILON;
                    approx::assert_abs_diff_eq!(*value, *expected, epsilon = bound);
                }
                let expected = LookupStatus {
                    bad_indices: 3,
                    first_position: 1,
                    ..LookupStatus::CLEAR
                };
                assert_eq!(status, expected, "{pooling:?} on the {name}");
            },
        );
    }
    on_each(
        &small(),
        request(Pooling::None, &indices, &[]),
        |name, values, status| {
            assert_eq!(values[..6], [1.0, 2.0, 3.0, 0.0, 0.0, 0.0], "{name}");
            assert_eq!(
                (status.bad_indices, status.first_position),
                (3, 1),
                "{name}"
            );
        },
    );
}

/// A max over negative values is not mistaken for zero, and one over nothing is.
#[test]
fn max_of_negative_values_and_of_nothing() {
    let (indices, offsets) = ([2, 2, 9], [0, 2, 3]);
    on_each(
        &small(),
        request(Pooling::Max, &indices, &offsets),
        |name, values, _| {
            assert_eq!(values, [-1.0, -1.0, -1.0, 0.0, 0.0, 0.0], "{name}");
        },
    );
}

/// A bag whose offsets decrease or pass the end is zeros as a whole; its bad indices do not count.
#[test]
fn bad_bags() {
    let indices = [0, 1, 9, 0];
    for pooling in [Pooling::Sum, Pooling::Mean, Pooling::Max] {
        on_each(
            &small(),
            request(pooling, &indices, &[0, 1, 3, 2, 4, 5]),
            |name, values, status| {
                let negative_zero = values.iter().any(|x| x.to_bits() == 1 << 31);
                assert!(!negative_zero, "{pooling:?} on the {name}");
                assert_eq!(values[0..3], [1.0, 2.0, 3.0], "{pooling:?} on the {name}");
                assert_eq!(
                    values[6..9],
                    [0.0; 3],
                    "bag 2 decreases; {pooling:?} on the {name}"
                );
                assert_eq!(
                    values[12..15],
                    [0.0; 3],
                    "bag 4 passes the end; {pooling:?} on the {name}"
                );
                let expected = LookupStatus {
                    // Position 2 lies in bag 1 and in bag 3.
                    bad_indices: 2,
                    first_position: 2,
                    bad_bags: 2,
                    first_bag: 2,
                };
                assert_eq!(status, expected, "{pooling:?} on the {name}");
            },
        );
    }
}

#[test]
fn nan_wins_in_max_and_propagates_in_sums() {
    let table = table(
        Q4,
        &[
            (1.0, 0.0, &[1, 2, 3]),
            (f32::NAN, 0.0, &[1, 2, 3]),
            (f32::INFINITY, 0.0, &[1, 2, 3]),
            (1.0, f32::NEG_INFINITY, &[1, 2, 3]),
        ],
    );
    let pool = |pooling, indices: &[u32], check: &dyn Fn(f32) -> bool| {
        let offsets = [0, indices.len() as u32];
        on_each(
            &table,
            request(pooling, indices, &offsets),
            |name, values, _| {
                assert!(
                    values.iter().all(|x| check(*x)),
                    "{pooling:?} on the {name}: {values:?}"
                );
            },
        );
    };
    for indices in [[0, 1], [1, 0]] {
        pool(Pooling::Max, &indices, &f32::is_nan);
        pool(Pooling::Sum, &indices, &f32::is_nan);
        pool(Pooling::Mean, &indices, &f32::is_nan);
    }
    pool(Pooling::Max, &[1, 2], &f32::is_nan);
    pool(Pooling::Max, &[3, 2, 0], &|x| x == f32::INFINITY);
    pool(Pooling::Max, &[3], &|x| x == f32::NEG_INFINITY);
    pool(Pooling::Sum, &[2, 0], &|x| x == f32::INFINITY);
    pool(Pooling::Sum, &[2, 3], &f32::is_nan);
    for weight in [f32::NAN, f32::INFINITY] {
        let request = LookupRequest {
            weights: Some(&[weight]),
            ..request(Pooling::Sum, &[0], &[0, 1])
        };
        on_each(&table, request, |name, values, _| {
            let same = |x: &f32| x.is_nan() == weight.is_nan() && !x.is_finite();
            assert!(
                values.iter().all(same),
                "{weight} on the {name}: {values:?}"
            );
        });
    }
}

/// Parts of the case table, by what the names in each contain; the longest first.
const PARTS: [&str; 10] = [
    "lookup.q",
    "lookup.b",
    "lookup.s",
    "lookup.c",
    "quantize.",
    "lookup.f",
    "batched.",
    "update.",
    "learn.",
    "weigh.",
];

/// Takes one part after another until there is none; the number of cases, which all passed.
fn pass<E: Engine>(engine: &E, next: &AtomicUsize) -> usize {
    let mut cases = 0;
    while let Some(part) = PARTS.get(next.fetch_add(1, Ordering::Relaxed)) {
        verify::run(engine, part, |case| {
            assert_eq!(case.outcome.failure, None, "{}/{}", case.label, case.shape);
            cases += 1;
        })
        .unwrap();
    }
    cases
}

/// Lets several threads take parts, so that every core compiles kernels.
fn on_threads(work: impl Fn(&AtomicUsize) -> usize + Sync) -> usize {
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers = (0..threads.min(PARTS.len())).map(|_| scope.spawn(|| work(&next)));
        let workers: Vec<_> = workers.collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    })
}

#[test]
fn every_case_on_the_gpu() {
    let Some(session) = gpu() else { return };
    let cases = on_threads(|next| {
        // A device of its own: drivers compile the kernels of one on one thread.
        let session = Session::new().unwrap();
        pass(&GpuEngine::new(&session), next)
    });
    assert_eq!(cases, verify::count::<GpuEngine<'_>>(""));
    println!("{cases} cases on {}", session.adapter().name);
}

#[test]
fn every_case_on_the_cpu() {
    let cases = on_threads(|next| pass(&CpuEngine, next));
    assert_eq!(cases, verify::count::<CpuEngine>(""));
}

#[test]
fn pytorch_on_the_gpu() {
    let Some(session) = gpu() else { return };
    for oracle in oracles("bag") {
        let (indices, offsets) = (oracle.u32("indices"), oracle.u32("offsets"));
        let weights = oracle.f32("per_sample_weights");
        for bits in PYTORCH_BITS {
            let packed = oracle.table(bits);
            let uploaded = session.upload(&packed).unwrap();
            for (tensor, pooling, weights) in [
                ("sum", Pooling::Sum, None),
                ("weighted_sum", Pooling::Sum, Some(&*weights)),
                ("exact_sum", Pooling::Sum, None),
                ("exact_mean", Pooling::Mean, None),
                ("exact_max", Pooling::Max, None),
            ] {
                let request = LookupRequest {
                    weights,
                    ..request(pooling, &indices, &offsets)
                };
                let got = session
                    .lookup(&uploaded, request)
                    .unwrap()
                    .values
                    .into_f32();
                let args = reference::LookupArgs {
                    pooling,
                    indices: &indices,
                    offsets: Some(&offsets),
                    weights,
                };
                // PyTorch's numbers in the place of the reference's, with the reference's bound.
                let mut expected = reference::lookup(&packed, args).unwrap();
                let pytorch = oracle.f32(&format!("{tensor}{}", bits.count()));
                expected.output = pytorch.iter().map(|x| f64::from(*x)).collect();
                // At 8 bits PyTorch's values are fused, so that its max is within the bound alone.
                let comparison = match (pooling, bits) {
                    (Pooling::Max, Bits::B8) => Pooling::Sum,
                    (pooling, _) => pooling,
                };
                let outcome = compare::lookup(&expected, comparison, Output::F32, &got);
                assert_eq!(
                    outcome.failure,
                    None,
                    "{} {tensor}{}",
                    oracle.name,
                    bits.count()
                );
            }
        }
    }
}

/// The documented order: chunks of 64 indices, each in order, then the chunks in order. With f16
/// headers every value is exact before it is added, so that the order decides every bit.
#[test]
fn the_order_of_summation_is_the_documented_one() {
    let Some(session) = gpu() else { return };
    let values: Vec<f32> = (0..512u32)
        .map(|i| ((i * 7919 % 1009) as f32 - 500.0) / 77.0)
        .collect();
    let packed = PackedTable::quantize(&values, 8, Q4, qembed::Method::Asym).unwrap();
    let rows = packed.dequantize();
    let indices: Vec<u32> = (0..1000).map(|i| i * i % 64).collect();
    let offsets = [0, 1, 65, 129, 130, 330, 1000];
    let uploaded = session.upload(&packed).unwrap();
    let got = session
        .pool(&uploaded, &indices, &offsets, Pooling::Sum)
        .unwrap();
    let mut expected = vec![];
    for bag in offsets.windows(2) {
        let positions = &indices[bag[0] as usize..bag[1] as usize];
        for column in 0..8 {
            let mut total = 0.0f32;
            for chunk in positions.chunks(64) {
                let value = |index: &u32| rows[*index as usize * 8 + column];
                total += chunk.iter().map(value).fold(0.0, |sum, x| sum + x);
            }
            expected.push(total);
        }
    }
    assert_eq!(compare::bits(&expected, &got).failure, None);
}

/// More than 65535 workgroups: the grid folds into a second dimension. And more output than one binding
/// of 128 MiB holds, which llvmpipe has: it comes in parts.
#[test]
fn more_workgroups_than_one_dimension_holds() {
    let Some(session) = gpu() else { return };
    let packed = table(
        Q8,
        &[
            (1.0, 0.0, &[7; 64]),
            (2.0, 1.0, &[3; 64]),
            (0.5, -4.0, &[9; 64]),
        ],
    );
    let rows = packed.dequantize();
    let uploaded = session.upload(&packed).unwrap();
    let indices: Vec<u32> = (0..540_000).map(|i| i % 3).collect();
    assert!(indices.len() * 16 > 65535 * 64);
    let got = session.gather(&uploaded, &indices).unwrap();
    for (index, got) in indices.iter().zip(got.chunks_exact(64)) {
        assert_eq!(got, &rows[*index as usize * 64..][..64]);
    }
    let offsets: Vec<u32> = (0..=540_000).collect();
    let got = session
        .pool(&uploaded, &indices, &offsets, Pooling::Max)
        .unwrap();
    for (index, got) in indices.iter().zip(got.chunks_exact(64)) {
        assert_eq!(got, &rows[*index as usize * 64..][..64]);
    }
}

#[test]
fn a_session_refuses_what_is_out_of_range_unless_told_otherwise() {
    let packed = small();
    let refused = |request: LookupRequest<'_>| {
        let error = cpu::lookup(&packed, request).unwrap_err();
        if let Some(session) = gpu() {
            let uploaded = session.upload(&packed).unwrap();
            let other = session.lookup(&uploaded, request).unwrap_err();
            assert_eq!(error.to_string(), other.to_string());
        }
        error
    };
    let error = refused(request(Pooling::Sum, &[0, 1, 5], &[0, 3]));
    assert!(
        matches!(
            error,
            Error::IndexOutOfRange {
                position: 2,
                index: 5,
                rows: 3
            }
        ),
        "{error}"
    );
    for (offsets, bad) in [
        (&[1, 3][..], 0),
        (&[0, 2], 0),
        (&[0, 2, 1, 3], 1),
        (&[0, 1, 4], 1),
    ] {
        let error = refused(request(Pooling::Sum, &[0, 1, 2], offsets));
        assert!(
            matches!(error, Error::Offsets { bag, .. } if bag == bad),
            "{offsets:?}: {error}"
        );
    }
    let error = refused(LookupRequest {
        weights: Some(&[1.0]),
        ..request(Pooling::Sum, &[0, 1], &[0, 2])
    });
    assert_eq!(
        error.to_string(),
        "weights: needed 2, one for every index, got 1"
    );
    let error = refused(LookupRequest {
        offsets: None,
        ..request(Pooling::Sum, &[0], &[])
    });
    assert!(
        matches!(
            error,
            Error::Shape {
                argument: "offsets",
                ..
            }
        ),
        "{error}"
    );
    let error = refused(LookupRequest {
        weights: Some(&[1.0]),
        ..request(Pooling::Max, &[0], &[0, 1])
    });
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[test]
fn empty_tables_and_empty_batches() {
    let empty = PackedTable::from_words(
        Format::Affine {
            bits: Bits::B2,
            params: Params::F32,
        },
        5,
        vec![],
    );
    let empty = empty.unwrap();
    on_each(
        &empty,
        request(Pooling::Sum, &[0], &[0, 1]),
        |name, values, status| {
            assert_eq!(values, [0.0; 5], "{name}");
            assert_eq!(status.bad_indices, 1, "{name}");
        },
    );
    on_each(
        &small(),
        request(Pooling::Sum, &[], &[0]),
        |name, values, _| assert!(values.is_empty(), "{name}"),
    );
    on_each(
        &small(),
        request(Pooling::None, &[], &[]),
        |name, values, _| assert!(values.is_empty(), "{name}"),
    );
    on_each(
        &small(),
        request(Pooling::Mean, &[], &[0, 0]),
        |name, values, _| {
            assert_eq!(values, [0.0; 3], "{name}");
        },
    );
}

/// A long bag is summed whole, or reported: some drivers end a long loop early without a word.
#[test]
fn long_bags_are_whole_or_reported() {
    let Some(session) = gpu() else { return };
    let packed = table(Q8, &[(1.0, 0.0, &[1, 2]), (1.0, 0.0, &[7, 9])]);
    let uploaded = session.upload(&packed).unwrap();
    for length in [65_536u32, 200_000, 1_000_000] {
        let mut indices = vec![0; length as usize];
        indices[length as usize - 1] = 1;
        for (pooling, expected) in [
            (Pooling::Sum, [(length + 6) as f32, (2 * length + 7) as f32]),
            (Pooling::Max, [7.0, 9.0]),
        ] {
            match session.pool(&uploaded, &indices, &[0, length], pooling) {
                Ok(values) => assert_eq!(values, expected, "{pooling:?} of {length}"),
                Err(Error::Unsupported { what, .. }) if length == 1_000_000 => {
                    assert_eq!(what, "bag 0 with its 1000000 indices");
                }
                Err(error) => panic!("{pooling:?} of {length}: {error}"),
            }
        }
    }
}

/// f16 rows of an odd length share words, and a lane may walk two bags.
#[test]
fn long_bags_of_shared_words_are_whole_or_reported() {
    let Some(session) = gpu() else { return };
    let packed = table(Q8, &[(0.0, 0.25, &[0; 15]), (0.0, 1.0, &[0; 15])]);
    let uploaded = session.upload(&packed).unwrap();
    for (first, second) in [
        (0, 150_000u32),
        (150_000, 150_000),
        (220_000, 20_000),
        (220_000, 220_000),
    ] {
        let (indices, offsets) = (
            vec![0; (first + second) as usize],
            [0, first, first + second],
        );
        let request = LookupRequest {
            output: Output::F16,
            out_of_range: OutOfRange::Skip,
            ..request(Pooling::Mean, &indices, &offsets)
        };
        let looked = session.lookup(&uploaded, request).unwrap();
        let values = looked.values.into_f32();
        let mean = |length| if length == 0 { 0.0 } else { 0.25 };
        let whole = values[..15].iter().all(|x| *x == mean(first))
            && values[15..].iter().all(|x| *x == mean(second));
        assert!(
            whole || looked.status.bad_bags > 0,
            "{first} and {second}: {values:?}"
        );
        assert!(
            whole || first + second > 230_000,
            "{first} and {second}: {:?}",
            looked.status
        );
    }
}
