//! Ring 4, tables of several shards, on a device that binds 16 KiB: lookups against the same rows in one buffer, bit by
//! bit, and against the reference; rows up, down, quantized, dequantized and written. Every error is in
//! `tests/validation_shards.rs`.

mod common;

use std::num::NonZeroU64;
use std::sync::OnceLock;

use common::gpu;
use half::f16;
use qembed::gpu::{
    BlocksBuffer, Counts, DequantizeArgs, LookupArgs, QuantizeArgs, Shard, Table, TableDesc,
};
use qembed::training::{Optimizer, TrainingSpec};
use qembed::verify::compare;
use qembed::verify::shapes::{self, Batch, Faults, Random, Shape};
use qembed::wgpu::{self, BufferBinding};
use qembed::{
    Adapters, Bits, Blocks, Float, Format, IndexType, LookupPlan, LookupRequest, LookupSpec,
    LookupStatus, Method, OutOfRange, Output, PackedTable, Pooling, QuantizeSpec, QuantizeStatus,
    Session, Weighting, reference,
};

const Q4: Format = Format::affine(Bits::B4);
const F32: Format = Format::Float(Float::F32);

/// Bytes of the largest binding, and of the largest buffer, of the small device.
const MOST: u64 = 16384;

/// A device whose bindings and buffers hold 16 KiB, with 8 storage buffers to a stage.
fn small() -> Option<&'static Session> {
    static SESSION: OnceLock<Session> = OnceLock::new();
    gpu()?;
    Some(SESSION.get_or_init(|| {
        let most = wgpu::Limits {
            max_storage_buffer_binding_size: MOST,
            max_buffer_size: MOST,
            max_storage_buffers_per_shader_stage: 8,
            ..wgpu::Limits::unlimited()
        };
        let session = Session::with_limits(Adapters::Any, &most).unwrap();
        let limits = session.device().limits();
        assert_eq!(limits.max_storage_buffer_binding_size, MOST);
        assert_eq!(limits.max_buffer_size, MOST);
        assert_eq!(limits.max_storage_buffers_per_shader_stage, 8);
        session
    }))
}

/// Random rows; blocks are few, so that their ids fit the small device.
fn table(format: Format, rows: u32, dim: u32, seed: u64) -> PackedTable {
    let shape = Shape {
        dim,
        rows,
        bags: vec![],
        faults: Faults::None,
    };
    let Format::Blocks { bits } = format else {
        return shapes::table(&shape, format, seed).unwrap();
    };
    let own = shapes::table(&shape, Format::Codebook { bits }, seed).unwrap();
    let codebook_words = 1 << (bits.count() - 1);
    let row_words = own.format().row_words(dim) as usize;
    let own_words = own.words().chunks_exact(row_words);
    let words = own_words.clone().flat_map(|row| &row[codebook_words..]);
    let words = words.copied().collect();
    // Ids of 4 and 5 bits, which lie in two words.
    let count = [13, 21, 29][bits.count() as usize - 2].min(rows);
    let codebooks = own_words.take(count as usize);
    let codebooks = codebooks.flat_map(|row| &row[..codebook_words]).copied();
    let mut random = Random::new(seed);
    let ids: Vec<_> = (0..rows).map(|_| random.below(count)).collect();
    let blocks = Blocks::new(bits, codebooks.collect(), &ids).unwrap();
    PackedTable::from_blocks(dim as usize, words, blocks).unwrap()
}

/// Rows that fill twenty bindings of the small device, and three more.
fn large(format: Format, dim: u32) -> PackedTable {
    let rows = 20 * (MOST as u32 / format.row_bytes(dim)) + 3;
    table(format, rows, dim, 7)
}

/// A batch with every kind of fault that holds the first and the last row of every shard.
fn batch(table: &Table) -> Batch {
    let shape = Shape {
        dim: table.desc().dim,
        rows: table.desc().rows,
        bags: vec![0, 1, 2, 66, 0, 31, 3, 9, 5],
        faults: Faults::Some,
    };
    let mut batch = shapes::batch(&shape, 11);
    let ends = table
        .shards()
        .flat_map(|Shard { rows, .. }| [rows.start, rows.end - 1]);
    let good = batch.indices.iter_mut();
    let good = good.filter(|index| **index < shape.rows);
    good.zip(ends).for_each(|(index, end)| *index = end);
    batch
}

