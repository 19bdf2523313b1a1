//! Ring 1, methods: the reference's choice of scale and bias against golden rows and PyTorch's bytes.
//! No GPU.

mod common;

use common::oracles;
use qembed::reference::quantize::{Solver, exact_centroids, nearest, write_symmetric};
use qembed::reference::{quantize_row, row_value};
use qembed::verify::shapes::Random;
use qembed::{
    Bits, Error, Format, Layout, Levels, Method, Narrow, PackedTable, Params, Row, Search,
};

/// The rows of the reference as a table.
fn reference_table(values: &[f32], dim: usize, format: Format, method: Method) -> PackedTable {
    let (words, _) =
        qembed::verify::quantize_counting(values, dim as u32, (format, method), Solver::Exact);
    PackedTable::from_words(format, dim, words).unwrap()
}

#[test]
fn greedy_torch_gives_every_byte_of_pytorch() {
    let method = Method::GreedyTorch(Search::default());
    let mut differing = 0;
    for oracle in oracles("pack") {
        let weights = oracle.f32("weights");
        for bits in [Bits::B4, Bits::B2] {
            let expected = oracle.u8(&format!("rows{}_greedy", bits.count()));
            let format = Format::affine(bits);
            for table in [
                reference_table(&weights, oracle.dim(), format, method),
                PackedTable::quantize(&weights, oracle.dim(), format, method).unwrap(),
            ] {
                let bytes = table.export(Layout::PyTorch, Narrow::Refuse).unwrap();
                assert!(
                    bytes == expected,
                    "{} at {} bits",
                    oracle.name,
                    bits.count()
                );
            }
            differing += usize::from(expected != oracle.u8(&format!("rows{}", bits.count())));
        }
    }
    assert!(differing > 10, "the search changed only {differing} tables");
}

/// One golden row: what is stored, and the distance from the values.
struct Golden {
    method: Method,
    bits: Bits,
    scale: u16,
    bias: u16,
    loss: f64,
    codes: Option<[u32; 16]>,
}

impl Golden {
    const fn new(method: Method, bits: Bits, scale: u16, bias: u16, loss: f64) -> Self {
        Self {
            method,
            bits,
            scale,
            bias,
            loss,
            codes: None,
        }
    }

    const fn codes(mut self, codes: [u32; 16]) -> Self {
        self.codes = Some(codes);
        self
    }

    fn check(&self, values: &[f32]) {
        let format = Format::affine(self.bits);
        let mut words = vec![0; format.row_words(16) as usize];
        let problem = quantize_row(values, format, (self.method, Solver::Exact), &mut words);
        assert_eq!(problem, None);
        let name = format!("{:?} at {:?}", self.method, self.bits);
        let header = u32::from(self.scale) | u32::from(self.bias) << 16;
        assert_eq!(words[0], header, "{name}: {:#010x}", words[0]);
        let table = PackedTable::from_words(format, 16, words).unwrap();
        let loss = distance(values, &table.dequantize());
        assert!((loss - self.loss).abs() < 5e-7, "{name}: {loss}");
        if let Some(expected) = self.codes {
            assert_eq!(codes(table.row(0)), expected, "{name}");
        }
    }
}

fn codes(row: Row<'_>) -> Vec<u32> {
    (0..16).map(|column| row.code(column)).collect()
}

/// In f64.
fn distance(x: &[f32], y: &[f32]) -> f64 {
    let square = |(x, y): (&f32, &f32)| (f64::from(*x) - f64::from(*y)).powi(2);
    x.iter().zip(y).map(square).sum::<f64>().sqrt()
}

const SEARCH: Search = Search {
    bins: 200,
    ratio: 0.16,
};
const ASYM: Method = Method::Asym;
const TORCH: Method = Method::GreedyTorch(SEARCH);
const PAPER: Method = Method::GreedyPaper(SEARCH);
const BEST_VISITED: Method = Method::Greedy(SEARCH);

