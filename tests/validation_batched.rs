//! Ring 3: every error of arenas and of batched lookups' `bind`, on wgpu's noop device with default limits; no validation
//! error of wgpu's own escapes. No GPU.

mod common;

use common::Noop;
use qembed::gpu::{
    Arena, ArenaBlocks, ArenaRemap, ArenaTable, BatchedSpec, Counts, Kernels, LookupArgs, TableDesc,
};
use qembed::wgpu::{self, BufferBinding, BufferUsages};
use qembed::{
    BatchedTable, Bits, Error, Feature, Format, IndexType, Method, Output, PackedTable, Pooling,
    Weighting,
};

const Q4: Format = Format::affine(Bits::B4);
const FEATURES: [Feature; 2] = [
    Feature {
        table: 0,
        pooling: Pooling::Sum,
    },
    Feature {
        table: 1,
        pooling: Pooling::Mean,
    },
];
const SPEC: BatchedSpec<'static> = BatchedSpec {
    features: &FEATURES,
    places: None,
    weighting: Weighting::Weighted,
    output: Output::F32,
    index: IndexType::U32,
};

/// Tables of 10 and 6 rows of 64 columns, the second with a remap.
fn arena(noop: &Noop) -> Arena {
    let table =
        |rows: usize| PackedTable::quantize(&vec![0.5; 64 * rows], 64, Q4, Method::Asym).unwrap();
    let (first, second) = (table(10), table(6));
    let tables = [
        BatchedTable {
            rows: &first,
            remap: None,
        },
        BatchedTable {
            rows: &second,
            remap: Some(&[5, -1, 0]),
        },
    ];
    noop.kernels.upload_arena(&noop.queue, &tables).unwrap()
}

/// Buffers of 4 bags of each feature and 12 indices.
struct Buffers {
    indices: wgpu::Buffer,
    offsets: wgpu::Buffer,
    weights: wgpu::Buffer,
    output: wgpu::Buffer,
    status: wgpu::Buffer,
}

impl Buffers {
    fn new(noop: &Noop) -> Self {
        Self {
            indices: noop.storage(48),
            offsets: noop.storage(4 * 9),
            weights: noop.storage(48),
            output: noop.storage(4 * 128 * 4),
            status: noop.storage(16),
        }
    }

    fn args(&self) -> LookupArgs<'_> {
        LookupArgs {
            counts: Counts::Host {
                bags: 4,
                indices: 12,
            },
            indices: range(&self.indices),
            offsets: range(&self.offsets),
            weights: range(&self.weights),
            output: range(&self.output),
            status: range(&self.status),
        }
    }
}

fn range(buffer: &wgpu::Buffer) -> Option<BufferBinding<'_>> {
    Some(buffer.as_entire_buffer_binding())
}

fn message(noop: &Noop, spec: BatchedSpec<'_>, args: LookupArgs<'_>) -> String {
    let lookup = noop.kernels.batched(&arena(noop), spec).unwrap();
    lookup.bind(args).unwrap_err().to_string()
}

#[test]
fn a_batch_binds_and_records() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    for index in IndexType::ALL {
        let lookup = noop
            .kernels
            .batched(&arena(&noop), BatchedSpec { index, ..SPEC })
            .unwrap();
        assert_eq!((lookup.features(), lookup.output_elements(4)), (2, 512));
        let counts = noop.storage(8);
        for counts in [
            Counts::Host {
                bags: 1,
                indices: 6,
            },
            Counts::Device(counts.as_entire_buffer_binding()),
        ] {
            let bound = lookup
                .bind(LookupArgs {
                    counts,
                    ..buffers.args()
                })
                .unwrap();
            noop.submit(|pass| bound.record(pass));
        }
    }
}

