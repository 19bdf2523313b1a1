//! Rings 1 and 4, rows of floats: words by hand on the reference, the CPU and the GPU, and what a cast makes.

mod common;

use common::gpu;
use half::f16;
use qembed::reference::quantize::Solver;
use qembed::training::{Batch, LearnedSteps, Optimizer, TrainingSpec};
use qembed::verify::{self, compare};
use qembed::{
    Bits, Error, Float, Format, Layout, LookupRequest, Method, Narrow, OutOfRange, Output,
    PackedTable, Pooling, RowAlignment, cpu, reference,
};

/// Rows of floats of these bits, packed by hand.
fn table(float: Float, dim: usize, bits: &[u32]) -> PackedTable {
    let row = |row: &[u32]| match float {
        Float::F32 => row.to_vec(),
        Float::F16 | Float::Bf16 => row
            .chunks(2)
            .map(|pair| pair[0] | pair.get(1).unwrap_or(&0) << 16)
            .collect(),
    };
    let words = bits.chunks_exact(dim).flat_map(row).collect();
    PackedTable::from_words(Format::Float(float), dim, words).unwrap()
}

/// Every value of a table as each implementation reads it, by dequantizing and by a gather.
fn assert_values(table: &PackedTable, expected: &[f32]) {
    let same = |name: &str, values: &[f32]| {
        let outcome = compare::bits(expected, values);
        let format = table.format();
        assert_eq!(outcome.failure, None, "{format} on the {name}");
    };
    let rows: Vec<u32> = (0..table.rows()).collect();
    same("reference", &reference::dequantize(table));
    same("CPU", &table.dequantize());
    let gather = request(Pooling::None, &rows, &[]);
    let gathered = cpu::lookup(table, gather).unwrap();
    same("CPU", &gathered.values.into_f32());
    if let Some(session) = gpu() {
        let uploaded = session.upload(table).unwrap();
        same("GPU", &session.dequantize(&uploaded).unwrap());
        same("GPU", &session.gather(&uploaded, &rows).unwrap());
        assert!(session.download(&uploaded).unwrap() == *table);
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

/// The result of a lookup on each implementation.
fn on_each(table: &PackedTable, request: LookupRequest<'_>, check: impl Fn(&str, &[f32])) {
    let args = reference::LookupArgs {
        pooling: request.pooling,
        indices: request.indices,
        offsets: request.offsets,
        weights: request.weights,
    };
    let pooled = reference::lookup(table, args).unwrap();
    let values: Vec<_> = pooled.output.iter().map(|x| *x as f32).collect();
    check("reference", &values);
    let looked = cpu::lookup(table, request).unwrap();
    check("CPU", &looked.values.into_f32());
    if let Some(session) = gpu() {
        let uploaded = session.upload(table).unwrap();
        let looked = session.lookup(&uploaded, request).unwrap();
        check("GPU", &looked.values.into_f32());
    }
}

#[test]
fn words_by_hand() {
    let words = |float, dim, words: &[u32]| {
        PackedTable::from_words(Format::Float(float), dim, words.to_vec()).unwrap()
    };
    // 1, -2.5, 3 and 0.5, 65504, -0.25: an odd row ends in half a word, which means nothing.
    let table = words(
        Float::F16,
        3,
        &[0xc100_3c00, 0xffff_4200, 0x7bff_3800, 0x0000_b400],
    );
    assert_values(&table, &[1.0, -2.5, 3.0, 0.5, 65504.0, -0.25]);
    assert_eq!(
        (table.row(0).float(1), table.row(0).code(1)),
        (Some(-2.5), 0xc100)
    );
    assert_eq!((table.row(0).header(), table.row(0).step()), (None, None));
    let table = words(
        Float::Bf16,
        3,
        &[0xc020_3f80, 0xffff_4040, 0x7f7f_3f00, 0x0000_be80],
    );
    let largest = f32::from_bits(0x7f7f_0000);
    assert_values(&table, &[1.0, -2.5, 3.0, 0.5, largest, -0.25]);
    let table = words(
        Float::F32,
        2,
        &[0x3f80_0000, 0xc020_0000, 0x7f7f_ffff, 1 << 31],
    );
    assert_values(&table, &[1.0, -2.5, f32::MAX, -0.0]);
}

/// Subnormals of f32 and bf16 count as zeros of their sign, those of f16 are normal in f32.
#[test]
fn subnormals_zeros_infinities_and_nan() {
    let nan = f32::NAN;
    let (inf, tiny) = (f32::INFINITY, f32::MIN_POSITIVE);
    let bits = [
        1,
        0x807f_ffff,
        1 << 31,
        0x0080_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0xffff_ffff,
    ];
    let expected = [0.0, -0.0, -0.0, tiny, inf, -inf, nan, nan];
    assert_values(&table(Float::F32, 8, &bits), &expected);
    assert_values(&table(Float::F32, 1, &bits), &expected);
    let bits = [1, 0x807f, 0x8000, 0x0080, 0x7f80, 0xff80, 0x7fc0, 0xffff];
    assert_values(&table(Float::Bf16, 8, &bits), &expected);
    assert_values(&table(Float::Bf16, 1, &bits), &expected);
    let bits = [1, 0x83ff, 0x8000, 0x0400, 0x7c00, 0xfc00, 0x7e00, 0xffff];
    let unit = 0.5f32.powi(24);
    let expected = [
        unit,
        -1023.0 * unit,
        -0.0,
        1024.0 * unit,
        inf,
        -inf,
        nan,
        nan,
    ];
    assert_values(&table(Float::F16, 8, &bits), &expected);
    assert_values(&table(Float::F16, 1, &bits), &expected);
}

/// Every float of 16 bits, in rows of every parity and length.
#[test]
fn every_float_of_16_bits() {
    let all: Vec<u32> = (0..1 << 16).collect();
    let flushed = |bits: u32| match f32::from_bits(bits << 16) {
        x if x.is_subnormal() => 0.0f32.copysign(x),
        x => x,
    };
    let halves: Vec<f32> = all
        .iter()
        .map(|bits| f16::from_bits(*bits as u16).to_f32())
        .collect();
    let brains: Vec<f32> = all.iter().map(|bits| flushed(*bits)).collect();
    for dim in [1, 2, 3, 5, 63, 64, 1023, 8191, 8192] {
        let count = all.len() / dim * dim;
        for (float, values) in [(Float::F16, &halves), (Float::Bf16, &brains)] {
            assert_values(&table(float, dim, &all[..count]), &values[..count]);
        }
    }
}

#[test]
fn poolings_by_hand() {
    let values = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0, -1.0, -1.5, -0.5];
    let (indices, offsets) = ([0, 1, 2, 1], [0, 2, 2, 4]);
    for float in Float::ALL {
        let table = PackedTable::quantize(&values, 3, Format::Float(float), Method::Cast).unwrap();
        for (pooling, expected) in [
            (
                Pooling::Sum,
                [11.0, 22.0, 33.0, 0.0, 0.0, 0.0, 9.0, 18.5, 29.5],
            ),
            (
                Pooling::Mean,
                [5.5, 11.0, 16.5, 0.0, 0.0, 0.0, 4.5, 9.25, 14.75],
            ),
            (
                Pooling::Max,
                [10.0, 20.0, 30.0, 0.0, 0.0, 0.0, 10.0, 20.0, 30.0],
            ),
        ] {
            on_each(
                &table,
                request(pooling, &indices, &offsets),
                |name, values| {
                    assert_eq!(values, expected, "{float:?} {pooling:?} on the {name}");
                },
            );
        }
        let weighted = LookupRequest {
            weights: Some(&[2.0, -0.5, 4.0]),
            ..request(Pooling::None, &[0, 1, 2], &[])
        };
        on_each(&table, weighted, |name, values| {
            let expected = [2.0, 4.0, 6.0, -5.0, -10.0, -15.0, -4.0, -6.0, -2.0];
            assert_eq!(values, expected, "{float:?} on the {name}");
        });
    }
}

/// +0 is larger than -0, in whichever order they come; centroids have signed zeros too.
#[test]
fn max_tells_zeros_apart() {
    let signs = Float::ALL.map(|float| {
        let sign = 1 << (float.width_bits() - 1);
        table(float, 2, &[sign, 0, 0, sign])
    });
    let codebook = Format::Codebook { bits: Bits::B2 };
    // Centroids -0, 0, 0, 0; codes 0 and 1, then 1 and 0.
    let codebook = PackedTable::from_words(
        codebook,
        2,
        vec![0x0000_8000, 0, 0b01_00, 0x0000_8000, 0, 0b00_01],
    );
    for table in signs.into_iter().chain(codebook) {
        let format = table.format();
        for indices in [[0, 1], [1, 0]] {
            on_each(
                &table,
                request(Pooling::Max, &indices, &[0, 2]),
                |name, values| {
                    let bits: Vec<_> = values.iter().map(|x| x.to_bits()).collect();
                    assert_eq!(bits, [0, 0], "{format} on the {name}");
                },
            );
        }
        on_each(
            &table,
            request(Pooling::Max, &[0], &[0, 1]),
            |name, values| {
                assert_eq!(values[0].to_bits(), 1 << 31, "{format} on the {name}");
            },
        );
    }
}

#[test]
fn nan_wins_in_max_and_propagates_in_sums() {
    for float in Float::ALL {
        let [one, inf, nan] = [1.0, f32::INFINITY, f32::NAN].map(|x| float.rounded(x));
        let negative = float.rounded(f32::NEG_INFINITY);
        let table = table(
            float,
            3,
            &[one, one, one, nan, inf, negative, inf, inf, inf],
        );
        for indices in [[0, 1], [1, 0]] {
            on_each(
                &table,
                request(Pooling::Max, &indices, &[0, 2]),
                |name, values| {
                    assert!(values[0].is_nan(), "{float:?} on the {name}: {values:?}");
                    assert_eq!(values[1..], [f32::INFINITY, 1.0], "{float:?} on the {name}");
                },
            );
            on_each(
                &table,
                request(Pooling::Mean, &indices, &[0, 2]),
                |name, values| {
                    assert!(values[0].is_nan(), "{float:?} on the {name}: {values:?}");
                    let infinite = [f32::INFINITY, f32::NEG_INFINITY];
                    assert_eq!(values[1..], infinite, "{float:?} on the {name}");
                },
            );
        }
        on_each(
            &table,
            request(Pooling::Sum, &[1, 2], &[0, 2]),
            |name, values| {
                assert!(
                    values[0].is_nan() && values[2].is_nan(),
                    "{float:?} on the {name}"
                );
                assert_eq!(values[1], f32::INFINITY, "{float:?} on the {name}");
            },
        );
    }
}

/// The rows of a cast on each implementation.
fn assert_cast(values: &[f32], dim: usize, float: Float, expected: &[u32]) {
    let format = Format::Float(float);
    let (words, _) =
        verify::quantize_counting(values, dim as u32, (format, Method::Cast), Solver::Exact);
    let packed = PackedTable::quantize(values, dim, format, Method::Cast).unwrap();
    let expected = table(float, dim, expected);
    assert_eq!(words, expected.words(), "{float:?} on the reference");
    assert_eq!(packed.words(), expected.words(), "{float:?} on the CPU");
    if let Some(session) = gpu() {
        let table = session.quantize(values, dim, format, Method::Cast).unwrap();
        let words = session.download(&table).unwrap();
        assert_eq!(words.words(), expected.words(), "{float:?} on the GPU");
    }
}

/// Rounded once, ties to even, on both sides of every kind of number; nothing is flushed.
#[test]
fn casts_by_hand() {
    let f = f32::from_bits;
    let tie = 1.0 + 0.5f32.powi(11);
    let values = [
        0.0,
        -0.0,
        tie,
        tie.next_up(),
        -tie,
        65519.996,
        0.5f32.powi(25),
        f(1),
        -6e-8,
        6.2e-5,
        0.1,
    ];
    let halves = [
        0, 0x8000, 0x3c00, 0x3c01, 0xbc00, 0x7bff, 0, 0, 0x8001, 0x0410, 0x2e66,
    ];
    assert_cast(&values, 11, Float::F16, &halves);
    assert_cast(&values, 1, Float::F16, &halves);
    let values = [
        -0.0,
        f(0x3f80_8000),
        f(0x3f80_8001),
        f(0x3f81_8000),
        f(0xbf80_7fff),
        f(0x7f7f_7fff),
        f(0x0000_8000),
        f(0x0000_8001),
        f(0x807f_ffff),
    ];
    let brains = [0x8000, 0x3f80, 0x3f81, 0x3f82, 0xbf80, 0x7f7f, 0, 1, 0x8080];
    assert_cast(&values, 9, Float::Bf16, &brains);
    assert_cast(&values, 3, Float::Bf16, &brains);
    let values = [-0.0, f(1), f(0x807f_ffff), f32::MAX, -f32::MAX, 0.1];
    let bits = values.map(f32::to_bits);
    assert_cast(&values, 6, Float::F32, &bits);
    assert_cast(&values, 2, Float::F32, &bits);
}

/// What a row of floats cannot hold is refused by the row's name, in the same words everywhere.
#[test]
fn rows_that_cannot_be_cast() {
    let refused = |float, bad: f32| {
        let mut values = vec![0.5; 7 * 5];
        values[7 * 3 + 2] = bad;
        let format = Format::Float(float);
        let error = PackedTable::quantize(&values, 7, format, Method::Cast).unwrap_err();
        if let Some(session) = gpu() {
            let other = session
                .quantize(&values, 7, format, Method::Cast)
                .unwrap_err();
            assert_eq!(error.to_string(), other.to_string());
        }
        error
    };
    for float in Float::ALL {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = refused(float, bad);
            assert!(
                matches!(
                    error,
                    Error::NotFinite {
                        row: 3,
                        column: 2,
                        ..
                    }
                ),
                "{error}"
            );
        }
    }
    assert_eq!(
        refused(Float::F16, 65520.0).to_string(),
        "row 3 spans 5e-1 to 6.552e4: f16 cannot hold it; cast to bf16 or f32 or scale the values down"
    );
    let error = refused(Float::Bf16, -f32::from_bits(0x7f7f_8000)).to_string();
    assert!(
        error.ends_with("to 5e-1: bf16 cannot hold it; cast to f32 or scale the values down"),
        "{error}"
    );
}

