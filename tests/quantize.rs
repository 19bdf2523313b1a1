//! Ring 4, quantize: the GPU against PyTorch's bytes and the reference.

mod common;

use common::{Bench, PYTORCH_BITS, gpu, oracles};
use qembed::gpu::{QuantizeArgs, TableDesc};
use qembed::reference::quantize::Solver;
use qembed::verify::shapes::Random;
use qembed::{
    Bits, Error, Float, Format, Layout, Method, Narrow, PackedTable, Params, QuantizeSpec,
    QuantizeStatus, Search,
};

fn affine_formats() -> impl Iterator<Item = Format> {
    Format::all().filter(|format| matches!(format, Format::Affine { .. }))
}

fn symmetric_formats() -> impl Iterator<Item = Format> {
    Format::all().filter(|format| matches!(format, Format::Symmetric { .. }))
}

#[test]
fn the_gpu_gives_every_byte_of_pytorch() {
    let Some(session) = gpu() else { return };
    for oracle in oracles("") {
        let weights = oracle.f32("weights");
        for bits in PYTORCH_BITS {
            let format = Format::affine(bits);
            let table = session
                .quantize(&weights, oracle.dim(), format, Method::Asym)
                .unwrap();
            let packed = session.download(&table).unwrap();
            let bytes = packed.export(Layout::PyTorch, Narrow::Refuse).unwrap();
            let expected = oracle.u8(&format!("rows{}", bits.count()));
            assert!(
                bytes == expected,
                "{} at {} bits",
                oracle.name,
                bits.count()
            );
        }
    }
}

/// Rows of every magnitude that f32 has, in every format: bytes equal the reference's.
#[test]
fn rows_of_every_magnitude() {
    let Some(session) = gpu() else { return };
    let mut random = Random::new(3);
    for dim in [5, 64] {
        let mut values = vec![];
        for exponent in -149..=126 {
            let scale = 2.0f64.powi(exponent);
            values.extend((0..dim).map(|_| (f64::from(random.signed()) * scale) as f32));
        }
        let affine = affine_formats().map(|format| (format, Method::Asym));
        let symmetric = symmetric_formats().map(|format| (format, Method::Absmax));
        let floats = Float::ALL.map(|float| (Format::Float(float), Method::Cast));
        for (format, method) in affine.chain(symmetric).chain(floats) {
            let (expected, counted) =
                qembed::cpu::quantize_counting(&values, dim, format, method).unwrap();
            let (table, status) = session
                .quantize_counting(&values, dim, format, method)
                .unwrap();
            let got = session.download(&table).unwrap();
            for row in 0..expected.rows() as usize {
                assert_eq!(
                    got.row_words(row),
                    expected.row_words(row),
                    "{format} row {row} of dim {dim}"
                );
            }
            assert_eq!(status, counted, "{format}");
        }
    }
}

/// The grid folds into a second dimension; and 128 MiB, one binding of llvmpipe, do not hold the values.
#[test]
fn more_workgroups_than_one_dimension_holds() {
    let Some(session) = gpu() else { return };
    let mut random = Random::new(4);
    // A row to a lane, and a row to a workgroup.
    for (rows, dim) in [(4_200_000, 1), (133_000, 253)] {
        let values: Vec<f32> = (0..rows * dim).map(|_| random.signed()).collect();
        let format = Format::affine(Bits::B4);
        let table = session
            .quantize(&values, dim, format, Method::Asym)
            .unwrap();
        let packed = session.download(&table).unwrap();
        assert!(packed == PackedTable::quantize(&values, dim, format, Method::Asym).unwrap());
        let back = session.dequantize(&table).unwrap();
        assert!(back == packed.dequantize());
    }
}