#[test]
fn no_work_needs_no_buffers() {
    let noop = Noop::new();
    let nothing = LookupArgs {
        counts: Counts::Host {
            bags: 0,
            indices: 0,
        },
        indices: None,
        offsets: None,
        weights: None,
        output: None,
        status: None,
    };
    let lookup = noop.kernels.batched(&arena(&noop), SPEC).unwrap();
    let bound = lookup.bind(nothing.clone()).unwrap();
    noop.submit(|pass| bound.record(pass));
    // Nothing is bound, so nothing collides.
    let buffers = Buffers::new(&noop);
    let indices = range(&buffers.indices);
    let output = range(&buffers.indices);
    lookup
        .bind(LookupArgs {
            indices,
            output,
            ..nothing.clone()
        })
        .unwrap();
    let none = noop.kernels.upload_arena(&noop.queue, &[]).unwrap();
    let spec = BatchedSpec {
        features: &[],
        ..SPEC
    };
    let lookup = noop.kernels.batched(&none, spec).unwrap();
    let counts = noop.storage(8);
    for counts in [
        Counts::Host {
            bags: 0,
            indices: 0,
        },
        Counts::Device(counts.as_entire_buffer_binding()),
    ] {
        let bound = lookup.bind(LookupArgs {
            counts,
            ..nothing.clone()
        });
        noop.submit(|pass| bound.unwrap().record(pass));
    }
}

#[test]
fn every_range_is_checked() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let short = noop.storage(32);
    let uniform = noop.buffer(4096, BufferUsages::UNIFORM);
    let unweighted = BatchedSpec {
        weighting: Weighting::Unweighted,
        ..SPEC
    };
    let wide = BatchedSpec {
        index: IndexType::I64,
        ..SPEC
    };
    let cases = [
        (
            SPEC,
            LookupArgs {
                indices: range(&short),
                ..buffers.args()
            },
            "indices: the range has 32 bytes, 48 are needed",
        ),
        (
            SPEC,
            // Five offsets would do for one feature.
            LookupArgs {
                offsets: range(&short),
                ..buffers.args()
            },
            "offsets: the range has 32 bytes, 36 are needed",
        ),
        (
            SPEC,
            LookupArgs {
                weights: None,
                ..buffers.args()
            },
            "weights: needed a range, got None",
        ),
        (
            SPEC,
            LookupArgs {
                output: range(&short),
                ..buffers.args()
            },
            "output: the range has 32 bytes, 2048 are needed",
        ),
        (
            SPEC,
            LookupArgs {
                output: range(&uniform),
                ..buffers.args()
            },
            "output: the buffer lacks the usage STORAGE; add it where the buffer is created",
        ),
        (
            SPEC,
            LookupArgs {
                counts: Counts::Device(uniform.as_entire_buffer_binding()),
                ..buffers.args()
            },
            "counts: the buffer lacks the usage STORAGE; add it where the buffer is created",
        ),
        (
            unweighted,
            buffers.args(),
            "weights: needed None for an unweighted batch, got a range",
        ),
        (
            wide,
            buffers.args(),
            "indices: the range has 48 bytes, 96 are needed",
        ),
    ];
    for (spec, args, expected) in cases {
        assert_eq!(message(&noop, spec, args), expected);
    }
}

#[test]
fn an_output_in_the_arena_is_refused() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let arena = arena(&noop);
    let lookup = noop.kernels.batched(&arena, SPEC).unwrap();
    let args = LookupArgs {
        counts: Counts::Host {
            bags: 1,
            indices: 1,
        },
        output: Some(arena.words()),
        ..buffers.args()
    };
    let error = lookup.bind(args).unwrap_err();
    assert!(matches!(error, Error::Aliased { .. }), "{error}");
}

#[test]
fn an_arena_of_other_kernels_is_refused() {
    let noop = Noop::new();
    let other = Noop::new();
    let error = noop.kernels.batched(&arena(&other), SPEC).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("arena: needed one made with these kernels"),
        "{error}"
    );
}

fn own(noop: &Noop, table: ArenaTable) -> Result<Arena, Error> {
    let buffer = noop.storage(4096);
    Arena::from_buffer(&noop.kernels, &[table], buffer.as_entire_buffer_binding())
}

