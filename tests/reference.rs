//! Ring 1: the reference against hand-computed literals and PyTorch's golden vectors. No GPU.

mod common;

use common::{PYTORCH_BITS, oracles, symmetric, table};
use qembed::reference::{self, LookupArgs};
use qembed::verify::compare;
use qembed::{
    Bits, Error, Format, Header, Layout, Method, Narrow, Output, PackedTable, Params, Pooling,
    RowAlignment,
};

const Q4H16: Format = Format::Affine {
    bits: Bits::B4,
    params: Params::F16,
};
const S8H32: Format = Format::Symmetric {
    bits: Bits::B8,
    params: Params::F32,
};
const Q8H32: Format = Format::Affine {
    bits: Bits::B8,
    params: Params::F32,
};

#[test]
fn quantize_gives_every_byte_of_pytorch() {
    for oracle in oracles("") {
        let weights = oracle.f32("weights");
        for bits in PYTORCH_BITS {
            let format = Format::affine(bits);
            let table =
                PackedTable::quantize(&weights, oracle.dim(), format, Method::Asym).unwrap();
            let bytes = table.export(Layout::PyTorch, Narrow::Refuse).unwrap();
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

#[test]
fn importing_and_exporting_pytorch_rows_changes_no_byte() {
    for oracle in oracles("") {
        for bits in PYTORCH_BITS {
            let rows = oracle.u8(&format!("rows{}", bits.count()));
            let exported = oracle
                .table(bits)
                .export(Layout::PyTorch, Narrow::Refuse)
                .unwrap();
            assert!(exported == rows, "{} at {} bits", oracle.name, bits.count());
        }
    }
}

#[test]
fn dequantize_gives_every_bit_of_pytorch_at_4_and_2_bits() {
    for oracle in oracles("pack") {
        for bits in [Bits::B4, Bits::B2] {
            let got = reference::dequantize(&oracle.table(bits));
            let expected = oracle.f32(&format!("dequantized{}", bits.count()));
            let outcome = compare::bits(&expected, &got);
            assert_eq!(
                outcome.failure,
                None,
                "{} at {} bits",
                oracle.name,
                bits.count()
            );
        }
    }
}

/// PyTorch fuses multiply and add at 8 bits, so that its value differs by the roundings of ours: two,
/// and its own one.
#[test]
fn dequantize_at_8_bits_is_within_the_bound_of_pytorch() {
    for oracle in oracles("pack") {
        let table = oracle.table(Bits::B8);
        let expected = oracle.f32("dequantized8");
        let got = reference::dequantize(&table);
        for (at, (expected, got)) in expected.iter().zip(&got).enumerate() {
            let row = table.row(at / oracle.dim());
            let header = row.header().unwrap();
            let product = header.scale * row.code(at % oracle.dim()) as f32;
            let bound =
                f64::from(f32::EPSILON) * 1.5 * f64::from(product.abs() + header.bias.abs());
            let error = f64::from(expected - got).abs();
            assert!(
                error <= bound,
                "{} element {at}: {got} and {expected}",
                oracle.name
            );
        }
    }
}

#[test]
fn lookups_are_within_the_bound_of_pytorch() {
    for oracle in oracles("bag") {
        let (indices, offsets) = (oracle.u32("indices"), oracle.u32("offsets"));
        let weights = oracle.f32("per_sample_weights");
        for bits in PYTORCH_BITS {
            let table = oracle.table(bits);
            for (tensor, pooling, weights) in [
                ("sum", Pooling::Sum, None),
                ("weighted_sum", Pooling::Sum, Some(&*weights)),
                ("exact_sum", Pooling::Sum, None),
                ("exact_mean", Pooling::Mean, None),
            ] {
                let args = LookupArgs {
                    pooling,
                    indices: &indices,
                    offsets: Some(&offsets),
                    weights,
                };
                let pooled = reference::lookup(&table, args).unwrap();
                let pytorch = oracle.f32(&format!("{tensor}{}", bits.count()));
                let outcome = compare::lookup(&pooled, pooling, Output::F32, &pytorch);
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

#[test]
fn max_is_that_of_pytorch() {
    for oracle in oracles("bag") {
        let (indices, offsets) = (oracle.u32("indices"), oracle.u32("offsets"));
        for bits in [Bits::B4, Bits::B2] {
            let args = LookupArgs {
                pooling: Pooling::Max,
                indices: &indices,
                offsets: Some(&offsets),
                weights: None,
            };
            let pooled = reference::lookup(&oracle.table(bits), args).unwrap();
            let expected = oracle.f32(&format!("exact_max{}", bits.count()));
            let outcome = compare::lookup(&pooled, Pooling::Max, Output::F32, &expected);
            assert_eq!(
                outcome.failure,
                None,
                "{} at {} bits",
                oracle.name,
                bits.count()
            );
        }
    }
}

fn quantize_one(values: &[f32], format: Format) -> PackedTable {
    PackedTable::quantize(values, values.len(), format, Method::Asym).unwrap()
}

/// Row A of the paper's golden rows: scale 0x326f, bias 0xb960, sixteen codes.
#[test]
fn a_row_quantized_by_hand() {
    let row = [
        -43, -33, -9, 29, -16, 150, 33, 30, 41, -31, 8, -36, 31, 15, 13, 25,
    ];
    let values = row.map(|v| v as f32 / 64.0);
    let table = quantize_one(&values, Q4H16);
    assert_eq!(table.words()[0], 0xb960_326f);
    let codes: Vec<_> = (0..16).map(|column| table.row(0).code(column)).collect();
    assert_eq!(codes, [0, 1, 3, 6, 2, 15, 6, 6, 7, 1, 4, 1, 6, 5, 4, 5]);
}

#[test]
fn corner_rows() {
    let header = |values: &[f32], format| quantize_one(values, format).row(0).header().unwrap();
    // A row of one value: FBGEMM stores scale 1 at 4 bits, PyTorch scale 0 at 8.
    assert_eq!(
        header(&[3.0; 4], Q4H16),
        Header {
            scale: 1.0,
            bias: 3.0
        }
    );
    assert_eq!(
        header(&[3.0; 4], Q8H32),
        Header {
            scale: 0.0,
            bias: 3.0
        }
    );
    // The bias keeps the sign of a zero minimum, and -0 is below +0.
    let bias = |values: &[f32]| header(values, Q4H16).bias.to_bits();
    assert_eq!(bias(&[-0.0, -0.0]), 0x8000_0000);
    assert_eq!(bias(&[0.0, -0.0]), 0x8000_0000);
    assert_eq!(bias(&[0.0, 0.0]), 0);
    // A range that f16 flushes to zero: scale 1, all codes 0.
    assert_eq!(
        header(&[0.0, 1e-8], Q4H16),
        Header {
            scale: 1.0,
            bias: 0.0
        }
    );
    // f32 subnormals count as zero.
    assert_eq!(
        header(&[0.0, 1e-39], Q8H32),
        Header {
            scale: 0.0,
            bias: 0.0
        }
    );
    // A half-way value rounds to the even code.
    let table = quantize_one(&[0.0, 0.5, 1.5, 2.5, 3.0], Format::affine(Bits::B2));
    let codes: Vec<_> = (0..5).map(|column| table.row(0).code(column)).collect();
    assert_eq!(codes, [0, 0, 2, 2, 3]);
}

#[test]
fn values_that_cannot_be_quantized_are_refused_by_name() {
    let refused = |values: &[f32], format| {
        PackedTable::quantize(values, 2, format, Method::Asym).unwrap_err()
    };
    let error = refused(&[0.0, 1.0, 2.0, f32::NAN], Q4H16);
    assert!(matches!(
        error,
        Error::NotFinite {
            row: 1,
            column: 1,
            ..
        }
    ));
    assert!(error.to_string().starts_with("row 1, column 1 holds NaN"));
    let error = refused(&[0.0, 1.0, 70000.0, 70001.0], Q4H16);
    assert!(matches!(error, Error::HeaderRange { row: 1, .. }));
    assert_eq!(
        error.to_string(),
        "row 1 spans 7e4 to 7.0001e4: an f16 header cannot hold its scale and bias; \
         use f32 headers or scale the values down"
    );
    let wide = [-f32::MAX, f32::MAX];
    assert!(matches!(
        refused(&wide, Q8H32),
        Error::HeaderRange { row: 0, .. }
    ));
    // Beyond 2^126 the reciprocal of the scale counts as zero.
    let q2h32 = Format::Affine {
        bits: Bits::B2,
        params: Params::F32,
    };
    assert!(matches!(
        refused(&[0.0, 3.0e38], q2h32),
        Error::HeaderRange { .. }
    ));
    assert!(PackedTable::quantize(&[0.0, 2.5e38], 2, q2h32, Method::Asym).is_ok());
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let quantize = |values: &[f32], dim| PackedTable::quantize(values, dim, Q4H16, Method::Asym);
    assert!(matches!(
        quantize(&[0.0; 5], 2),
        Err(Error::Shape {
            argument: "values",
            ..
        })
    ));
    assert!(matches!(
        quantize(&[], 0),
        Err(Error::Shape {
            argument: "dim",
            ..
        })
    ));
    assert!(matches!(
        quantize(&[], 8193),
        Err(Error::Shape {
            argument: "dim",
            ..
        })
    ));
    assert_eq!(quantize(&[], 8192).unwrap().rows(), 0);
}

/// `value = rn(rn(scale * code) + bias)`: with an f32 header the product is rounded by itself.
#[test]
fn an_f32_header_rounds_twice() {
    let scale = 1.0 + f32::EPSILON;
    let table = table(Q8H32, &[(scale, -255.0, &[255])]);
    // scale * 255 is 255 plus 1.99 units in the last place, which rounds to 2 of them.
    let expected = (255.0 * f64::from(scale)) as f32 - 255.0;
    assert_eq!(reference::dequantize(&table), [expected]);
    let fused = (255.0 * f64::from(scale) - 255.0) as f32;
    assert_ne!(expected, fused, "the literal must tell the two apart");
}

#[test]
fn subnormal_headers_count_as_zero() {
    let table = table(Q8H32, &[(1e-40, 1.0, &[255]), (1.0, 1e-40, &[0])]);
    assert_eq!(reference::dequantize(&table), [1.0, 0.0]);
}

/// Words by hand, low bits first, negative codes in two's complement: -8 is 8 and -1 is f.
#[test]
fn symmetric_rows_by_hand() {
    let decoded = |bits, params, words: Vec<u32>, dim| {
        let format = Format::Symmetric { bits, params };
        let table = PackedTable::from_words(format, dim, words).unwrap();
        (table.row(0).step().unwrap(), reference::dequantize(&table))
    };
    let words = vec![0x0000_3800, 0x3e20_87f1, 0x0000_004d];
    let (step, values) = decoded(Bits::B4, Params::F16, words, 10);
    assert_eq!(step, 0.5);
    let expected = [0.5, -0.5, 3.5, -4.0, 0.0, 1.0, -1.0, 1.5, -1.5, 2.0];
    assert_eq!(values, expected);
    let words = vec![0x3e80_0000, 0xff00_7f80, 0x0000_0005];
    let (step, values) = decoded(Bits::B8, Params::F32, words, 5);
    assert_eq!(step, 0.25);
    assert_eq!(values, [-32.0, 31.75, 0.0, -0.25, 1.25]);
    let (_, values) = decoded(Bits::B2, Params::F16, vec![0x4000, 0b01_00_11_10], 4);
    assert_eq!(values, [-4.0, -2.0, 0.0, 2.0]);
    // The helper of the other rings agrees.
    let table = symmetric(S8H32, &[(0.25, &[-128, 127, 0, -1, 5])]);
    assert_eq!(table.words(), [0x3e80_0000, 0xff00_7f80, 0x0000_0005]);
    let row = table.row(0);
    assert_eq!((row.code(0), row.signed_code(0)), (0x80, -128));
    assert_eq!((row.header(), row.step()), (None, Some(0.25)));
}

/// `value = rn(step * code)`, and a zero is +0 whatever it comes from.
#[test]
fn symmetric_values_round_once() {
    let step = 1.0 + f32::EPSILON;
    let table = symmetric(S8H32, &[(step, &[127, -127, -128, 0])]);
    let once = (127.0 * f64::from(step)) as f32;
    assert_eq!(
        reference::dequantize(&table),
        [once, -once, -128.0 * step, 0.0]
    );
    assert_ne!(
        once, 127.0,
        "the literal must tell rounding from cutting off"
    );
    let table = symmetric(S8H32, &[(1e-40, &[-1, 0, 1, -128]), (-2.0, &[0, 0, 0, 0])]);
    for value in reference::dequantize(&table) {
        assert_eq!(value.to_bits(), 0);
    }
    let table = symmetric(S8H32, &[(f32::MIN_POSITIVE, &[-1, -128])]);
    let tiny = f32::MIN_POSITIVE;
    assert_eq!(reference::dequantize(&table), [-tiny, -128.0 * tiny]);
}

#[test]
fn symmetric_rows_of_three_bits_do_not_exist() {
    for params in Params::ALL {
        let bits = Bits::B3;
        let format = Format::Symmetric { bits, params };
        let error = PackedTable::from_words(format, 8, vec![]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a symmetric row of 3 bits is not supported: take 2, 4 or 8 bits, or affine rows"
        );
    }
}

#[test]
fn symmetric_rows_are_in_no_foreign_layout() {
    let table = symmetric(S8H32, &[(0.25, &[-128, 127])]);
    for layout in [Layout::PyTorch, tbe(16)] {
        let error = table.export(layout, Narrow::Round).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a signed code in another library's rows is not supported: PyTorch and FBGEMM have scale and bias; \
             quantize by an affine method"
        );
    }
}

#[test]
fn foreign_layouts_refuse_what_they_cannot_hold() {
    let table = table(Q8H32, &[(1.0, 0.0, &[1, 2]), (70000.0, 0.0, &[1, 2])]);
    let four = tbe(4);
    let error = table.export(four, Narrow::Refuse).unwrap_err();
    assert!(matches!(error, Error::NarrowingRefused), "{error}");
    let error = table.export(four, Narrow::Round).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Narrow {
                row: 1,
                name: "scale",
                ..
            }
        ),
        "{error}"
    );
    assert!(RowAlignment::try_from(8).is_err());
    let error = Layout::tbe_of_length(Bits::B4, 64, 40).unwrap_err();
    assert!(error.to_string().contains("36, 36 or 48"), "{error}");
    assert_eq!(Layout::tbe_of_length(Bits::B4, 64, 48).unwrap(), tbe(16));
}

fn tbe(row_alignment: u32) -> Layout {
    let row_alignment = RowAlignment::try_from(row_alignment).unwrap();
    Layout::Tbe { row_alignment }
}

/// TBE rows, byte by byte: header first, then codes, then zero padding.
#[test]
fn tbe_rows_by_hand() {
    let table = table(Q4H16, &[(1.0, 2.0, &[1, 2, 3])]);
    let row = |alignment| table.export(tbe(alignment), Narrow::Refuse).unwrap();
    let bytes = [0x00, 0x3c, 0x00, 0x40, 0x21, 0x03];
    assert_eq!(row(1), bytes);
    assert_eq!(row(4), [&bytes[..], &[0, 0]].concat());
    assert_eq!(row(16), [&bytes[..], &[0; 10]].concat());
    for alignment in [1, 4, 16] {
        let layout = tbe(alignment);
        assert_eq!(
            PackedTable::import(layout, Bits::B4, 3, &row(alignment)).unwrap(),
            table
        );
    }
}