const GUARD: u32 = 0x5e17_1e15;
const POISON: u32 = 0x7fed_7fed;

/// A range with 64 words of something else on both sides.
struct Guarded {
    buffer: wgpu::Buffer,
    len: usize,
}

impl Guarded {
    fn new(session: &Session, words: &[u32]) -> Self {
        let guard = [GUARD; 64];
        let all = [&guard, words, &guard].concat();
        Self {
            buffer: session.filled("test", bytemuck::cast_slice(&all)).unwrap(),
            len: words.len(),
        }
    }

    fn range(&self) -> Option<BufferBinding<'_>> {
        Some(BufferBinding {
            buffer: &self.buffer,
            offset: 256,
            size: Some(NonZeroU64::new(4 * self.len as u64)?),
        })
    }

    /// What it holds, once all around it was found as it was.
    fn read(&self, session: &Session) -> Vec<u32> {
        let mut words = session.read(&self.buffer, 0, self.buffer.size()).unwrap();
        let behind = words.split_off(64 + self.len);
        let inner = words.split_off(64);
        assert!(words.iter().chain(&behind).all(|word| *word == GUARD));
        inner
    }
}

/// How many bags and indices a lookup is told, and by whom.
#[derive(Clone, Copy, Debug)]
enum Told {
    Host,
    Device([u32; 2]),
}

/// Words of the output, and the status.
type Found = (Vec<u32>, LookupStatus);

/// A lookup whose every range lies in the middle of a larger buffer.
fn looked(
    (session, table): (&Session, &Table),
    (spec, plan): (LookupSpec, Option<LookupPlan>),
    batch: &Batch,
    told: Told,
) -> Found {
    let guarded = |words: &[u32]| Guarded::new(session, words);
    let bags = batch.offsets.len() as u32 - 1;
    let rows = match spec.pooling {
        Pooling::None => batch.indices.len(),
        _ => bags as usize,
    };
    let halves = rows * table.desc().dim as usize * spec.output.bytes() as usize / 2;
    let indices = guarded(&batch.indices);
    let offsets = guarded(&batch.offsets);
    let weights = guarded(bytemuck::cast_slice(&batch.weights));
    let output = guarded(&vec![POISON; halves.div_ceil(2)]);
    let status = guarded(bytemuck::cast_slice(&[LookupStatus::CLEAR]));
    let asked = guarded(&match told {
        Told::Host => [0, 0],
        Told::Device(asked) => asked,
    });
    let kernels = session.kernels();
    let lookup = match plan {
        None => kernels.lookup(spec).unwrap(),
        Some(plan) => kernels.lookup_by(spec, plan).unwrap(),
    };
    let args = LookupArgs {
        counts: match told {
            Told::Host => Counts::Host {
                bags,
                indices: batch.indices.len() as u32,
            },
            Told::Device(_) => Counts::Device(asked.range().unwrap()),
        },
        indices: indices.range(),
        offsets: offsets.range().filter(|_| spec.pooling != Pooling::None),
        weights: weights
            .range()
            .filter(|_| spec.weighting == Weighting::Weighted),
        output: output.range(),
        status: status.range(),
    };
    let bound = lookup.bind(table, args).unwrap();
    session.submit(|pass| bound.record(pass)).unwrap();
    let status = status.read(session);
    let status = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&status));
    (output.read(session), status)
}

fn values(words: &[u32], output: Output, elements: usize) -> Vec<f32> {
    match output {
        Output::F32 => words.iter().map(|word| f32::from_bits(*word)).collect(),
        Output::F16 => {
            let halves = bytemuck::cast_slice::<u32, f16>(words);
            halves[..elements]
                .iter()
                .map(|half| half.to_f32())
                .collect()
        }
    }
}