/// Golden row A: all three choices agree.
#[test]
fn golden_row_a() {
    let v = [
        -43, -33, -9, 29, -16, 150, 33, 30, 41, -31, 8, -36, 31, 15, 13, 25,
    ];
    let values = v.map(|v| v as f32 / 64.0);
    let four = [0, 1, 3, 6, 2, 15, 6, 6, 7, 1, 4, 1, 6, 5, 4, 5];
    let three = [0, 0, 1, 3, 1, 7, 3, 3, 3, 0, 2, 0, 3, 2, 2, 2];
    let two = [0, 0, 0, 1, 0, 3, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1];
    Golden::new(ASYM, Bits::B4, 0x326f, 0xb960, 0.238909)
        .codes(four)
        .check(&values);
    Golden::new(ASYM, Bits::B3, 0x36e5, 0xb960, 0.457906).check(&values);
    Golden::new(ASYM, Bits::B2, 0x3c05, 0xb960, 0.854850).check(&values);
    for method in [TORCH, PAPER, BEST_VISITED] {
        Golden::new(method, Bits::B4, 0x324e, 0xb960, 0.217693)
            .codes(four)
            .check(&values);
        Golden::new(method, Bits::B3, 0x3660, 0xb8c6, 0.397191)
            .codes(three)
            .check(&values);
        Golden::new(method, Bits::B2, 0x3b3d, 0xb79d, 0.679933)
            .codes(two)
            .check(&values);
    }
}

/// Golden row B: the three choices differ.
#[test]
fn golden_row_b() {
    let v = [
        -16, 18, 60, 51, 62, 38, 2, 23, 40, 36, -15, -25, -51, -25, 8, 19,
    ];
    let values = v.map(|v| v as f32 / 64.0);
    Golden::new(ASYM, Bits::B2, 0x38b5, 0xba60, 0.614579).check(&values);
    Golden::new(TORCH, Bits::B2, 0x38a9, 0xba60, 0.612172).check(&values);
    Golden::new(PAPER, Bits::B2, 0x3813, 0xba60, 0.511107).check(&values);
    Golden::new(BEST_VISITED, Bits::B2, 0x37dd, 0xb9f4, 0.528243).check(&values);
}

/// Golden row C: they differ at 3 bits too.
#[test]
fn golden_row_c() {
    let v = [
        -20, -2, 11, -15, 0, -12, -13, -105, 12, -11, 27, 1, -2, 15, -59, -13,
    ];
    let values = v.map(|v| v as f32 / 64.0);
    Golden::new(ASYM, Bits::B3, 0x34b7, 0xbe90, 0.357918).check(&values);
    Golden::new(TORCH, Bits::B3, 0x3487, 0xbe3c, 0.339370).check(&values);
    Golden::new(PAPER, Bits::B3, 0x3432, 0xbe3c, 0.288593).check(&values);
    Golden::new(BEST_VISITED, Bits::B3, 0x33ec, 0xbdd2, 0.315137).check(&values);
}

/// The CPU's sixteen rows at a time against the reference's one by one.
#[test]
fn the_cpu_gives_the_references_bytes() {
    let mut failures = vec![];
    let mut cases = 0;
    qembed::verify::run(&qembed::verify::CpuEngine, "quantize", |case| {
        cases += 1;
        if let Some(failure) = case.outcome.failure {
            failures.push(format!("{}/{}: {failure}", case.label, case.shape));
        }
    })
    .unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(
        cases,
        qembed::verify::count::<qembed::verify::CpuEngine>("quantize")
    );
    assert!(cases > 1500, "{cases}");
}

/// How stored bytes become numbers that errors are measured with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Decoding {
    /// As every lookup does it, rounded to f32 twice.
    Lookup,
    /// Scale, code and bias in f64.
    Exact,
}

/// Squared error of every row, in f64, from the stored bytes.
fn row_errors(values: &[f32], table: &PackedTable, decoding: Decoding) -> Vec<f64> {
    let dim = table.dim() as usize;
    let rows = values.chunks_exact(dim).enumerate();
    rows.map(|(row, values)| {
        let row = table.row(row);
        let stored = |column| match (decoding, row.header()) {
            (Decoding::Exact, Some(header)) => {
                let product = f64::from(header.scale) * f64::from(row.code(column));
                product + f64::from(header.bias)
            }
            _ => f64::from(row_value(row, column)),
        };
        let columns = values.iter().enumerate();
        columns
            .map(|(i, x)| (f64::from(*x) - stored(i)).powi(2))
            .sum()
    })
    .collect()
}

fn method(name: &str) -> Method {
    let mut all = Method::ALL.iter().copied();
    all.find(|method| method.name() == name).unwrap()
}