#[test]
fn parts_of_an_arena_are_checked() {
    let noop = Noop::new();
    let good = ArenaTable {
        desc: TableDesc {
            format: Q4,
            rows: 10,
            dim: 64,
        },
        first_word: 0,
        blocks: None,
        remap: None,
    };
    own(&noop, good).unwrap();
    let blocks = Format::Blocks { bits: Bits::B4 };
    let cases = [
        (
            ArenaTable {
                first_word: 1000,
                ..good
            },
            "arena: the range has 4096 bytes, 4360 are needed",
        ),
        (
            ArenaTable {
                first_word: u32::MAX,
                ..good
            },
            "arena: needs",
        ),
        (
            ArenaTable {
                remap: Some(ArenaRemap {
                    len: 30,
                    first_word: 1000,
                }),
                ..good
            },
            "arena: the range has 4096 bytes, 4120 are needed",
        ),
        (
            ArenaTable {
                remap: Some(ArenaRemap {
                    len: 0,
                    first_word: 0,
                }),
                ..good
            },
            "remap: needed at least one entry",
        ),
        (
            ArenaTable {
                blocks: Some(ArenaBlocks {
                    count: 2,
                    first_word: 0,
                }),
                ..good
            },
            "blocks: needed None for q4h16 rows, got 2 blocks",
        ),
        (
            ArenaTable {
                desc: TableDesc {
                    format: blocks,
                    ..good.desc
                },
                ..good
            },
            "blocks: needed at least one block for b4 rows, got None",
        ),
        (
            ArenaTable {
                desc: TableDesc {
                    dim: 0,
                    ..good.desc
                },
                ..good
            },
            "dim: needed 1 to 8192, got 0",
        ),
    ];
    for (table, expected) in cases {
        let error = own(&noop, table).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let buffer = noop.storage(4096);
    let misaligned = BufferBinding {
        buffer: &buffer,
        offset: 4,
        size: None,
    };
    let error = Arena::from_buffer(&noop.kernels, &[good], misaligned).unwrap_err();
    assert!(matches!(error, Error::Misaligned { .. }), "{error}");
}

/// Rows are written by the queue: the caller's own memory needs the usage.
#[test]
fn an_arena_that_nothing_is_copied_to() {
    let noop = Noop::new();
    let table = ArenaTable {
        desc: TableDesc {
            format: Q4,
            rows: 1,
            dim: 64,
        },
        first_word: 0,
        blocks: None,
        remap: None,
    };
    let arena = own(&noop, table).unwrap();
    let row = PackedTable::quantize(&[0.5; 64], 64, Q4, Method::Asym).unwrap();
    let error = arena.write_rows(&noop.queue, (0, 0), &row).unwrap_err();
    assert!(matches!(error, Error::BufferUsage { .. }), "{error}");
}

/// More bags than a grid, or lanes, or 32 bits hold.
#[test]
fn too_many_bags() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let args = LookupArgs {
        counts: Counts::Host {
            bags: u32::MAX,
            indices: 12,
        },
        ..buffers.args()
    };
    assert_eq!(
        message(&noop, SPEC, args),
        "output: needs 1073741824 of the device's workgroups whose lanes 32 bits count, which is 268369920"
    );
}

#[test]
fn an_arena_larger_than_a_binding() {
    let limits = wgpu::Limits {
        max_storage_buffer_binding_size: 1024,
        ..wgpu::Limits::default()
    };
    let noop = Noop::with_limits(limits);
    let kernels: &Kernels = &noop.kernels;
    let rows = PackedTable::quantize(&[0.5; 64 * 40], 64, Q4, Method::Asym).unwrap();
    let tables = [BatchedTable {
        rows: &rows,
        remap: None,
    }];
    let error = kernels.upload_arena(&noop.queue, &tables).unwrap_err();
    let expected =
        "arena: needs 1536 of the device's max_storage_buffer_binding_size, which is 1024";
    assert_eq!(error.to_string(), expected);
}