/// A cast of what a row of floats holds gives that row.
#[test]
fn rows_of_floats_survive() {
    let bits: Vec<u32> = (0..1 << 16)
        .filter(|bits| bits & 0x7c00 != 0x7c00)
        .collect();
    let halves = table(Float::F16, 62, &bits);
    let again = PackedTable::quantize(&halves.dequantize(), 62, halves.format(), Method::Cast);
    assert!(again.unwrap() == halves);
    // Subnormals, which are read as zeros, do not come back.
    let bits: Vec<u32> = (0..1 << 16)
        .filter(|bits| (0x80..0x7f80).contains(&(bits & 0x7fff)))
        .collect();
    let brains = table(Float::Bf16, 127, &bits);
    let again = PackedTable::quantize(&brains.dequantize(), 127, brains.format(), Method::Cast);
    assert!(again.unwrap() == brains);
}

#[test]
fn floats_are_not_trained() {
    let table = table(Float::F16, 2, &[0x3c00; 4]);
    let trained =
        "training f16 rows is not supported: take affine or symmetric rows of 2, 4 or 8 bits";
    let lpt = TrainingSpec::lpt(Optimizer::Sgd, 1);
    let alpt = TrainingSpec::alpt(Optimizer::Sgd, LearnedSteps::default(), 1);
    let batch = Batch {
        pooling: Pooling::None,
        indices: &[0, 1],
        offsets: None,
        weights: None,
    };
    for spec in [lpt, alpt] {
        let error = cpu::Training::new(table.clone(), spec).unwrap_err();
        assert_eq!(error.to_string(), trained);
        if let Some(session) = gpu() {
            let error = session.train(&table, spec).unwrap_err();
            assert_eq!(error.to_string(), trained);
        }
    }
    let error = cpu::weight_gradient(&table, &batch, &[1.0; 4]).unwrap_err();
    assert_eq!(error.to_string(), trained);
    let error = reference::weight_gradient(&table, &batch, &[1.0; 4]).unwrap_err();
    assert_eq!(error.to_string(), trained);
}

#[test]
fn floats_are_in_no_foreign_layout() {
    let table = table(Float::F32, 2, &[0; 2]);
    let row_alignment = RowAlignment::A4;
    for layout in [Layout::PyTorch, Layout::Tbe { row_alignment }] {
        let error = table.export(layout, Narrow::Round).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a float in another library's rows is not supported: PyTorch and FBGEMM have scale and bias; \
             quantize by an affine method"
        );
    }
}