/// A range of rows is written, and counted as rows of the table; the rows beside it keep their words.
#[test]
fn quantizing_some_rows_leaves_the_others_alone() {
    let Some(session) = gpu() else { return };
    let bench = Bench { session };
    let format = Format::affine(Bits::B4);
    let before: Vec<f32> = (0..60).map(|i| i as f32).collect();
    let packed = PackedTable::quantize(&before, 6, format, Method::Asym).unwrap();
    let table = session.upload(&packed).unwrap();
    let mut after: Vec<f32> = (0..24).map(|i| (i * i) as f32).collect();
    after[15] = f32::NAN;
    let values = bench.buffer(bytemuck::cast_slice(&after));
    let status = bench.buffer(bytemuck::cast_slice(&[QuantizeStatus::CLEAR]));
    let spec = QuantizeSpec {
        format,
        method: Method::Asym,
        dim: 6,
    };
    let args = QuantizeArgs {
        rows: 4..8,
        values: Some(values.as_entire_buffer_binding()),
        status: Some(status.as_entire_buffer_binding()),
    };
    let bound = session
        .kernels()
        .quantize(spec)
        .unwrap()
        .bind(&table, args)
        .unwrap();
    bench.submit(|pass| bound.record(pass));
    let expected = QuantizeStatus {
        not_finite: 1,
        first_not_finite: 6,
        ..QuantizeStatus::CLEAR
    };
    assert_eq!(
        bench.read(&status),
        bytemuck::cast_slice::<_, u32>(&[expected])
    );
    let got = session.download(&table).unwrap();
    after[12..18].fill(0.0);
    let written = PackedTable::quantize(&after, 6, format, Method::Asym).unwrap();
    for row in 0..10 {
        let expected = match row {
            6 => &[0, 0],
            4..8 => written.row_words(row - 4),
            _ => packed.row_words(row),
        };
        assert_eq!(got.row_words(row), expected, "row {row}");
    }
}

/// The first row with a problem is named, in the words that the CPU uses.
#[test]
fn the_gpu_refuses_what_the_cpu_refuses() {
    let Some(session) = gpu() else { return };
    let format = Format::affine(Bits::B4);
    for (row, bad) in [(3, f32::NAN), (5, f32::INFINITY), (2, 1e6)] {
        let mut values: Vec<f32> = (0..64).map(|i| i as f32).collect();
        values[row * 8 + 5] = bad;
        let error = session
            .quantize(&values, 8, format, Method::Asym)
            .unwrap_err();
        let expected = PackedTable::quantize(&values, 8, format, Method::Asym).unwrap_err();
        assert_eq!(error.to_string(), expected.to_string());
    }
    let symmetric = Format::Symmetric {
        bits: Bits::B2,
        params: Params::F16,
    };
    for bad in [f32::NAN, f32::NEG_INFINITY, 1e6] {
        let mut values: Vec<f32> = (0..64).map(|i| i as f32).collect();
        values[37] = bad;
        let error = session
            .quantize(&values, 8, symmetric, Method::Absmax)
            .unwrap_err();
        let expected = PackedTable::quantize(&values, 8, symmetric, Method::Absmax).unwrap_err();
        assert_eq!(error.to_string(), expected.to_string());
    }
    let error = session
        .quantize(&[0.0; 5], 2, format, Method::Asym)
        .unwrap_err();
    assert!(matches!(
        error,
        Error::Shape {
            argument: "values",
            ..
        }
    ));
    let empty = session.quantize(&[], 8, format, Method::Asym).unwrap();
    assert_eq!(
        empty.desc(),
        TableDesc {
            format,
            rows: 0,
            dim: 8
        }
    );
    assert_eq!(session.download(&empty).unwrap().rows(), 0);
    assert!(session.dequantize(&empty).unwrap().is_empty());
}

/// The 8-bit operator with an f16 header is FBGEMM's n-bit one.
#[test]
fn every_format_survives_quantize_and_dequantize() {
    let values: Vec<f32> = (0..256).map(|i| (i as f32 - 100.0) / 16.0).collect();
    for format in affine_formats() {
        let packed = PackedTable::quantize(&values, 64, format, Method::Asym).unwrap();
        for (row, values) in values.chunks_exact(64).enumerate() {
            let scale = packed.row(row).header().unwrap().scale;
            // Half a step, and what rounding the header to f16 moves: 2^-11 of range and bias, which are
            // below 16 each. With f32, four roundings of numbers below 16.
            let slack = match format.params().unwrap() {
                Params::F16 => 32.0 * 2.0f32.powi(-11),
                Params::F32 => 4.0 * 16.0 * 2.0f32.powi(-24),
            };
            for (x, y) in values.iter().zip(&packed.dequantize()[row * 64..]) {
                assert!(
                    (x - y).abs() <= scale / 2.0 + slack,
                    "{format}: {x} became {y}"
                );
            }
        }
    }
}