/// Holds a lookup in shards against the one in one buffer, and that against the reference.
fn check_lookup(
    packed: &PackedTable,
    (one, many): ((&Session, &Table), (&Session, &Table)),
    (spec, plan): (LookupSpec, Option<LookupPlan>),
    batch: &Batch,
) {
    let expected = looked(one, (spec, plan), batch, Told::Host);
    let counts = [batch.offsets.len() as u32 - 1, batch.indices.len() as u32];
    for told in [
        Told::Host,
        Told::Device(counts),
        Told::Device([u32::MAX, u32::MAX]),
    ] {
        let got = looked(many, (spec, plan), batch, told);
        assert!(!got.0.contains(&POISON), "{} {told:?}", spec.label());
        let name = format!("{} by {plan:?}, counts by the {told:?}", spec.label());
        assert_eq!(got.1, expected.1, "{name}");
        assert!(got.0 == expected.0, "{name}");
    }
    let args = qembed::verify::reference_args(&spec, batch);
    let reference = reference::lookup(packed, args).unwrap();
    assert_eq!(reference.status, expected.1, "{}", spec.label());
    let values = values(&expected.0, spec.output, reference.output.len());
    let compared = compare::lookup(&reference, spec.pooling, spec.output, &values);
    assert_eq!(compared.failure, None, "{}", spec.label());
}

/// The plan of a spec: f16 rows of an odd length know one alone, and a driver need not compile the others for them.
fn plan_of(spec: &LookupSpec) -> Option<LookupPlan> {
    (spec.output == Output::F16).then_some(LookupPlan::Columns)
}

/// All lookups of some formats, with faults of every kind, counts by the host and by the device, rows of f16 that end
/// within a word. Three tests have all 322 between them, so that several cores compile them.
fn check_lookups(is_checked: fn(Format) -> bool, expected: usize) {
    let (Some(session), Some(small)) = (gpu(), small()) else {
        return;
    };
    let mut count = 0;
    for format in Format::all().filter(|format| is_checked(*format)) {
        let packed = large(format, 33);
        let one = session.upload(&packed).unwrap();
        let many = small.upload(&packed).unwrap();
        assert_eq!((one.shards().len(), many.shards().len()), (1, 21));
        let batch = batch(&many);
        for spec in LookupSpec::all().filter(|spec| spec.format == format) {
            let tables = ((session, &one), (small, &many));
            check_lookup(&packed, tables, (spec, plan_of(&spec)), &batch);
            count += 1;
        }
    }
    assert_eq!(count, expected);
}

#[test]
fn every_lookup_of_affine_rows_is_that_of_one_buffer() {
    check_lookups(|format| matches!(format, Format::Affine { .. }), 112);
}

#[test]
fn every_lookup_of_symmetric_rows_is_that_of_one_buffer() {
    check_lookups(|format| matches!(format, Format::Symmetric { .. }), 84);
}

#[test]
fn every_lookup_of_other_rows_is_that_of_one_buffer() {
    let others = |format| !matches!(format, Format::Affine { .. } | Format::Symmetric { .. });
    check_lookups(others, 322 - 112 - 84);
}

/// Every plan, of two tiles' columns and of f16 rows that do not share words.
#[test]
fn every_plan_is_that_of_one_buffer() {
    let (Some(session), Some(small)) = (gpu(), small()) else {
        return;
    };
    for format in [Q4, Format::Blocks { bits: Bits::B3 }] {
        let packed = large(format, 70);
        let one = session.upload(&packed).unwrap();
        let many = small.upload(&packed).unwrap();
        let batch = batch(&many);
        let specs = LookupSpec::all().filter(|spec| spec.format == format);
        let planned = |spec: &LookupSpec| {
            let two = [
                (Pooling::Sum, Weighting::Weighted),
                (Pooling::Mean, Weighting::Unweighted),
            ];
            spec.output == Output::F16 && two.contains(&(spec.pooling, spec.weighting))
        };
        for spec in specs.filter(planned) {
            for plan in LookupPlan::ALL.into_iter().filter(|plan| plan.fits(&spec)) {
                let tables = ((session, &one), (small, &many));
                check_lookup(&packed, tables, (spec, Some(plan)), &batch);
            }
        }
    }
}

