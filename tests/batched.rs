//! Many tables at once: literals, then the CPU and the GPU against the reference and against one lookup for each feature.
//! The case table's batches run in `tests/lookup.rs`.

#![cfg(feature = "session")]

mod common;

use common::{Bench, gpu, places};
use qembed::gpu::{Arena, ArenaTable, BatchedSpec, Counts, LookupArgs};
use qembed::reference::{self, BatchedArgs};
use qembed::shader::BatchedPlan;
use qembed::verify::batched::{self, BatchedData, BatchedVariant};
use qembed::verify::shapes::Random;
use qembed::verify::{Lookup, compare};
use qembed::wgpu::Buffer;
use qembed::{
    BatchedRequest, BatchedTable, Error, Feature, Float, Format, IndexType, Looked, LookupRequest,
    LookupSpec, LookupStatus, Method, OutOfRange, Output, PRUNED, PackedTable, Place, Pooling,
    Session, Weighting, cpu,
};

fn floats(values: &[f32], dim: usize) -> PackedTable {
    PackedTable::quantize(values, dim, Format::Float(Float::F32), Method::Cast).unwrap()
}

/// Two bags of three features: users summed, their two columns' largest, items through a remap on average.
struct Literal {
    users: PackedTable,
    items: PackedTable,
}

const REMAP: [i32; 4] = [2, PRUNED, 0, 1];
const FEATURES: [Feature; 3] = [
    Feature {
        table: 0,
        pooling: Pooling::Sum,
    },
    Feature {
        table: 1,
        pooling: Pooling::Mean,
    },
    Feature {
        table: 0,
        pooling: Pooling::Max,
    },
];

impl Literal {
    fn new() -> Self {
        Self {
            users: floats(&[1.0, 2.0, 3.0, -4.0, 5.0, 6.0], 2),
            items: floats(&[10.0, 20.0, 30.0], 1),
        }
    }

    fn tables(&self) -> [BatchedTable<'_>; 2] {
        [
            BatchedTable {
                rows: &self.users,
                remap: None,
            },
            BatchedTable {
                rows: &self.items,
                remap: Some(&REMAP),
            },
        ]
    }
}

const REQUEST: BatchedRequest<'static> = BatchedRequest {
    features: &FEATURES,
    places: None,
    indices: &[
        0, 2, 1, /* items */ 0, 1, 3, 2, /* users */ 1, 0, 2,
    ],
    offsets: &[0, 2, 3, /* items */ 6, 7, /* users */ 9, 10],
    weights: None,
    output: Output::F32,
    out_of_range: OutOfRange::Error,
};

/// Bag 0: users 0 + 2; items 30, nothing, 20, by three; the larger of users 1 and 0. Bag 1: user 1; item 10; user 2.
const EXPECTED: [f32; 10] = [6.0, 8.0, 50.0 / 3.0, 3.0, 2.0, 3.0, -4.0, 10.0, 5.0, 6.0];