/// Every value of a symmetric table lies within half a step, but for what rounding the step to f16 moves:
/// `2^-11` of it for every step. So does it after a second time, on any device: the table survives.
#[test]
fn symmetric_rows_survive() {
    let values: Vec<f32> = (0..256).map(|i| (i as f32 - 100.0) / 16.0).collect();
    for format in symmetric_formats() {
        let packed = PackedTable::quantize(&values, 64, format, Method::Absmax).unwrap();
        let decoded = packed.dequantize();
        for (at, (x, y)) in values.iter().zip(&decoded).enumerate() {
            let step = packed.row(at / 64).step().unwrap();
            let slack = (x.abs() + step) / 2048.0;
            assert!(
                (x - y).abs() <= step / 2.0 + slack,
                "{format}: {x} became {y}"
            );
        }
        let steps: Vec<_> = (0..4).map(|row| packed.row(row).step().unwrap()).collect();
        let again = PackedTable::with_steps(&decoded, 64, format, &steps).unwrap();
        assert!(again == packed, "{format}");
        let Some(session) = gpu() else { continue };
        let table = session
            .quantize(&values, 64, format, Method::Absmax)
            .unwrap();
        assert!(session.download(&table).unwrap() == packed, "{format}");
    }
}

/// Ties of every step: the kernel divides by it, and multiplies with no reciprocal.
#[test]
fn absmax_on_the_gpu_divides() {
    let Some(session) = gpu() else { return };
    let row = |odd: i32| (-254..=254).map(move |half| (half * odd) as f32 / 2.0);
    let values: Vec<f32> = (1..128).step_by(2).flat_map(row).collect();
    for params in Params::ALL {
        let bits = Bits::B8;
        let format = Format::Symmetric { bits, params };
        let table = session
            .quantize(&values, 509, format, Method::Absmax)
            .unwrap();
        let packed = session.download(&table).unwrap();
        for row in 0..64 {
            for column in 0..509 {
                let expected = ((column as f32 - 254.0) / 2.0).round_ties_even();
                let code = packed.row(row).signed_code(column);
                assert_eq!(code as f32, expected, "row {row}, column {column}");
            }
        }
    }
}

#[test]
fn greedy_torch_on_the_gpu_gives_every_byte_of_pytorch() {
    let Some(session) = gpu() else { return };
    let method = Method::GreedyTorch(Search::default());
    for oracle in oracles("pack") {
        let weights = oracle.f32("weights");
        for bits in [Bits::B4, Bits::B2] {
            let format = Format::affine(bits);
            let table = session
                .quantize(&weights, oracle.dim(), format, method)
                .unwrap();
            let packed = session.download(&table).unwrap();
            let bytes = packed.export(Layout::PyTorch, Narrow::Refuse).unwrap();
            let expected = oracle.u8(&format!("rows{}_greedy", bits.count()));
            assert!(
                bytes == expected,
                "{} at {} bits",
                oracle.name,
                bits.count()
            );
        }
    }
}

/// What the case table leaves out: parameters other than the usual ones, on real rows.
#[test]
fn parameters_reach_the_kernels() {
    let Some(session) = gpu() else { return };
    let oracle = &oracles("pack_minilm")[0];
    let values = &oracle.f32("weights")[..20 * oracle.dim()];
    let search = Search {
        bins: 30,
        ratio: 0.5,
    };
    let mut previous = vec![];
    for method in [
        Method::HistApprox { bins: 33 },
        Method::HistBrute { bins: 33 },
        Method::Greedy(search),
        Method::GreedyTorch(search),
        Method::GreedyPaper(search),
        Method::Lsq {
            search,
            iterations: 0,
        },
        Method::Lsq {
            search,
            iterations: 2,
        },
        Method::Best {
            search,
            iterations: 1,
        },
    ] {
        let format = Format::affine(Bits::B2);
        let table = session.quantize(values, oracle.dim(), format, method);
        let packed = session.download(&table.unwrap()).unwrap();
        let expected = PackedTable::quantize(values, oracle.dim(), format, method).unwrap();
        assert!(packed == expected, "{method:?}");
        // Each does something of its own.
        assert_ne!(previous, packed.words(), "{method:?}");
        previous = packed.words().to_vec();
    }
}