/// I64 indices and offsets of a table in shards are the u32 ones; what 32 bits do not hold is no row.
#[test]
fn i64_indices_reach_every_shard() {
    let Some(session) = small() else { return };
    for (format, pooling) in [(F32, Pooling::Sum), (Q4, Pooling::None)] {
        let packed = large(format, 12);
        let many = session.upload(&packed).unwrap();
        let rows = i64::from(packed.rows());
        let indices = [0, rows - 1, 1 << 32, rows, 5, (3 << 32) + 5, -1, rows / 2];
        let known = indices.map(|index| u32::try_from(index).unwrap_or(u32::MAX));
        let offsets = [0u32, 3, 3, 8];
        let wide = |numbers: &mut dyn Iterator<Item = i64>| -> Vec<u8> {
            numbers.flat_map(i64::to_le_bytes).collect()
        };
        let spec = LookupSpec {
            format,
            pooling,
            weighting: Weighting::Unweighted,
            output: Output::F32,
        };
        let expected = reference::lookup(
            &packed,
            reference::LookupArgs {
                pooling,
                indices: &known,
                offsets: (pooling != Pooling::None).then_some(&offsets),
                weights: None,
            },
        )
        .unwrap();
        let given = session
            .filled("indices", &wide(&mut indices.into_iter()))
            .unwrap();
        let ends = wide(&mut offsets.into_iter().map(i64::from));
        let ends = session.filled("offsets", &ends).unwrap();
        let counts = session
            .filled("counts", bytemuck::cast_slice(&[3u32, 8]))
            .unwrap();
        let lookup = session.kernels().lookup(spec).unwrap();
        let lookup = lookup.reading(IndexType::I64).unwrap();
        for counts in [
            Counts::Host {
                bags: 3,
                indices: 8,
            },
            Counts::Device(counts.as_entire_buffer_binding()),
        ] {
            let bytes = 4 * expected.output.len() as u64;
            let output = session.buffer("output", bytes).unwrap();
            let status = bytemuck::bytes_of(&LookupStatus::CLEAR);
            let status = session.filled("status", status).unwrap();
            let args = LookupArgs {
                counts,
                indices: Some(given.as_entire_buffer_binding()),
                offsets: (pooling != Pooling::None).then(|| ends.as_entire_buffer_binding()),
                weights: None,
                output: Some(output.as_entire_buffer_binding()),
                status: Some(status.as_entire_buffer_binding()),
            };
            let bound = lookup.bind(&many, args).unwrap();
            session.submit(|pass| bound.record(pass)).unwrap();
            let words = session.read(&output, 0, bytes).unwrap();
            let got: Vec<f32> = bytemuck::cast_vec(words);
            let outcome = compare::lookup(&expected, pooling, Output::F32, &got);
            assert_eq!(outcome.failure, None, "{format}");
            let found = session.read(&status, 0, 16).unwrap();
            assert_eq!(found, bytemuck::cast_slice::<_, u32>(&[expected.status]));
        }
    }
}

/// One bind serves batches of other counts and other rows.
#[test]
fn counts_on_the_device_serve_every_batch() {
    let Some(small) = small() else { return };
    for format in [Q4, Format::Blocks { bits: Bits::B4 }] {
        let packed = large(format, 33);
        let many = small.upload(&packed).unwrap();
        let last = packed.rows() - 1;
        let spec = LookupSpec {
            format,
            pooling: Pooling::Sum,
            weighting: Weighting::Unweighted,
            output: Output::F32,
        };
        let indices = Guarded::new(small, &[0; 8]);
        let offsets = Guarded::new(small, &[0; 5]);
        let output = Guarded::new(small, &[0; 4 * 33]);
        let status = Guarded::new(small, &[0; 4]);
        let counts = Guarded::new(small, &[0; 2]);
        let args = LookupArgs {
            counts: Counts::Device(counts.range().unwrap()),
            indices: indices.range(),
            offsets: offsets.range(),
            weights: None,
            output: output.range(),
            status: status.range(),
        };
        let lookup = small.kernels().lookup(spec).unwrap();
        let bound = lookup.bind(&many, args).unwrap();
        let write = |guarded: &Guarded, words: &[u32]| {
            let words = bytemuck::cast_slice(words);
            small.queue().write_buffer(&guarded.buffer, 256, words);
        };
        for (offsets_now, indices_now, asked) in [
            (
                vec![0, 2, 3, 3, 8],
                vec![0, last, 5, 6, 7, 8, 9, 10],
                [4, 8],
            ),
            (vec![0, 1, 3], vec![last, 4, last + 1], [2, 3]),
            (vec![0, 2], vec![u32::MAX, 1], [1, 2]),
            (vec![0], vec![], [0, 0]),
            (vec![0, 0, 0, 0, 0], vec![], [4, 0]),
            (vec![0, 8, 8, 8, 8], vec![last; 8], [u32::MAX; 2]),
        ] {
            write(&offsets, &offsets_now);
            write(&indices, &indices_now);
            write(&output, &[POISON; 4 * 33]);
            write(&status, bytemuck::cast_slice(&[LookupStatus::CLEAR]));
            write(&counts, &asked);
            small.submit(|pass| bound.record(pass)).unwrap();
            let args = reference::LookupArgs {
                pooling: Pooling::Sum,
                indices: &indices_now,
                offsets: Some(&offsets_now),
                weights: None,
            };
            let expected = reference::lookup(&packed, args).unwrap();
            let words = output.read(small);
            let (written, rest) = words.split_at(expected.output.len());
            let values = values(written, Output::F32, written.len());
            let compared = compare::lookup(&expected, Pooling::Sum, Output::F32, &values);
            assert_eq!(compared.failure, None, "{format} {asked:?}");
            assert!(rest.iter().all(|word| *word == POISON));
            let found = status.read(small);
            assert_eq!(found, bytemuck::cast_slice::<_, u32>(&[expected.status]));
        }
    }
}