fn quantized(values: &[f32], dim: usize, bits: Bits, name: &str) -> PackedTable {
    let method = method(name);
    let format = method.format(bits, None).unwrap();
    PackedTable::quantize(values, dim, format, method).unwrap()
}

fn errors(values: &[f32], dim: usize, bits: Bits, name: &str) -> Vec<f64> {
    let table = quantized(values, dim, bits, name);
    row_errors(values, &table, Decoding::Lookup)
}

/// Ratio of the Frobenius norms of two errors.
fn ratio(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().sum::<f64>() / b.iter().sum::<f64>()).sqrt()
}

/// best <= lsq <= greedy <= asym, row by row. The losses that decide are sums in f32 of at most 24 terms and
/// 4 more additions in sequence, each with a rounding of 2^-24, and of squares with two more: in the worst case 2e-6
/// of the loss, at random a few times 1e-7; 1e-6 of asym's error is allowed. Where the values are met exactly, but for the roundings of a lookup,
/// best's sixteen starts may differ by those.
fn assert_rows_in_order(values: &[f32], dim: usize, bits: Bits, name: &str) {
    let names = ["asym", "greedy", "lsq", "best"];
    let tables = names.map(|name| quantized(values, dim, bits, name));
    for decoding in [Decoding::Lookup, Decoding::Exact] {
        let errors = tables
            .each_ref()
            .map(|table| row_errors(values, table, decoding));
        for (better, worse) in [(1, 0), (2, 1), (3, 2)] {
            if (decoding, better) == (Decoding::Exact, 3) {
                continue;
            }
            let rows = errors[better].iter().zip(&errors[worse]).zip(&errors[0]);
            for (row, ((found, other), asym)) in rows.enumerate() {
                assert!(
                    *found <= other + 1e-6 * asym,
                    "{name} row {row} at {bits:?} {decoding:?}: {} {found:e}, {} {other:e}",
                    names[better],
                    names[worse]
                );
            }
        }
    }
}

#[test]
fn no_row_is_worse_for_a_better_method() {
    for oracle in oracles("") {
        for bits in Bits::ALL {
            assert_rows_in_order(&oracle.f32("weights"), oracle.dim(), bits, &oracle.name);
        }
    }
}

#[test]
fn normal_rows_lose_no_more_than_promised() {
    let values = Random::new(20_191_106).normals(20_000 * 64);
    let norm: Vec<f64> = values.iter().map(|x| f64::from(*x).powi(2)).collect();
    let of = |bits, name| errors(&values, 64, bits, name);
    for bits in [Bits::B2, Bits::B4] {
        for name in ["asym", "greedy", "greedy-torch", "lsq", "best", "kmeans"] {
            println!("{bits:?} {name}: {:.4}", ratio(&of(bits, name), &norm));
        }
    }
    let gain = |bits| ratio(&of(bits, "lsq"), &of(bits, "greedy"));
    assert!(gain(Bits::B4) <= 0.996, "{}", gain(Bits::B4));
    assert!(gain(Bits::B2) <= 0.90, "{}", gain(Bits::B2));
    let kmeans = ratio(&of(Bits::B4, "kmeans"), &norm);
    assert!(kmeans <= 0.056, "{kmeans}");
    for bits in Bits::ALL {
        assert_rows_in_order(&values, 64, bits, "normal");
    }
}

/// The exact centroids of the CPU, in `n log n`, against the reference's quadratic ones.
#[test]
fn centroids_are_the_optimum() {
    let mut random = Random::new(11);
    for bits in [Bits::B2, Bits::B3, Bits::B4] {
        let format = Format::Codebook { bits };
        for dim in [1, 2, 3, 7, 16, 40, 200] {
            // Rows with few distinct values too.
            let values: Vec<f32> = (0..12 * dim)
                .map(|i| match i / dim % 3 {
                    0 => random.signed(),
                    1 => (random.signed() * 3.0).round(),
                    _ => 100.0 + random.signed() * 0.5,
                })
                .collect();
            let kmeans = method("kmeans");
            let got = PackedTable::quantize(&values, dim, format, kmeans).unwrap();
            let expected = reference_table(&values, dim, format, kmeans);
            assert!(got == expected, "{bits:?} dim {dim}");
            if dim <= 1 << bits.count() {
                // A centroid for every value: what is left is the rounding to f16.
                for (x, y) in values.iter().zip(got.dequantize()) {
                    assert!((x - y).abs() <= x.abs() / 2048.0, "{x} became {y}");
                }
            }
        }
    }
}