/// Long walks on rows of every length: a driver that ends loops early is reported, never believed.
#[test]
fn a_search_that_the_driver_ends_is_reported() {
    let Some(session) = gpu() else { return };
    let mut random = Random::new(9);
    let search = |bins, ratio| Search { bins, ratio };
    let mut unfinished = 0;
    for (dim, method) in [
        (8192, Method::Greedy(search(2000, 0.9))),
        (8192, Method::GreedyTorch(search(2000, 0.9))),
        (64, Method::Greedy(search(65536, 0.5))),
        (128, Method::Greedy(search(20000, 0.9))),
        (300, Method::Greedy(search(20000, 0.272775))),
        (1001, Method::Greedy(search(20000, 0.142025))),
        (1100, Method::Greedy(search(20000, 0.130625))),
        (8, Method::GreedyTorch(search(65536, 0.9))),
        (64, Method::HistBrute { bins: 512 }),
        (512, Method::HistBrute { bins: 300 }),
        (4096, Method::Greedy(search(200, 0.16))),
    ] {
        let values: Vec<f32> = (0..3 * dim).map(|_| random.signed()).collect();
        let format = Format::affine(Bits::B4);
        let (table, status) = session
            .quantize_counting(&values, dim, format, method)
            .unwrap();
        let expected = PackedTable::quantize(&values, dim, format, method).unwrap();
        let packed = session.download(&table).unwrap();
        if status.unfinished == 0 {
            assert!(packed == expected, "{method:?} finished with other rows");
            assert_eq!(status, QuantizeStatus::CLEAR);
            continue;
        }
        unfinished += 1;
        assert!(status.first_unfinished < 3);
        let error = session.quantize(&values, dim, format, method).unwrap_err();
        let row = status.first_unfinished as usize;
        assert!(matches!(error, Error::Unfinished { row: named } if named == row));
    }
    println!(
        "{unfinished} searches were ended by {}",
        session.adapter().name
    );
}

/// Rows at the edges of what is searched, and such as have misled a quantizer before.
fn misleading_rows(dim: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(13);
    let mut rows: Vec<Vec<f32>> = vec![vec![0.0; dim], vec![-0.0; dim], vec![-3.0; dim]];
    for exponent in [-126, -76, -51, -50, -49, -20, 49, 50, 51, 100] {
        let scale = 2.0f32.powi(exponent);
        rows.push((0..dim).map(|_| random.signed() * scale).collect());
        // The span alone, beside a large number.
        let near_one = |x: f32| 1.0 + x * scale.min(1.0);
        rows.push((0..dim).map(|_| near_one(random.signed())).collect());
    }
    // One value far from many small ones, both ways.
    for outlier in [-60000.0, 60000.0] {
        let mut row: Vec<f32> = (0..dim).map(|_| random.signed() * 1e-3).collect();
        row[dim / 2] = outlier;
        rows.push(row);
    }
    // Many of few values.
    for levels in [2.0, 5.0, 20.0] {
        let level = |x: f32| (x * levels).round() * 0.211_764_68;
        rows.push((0..dim).map(|_| level(random.signed())).collect());
    }
    let two = |i: usize| {
        if i < dim * 5 / 8 {
            0.211_764_68
        } else {
            0.691_556_45
        }
    };
    rows.push((0..dim).map(two).collect());
    // A step no larger than the distance of neighbouring floats.
    rows.push((0..dim).map(|i| 1000.0 + i as f32 * 6.1e-5).collect());
    rows.push(
        (0..dim)
            .map(|i| 16_777_216.0 + (i % 5) as f32 * 2.0)
            .collect(),
    );
    // As much on one side as on the other.
    rows.push(
        (0..dim)
            .map(|i| i as f32 - (dim - 1) as f32 / 2.0)
            .collect(),
    );
    rows
}

/// Every method on the CPU and the GPU against the reference.
#[test]
fn rows_that_mislead() {
    for dim in [2, 64] {
        let values = misleading_rows(dim).concat();
        for format in Format::all() {
            for &method in Method::ALL {
                let by_row = !matches!(method, Method::KmeansCls { .. });
                if by_row && method.check(format).is_ok() {
                    assert_reference(&values, dim, format, method);
                }
            }
        }
    }
}