/// Bags of every length with indices that are no rows, and with ends that decrease, pass the indices and leave gaps.
fn untidy(random: &mut Random, rows: u32) -> Batch {
    let mut offsets = vec![random.below(4)];
    for bag in 0..200 {
        let last = offsets[bag];
        offsets.push(match random.below(12) {
            0 => last.saturating_sub(random.below(40)),
            1 => 2001 + random.below(900),
            2 => last / 2,
            3 => u32::MAX - random.below(2),
            _ if last > 2400 => 20 * bag as u32,
            _ => last + random.below(19),
        });
    }
    let index = |random: &mut Random| match random.below(50) {
        0 => rows + random.below(5),
        1 => u32::MAX,
        _ => random.below(rows),
    };
    Batch {
        indices: (0..2000).map(|_| index(random)).collect(),
        offsets,
        weights: (0..2000).map(|_| random.signed()).collect(),
    }
}

/// A session cuts a batch so that the rows of each part fit; what was bad stays bad, where it was.
#[test]
fn a_batch_of_any_size_goes_in_parts() {
    let (Some(session), Some(small)) = (gpu(), small()) else {
        return;
    };
    let mut random = Random::new(3);
    let parted = [
        (Pooling::None, Weighting::Weighted, Output::F16),
        (Pooling::Sum, Weighting::Weighted, Output::F32),
        (Pooling::Mean, Weighting::Unweighted, Output::F16),
        (Pooling::Max, Weighting::Unweighted, Output::F32),
    ];
    for format in [F32, Format::Blocks { bits: Bits::B2 }] {
        let packed = large(format, 33);
        let one = session.upload(&packed).unwrap();
        let many = small.upload(&packed).unwrap();
        for (pooling, weighting, output) in parted {
            let spec = LookupSpec {
                format,
                pooling,
                weighting,
                output,
            };
            let batch = untidy(&mut random, packed.rows());
            let request = LookupRequest {
                pooling: spec.pooling,
                indices: &batch.indices,
                offsets: Some(&batch.offsets[..]).filter(|_| spec.pooling != Pooling::None),
                weights: Some(&batch.weights[..]).filter(|_| spec.weighting == Weighting::Weighted),
                output: spec.output,
                out_of_range: OutOfRange::Skip,
            };
            let expected = session.lookup(&one, request).unwrap();
            let got = small.lookup(&many, request).unwrap();
            let name = spec.label();
            assert!(expected.status.bad_indices > 0);
            assert_eq!(expected.status.bad_bags > 0, request.offsets.is_some());
            assert_eq!(got.status, expected.status, "{name}");
            let differs = compare::bits(&expected.values.into_f32(), &got.values.into_f32());
            assert_eq!(differs.failure, None, "{name}");
            let request = LookupRequest {
                out_of_range: OutOfRange::Error,
                ..request
            };
            let expected = session.lookup(&one, request).unwrap_err();
            let got = small.lookup(&many, request).unwrap_err();
            assert_eq!(got.to_string(), expected.to_string(), "{name}");
        }
    }
}