/// Rows in blocks: every code is the nearest centroid's, more blocks lose less, one block is the optimum
/// of all values, and the size is that of affine rows.
#[test]
fn blocks_share_codebooks() {
    let oracle = &oracles("pack_minilm")[0];
    let (values, dim) = (oracle.f32("weights"), oracle.dim());
    let cls = |blocks| {
        let method = Method::KmeansCls {
            blocks,
            iterations: 5,
        };
        let format = method.format(Bits::B4, None).unwrap();
        PackedTable::quantize(&values, dim, format, method).unwrap()
    };
    let error =
        |table: &PackedTable| -> f64 { row_errors(&values, table, Decoding::Lookup).iter().sum() };
    let tables = [1, 4, 16].map(|blocks| cls(Some(blocks)));
    for table in &tables {
        let blocks = table.blocks().unwrap();
        for row in 0..table.rows() as usize {
            let codebook = blocks.codebook(blocks.id(row as u32));
            let centroids: Vec<_> = (0..16).map(|code| codebook.value(code)).collect();
            for (column, x) in values[row * dim..][..dim].iter().enumerate() {
                let code = table.row(row).code(column);
                assert_eq!(code, nearest(*x, &centroids), "row {row} column {column}");
            }
        }
    }
    let [one, four, sixteen] = tables.each_ref().map(error);
    assert!(sixteen < four && four < one, "{one} {four} {sixteen}");
    let whole = exact_centroids(&values[..512], Bits::B4);
    let subset = PackedTable::quantize(
        &values[..512],
        512,
        Format::Codebook { bits: Bits::B4 },
        method("kmeans"),
    );
    let levels = subset.unwrap();
    let Levels::Codebook(codebook) = levels.row(0).levels() else {
        panic!("no codebook");
    };
    assert!((0..16).all(|code| codebook.value(code) == whole[code as usize]));

    let chosen = cls(None);
    let uniform = quantized(&values, dim, Bits::B4, "asym").total_bytes();
    let difference = uniform as i64 - chosen.total_bytes() as i64;
    // Less than one more block would take: a codebook of 32 bytes and, at most, a bit for every row.
    let more = 32 + i64::from(chosen.rows().div_ceil(8)) + 4;
    assert!((0..more).contains(&difference), "{difference} bytes");
}

#[test]
fn blocks_that_cannot_be_are_refused() {
    let refused = |values: &[f32], blocks| {
        let method = Method::KmeansCls {
            blocks: Some(blocks),
            iterations: 1,
        };
        let format = method.format(Bits::B2, None).unwrap();
        let error = PackedTable::quantize(values, 2, format, method).unwrap_err();
        error.to_string()
    };
    let values = [0.0, 1.0, 2.0, 3.0];
    assert_eq!(
        refused(&values, 3),
        "blocks: needed at most as many as rows (2), got 3"
    );
    assert_eq!(refused(&values, 0), "blocks: needed 1 to 4294967295, got 0");
    assert!(refused(&[0.0, 1.0, f32::NAN, 1.0], 1).starts_with("row 1, column 0 holds NaN"));
    assert!(refused(&[0.0, 1.0, 70000.0, 1.0], 1).starts_with("row 1 spans 1e0 to 7e4"));
}

const fn s(bits: Bits, params: Params) -> Format {
    Format::Symmetric { bits, params }
}

/// Step and signed codes of one row, by the reference and by the CPU engine.
fn absmax(values: &[f32], format: Format) -> (f32, Vec<i32>) {
    let table = PackedTable::quantize(values, values.len(), format, Method::Absmax).unwrap();
    assert!(table == reference_table(values, values.len(), format, Method::Absmax));
    let row = table.row(0);
    let codes = (0..values.len()).map(|column| row.signed_code(column));
    (row.step().unwrap(), codes.collect())
}

