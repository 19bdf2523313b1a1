//! Ring 4, the engine's contract: counts on the device, several lookups in one pass and one arena.

mod common;

use common::{Bench, gpu, table};
use qembed::gpu::{Counts, LookupArgs, Table};
use qembed::verify::compare;
use qembed::verify::shapes::{self, Faults, Shape};
use qembed::wgpu;
use qembed::{
    Bits, Error, Format, LookupSpec, LookupStatus, Method, Output, PackedTable, Pooling, Session,
    Weighting, reference,
};

const Q4: Format = Format::affine(Bits::B4);

/// One bind over an arena of fixed capacity serves batches whose counts only the device knows;
/// counts beyond the arena are clamped to it.
#[test]
fn counts_on_the_device_serve_every_batch() {
    let Some(session) = gpu() else { return };
    let shape = Shape {
        dim: 7,
        rows: 20,
        bags: vec![],
        faults: Faults::None,
    };
    let packed = shapes::table(&shape, Q4, 9).unwrap();
    for spec in LookupSpec::all().filter(|spec| spec.format == Q4) {
        let arena = Arena::new(session, &packed, spec);
        // Offsets, indices, and counts asked for: bags, indices.
        for (offsets, indices, asked) in [
            (vec![0, 2], vec![0, 19], [1, 2]),
            (vec![0, 1, 3, 3], vec![2, 1, 0], [3, 3]),
            (vec![0, 1, 2], vec![2, 77], [2, 2]),
            (vec![0], vec![], [0, 0]),
            (vec![0, 1, 2, 3, 4], vec![2, 1, 0, 1], [4, 4]),
            (
                vec![0, 2, 4, 6, 8],
                vec![0, 1, 2, 0, 1, 2, 0, 20],
                [u32::MAX, u32::MAX],
            ),
        ] {
            arena.check(&packed, spec, &offsets, &indices, asked);
        }
    }
}

/// A lookup bound once, with counts on the device: 4 rows of output, 4 bags, 8 indices at the most.
struct Arena<'a> {
    bench: Bench<'a>,
    counts: wgpu::Buffer,
    indices: wgpu::Buffer,
    offsets: wgpu::Buffer,
    output: wgpu::Buffer,
    status: wgpu::Buffer,
    bound: qembed::gpu::BoundLookup,
}

const POISON: u32 = 0x7fed_7fed;
const WEIGHTS: [f32; 8] = [0.5, -1.0, 2.0, 1.0, 3.0, -0.25, 1.5, 1.0];

impl<'a> Arena<'a> {
    fn new(session: &'a Session, packed: &PackedTable, spec: LookupSpec) -> Self {
        let bench = Bench { session };
        let table = session.upload(packed).unwrap();
        // The counts lie behind other things.
        let counts = bench.buffer(&[0; 66]);
        let indices = bench.buffer(&[0; 8]);
        let offsets = bench.buffer(&[0; 5]);
        let weights = bench.buffer(bytemuck::cast_slice(&WEIGHTS));
        let output = bench.buffer(&vec![0; 4 * 7 * spec.output.bytes() as usize / 4]);
        let status = bench.buffer(&[0; 4]);
        let args = LookupArgs {
            counts: Counts::Device(wgpu::BufferBinding {
                buffer: &counts,
                offset: 256,
                size: None,
            }),
            indices: Some(indices.as_entire_buffer_binding()),
            offsets: Some(offsets.as_entire_buffer_binding())
                .filter(|_| spec.pooling != Pooling::None),
            weights: Some(weights.as_entire_buffer_binding())
                .filter(|_| spec.weighting == Weighting::Weighted),
            output: Some(output.as_entire_buffer_binding()),
            status: Some(status.as_entire_buffer_binding()),
        };
        let bound = session
            .kernels()
            .lookup(spec)
            .unwrap()
            .bind(&table, args)
            .unwrap();
        Self {
            bench,
            counts,
            indices,
            offsets,
            output,
            status,
            bound,
        }
    }

    fn check(
        &self,
        packed: &PackedTable,
        spec: LookupSpec,
        offsets: &[u32],
        indices: &[u32],
        asked: [u32; 2],
    ) {
        let Self { bench, .. } = self;
        let words = self.output.size() as usize / 4;
        bench.write(&self.counts, &[&[POISON; 64][..], &asked].concat());
        bench.write(&self.indices, indices);
        bench.write(&self.offsets, offsets);
        bench.write(&self.output, &vec![POISON; words]);
        bench.write(&self.status, bytemuck::cast_slice(&[LookupStatus::CLEAR]));
        bench.submit(|pass| self.bound.record(pass));
        let memory = bench.read(&self.output);
        let status = bench.read(&self.status);

        let gather = spec.pooling == Pooling::None;
        let used = indices.len().min(if gather { 4 } else { 8 });
        let args = reference::LookupArgs {
            pooling: spec.pooling,
            indices: &indices[..used],
            offsets: Some(offsets).filter(|_| !gather),
            weights: Some(&WEIGHTS[..used]).filter(|_| spec.weighting == Weighting::Weighted),
        };
        let expected = reference::lookup(packed, args).unwrap();
        let halves = bytemuck::cast_slice::<u32, half::f16>(&memory);
        let got: Vec<f32> = match spec.output {
            Output::F32 => memory.iter().map(|word| f32::from_bits(*word)).collect(),
            Output::F16 => halves.iter().map(|half| half.to_f32()).collect(),
        };
        let case = format!("{} {asked:?}", spec.label());
        let elements = expected.output.len();
        let outcome = compare::lookup(&expected, spec.pooling, spec.output, &got[..elements]);
        assert_eq!(outcome.failure, None, "{case}");
        assert_eq!(
            status,
            bytemuck::cast_slice::<_, u32>(&[expected.status]),
            "{case}"
        );
        let written = (elements * spec.output.bytes() as usize).div_ceil(4);
        let untouched = memory[written..].iter().all(|word| *word == POISON);
        assert!(untouched, "{case} wrote behind its output");
    }
}