/// What is refused in a later part is told by its place in the whole.
#[test]
fn faults_of_a_later_part_are_told_where_they_are() {
    let Some(small) = small() else { return };
    let packed = large(F32, 33);
    let many = small.upload(&packed).unwrap();
    let rows = packed.rows();
    let mut indices: Vec<_> = (0..2000).map(|i| 97 * i % rows).collect();
    let mut offsets: Vec<u32> = (0..=100).map(|bag| 20 * bag).collect();
    let pool = |indices: &[u32], offsets: &[u32]| {
        let pooled = small.pool(&many, indices, offsets, Pooling::Sum);
        pooled.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(pool(&indices, &offsets), Ok(()));
    indices[1503] = rows;
    indices[1998] = u32::MAX;
    let bad_index = format!(
        "indices: position 1503 holds {rows}, the table has {rows} rows; remove it or skip indices out of range"
    );
    assert_eq!(pool(&indices, &offsets), Err(bad_index.clone()));
    let gathered = small.gather(&many, &indices).unwrap_err();
    assert_eq!(gathered.to_string(), bad_index);
    offsets[78] = 2001;
    assert_eq!(
        pool(&indices, &offsets).unwrap_err(),
        "offsets: bag 77 spans 1540..2001; offsets must start at 0, never decrease and end at the number of indices \
         (2000)"
    );
}

/// As many rows as one binding holds are one bag, and one more is an error that says so.
#[test]
fn a_bag_that_no_binding_holds_is_refused() {
    let Some(small) = small() else { return };
    let packed = large(F32, 64);
    let many = small.upload(&packed).unwrap();
    let indices = |count: u32| (0..count).map(|i| 97 * i % packed.rows()).collect();
    let pooled = |count| {
        let indices: Vec<_> = indices(count);
        small.pool(&many, &indices, &[0, 0, count, count], Pooling::Max)
    };
    let most = MOST as u32 / 256;
    let expected = reference::LookupArgs {
        pooling: Pooling::Max,
        indices: &indices(most),
        offsets: Some(&[0, 0, most, most]),
        weights: None,
    };
    let expected = reference::lookup(&packed, expected).unwrap();
    let expected: Vec<_> = expected.output.iter().map(|x| *x as f32).collect();
    assert_eq!(pooled(most).unwrap(), expected);
    assert_eq!(
        pooled(most + 1).unwrap_err().to_string(),
        "the rows of all indices, collected: needs 16640 of the device's max_storage_buffer_binding_size, which is \
         16384"
    );
    let all: Vec<_> = (0..packed.rows()).collect();
    let gathered = small.gather(&many, &all).unwrap();
    assert_eq!(compare::bits(&packed.dequantize(), &gathered).failure, None);
}

#[test]
fn nothing_is_looked_up_in_nothing() {
    let Some(small) = small() else { return };
    let many = small.upload(&large(Q4, 33)).unwrap();
    assert!(small.gather(&many, &[]).unwrap().is_empty());
    let bags = small.pool(&many, &[], &[0], Pooling::Sum).unwrap();
    assert!(bags.is_empty());
    for pooling in [Pooling::Sum, Pooling::Mean, Pooling::Max] {
        let bags = small.pool(&many, &[], &[0, 0, 0], pooling).unwrap();
        assert_eq!(bags, [0.0; 66]);
    }
}

#[test]
fn rows_go_up_and_come_down() {
    let Some(small) = small() else { return };
    for format in Format::all() {
        for dim in [33, 64] {
            let packed = large(format, dim);
            let many = small.upload(&packed).unwrap();
            let shards: Vec<_> = many.shards().map(|shard| shard.rows).collect();
            let held = MOST as u32 / format.row_bytes(dim);
            assert_eq!(shards.len(), 21);
            assert_eq!(shards[0], 0..held);
            assert_eq!(shards[20], 20 * held..20 * held + 3);
            assert!(small.download(&many).unwrap() == packed, "{format}");
            let values = small.dequantize(&many).unwrap();
            let compared = compare::bits(&packed.dequantize(), &values);
            assert_eq!(compared.failure, None, "{format}");
        }
    }
}

#[test]
fn rows_are_written_across_shards() {
    let Some(small) = small() else { return };
    for format in [Q4, F32, Format::Float(Float::F16)] {
        let mut expected = large(format, 33);
        let many = small.upload(&expected).unwrap();
        let held = MOST as u32 / format.row_bytes(33);
        let rows = expected.rows();
        for (at, (first, count)) in [
            (0, 1),
            (held - 1, 1),
            (held, 1),
            (held - 1, 2),
            (3 * held - 2, 2 * held + 5),
            (rows - 1, 1),
            (rows - 5, 5),
            (rows, 0),
            (0, rows),
        ]
        .into_iter()
        .enumerate()
        {
            let written = table(format, count, 33, at as u64);
            small.write_rows(&many, first, &written).unwrap();
            expected.write_rows(first, &written).unwrap();
            let got = small.download(&many).unwrap();
            assert!(got == expected, "{format} from {first} on, {count}");
        }
    }
}

/// A table in shards is quantized as one in one buffer, rows with a problem counted where they are in the table.
#[test]
fn rows_are_quantized_across_shards() {
    let (Some(session), Some(small)) = (gpu(), small()) else {
        return;
    };
    for format in [Q4, Format::affine(Bits::B2), Format::Float(Float::Bf16)] {
        let method = match format {
            Format::Float(_) => Method::Cast,
            _ => Method::Asym,
        };
        let dim = 33;
        let rows = 20 * (MOST as usize / format.row_bytes(33) as usize) + 3;
        let mut random = Random::new(5);
        let mut values: Vec<_> = (0..rows * dim).map(|_| random.signed()).collect();
        let (table, status) = small
            .quantize_counting(&values, dim, format, method)
            .unwrap();
        assert_eq!((table.shards().len(), status), (21, QuantizeStatus::CLEAR));
        let expected = PackedTable::quantize(&values, dim, format, method).unwrap();
        assert!(small.download(&table).unwrap() == expected, "{format}");
        for row in [rows / 3, rows / 2, rows - 1] {
            values[row * dim + 32] = f32::NAN;
        }
        let (_, found) = small
            .quantize_counting(&values, dim, format, method)
            .unwrap();
        let (_, expected) = session
            .quantize_counting(&values, dim, format, method)
            .unwrap();
        assert_eq!(found, expected);
        assert_eq!(
            (found.not_finite, found.first_not_finite),
            (3, rows as u32 / 3)
        );
    }
}

/// Shards in the caller's own memory: one of one row, two in one buffer, each in the middle of it.
struct OwnShards {
    buffers: Vec<wgpu::Buffer>,
}

const OWN: [(std::ops::Range<u32>, usize, u64); 4] = [
    (0..1, 0, 256),
    (1..8, 1, 4096),
    (8..13, 1, 512),
    (13..25, 2, 256),
];

impl OwnShards {
    fn new(session: &Session, packed: Option<&PackedTable>) -> Self {
        let guard = [GUARD; 2048];
        let buffers = (0..3).map(|_| {
            session
                .filled("rows", bytemuck::cast_slice(&guard))
                .unwrap()
        });
        let own = Self {
            buffers: buffers.collect(),
        };
        let Some(packed) = packed else { return own };
        for (rows, buffer, offset) in OWN {
            let row_words = packed.format().row_words(packed.dim()) as usize;
            let words =
                &packed.words()[rows.start as usize * row_words..][..rows.len() * row_words];
            let words = bytemuck::cast_slice(words);
            session
                .queue()
                .write_buffer(&own.buffers[buffer], offset, words);
        }
        own
    }

    fn table(&self, session: &Session, desc: TableDesc, packed: Option<&PackedTable>) -> Table {
        let shards = OWN.map(|(rows, buffer, offset)| Shard {
            rows,
            words: BufferBinding {
                buffer: &self.buffers[buffer],
                offset,
                size: None,
            },
        });
        let blocks = packed.and_then(PackedTable::blocks);
        let words = blocks.map(|blocks| {
            let words = bytemuck::cast_slice(blocks.words());
            session.filled("blocks", words).unwrap()
        });
        let blocks = blocks
            .zip(words.as_ref())
            .map(|(blocks, words)| BlocksBuffer {
                count: blocks.count(),
                words: words.as_entire_buffer_binding(),
            });
        Table::from_shards(session.kernels(), desc, &shards, blocks).unwrap()
    }

    /// Words that lie in no shard.
    fn assert_around(&self, session: &Session, desc: TableDesc) {
        for (number, buffer) in self.buffers.iter().enumerate() {
            let words = session.read(buffer, 0, 8192).unwrap();
            let of_shard = |at: &usize| {
                let at = 4 * *at as u64;
                OWN.into_iter().any(|(rows, buffer, offset)| {
                    buffer == number && at >= offset && at < offset + desc.bytes_of(&rows)
                })
            };
            let around = (0..words.len()).filter(|at| !of_shard(at));
            assert!(around.into_iter().all(|at| words[at] == GUARD));
        }
    }
}

#[test]
fn shards_in_the_callers_own_memory() {
    let Some(session) = gpu() else { return };
    for format in Format::all() {
        let packed = table(format, 25, 33, 2);
        let desc = TableDesc {
            format,
            rows: 25,
            dim: 33,
        };
        let own = OwnShards::new(session, Some(&packed));
        let many = own.table(session, desc, Some(&packed));
        let one = session.upload(&packed).unwrap();
        let batch = batch(&many);
        let specs = LookupSpec::all().filter(|spec| spec.format == format);
        for spec in specs.filter(|spec| spec.output == Output::F16) {
            let tables = ((session, &one), (session, &many));
            check_lookup(&packed, tables, (spec, plan_of(&spec)), &batch);
        }
        assert!(session.download(&many).unwrap() == packed, "{format}");
        check_dequantize(session, &many, &packed);
        if !matches!(format, Format::Blocks { .. }) {
            let written = table(format, 11, 33, 8);
            many.write_rows(session.queue(), 5, &written).unwrap();
            let mut expected = packed.clone();
            expected.write_rows(5, &written).unwrap();
            assert!(session.download(&many).unwrap() == expected, "{format}");
        }
        own.assert_around(session, desc);
    }
}

/// Dequantizes rows from within one shard to within another.
fn check_dequantize(session: &Session, many: &Table, packed: &PackedTable) {
    let kernel = session.kernels().dequantize(packed.format()).unwrap();
    let all = packed.dequantize();
    for rows in [0..25, 0..1, 3..5, 7..9, 0..8, 8..13, 6..20, 24..25, 9..9] {
        let expected = &all[33 * rows.start as usize..33 * rows.end as usize];
        let output = Guarded::new(session, &vec![POISON; expected.len()]);
        let args = DequantizeArgs {
            rows,
            values: output.range(),
        };
        let bound = kernel.bind(many, args).unwrap();
        session.submit(|pass| bound.record(pass)).unwrap();
        let words = output.read(session);
        let compared = compare::bits(expected, bytemuck::cast_slice(&words));
        assert_eq!(compared.failure, None, "{}", packed.format());
    }
}

/// Every method, from within one shard to within another; the rows on both sides stay.
#[test]
fn every_method_quantizes_into_shards() {
    let Some(session) = gpu() else { return };
    let methods = Method::ALL.iter().copied();
    for method in methods.filter(|method| !matches!(method, Method::KmeansCls { .. })) {
        let format = Format::all().find(|format| method.check(*format).is_ok());
        let format = format.unwrap();
        let desc = TableDesc {
            format,
            rows: 25,
            dim: 33,
        };
        let shape = Shape {
            dim: 33,
            rows: 18,
            bags: vec![],
            faults: Faults::Some,
        };
        let values = Guarded::new(
            session,
            bytemuck::cast_slice(&shapes::values(&shape, format, 1)),
        );
        let spec = QuantizeSpec {
            format,
            method,
            dim: 33,
        };
        let kernel = session.kernels().quantize(spec).unwrap();
        let quantized = |table: &Table| {
            let status = Guarded::new(session, bytemuck::cast_slice(&[QuantizeStatus::CLEAR]));
            let args = QuantizeArgs {
                rows: 5..23,
                values: values.range(),
                status: status.range(),
            };
            let bound = kernel.bind(table, args).unwrap();
            session.submit(|pass| bound.record(pass)).unwrap();
            let found = status.read(session);
            (session.download(table).unwrap().words().to_vec(), found)
        };
        let before = table(format, 25, 33, 4);
        let own = OwnShards::new(session, Some(&before));
        let expected = quantized(&session.upload(&before).unwrap());
        let got = quantized(&own.table(session, desc, None));
        assert!(
            got == expected,
            "{}: {:?} {:?}",
            spec.label(),
            got.1,
            expected.1
        );
        assert_ne!(expected.0, before.words());
        own.assert_around(session, desc);
    }
}

#[test]
fn a_table_in_shards_is_not_trained() {
    let Some(small) = small() else { return };
    let spec = TrainingSpec::lpt(Optimizer::ADAM, 1);
    let error = small.train(&large(Q4, 33), spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: needs 21 of the device's bindings for a table that is trained, which is 1"
    );
}
