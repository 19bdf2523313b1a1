//! The CPU engine of lookups against the reference, at every instruction set that the machine has, on one thread
//! and on two.

use std::io::Write as _;

use qembed::cpu::{self, Level, LookupOutput};
use qembed::half::f16;
use qembed::verify::compare;
use qembed::verify::shapes::{self, Batch, Faults, Random, Shape};
use qembed::{
    Bits, Error, Format, Header, Levels, LookupRequest, LookupSpec, LookupStatus, OutOfRange,
    Output, PackedTable, Params, Pooling, reference, verify,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Where lookups run: every level that the machine has, and each number of threads.
struct Engines {
    levels: Vec<Level>,
    pools: [ThreadPool; 2],
}

impl Engines {
    /// Those of this machine; a level that it lacks is told.
    fn new() -> Self {
        let (levels, lacking): (Vec<_>, Vec<_>) = Level::ALL
            .into_iter()
            .partition(|level| level.is_available());
        for level in lacking {
            // Not `eprintln!`, which libtest hides where the test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: no {}", level.name());
        }
        let pool = |threads| {
            ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
        };
        Self {
            levels,
            pools: [pool(1), pool(2)],
        }
    }

    /// Runs a lookup everywhere, which must give the same bits and status everywhere.
    fn lookup(&self, table: &PackedTable, request: LookupRequest<'_>) -> (Vec<f32>, LookupStatus) {
        let mut results = self.levels.iter().flat_map(|level| {
            let on = |pool: &ThreadPool| {
                let (values, status) = pool.install(|| lookup_at(*level, table, request)).unwrap();
                (
                    format!("{level:?}, {} threads", pool.current_num_threads()),
                    values,
                    status,
                )
            };
            self.pools.each_ref().map(on)
        });
        let (_, values, status) = results.next().unwrap();
        for (engine, others, other_status) in results {
            assert_eq!(compare::bits(&values, &others).failure, None, "{engine}");
            assert_eq!(status, other_status, "{engine}");
        }
        (values, status)
    }

    /// Runs a lookup everywhere, and compares it with the reference.
    fn check(&self, table: &PackedTable, spec: &LookupSpec, batch: &Batch) {
        let args = verify::reference_args(spec, batch);
        let expected = reference::lookup(table, args).unwrap();
        self.compare(table, args, &expected, spec.output);
    }

    fn compare(
        &self,
        table: &PackedTable,
        args: reference::LookupArgs<'_>,
        expected: &reference::Pooled,
        output: Output,
    ) {
        let (values, status) = self.lookup(table, request(args, output));
        let case = format!(
            "{} dim {} {:?} {output:?}, weights: {}",
            table.format(),
            table.dim(),
            args.pooling,
            args.weights.is_some()
        );
        assert_eq!(status, expected.status, "{case}");
        let outcome = compare::lookup(expected, args.pooling, output, &values);
        assert_eq!(outcome.failure, None, "{case}");
    }
}

fn request(args: reference::LookupArgs<'_>, output: Output) -> LookupRequest<'_> {
    LookupRequest {
        pooling: args.pooling,
        indices: args.indices,
        offsets: args.offsets,
        weights: args.weights,
        output,
        out_of_range: OutOfRange::Skip,
    }
}

/// A lookup into memory that held something else, as f32.
fn lookup_at(
    level: Level,
    table: &PackedTable,
    request: LookupRequest<'_>,
) -> Result<(Vec<f32>, LookupStatus), Error> {
    let bags = request
        .offsets
        .map_or(request.indices.len(), |offsets| offsets.len() - 1);
    let len = bags * table.dim() as usize;
    Ok(match request.output {
        Output::F32 => {
            let mut values = vec![1234.5; len];
            let output = LookupOutput::F32(&mut values);
            let status = cpu::lookup_at(level, table, request, output)?;
            (values, status)
        }
        Output::F16 => {
            let mut values = vec![f16::from_f32(1234.5); len];
            let output = LookupOutput::F16(&mut values);
            let status = cpu::lookup_at(level, table, request, output)?;
            (values.into_iter().map(f16::to_f32).collect(), status)
        }
    })
}

/// Every pooling with and without weights.
fn specs(format: Format, output: Output) -> impl Iterator<Item = LookupSpec> {
    LookupSpec::all().filter(move |spec| spec.format == format && spec.output == output)
}

fn shape(dim: u32, rows: u32, bags: &[u32]) -> Shape {
    Shape {
        dim,
        rows,
        bags: bags.to_vec(),
        faults: Faults::None,
    }
}

#[test]
fn the_case_table_at_every_level() {
    let engines = Engines::new();
    for (seed, shape) in shapes::shapes().iter().enumerate() {
        let batch = shapes::batch(shape, seed as u64);
        for format in Format::all() {
            let table = shapes::table(shape, format, seed as u64).unwrap();
            for spec in specs(format, Output::F32) {
                let args = verify::reference_args(&spec, &batch);
                let expected = reference::lookup(&table, args).unwrap();
                for output in Output::ALL {
                    engines.compare(&table, args, &expected, output);
                }
            }
        }
    }
}

/// Both sides of every block of columns; the last rows of the table, which no others follow, are in every bag.
#[test]
fn columns_of_every_number() {
    let engines = Engines::new();
    let dims = (1..=36).chain([
        47, 48, 49, 63, 80, 81, 96, 97, 112, 113, 128, 129, 144, 160, 200, 257, 300,
    ]);
    for dim in dims {
        for format in Format::all() {
            let table = shapes::table(&shape(dim, 9, &[]), format, u64::from(dim)).unwrap();
            let batch = Batch {
                indices: (0..9).rev().chain([8, 8, 7]).collect(),
                offsets: vec![0, 9, 10, 12],
                weights: (0..12).map(|at| at as f32 / 8.0 - 0.5).collect(),
            };
            for output in Output::ALL {
                specs(format, output).for_each(|spec| engines.check(&table, &spec, &batch));
            }
            let values = table.dequantize();
            let outcome = compare::bits(&reference::dequantize(&table), &values);
            assert_eq!(outcome.failure, None, "{format} dim {dim}");
        }
    }
}

/// A value as sums take it: two roundings, nothing flushed but the header.
fn value(table: &PackedTable, row: u32, column: usize) -> f32 {
    let flushed = |x: f32| if x.is_subnormal() { 0.0 } else { x };
    let row = table.row(row as usize);
    match row.levels() {
        Levels::Affine(Header { scale, bias }) => {
            flushed(scale) * row.code(column) as f32 + flushed(bias)
        }
        Levels::Symmetric { step } => flushed(step) * row.signed_code(column) as f32,
        Levels::Codebook(codebook) => codebook.value(row.code(column)),
        Levels::Float(_) => flushed(row.float(column).unwrap()),
    }
}

/// Sums have not only a bound but bits: chunks of 64 positions, every product rounded.
#[test]
fn sums_have_the_bits_of_their_written_order() {
    let engines = Engines::new();
    let lengths = [0, 1, 2, 63, 64, 65, 127, 128, 129, 200, 1000];
    for format in Format::all() {
        for dim in [5, 33] {
            let shape = shape(dim, 50, &lengths);
            let table = shapes::table(&shape, format, 7).unwrap();
            let batch = shapes::batch(&shape, 8);
            for spec in specs(format, Output::F32) {
                if !matches!(spec.pooling, Pooling::Sum | Pooling::Mean) {
                    continue;
                }
                let args = verify::reference_args(&spec, &batch);
                let mut expected = vec![];
                for bag in batch.offsets.windows(2) {
                    let positions: Vec<_> = (bag[0] as usize..bag[1] as usize).collect();
                    let divisor = match spec.pooling {
                        Pooling::Mean => positions.len().max(1) as f32,
                        _ => 1.0,
                    };
                    for column in 0..dim as usize {
                        let mut total = 0.0f32;
                        for chunk in positions.chunks(64) {
                            let mut sum = 0.0f32;
                            for &position in chunk {
                                let weight = args.weights.map_or(1.0, |weights| weights[position]);
                                sum += weight * value(&table, batch.indices[position], column);
                            }
                            total += sum;
                        }
                        expected.push(total / divisor);
                    }
                }
                let (got, _) = engines.lookup(&table, request(args, Output::F32));
                let outcome = compare::bits(&expected, &got);
                assert_eq!(outcome.failure, None, "{}", spec.label());
            }
        }
    }
}

/// Headers and weights that are zero, subnormal, large, infinite and not a number, each with each.
#[test]
fn weights_and_headers_that_are_not_ordinary() {
    const ODD: [f32; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        1e-40,
        -1e-40,
        f32::MIN_POSITIVE,
        1e15,
        -1e30,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let engines = Engines::new();
    for format in Format::all().filter(|format| format.params() == Some(Params::F32)) {
        let mut words = vec![];
        for scale in ODD {
            for bias in ODD {
                let mut row = vec![0; format.row_words(17) as usize];
                match format {
                    Format::Symmetric { .. } => row[0] = scale.to_bits(),
                    _ => Header { scale, bias }.write(&mut row, Params::F32),
                }
                // Codes 0, 1 and so on, as many as there are.
                let codes = &mut row[format.header_words() as usize..];
                codes.iter_mut().for_each(|word| *word = 0x7654_3210);
                words.extend(row);
            }
        }
        let table = PackedTable::from_words(format, 17, words).unwrap();
        let mut batch = Batch {
            indices: vec![],
            offsets: vec![0],
            weights: vec![],
        };
        for row in 0..table.rows() {
            for weight in ODD {
                // An ordinary row first.
                batch.indices.extend([2 * 12 + 2, row]);
                batch.weights.extend([1.0, weight]);
                batch.offsets.push(batch.indices.len() as u32);
            }
        }
        for output in Output::ALL {
            specs(format, output).for_each(|spec| engines.check(&table, &spec, &batch));
        }
    }
}

/// Rows of one column, `row` itself.
fn counting(rows: u32) -> PackedTable {
    let format = Format::Affine {
        bits: Bits::B8,
        params: Params::F32,
    };
    let words = (0..rows).flat_map(|row| [1f32.to_bits(), (row as f32).to_bits(), 0]);
    PackedTable::from_words(format, 1, words.collect()).unwrap()
}

fn pooled<'a>(pooling: Pooling, indices: &'a [u32], offsets: &'a [u32]) -> LookupRequest<'a> {
    LookupRequest {
        pooling,
        indices,
        offsets: Some(offsets),
        weights: None,
        output: Output::F32,
        out_of_range: OutOfRange::Skip,
    }
}

#[test]
fn what_is_bad_by_hand() {
    let engines = Engines::new();
    let table = counting(10);
    let indices = [3, 10, 4, u32::MAX, 12, 5];
    // 3 and 4 with a bad one; nothing; two bad ones; decreasing; past the end; 5.
    let offsets = [0, 3, 3, 5, 4, 7, 5, 6];
    let status = LookupStatus {
        bad_indices: 3,
        first_position: 1,
        bad_bags: 3,
        first_bag: 3,
    };
    for (pooling, expected) in [
        (Pooling::Sum, [7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0]),
        (Pooling::Mean, [7.0 / 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0]),
        (Pooling::Max, [4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0]),
    ] {
        let got = engines.lookup(&table, pooled(pooling, &indices, &offsets));
        assert_eq!(got, (expected.to_vec(), status), "{pooling:?}");
    }
}

#[test]
fn what_is_refused() {
    let table = counting(10);
    let mut values = [0.0; 2];
    let mut into = |request, len: usize| {
        let output = LookupOutput::F32(&mut values[..len]);
        cpu::lookup_into(&table, request, output)
            .unwrap_err()
            .to_string()
    };
    let sums = pooled(Pooling::Sum, &[1, 2, 3], &[0, 2, 3]);
    assert_eq!(into(sums, 1), "output: needed 2 x 1 values, got 1");
    let halves = LookupRequest {
        output: Output::F16,
        ..sums
    };
    let expected = "output: needed f16 values, as the request says, got f32 values";
    assert_eq!(into(halves, 2), expected);
    let refused = LookupRequest {
        indices: &[1, 10, 3],
        out_of_range: OutOfRange::Error,
        ..sums
    };
    assert!(into(refused, 2).contains("10"));
    for level in Level::ALL.into_iter().filter(|level| !level.is_available()) {
        let error = lookup_at(level, &table, sums).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}

/// A bag's bits are its own: whatever stands before and behind it, and however many share the work.
#[test]
fn bags_in_any_company() {
    let engines = Engines::new();
    let mut random = Random::new(3);
    for format in [Format::affine(Bits::B4), Format::affine(Bits::B8)] {
        let bags: Vec<u32> = (0..3000).map(|_| random.below(70)).collect();
        let shape = shape(100, 400, &bags);
        let table = shapes::table(&shape, format, 4).unwrap();
        let batch = shapes::batch(&shape, 5);
        let weights = Some(&batch.weights[..]);
        let whole = LookupRequest {
            weights,
            ..pooled(Pooling::Sum, &batch.indices, &batch.offsets)
        };
        let (values, _) = engines.lookup(&table, whole);
        for bag in (0..bags.len()).rev().step_by(7) {
            let (begin, end) = (batch.offsets[bag] as usize, batch.offsets[bag + 1] as usize);
            let offsets = [0, (end - begin) as u32];
            let alone = LookupRequest {
                weights: Some(&batch.weights[begin..end]),
                ..pooled(Pooling::Sum, &batch.indices[begin..end], &offsets)
            };
            let (got, _) = lookup_at(Level::best(), &table, alone).unwrap();
            let outcome = compare::bits(&values[bag * 100..][..100], &got);
            assert_eq!(outcome.failure, None, "bag {bag}");
        }
    }
}

/// More than 4 GiB of rows; `QEMBED_LARGE=1` runs it.
#[test]
fn large_tables() {
    if std::env::var("QEMBED_LARGE").is_err() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no QEMBED_LARGE=1");
        return;
    }
    let engines = Engines::new();
    let format = Format::affine(Bits::B4);
    let row_words = format.row_words(64) as usize;
    let rows = (1usize << 30) / row_words + 1000;
    // Pages that nobody writes take no memory.
    let mut words = vec![0; rows * row_words];
    let mut random = Random::new(6);
    let mut indices: Vec<u32> = (0..2000).map(|_| random.below(rows as u32)).collect();
    indices.extend((1..=40).map(|from_end| (rows - from_end) as u32));
    for index in &indices {
        let row = &mut words[*index as usize * row_words..][..row_words];
        row.fill_with(|| random.word());
        let (scale, bias) = (random.signed(), random.signed());
        Header { scale, bias }.write(row, Params::F16);
    }
    let table = PackedTable::from_words(format, 64, words).unwrap();
    assert!(table.bytes().len() > 1 << 32);
    let batch = Batch {
        offsets: (0..=indices.len() as u32 / 8).map(|bag| 8 * bag).collect(),
        weights: indices.iter().map(|_| random.signed()).collect(),
        indices,
    };
    specs(format, Output::F32).for_each(|spec| engines.check(&table, &spec, &batch));
}