#[test]
fn absmax_by_hand() {
    // 1.75 is code -7: the step is 0.25. Half-way values become the even code.
    let values = [1.0, -1.75, 0.0, 0.125, -0.125, 0.375, -0.375, 1.74, -0.0];
    for params in Params::ALL {
        let expected = (0.25, vec![4, -7, 0, 0, 0, 2, -2, 7, 0]);
        assert_eq!(absmax(&values, s(Bits::B4, params)), expected);
    }
    // At 2 bits the largest code is 1.
    let format = s(Bits::B2, Params::F16);
    assert_eq!(
        absmax(&[-3.0, 1.5, -1.5, 1.6], format),
        (3.0, vec![-1, 0, 0, 1])
    );
    // A step is rounded to f16 before codes are made of it.
    let (step, codes) = absmax(&[1.0, -1.0], s(Bits::B8, Params::F16));
    assert_eq!(
        (step, codes),
        (f32::from(f16_of(1.0 / 127.0)), vec![127, -127])
    );
}

fn f16_of(x: f32) -> qembed::half::f16 {
    qembed::half::f16::from_f32(x)
}

#[test]
fn absmax_at_the_ends() {
    for (bits, params) in [(Bits::B2, Params::F16), (Bits::B8, Params::F32)] {
        // Zeros, and what counts as zero, have a step of 1; so has what makes a step of 0.
        let tiny = f32::MIN_POSITIVE;
        for row in [
            [0.0, -0.0],
            [1e-40, -1e-40],
            [tiny / 2.0, 0.0],
            [-tiny, tiny],
        ] {
            let zeros = (1.0, vec![0, 0]);
            assert_eq!(absmax(&row, s(bits, params)), zeros, "{row:?}");
        }
    }
    // 1.4 units of f16 become one: the values are beyond the codes then, which clamp at -128.
    let unit = 0.5f32.powi(24);
    let reach = 1.4 * 127.0 * unit;
    let expected = (unit, vec![127, -128, 0]);
    assert_eq!(
        absmax(&[reach, -reach, 0.0], s(Bits::B8, Params::F16)),
        expected
    );
    // The largest f32 is no problem at any width: no step has a reciprocal to lose.
    for bits in [Bits::B2, Bits::B4, Bits::B8] {
        let most = *bits.signed_codes().end();
        let (_, codes) = absmax(&[f32::MAX, -f32::MAX], s(bits, Params::F32));
        assert_eq!(codes, [most, -most]);
    }
}

#[test]
fn absmax_refuses_by_name() {
    let format = s(Bits::B2, Params::F16);
    let refused =
        |values: &[f32]| PackedTable::quantize(values, 2, format, Method::Absmax).unwrap_err();
    let error = refused(&[0.0, 1.0, 3.0, -70000.0]);
    assert!(matches!(error, Error::StepRange { row: 1, .. }));
    assert_eq!(
        error.to_string(),
        "row 1 spans -7e4 to 3e0: an f16 header cannot hold its step; use f32 headers or scale the values down"
    );
    assert!(matches!(
        refused(&[0.0, f32::NAN]),
        Error::NotFinite {
            row: 0,
            column: 1,
            ..
        }
    ));
    let error = Method::Absmax.format(Bits::B3, None).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let error = Method::Absmax.check(Format::affine(Bits::B4)).unwrap_err();
    assert!(
        error.to_string().starts_with("absmax into rows of q4h16"),
        "{error}"
    );
}

/// Codes of `odd * half` in steps of `odd`, which are ties at every odd half: a product with the rounded
/// reciprocal would lose some.
#[test]
fn steps_are_divided_by() {
    let mut lost = 0;
    for odd in (1..128).step_by(2).map(|odd| odd as f32) {
        // The largest is 127 steps, so that absmax finds the step.
        let values: Vec<f32> = (-254..=254).map(|half| half as f32 * odd / 2.0).collect();
        for params in Params::ALL {
            let (step, codes) = absmax(&values, s(Bits::B8, params));
            assert_eq!(step, odd);
            for (half, code) in (-254..=254).zip(&codes) {
                let exact = (half as f32 / 2.0).round_ties_even();
                assert_eq!(*code as f32, exact, "{half} halves of {odd}");
                let product = half as f32 * odd / 2.0 * (1.0 / odd);
                lost += usize::from(product.round_ties_even() != exact);
            }
        }
    }
    assert!(lost > 0, "the literals must tell a quotient from a product");
}

