//! What a lookup on the CPU allocates, counted by an allocator: nothing.

#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use qembed::cpu::{self, LookupOutput};
use qembed::half::f16;
use qembed::verify::shapes::{self, Faults, Shape};
use qembed::{Format, LookupRequest, LookupSpec, OutOfRange, Output, PackedTable, Pooling, verify};
use rayon::ThreadPoolBuilder;

/// The system's, counting what is asked of it by any thread.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations while something runs.
fn counted(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// The one test here: what another did would be counted too.
#[test]
fn lookups_allocate_nothing() {
    assert_eq!(counted(|| drop(std::hint::black_box(vec![1]))), 1);
    let shape = Shape {
        dim: 100,
        rows: 3000,
        bags: vec![33; 200],
        faults: Faults::None,
    };
    let batch = shapes::batch(&shape, 1);
    let (mut values, mut halves) = (vec![0.0; 660_000], vec![f16::ZERO; 660_000]);
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        // Inside of the pool: to get there costs rayon something.
        pool.install(|| {
            for format in Format::all() {
                let table = shapes::table(&shape, format, 2).unwrap();
                for spec in LookupSpec::all().filter(|spec| spec.format == format) {
                    let args = verify::reference_args(&spec, &batch);
                    let request = LookupRequest {
                        pooling: spec.pooling,
                        indices: args.indices,
                        offsets: args.offsets,
                        weights: args.weights,
                        output: spec.output,
                        out_of_range: OutOfRange::Error,
                    };
                    let mut run = || into(&table, request, &mut values, &mut halves);
                    // A thread that steals for the first time makes rayon allocate, whenever that is; what a
                    // lookup allocates it allocates every time.
                    let least = (0..10).map(|_| counted(&mut run)).find(|count| *count == 0);
                    assert_eq!(least, Some(0), "{}, {threads} threads", spec.label());
                }
            }
        });
    }
}

fn into(table: &PackedTable, request: LookupRequest<'_>, values: &mut [f32], halves: &mut [f16]) {
    let len = match request.pooling {
        Pooling::None => 660_000,
        _ => 20_000,
    };
    let output = match request.output {
        Output::F32 => LookupOutput::F32(&mut values[..len]),
        Output::F16 => LookupOutput::F16(&mut halves[..len]),
    };
    cpu::lookup_into(table, request, output).unwrap();
}