/// The answers of every wing, the GPU's where there is one.
fn wings(tables: &[BatchedTable<'_>], request: BatchedRequest<'_>) -> Vec<Result<Looked, Error>> {
    let mut answers = vec![cpu::batched(tables, request)];
    if let Some(session) = gpu() {
        let arena = session.upload_arena(tables).unwrap();
        answers.push(session.batched(&arena, request));
    }
    answers
}

#[test]
fn a_batch_by_hand() {
    let literal = Literal::new();
    let tables = literal.tables();
    let expected = reference::batched(BatchedArgs {
        tables: &tables,
        features: &FEATURES,
        indices: REQUEST.indices,
        offsets: REQUEST.offsets,
        weights: None,
    })
    .unwrap();
    let sums: Vec<_> = expected
        .features
        .iter()
        .map(|one| &one.output[..])
        .collect();
    assert_eq!(sums[0], [6.0, 8.0, 3.0, -4.0]);
    assert_eq!(sums[1], [50.0 / 3.0, 10.0]);
    assert_eq!(sums[2], [3.0, 2.0, 5.0, 6.0]);
    assert_eq!(expected.status, LookupStatus::CLEAR);
    for answer in wings(&tables, REQUEST) {
        let answer = answer.unwrap();
        let values = answer.values.into_f32();
        for (value, expected) in values.iter().zip(EXPECTED) {
            approx::assert_relative_eq!(*value, expected, max_relative = 2.0 * f32::EPSILON);
        }
        assert_eq!(values.len(), EXPECTED.len());
        assert_eq!(answer.status, LookupStatus::CLEAR);
    }
}

#[test]
fn places_with_gaps_leave_the_gaps_alone() {
    let literal = Literal::new();
    let places = [
        Place {
            first: 1,
            stride: 3,
        },
        Place {
            first: 9,
            stride: 1,
        },
        Place {
            first: 20,
            stride: 7,
        },
    ];
    let request = BatchedRequest {
        places: Some(&places),
        ..REQUEST
    };
    let mut expected = [0.0; 29];
    expected[1..6].copy_from_slice(&[6.0, 8.0, 0.0, 3.0, -4.0]);
    expected[9..11].copy_from_slice(&[16.666666, 10.0]);
    expected[20..22].copy_from_slice(&[3.0, 2.0]);
    expected[27..29].copy_from_slice(&[5.0, 6.0]);
    for answer in wings(&literal.tables(), request) {
        let values = answer.unwrap().values.into_f32();
        assert_eq!(values.len(), 29);
        for (value, expected) in values.iter().zip(expected) {
            approx::assert_relative_eq!(*value, expected, max_relative = 2.0 * f32::EPSILON);
        }
    }
}

#[test]
fn what_is_bad_is_an_error_or_counted() {
    let literal = Literal::new();
    let tables = literal.tables();
    // Of the items 4 is no entry; the third bag's end lies behind the last index.
    let request = BatchedRequest {
        indices: &[0, 2, 1, 4, 1, 3, 2, 1, 0, 3],
        ..REQUEST
    };
    for answer in wings(&tables, request) {
        let error = answer.unwrap_err().to_string();
        assert!(
            error.contains("position 3 holds 4, the table has 4 rows"),
            "{error}"
        );
    }
    let skipped = BatchedRequest {
        out_of_range: OutOfRange::Skip,
        offsets: &[0, 2, 3, 6, 7, 9, 11],
        ..request
    };
    for answer in wings(&tables, skipped) {
        let answer = answer.unwrap();
        let status = LookupStatus {
            bad_indices: 1,
            first_position: 3,
            bad_bags: 1,
            first_bag: 5,
        };
        assert_eq!(answer.status, status);
        let values = answer.values.into_f32();
        approx::assert_relative_eq!(values[2], 20.0 / 3.0, max_relative = 2.0 * f32::EPSILON);
        assert_eq!(values[8..], [0.0, 0.0]);
    }
    for offsets in [
        &[0, 2, 3, 6, 7, 9, 9][..],
        &[1, 2, 3, 6, 7, 9, 10],
        &[0, 2, 3, 2, 7, 9, 10],
    ] {
        for answer in wings(&tables, BatchedRequest { offsets, ..REQUEST }) {
            let error = answer.unwrap_err();
            assert!(matches!(error, Error::Offsets { .. }), "{error}");
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error_on_every_wing() {
    let literal = Literal::new();
    let tables = literal.tables();
    let feature = |table, pooling| [Feature { table, pooling }];
    let two = [FEATURES[0], FEATURES[1]];
    let narrow = [Place {
        first: 0,
        stride: 1,
    }];
    let cases: [(BatchedRequest<'_>, &str); 8] = [
        (
            BatchedRequest {
                features: &feature(2, Pooling::Sum),
                ..REQUEST
            },
            "features: needed a table below 2, as many as the batch has, got table 2 in feature 0",
        ),
        (
            BatchedRequest {
                features: &feature(0, Pooling::None),
                ..REQUEST
            },
            "a gather in a batch (feature 0) is not supported",
        ),
        (
            BatchedRequest {
                weights: Some(&[1.0; 10]),
                ..REQUEST
            },
            "weighted max pooling is not supported",
        ),
        (
            BatchedRequest {
                features: &two,
                weights: Some(&[1.0; 9]),
                ..REQUEST
            },
            "weights: needed 10, one for every index, got 9",
        ),
        (
            BatchedRequest {
                offsets: &[0, 2, 3, 6, 7, 10],
                ..REQUEST
            },
            "offsets: needed bags + 1 entries, the bags a multiple of the 3 features, got 6 entries",
        ),
        (
            BatchedRequest {
                features: &two,
                places: Some(&narrow),
                ..REQUEST
            },
            "places: needed 2, one for every feature, got 1",
        ),
        (
            BatchedRequest {
                features: &two[..1],
                places: Some(&narrow),
                ..REQUEST
            },
            "places: needed a stride of at least 2, the dim of feature 0, got 1",
        ),
        (
            BatchedRequest {
                output: Output::F16,
                ..REQUEST
            },
            "places: needed an even dim, first and stride for f16 (feature 0), so that rows share no word, got dim 2, first 0, stride 5",
        ),
    ];
    for (request, expected) in cases {
        for answer in wings(&tables, request) {
            let error = answer.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
    for (remap, expected) in [
        (
            &[0, 1, 3][..],
            "remap of table 1: index 2 has the entry 3, the table has 3 rows",
        ),
        (&[-2], "remap of table 1: index 0 has the entry -2"),
        (&[], "remap: needed at least one entry (table 1)"),
    ] {
        let mut tables = literal.tables();
        tables[1].remap = Some(remap);
        if let Some(session) = gpu() {
            let error = session.upload_arena(&tables).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        let args = BatchedArgs {
            tables: &tables,
            features: &FEATURES,
            indices: REQUEST.indices,
            offsets: REQUEST.offsets,
            weights: None,
        };
        let error = reference::batched(args).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // The CPU, which has no upload, finds it where it is read.
    for entry in [3, -2, i32::MIN] {
        let remap = [2, PRUNED, entry, 1];
        let mut tables = literal.tables();
        tables[1].remap = Some(&remap);
        let error = cpu::batched(&tables, REQUEST).unwrap_err().to_string();
        let expected = format!("remap of table 1: index 2 has the entry {entry}");
        assert!(error.contains(&expected), "{error}");
        let skipped = BatchedRequest {
            out_of_range: OutOfRange::Skip,
            ..REQUEST
        };
        let looked = cpu::batched(&tables, skipped).unwrap();
        assert_eq!(
            (looked.status.bad_indices, looked.status.first_position),
            (1, 6)
        );
    }
}

#[test]
fn no_features_no_bags_and_empty_tables() {
    let literal = Literal::new();
    let empty = floats(&[], 4);
    let tables = [BatchedTable {
        rows: &empty,
        remap: None,
    }];
    let features = [Feature {
        table: 0,
        pooling: Pooling::Sum,
    }];
    let nothing = BatchedRequest {
        indices: &[],
        offsets: &[0],
        ..REQUEST
    };
    let no_features = BatchedRequest {
        features: &[],
        ..nothing
    };
    for (tables, request, len) in [
        (&literal.tables()[..], nothing, 0),
        (&literal.tables()[..], no_features, 0),
        (&[], no_features, 0),
        (
            &tables,
            BatchedRequest {
                features: &features,
                offsets: &[0, 0, 0],
                ..nothing
            },
            8,
        ),
    ] {
        for answer in wings(tables, request) {
            let answer = answer.unwrap();
            assert_eq!(answer.values.into_f32(), vec![0.0; len]);
            assert_eq!(answer.status, LookupStatus::CLEAR);
        }
    }
}

/// The batches of the case table by name.
fn batch(name: &str, weighting: Weighting) -> BatchedData {
    let shapes = batched::batched_shapes();
    let (number, shape) = shapes
        .iter()
        .enumerate()
        .find(|(_, shape)| shape.name == name)
        .unwrap();
    batched::batched_data(shape, weighting, number as u64).unwrap()
}

/// What the lookups of a batch share, whether one has all features or each has one.
struct Shared {
    indices: Buffer,
    weights: Option<Buffer>,
    counts: (u32, u32),
}

impl Shared {
    fn new(bench: &Bench<'_>, data: &BatchedData, weighting: Weighting) -> Self {
        let weighted = weighting == Weighting::Weighted;
        Self {
            indices: bench.buffer(&data.indices),
            weights: weighted.then(|| bench.buffer(bytemuck::cast_slice(&data.weights))),
            counts: (data.bags, data.indices.len() as u32),
        }
    }

    fn args<'a>(&'a self, offsets: &'a Buffer, output: &'a Buffer) -> LookupArgs<'a> {
        let (bags, indices) = self.counts;
        LookupArgs {
            counts: Counts::Host { bags, indices },
            indices: Some(self.indices.as_entire_buffer_binding()),
            offsets: Some(offsets.as_entire_buffer_binding()),
            weights: self.weights.as_ref().map(Buffer::as_entire_buffer_binding),
            output: Some(output.as_entire_buffer_binding()),
            status: None,
        }
    }
}

/// One bound lookup for each feature and one for the whole batch, recorded in one pass.
struct Both {
    single: Vec<Vec<u32>>,
    batched: Vec<f32>,
}

fn both(session: &Session, data: &BatchedData, weighting: Weighting, plan: BatchedPlan) -> Both {
    let bench = Bench { session };
    let kernels = session.kernels();
    let shared = Shared::new(&bench, data, weighting);
    let mut bound = vec![];
    let mut outputs = vec![];
    let mut kept = vec![];
    for (number, feature) in data.features.iter().enumerate() {
        let packed = &data.tables[feature.table].0;
        let table = session.upload(packed).unwrap();
        let spec = LookupSpec {
            format: packed.format(),
            pooling: feature.pooling,
            weighting,
            output: Output::F32,
        };
        let first = number * data.bags as usize;
        let offsets = bench.buffer(&data.offsets[first..=first + data.bags as usize]);
        let output = bench.buffer(&vec![0xdead_beef; (data.bags * packed.dim()) as usize]);
        let lookup = kernels.lookup(spec).unwrap();
        let args = shared.args(&offsets, &output);
        bound.push(lookup.bind(&table, args).unwrap());
        outputs.push(output);
        kept.push((table, offsets));
    }
    let arena = session.upload_arena(&data.tables()).unwrap();
    let spec = BatchedSpec {
        features: &data.features,
        places: None,
        weighting,
        output: Output::F32,
        index: IndexType::U32,
    };
    let kernel = kernels.batched_by(&arena, spec, plan).unwrap();
    let offsets = bench.buffer(&data.offsets);
    let output = bench.buffer(&vec![0; kernel.output_elements(data.bags) as usize]);
    let args = shared.args(&offsets, &output);
    bound.push(kernel.bind(args).unwrap());
    bench.submit(|pass| bound.iter().for_each(|bound| bound.record(pass)));
    Both {
        single: outputs.iter().map(|output| bench.read(output)).collect(),
        batched: bytemuck::cast_vec(bench.read(&output)),
    }
}

/// Twenty-six tables in one dispatch are twenty-six dispatches, bit for bit, by every plan.
#[test]
fn one_dispatch_is_as_many_as_there_are_features() {
    let Some(session) = gpu() else { return };
    for weighting in Weighting::ALL {
        let data = batch("recommender", weighting);
        for plan in BatchedPlan::ALL {
            let both = both(session, &data, weighting, plan);
            for ((place, dim), single) in places(&data).into_iter().zip(&both.single) {
                let rows = batched::rows_of(&both.batched, place, (dim, data.bags));
                let outcome = compare::words("rows", single, bytemuck::cast_slice(&rows));
                assert_eq!(outcome.failure, None, "{plan:?}, {place:?}");
            }
        }
    }
}

/// The CPU's features are its lookups, bit for bit.
#[test]
fn features_on_the_cpu_are_lookups() {
    let data = batch("recommender", Weighting::Unweighted);
    let request = BatchedRequest {
        features: &data.features,
        indices: &data.indices,
        offsets: &data.offsets,
        ..REQUEST
    };
    let values = cpu::batched(&data.tables(), request)
        .unwrap()
        .values
        .into_f32();
    let places = places(&data);
    for (number, feature) in data.features.iter().enumerate() {
        let table = &data.tables[feature.table].0;
        let bags = number * data.bags as usize..=(number + 1) * data.bags as usize;
        let request = LookupRequest {
            pooling: feature.pooling,
            indices: &data.indices,
            offsets: Some(&data.offsets[bags]),
            weights: None,
            output: Output::F32,
            out_of_range: OutOfRange::Skip,
        };
        let single = cpu::lookup(table, request).unwrap().values.into_f32();
        let (place, dim) = places[number];
        let rows = batched::rows_of(&values, place, (dim, data.bags));
        assert_eq!(
            compare::bits(&single, &rows).failure,
            None,
            "feature {number}"
        );
    }
}

/// Bags through a remap go in parts on the CPU: longer ones than a part, more than fit one, bad ones between.
#[test]
fn remaps_on_the_cpu_go_in_parts() {
    let mut random = Random::new(3);
    let table = floats(&(0..200).map(|i| i as f32 - 99.0).collect::<Vec<_>>(), 2);
    let remap: Vec<i32> = (0..150)
        .map(|i| if i % 7 == 0 { PRUNED } else { i % 100 })
        .collect();
    let lengths = [20_000, 0, 16_384, 1, 16_385, 5, 40_000, 7].into_iter();
    let lengths = lengths.chain((0..5000).map(|i| i % 4));
    let mut offsets = vec![0];
    for length in lengths {
        offsets.push(offsets[offsets.len() - 1] + length);
    }
    let indices: Vec<_> = (0..offsets[offsets.len() - 1])
        .map(|_| random.below(152))
        .collect();
    let len = offsets.len();
    for (bag, offset) in [
        (2, u32::MAX),
        (len / 2, 0),
        (len - 1, indices.len() as u32 + 1),
    ] {
        offsets[bag] = offset;
    }
    let tables = [BatchedTable {
        rows: &table,
        remap: Some(&remap),
    }];
    let weights: Vec<_> = indices.iter().map(|_| random.signed()).collect();
    for (pooling, weights) in [
        (Pooling::Sum, Some(&*weights)),
        (Pooling::Mean, None),
        (Pooling::Max, None),
    ] {
        let features = [Feature { table: 0, pooling }];
        let request = BatchedRequest {
            features: &features,
            indices: &indices,
            offsets: &offsets,
            weights,
            out_of_range: OutOfRange::Skip,
            ..REQUEST
        };
        let got = cpu::batched(&tables, request).unwrap();
        let expected = reference::batched(BatchedArgs {
            tables: &tables,
            features: &features,
            indices: &indices,
            offsets: &offsets,
            weights,
        })
        .unwrap();
        assert_eq!(got.status, expected.status);
        let values = got.values.into_f32();
        let outcome = compare::lookup(&expected.features[0], pooling, Output::F32, &values);
        assert_eq!(outcome.failure, None, "{pooling:?}");
    }
}

/// Counts that a kernel wrote: fewer than the ranges hold, and more, which are clamped.
#[test]
fn counts_on_the_device() {
    let Some(session) = gpu() else { return };
    let bench = Bench { session };
    for index in IndexType::ALL {
        for (bags, indices) in [(11, u32::MAX), (4, u32::MAX), (0, 9), (50, 60)] {
            let data = batch("formats", Weighting::Unweighted);
            let features = data.features.len() as u32;
            let arena = session.upload_arena(&data.tables()).unwrap();
            let spec = BatchedSpec {
                features: &data.features,
                places: None,
                weighting: Weighting::Unweighted,
                output: Output::F32,
                index,
            };
            let kernel = session.kernels().batched(&arena, spec).unwrap();
            // What an earlier kernel would have written for so many bags.
            let done = bags.min(data.bags);
            let count = indices.min(data.indices.len() as u32);
            let mut offsets = data.offsets[..=(done * features) as usize].to_vec();
            offsets.resize((data.bags * features + 1) as usize, 7);
            let wide = |words: &[u32]| -> Vec<u32> {
                match index {
                    IndexType::U32 => words.to_vec(),
                    IndexType::I64 => words.iter().flat_map(|word| [*word, 0]).collect(),
                }
            };
            let counts = bench.buffer(&[bags, indices]);
            let elements = kernel.output_elements(data.bags) as usize;
            let output = bench.buffer(&vec![f32::to_bits(-7.0); elements]);
            let status = bench.buffer(bytemuck::cast_slice(&[LookupStatus::CLEAR]));
            let (given, ends) = (
                bench.buffer(&wide(&data.indices)),
                bench.buffer(&wide(&offsets)),
            );
            let bound = kernel
                .bind(LookupArgs {
                    counts: Counts::Device(counts.as_entire_buffer_binding()),
                    indices: Some(given.as_entire_buffer_binding()),
                    offsets: Some(ends.as_entire_buffer_binding()),
                    weights: None,
                    output: Some(output.as_entire_buffer_binding()),
                    status: Some(status.as_entire_buffer_binding()),
                })
                .unwrap();
            bench.submit(|pass| bound.record(pass));
            let mut values: Vec<f32> = bytemuck::cast_vec(bench.read(&output));
            let rest = values.split_off(kernel.output_elements(done) as usize);
            assert!(rest.iter().all(|value| *value == -7.0), "{bags} bags");
            let part = BatchedData {
                bags: done,
                indices: data.indices[..count as usize].to_vec(),
                offsets: data.offsets[..=(done * features) as usize].to_vec(),
                ..data
            };
            let variant = BatchedVariant {
                weighting: Weighting::Unweighted,
                output: Output::F32,
                index,
                plan: None,
            };
            let got = Lookup {
                values,
                status: bytemuck::pod_read_unaligned(bytemuck::cast_slice(&bench.read(&status))),
                guards: compare::Outcome::PASS,
            };
            let outcome = batched::check(&variant, &part, &got).unwrap();
            assert_eq!(outcome.failure, None, "{bags} bags, {indices} indices");
        }
    }
}

/// An output that holds fewer bags than there are offsets: the others are left out, and no other's are taken for them.
#[test]
fn an_output_shorter_than_the_counts() {
    let Some(session) = gpu() else { return };
    let bench = Bench { session };
    let literal = Literal::new();
    let arena = session.upload_arena(&literal.tables()).unwrap();
    let spec = BatchedSpec {
        features: &FEATURES,
        places: None,
        weighting: Weighting::Unweighted,
        output: Output::F32,
        index: IndexType::U32,
    };
    let kernel = session.kernels().batched(&arena, spec).unwrap();
    let counts = bench.buffer(&[2, 10]);
    let output = bench.buffer(&[0; 7]);
    let (indices, offsets) = (bench.buffer(REQUEST.indices), bench.buffer(REQUEST.offsets));
    let bound = kernel
        .bind(LookupArgs {
            counts: Counts::Device(counts.as_entire_buffer_binding()),
            indices: Some(indices.as_entire_buffer_binding()),
            offsets: Some(offsets.as_entire_buffer_binding()),
            weights: None,
            output: Some(output.as_entire_buffer_binding()),
            status: None,
        })
        .unwrap();
    bench.submit(|pass| bound.record(pass));
    let values: Vec<f32> = bytemuck::cast_vec(bench.read(&output));
    approx::assert_relative_eq!(values[2], EXPECTED[2], max_relative = 2.0 * f32::EPSILON);
    assert_eq!(values[..2], EXPECTED[..2]);
    assert_eq!(values[3..], [3.0, 2.0, 0.0, 0.0]);
}

/// A remap in the caller's own memory is checked where it is read.
#[test]
fn a_remap_that_nobody_checked() {
    let Some(session) = gpu() else { return };
    let literal = Literal::new();
    let uploaded = session.upload_arena(&literal.tables()).unwrap();
    let words = uploaded.words();
    let mut words = session
        .read(words.buffer, words.offset, words.size.unwrap().get())
        .unwrap();
    let tables: Vec<ArenaTable> = uploaded.tables().to_vec();
    let remap = tables[1].remap.unwrap().first_word as usize;
    words[remap + 3] = 3;
    words[remap + 2] = i32::MIN as u32;
    let buffer = Bench { session }.buffer(&words);
    let arena = Arena::from_buffer(
        session.kernels(),
        &tables,
        buffer.as_entire_buffer_binding(),
    )
    .unwrap();
    let request = BatchedRequest {
        out_of_range: OutOfRange::Skip,
        ..REQUEST
    };
    let looked = session.batched(&arena, request).unwrap();
    let status = LookupStatus {
        bad_indices: 2,
        first_position: 5,
        ..LookupStatus::CLEAR
    };
    assert_eq!(looked.status, status);
    let values = looked.values.into_f32();
    assert_eq!([values[2], values[7]], [10.0, 0.0]);
}

#[test]
fn rows_of_an_arena_written_in_place() {
    let Some(session) = gpu() else { return };
    let literal = Literal::new();
    let arena = session.upload_arena(&literal.tables()).unwrap();
    session
        .write_arena_rows(&arena, (1, 2), &floats(&[300.0], 1))
        .unwrap();
    session
        .write_arena_rows(&arena, (0, 0), &floats(&[], 2))
        .unwrap();
    let values = session.batched(&arena, REQUEST).unwrap().values.into_f32();
    let mut expected = EXPECTED;
    expected[2] = 320.0 / 3.0;
    for (value, expected) in values.iter().zip(expected) {
        approx::assert_relative_eq!(*value, expected, max_relative = 2.0 * f32::EPSILON);
    }
    for ((table, first), rows, expected) in [
        (
            (2, 0),
            floats(&[1.0], 1),
            "table: needed a table below 2, got 2",
        ),
        ((1, 3), floats(&[1.0], 1), "rows"),
        ((1, 0), floats(&[1.0, 2.0], 2), "rows"),
    ] {
        let error = session
            .write_arena_rows(&arena, (table, first), &rows)
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// I64 indices and offsets are u32 ones, and what 32 bits do not hold is bad, in lookups of one table.
#[test]
fn i64_indices() {
    let Some(session) = gpu() else { return };
    let bench = Bench { session };
    let packed = floats(&[1.0, 2.0, 3.0, 4.0], 1);
    let table = session.upload(&packed).unwrap();
    let wide = |numbers: &[i64]| -> Vec<u32> {
        numbers
            .iter()
            .flat_map(|x| [*x as u32, (*x >> 32) as u32])
            .collect()
    };
    let indices = bench.buffer(&wide(&[0, 1, 1 << 32, -1, 3, (7 << 32) + 2, 2]));
    let offsets = bench.buffer(&wide(&[0, 2, 4, 1 << 33, 4, 7]));
    for (pooling, expected, status) in [
        (
            Pooling::Sum,
            vec![3.0, 0.0, 0.0, 0.0, 7.0],
            LookupStatus {
                bad_indices: 3,
                first_position: 2,
                bad_bags: 2,
                first_bag: 2,
            },
        ),
        (
            Pooling::None,
            vec![1.0, 2.0, 0.0, 0.0, 4.0, 0.0, 3.0],
            LookupStatus {
                bad_indices: 3,
                first_position: 2,
                ..LookupStatus::CLEAR
            },
        ),
    ] {
        let spec = LookupSpec {
            format: packed.format(),
            pooling,
            weighting: Weighting::Unweighted,
            output: Output::F32,
        };
        let lookup = session
            .kernels()
            .lookup(spec)
            .unwrap()
            .reading(IndexType::I64)
            .unwrap();
        let counts = bench.buffer(&[5, 7]);
        for counts in [
            Counts::Host {
                bags: 5,
                indices: 7,
            },
            Counts::Device(counts.as_entire_buffer_binding()),
        ] {
            let output = bench.buffer(&vec![0xdead_beef; expected.len()]);
            let found = bench.buffer(bytemuck::cast_slice(&[LookupStatus::CLEAR]));
            let args = LookupArgs {
                counts,
                indices: Some(indices.as_entire_buffer_binding()),
                offsets: (pooling != Pooling::None).then(|| offsets.as_entire_buffer_binding()),
                weights: None,
                output: Some(output.as_entire_buffer_binding()),
                status: Some(found.as_entire_buffer_binding()),
            };
            let bound = lookup.bind(&table, args).unwrap();
            bench.submit(|pass| bound.record(pass));
            let values: Vec<f32> = bytemuck::cast_vec(bench.read(&output));
            assert_eq!(values, expected);
            let found: LookupStatus =
                bytemuck::pod_read_unaligned(bytemuck::cast_slice(&bench.read(&found)));
            assert_eq!(found, status);
        }
    }
}