fn assert_reference(values: &[f32], dim: usize, format: Format, method: Method) {
    let method = match method {
        // The reference is cubic in the bins.
        Method::HistBrute { .. } => Method::HistBrute { bins: 24 },
        method => method,
    };
    let expected = |solver| {
        let spec = (format, method);
        qembed::verify::quantize_counting(values, dim as u32, spec, solver)
    };
    let (words, status) = expected(Solver::Exact);
    let (got, counted) = qembed::cpu::quantize_counting(values, dim, format, method).unwrap();
    assert!(got.words() == words, "{format} {method:?} on the CPU");
    assert_eq!(counted, status);
    let Some(session) = gpu() else { return };
    let (words, status) = expected(Solver::Lloyd);
    let (table, counted) = session
        .quantize_counting(values, dim, format, method)
        .unwrap();
    let got = session.download(&table).unwrap();
    for (row, expected) in words.chunks(got.row_words(0).len()).enumerate() {
        assert_eq!(
            got.row_words(row),
            expected,
            "{format} {method:?} row {row}"
        );
    }
    assert_eq!(counted, status);
}

/// Both ends cost the same: the high one moves. Multiples of 3 from 15 to 45, and a value at 0 and at 60:
/// one step of 15 from either end leaves a scale of 3, no error but that end's.
#[test]
fn of_equal_steps_the_high_end_moves() {
    let mut values: Vec<f32> = (0..510).map(|i| (15 + i % 11 * 3) as f32).collect();
    values.extend([0.0, 60.0]);
    let search = Search {
        bins: 4,
        ratio: 0.5,
    };
    let format = Format::affine(Bits::B4);
    for method in [
        Method::Greedy(search),
        Method::GreedyTorch(search),
        Method::GreedyPaper(search),
    ] {
        let on_cpu = PackedTable::quantize(&values, 512, format, method).unwrap();
        let header = on_cpu.row(0).header().unwrap();
        assert_eq!((header.scale, header.bias), (3.0, 0.0), "{method:?}");
        assert_reference(&values, 512, format, method);
    }
}

/// Centroids from Lloyd's algorithm are no worse than the levels that it starts from, and no better than the
/// optimum, which the CPU finds.
#[test]
fn kmeans_lies_between_asym_and_the_optimum() {
    let Some(session) = gpu() else { return };
    let oracle = &oracles("pack_minilm")[0];
    let (values, dim) = (oracle.f32("weights"), oracle.dim());
    let error = |table: &PackedTable| -> f64 {
        let pairs = values.iter().zip(table.dequantize());
        pairs.map(|(x, y)| f64::from(x - y).powi(2)).sum()
    };
    for bits in [Bits::B2, Bits::B3, Bits::B4] {
        let method = Method::Kmeans { iterations: 20 };
        let format = method.format(bits, None).unwrap();
        let table = session.quantize(&values, dim, format, method).unwrap();
        let lloyd = error(&session.download(&table).unwrap());
        let exact = error(&PackedTable::quantize(&values, dim, format, method).unwrap());
        let asym = Format::affine(bits);
        let asym = error(&PackedTable::quantize(&values, dim, asym, Method::Asym).unwrap());
        // f16 moves a centroid by at most 2^-12 of itself.
        assert!(
            exact <= lloyd * (1.0 + 1e-3),
            "{bits:?}: {exact} and {lloyd}"
        );
        assert!(lloyd < asym, "{bits:?}: {lloyd} and {asym}");
    }
}

/// Rows that share codebooks: made on the CPU, looked up on the GPU, and back.
#[test]
fn blocks_survive_the_device() {
    let Some(session) = gpu() else { return };
    let oracle = &oracles("pack_minilm")[0];
    let (values, dim) = (oracle.f32("weights"), oracle.dim());
    for blocks in [None, Some(1), Some(7)] {
        let method = Method::KmeansCls {
            blocks,
            iterations: 3,
        };
        let format = method.format(Bits::B4, None).unwrap();
        let packed = PackedTable::quantize(&values, dim, format, method).unwrap();
        if let Some(count) = blocks {
            assert_eq!(packed.blocks().unwrap().count(), count);
        }
        let table = session.upload(&packed).unwrap();
        assert!(session.download(&table).unwrap() == packed);
        assert!(session.dequantize(&table).unwrap() == packed.dequantize());
    }
    let method = Method::KmeansCls {
        blocks: None,
        iterations: 3,
    };
    let format = method.format(Bits::B4, None).unwrap();
    let error = session.quantize(&values, dim, format, method).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}