/// Two lookups recorded into one pass, their outputs side by side in one arena.
#[test]
fn two_lookups_into_one_arena() {
    let Some(session) = gpu() else { return };
    let bench = Bench { session };
    let packed = table(
        Q4,
        &[
            (1.0, 0.0, &[1, 2, 3]),
            (10.0, 0.0, &[1, 2, 3]),
            (1.0, -1.0, &[0, 0, 0]),
        ],
    );
    let uploaded: Table = session.upload(&packed).unwrap();
    let (indices, offsets) = (bench.buffer(&[0, 1, 2]), bench.buffer(&[0, 3]));
    let arena = bench.buffer(&[0; 128]);
    let bind = |pooling, offset| {
        let spec = LookupSpec {
            format: Q4,
            pooling,
            weighting: Weighting::Unweighted,
            output: Output::F32,
        };
        let args = LookupArgs {
            counts: Counts::Host {
                bags: 1,
                indices: 3,
            },
            indices: Some(indices.as_entire_buffer_binding()),
            offsets: Some(offsets.as_entire_buffer_binding()),
            weights: None,
            output: Some(wgpu::BufferBinding {
                buffer: &arena,
                offset,
                size: None,
            }),
            status: None,
        };
        session
            .kernels()
            .lookup(spec)
            .unwrap()
            .bind(&uploaded, args)
            .unwrap()
    };
    let (sum, max) = (bind(Pooling::Sum, 0), bind(Pooling::Max, 256));
    bench.submit(|pass| {
        sum.record(pass);
        max.record(pass);
    });
    let memory: Vec<_> = bench
        .read(&arena)
        .iter()
        .map(|word| f32::from_bits(*word))
        .collect();
    assert_eq!(memory[..3], [10.0, 21.0, 32.0]);
    assert_eq!(memory[64..67], [10.0, 20.0, 30.0]);
    assert!(memory[3..64].iter().chain(&memory[67..]).all(|x| *x == 0.0));
}

/// Two sessions have an instance each, and wgpu numbers buffers by instance.
#[test]
fn a_table_of_another_session_is_refused() {
    let Some(session) = gpu() else { return };
    let other = Session::new().unwrap();
    let packed = table(Q4, &[(1.0, 0.0, &[1, 2, 3])]);
    let (own, foreign) = (
        session.upload(&packed).unwrap(),
        other.upload(&packed).unwrap(),
    );
    assert_eq!(session.gather(&own, &[0]).unwrap(), [1.0, 2.0, 3.0]);
    for error in [
        session.gather(&foreign, &[0]).unwrap_err(),
        session.dequantize(&foreign).unwrap_err(),
        session.download(&foreign).unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                Error::Shape {
                    argument: "table",
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// Every call on a lost device says that it is lost.
#[test]
fn a_lost_device_is_said_to_be_lost() {
    if gpu().is_none() {
        return;
    }
    let session = Session::new().unwrap();
    let packed = table(Q4, &[(1.0, 0.0, &[1, 2, 3])]);
    let uploaded = session.upload(&packed).unwrap();
    session.gather(&uploaded, &[0]).unwrap();
    session.device().destroy();
    for error in [
        session.gather(&uploaded, &[0]).unwrap_err(),
        session.download(&uploaded).unwrap_err(),
        session.upload(&packed).unwrap_err(),
        session.dequantize(&uploaded).unwrap_err(),
        session
            .quantize(&[0.5; 6], 3, Q4, Method::Asym)
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::DeviceLost), "{error}");
    }
}

/// Threads share a session.
#[test]
fn sessions_are_shared_by_threads() {
    let Some(session) = gpu() else { return };
    let packed = table(Q4, &[(1.0, 0.0, &[1, 2, 3]), (2.0, 0.5, &[4, 5, 6])]);
    let uploaded = session.upload(&packed).unwrap();
    let rows = packed.dequantize();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let (uploaded, rows) = (&uploaded, &rows);
            scope.spawn(move || {
                for i in 0..20 {
                    let index = (thread + i) % 2;
                    let got = session.gather(uploaded, &[index]).unwrap();
                    assert_eq!(got, rows[3 * index as usize..][..3]);
                }
            });
        }
    });
}

/// Sizes that no buffer has are limits, also where rounding them up would pass 64 bits.
#[test]
fn no_buffer_is_that_large() {
    let Some(session) = gpu() else { return };
    let buffer = session.buffer("small", 16).unwrap();
    for bytes in [u64::MAX, u64::MAX - 3] {
        let error = session.buffer("large", bytes).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
        let error = session.read(&buffer, 0, bytes).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }
}