#[test]
fn given_steps_by_hand() {
    let format = s(Bits::B4, Params::F32);
    let values = [0.25, -0.3, 9.0, -9.0, 0.0, 1.25];
    let one = PackedTable::with_steps(&values, 2, format, &[0.25]).unwrap();
    assert_eq!(one.dequantize(), [0.25, -0.25, 1.75, -2.0, 0.0, 1.25]);
    let each = PackedTable::with_steps(&values, 2, format, &[0.25, 2.0, 0.5]).unwrap();
    assert_eq!(each.dequantize(), [0.25, -0.25, 8.0, -8.0, 0.0, 1.0]);
    // Rounded to f16 first, so that 0.1 is worth what the header says.
    let halves = s(Bits::B8, Params::F16);
    let table = PackedTable::with_steps(&[0.1], 1, halves, &[0.1]).unwrap();
    assert_eq!(table.dequantize(), [f32::from(f16_of(0.1))]);
    let none = PackedTable::with_steps(&[], 3, format, &[]).unwrap();
    assert_eq!((none.rows(), none.dim()), (0, 3));
}

/// Any step, any value: the CPU engine's rows are the reference's.
#[test]
fn given_steps_on_random_rows() {
    let mut random = Random::new(21);
    let formats = Format::all().filter(|format| matches!(format, Format::Symmetric { .. }));
    for format in formats {
        let codes = (format.bits().unwrap(), format.params().unwrap());
        for dim in [1, 7, 33, 64] {
            let steps: Vec<f32> = (0..60)
                .map(|row| (1.5 + random.signed()) * 2.0f32.powi(row % 16 - 13))
                .map(|step| match format.params().unwrap() {
                    Params::F16 => f16_of(step).to_f32(),
                    Params::F32 => step,
                })
                .collect();
            let reach = |row: usize| steps[row] * 1.2 * format.bits().unwrap().max_code() as f32;
            let values: Vec<f32> = (0..60 * dim)
                .map(|at| random.signed() * reach(at / dim))
                .collect();
            let got = PackedTable::with_steps(&values, dim, format, &steps).unwrap();
            for (row, values) in values.chunks_exact(dim).enumerate() {
                let mut words = vec![0; got.row_words(row).len()];
                write_symmetric(values, steps[row], codes, &mut words);
                assert_eq!(got.row_words(row), words, "{format} row {row} of dim {dim}");
            }
        }
    }
}

#[test]
fn steps_that_are_none_are_refused() {
    let refused =
        |format, steps: &[f32]| PackedTable::with_steps(&[1.0; 6], 2, format, steps).unwrap_err();
    let format = s(Bits::B4, Params::F32);
    for step in [0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
        let error = refused(format, &[1.0, step, 0.0]);
        assert!(matches!(error, Error::Step { row: 1, .. }), "{error}");
    }
    let halves = s(Bits::B4, Params::F16);
    for step in [1e-8, 70000.0, -1.0] {
        let error = refused(halves, &[step]);
        assert!(matches!(error, Error::Step { row: 0, .. }), "{error}");
    }
    assert_eq!(
        refused(halves, &[1.0, 1.0, 1e-8]).to_string(),
        "row 2: 1e-8 is no step of an f16 header; steps are positive and finite, no subnormal f32"
    );
    assert_eq!(
        refused(format, &[1.0, 1.0]).to_string(),
        "steps: needed 3, one for every row, or one for all, got 2"
    );
    let affine = refused(Format::affine(Bits::B4), &[1.0]);
    assert!(matches!(affine, Error::Unsupported { .. }), "{affine}");
    assert!(matches!(
        refused(s(Bits::B3, Params::F32), &[1.0]),
        Error::Unsupported { .. }
    ));
    let nan = PackedTable::with_steps(&[1.0, 1.0, 1.0, f32::NAN], 2, format, &[1.0]);
    assert!(matches!(
        nan.unwrap_err(),
        Error::NotFinite {
            row: 1,
            column: 1,
            ..
        }
    ));
}

/// A symmetric range that f16 cannot hold, though the row's own range fits.
#[test]
fn rows_that_a_method_cannot_store_are_refused_by_name() {
    let values = [0.0, 1.0, 0.0, 70000.0];
    let quantize = |name| {
        let format = Format::affine(Bits::B4);
        PackedTable::quantize(&values, 2, format, method(name))
    };
    assert!(quantize("asym").is_ok());
    assert!(quantize("best").is_ok());
    for name in ["sym", "gss"] {
        let error = quantize(name).unwrap_err().to_string();
        assert!(
            error.starts_with("row 1 spans 0e0 to 7e4: an f16 header cannot"),
            "{error}"
        );
    }
}
