//! Ring 3, tables of several shards: every error, on wgpu's noop device, which here binds 16 KiB; no validation error of
//! wgpu's own escapes. No GPU.

mod common;

use common::Noop;
use qembed::gpu::{BlocksBuffer, Counts, DequantizeArgs, LookupArgs, Shard, Table, TableDesc};
use qembed::wgpu::{self, BufferBinding, BufferUsages};
use qembed::{
    Bits, Error, Float, Format, LookupSpec, Method, Output, PackedTable, Pooling, Weighting,
};

const Q4: Format = Format::affine(Bits::B4);
const F32: Format = Format::Float(Float::F32);

/// Bytes of the largest binding, and of the largest buffer.
const MOST: u64 = 16384;

/// A noop device that binds 16 KiB.
fn small_noop() -> Noop {
    Noop::with_limits(wgpu::Limits {
        max_storage_buffer_binding_size: MOST,
        max_buffer_size: MOST,
        ..Default::default()
    })
}

impl Noop {
    /// Ten rows of 64 columns in shards of these many.
    fn sharded(&self, format: Format, shards: &[u32]) -> Table {
        let desc = TableDesc {
            format,
            rows: 10,
            dim: 64,
        };
        let buffers = shards.iter().map(|_| self.storage(4096));
        let buffers: Vec<_> = buffers.collect();
        let mut first = 0;
        let shards = shards.iter().zip(&buffers).map(|(rows, buffer)| {
            first += rows;
            Shard {
                rows: first - rows..first,
                words: buffer.as_entire_buffer_binding(),
            }
        });
        let words = self.storage(4 * (3 * 8 + 1));
        let blocks = BlocksBuffer {
            count: 3,
            words: words.as_entire_buffer_binding(),
        };
        let blocks = matches!(format, Format::Blocks { .. }).then_some(blocks);
        Table::from_shards(&self.kernels, desc, &shards.collect::<Vec<_>>(), blocks).unwrap()
    }
}

fn range(buffer: &wgpu::Buffer) -> Option<BufferBinding<'_>> {
    Some(buffer.as_entire_buffer_binding())
}

#[test]
fn every_variant_binds_and_records() {
    let noop = small_noop();
    for spec in LookupSpec::all() {
        let table = noop.sharded(spec.format, &[4, 1, 5]);
        let [indices, offsets, weights] = [48, 20, 48].map(|bytes| noop.storage(bytes));
        let output = noop.storage(4 * 12 * 64);
        let counts = noop.storage(8);
        for counts in [
            Counts::Host {
                bags: 4,
                indices: 12,
            },
            Counts::Device(counts.as_entire_buffer_binding()),
        ] {
            let args = LookupArgs {
                counts,
                indices: range(&indices),
                offsets: range(&offsets).filter(|_| spec.pooling != Pooling::None),
                weights: range(&weights).filter(|_| spec.weighting == Weighting::Weighted),
                output: range(&output),
                status: None,
            };
            let lookup = noop.kernels.lookup(spec).unwrap();
            let bound = lookup.bind(&table, args).unwrap();
            noop.submit(|pass| {
                bound.record(pass);
                bound.record(pass);
            });
        }
    }
}

const SUM: LookupSpec = LookupSpec {
    format: Q4,
    pooling: Pooling::Sum,
    weighting: Weighting::Unweighted,
    output: Output::F32,
};

#[test]
fn empty_work_needs_no_buffers() {
    let noop = small_noop();
    let table = noop.sharded(Q4, &[4, 6]);
    let lookup = noop.kernels.lookup(SUM).unwrap();
    let args = LookupArgs {
        counts: Counts::Host {
            bags: 0,
            indices: 12,
        },
        indices: None,
        offsets: None,
        weights: None,
        output: None,
        status: None,
    };
    let bound = lookup.bind(&table, args.clone()).unwrap();
    noop.submit(|pass| bound.record(pass));
    // Bags of nothing.
    let [offsets, output] = [20, 1024].map(|bytes| noop.storage(bytes));
    let args = LookupArgs {
        counts: Counts::Host {
            bags: 4,
            indices: 0,
        },
        offsets: range(&offsets),
        output: range(&output),
        ..args
    };
    let bound = lookup.bind(&table, args.clone()).unwrap();
    noop.submit(|pass| bound.record(pass));
    let args = LookupArgs {
        counts: Counts::Host {
            bags: 4,
            indices: 1,
        },
        ..args
    };
    let error = lookup.bind(&table, args).unwrap_err();
    assert_eq!(error.to_string(), "indices: needed a range, got None");
}

/// The rule of a table in one buffer: what is written lies in no buffer that the lookup reads.
#[test]
fn a_written_buffer_that_is_read_too() {
    let noop = small_noop();
    let buffers: Vec<_> = [4096, 4096, 4096].map(|bytes| noop.storage(bytes)).into();
    let shards = [(0..4, 0), (4..10, 1)].map(|(rows, buffer)| Shard {
        rows,
        words: BufferBinding {
            buffer: &buffers[buffer],
            offset: 1024,
            size: None,
        },
    });
    let desc = TableDesc {
        format: Q4,
        rows: 10,
        dim: 64,
    };
    let table = Table::from_shards(&noop.kernels, desc, &shards, None).unwrap();
    let [indices, offsets] = [48, 20].map(|bytes| noop.storage(bytes));
    let args = LookupArgs {
        counts: Counts::Host {
            bags: 4,
            indices: 12,
        },
        indices: range(&indices),
        offsets: range(&offsets),
        weights: None,
        output: range(&buffers[2]),
        status: None,
    };
    let lookup = noop.kernels.lookup(SUM).unwrap();
    lookup.bind(&table, args.clone()).unwrap();
    let shared = |args| lookup.bind(&table, args).unwrap_err().to_string();
    let says = |written: &str, read: &str| {
        format!(
            "{written} shares a buffer with {read}: one dispatch cannot read and write one buffer; use another one"
        )
    };
    for buffer in &buffers[..2] {
        let output = range(buffer);
        let status = range(buffer);
        assert_eq!(
            shared(LookupArgs {
                output,
                ..args.clone()
            }),
            says("output", "rows")
        );
        assert_eq!(
            shared(LookupArgs {
                status,
                ..args.clone()
            }),
            says("status", "rows")
        );
    }
    let indices = range(&buffers[2]);
    assert_eq!(
        shared(LookupArgs {
            indices,
            ..args.clone()
        }),
        says("output", "indices")
    );
    let offsets = range(&buffers[2]);
    assert_eq!(
        shared(LookupArgs {
            offsets,
            ..args.clone()
        }),
        says("output", "offsets")
    );
    // Values and rows of one buffer are never in one dispatch here, but of the next.
    let dequantize = noop.kernels.dequantize(Q4).unwrap();
    let args = DequantizeArgs {
        rows: 0..5,
        values: range(&buffers[1]),
    };
    let error = dequantize.bind(&table, args).unwrap_err().to_string();
    assert_eq!(error, says("values", "rows"));
}

#[test]
fn scratch_that_no_binding_holds() {
    let noop = small_noop();
    let table = noop.sharded(Q4, &[4, 6]);
    let lookup = noop.kernels.lookup(SUM).unwrap();
    // Rows of 36 bytes: 455 of them fit.
    let [indices, offsets, output] = [4096, 20, 1024].map(|bytes| noop.storage(bytes));
    let bind = |counts| {
        let args = LookupArgs {
            counts,
            indices: range(&indices),
            offsets: range(&offsets),
            weights: None,
            output: range(&output),
            status: None,
        };
        lookup.bind(&table, args)
    };
    let bags = 4;
    bind(Counts::Host { bags, indices: 455 }).unwrap();
    let counts = noop.storage(8);
    for (counts, needed) in [
        (Counts::Host { bags, indices: 456 }, 36 * 456),
        // All that the range holds.
        (Counts::Device(counts.as_entire_buffer_binding()), 36 * 1024),
    ] {
        assert_eq!(
            bind(counts).unwrap_err().to_string(),
            format!(
                "the rows of all indices, collected: needs {needed} of the device's max_storage_buffer_binding_size, \
                 which is 16384"
            )
        );
    }
}

#[test]
fn shards_that_do_not_hold_every_row_once() {
    let noop = small_noop();
    let buffer = noop.storage(8192);
    let refused = |rows: u32, shards: &[std::ops::Range<u32>]| {
        let shards = shards.iter().enumerate().map(|(at, rows)| Shard {
            rows: rows.clone(),
            words: BufferBinding {
                buffer: &buffer,
                offset: 1024 * at as u64,
                size: None,
            },
        });
        let desc = TableDesc {
            format: Q4,
            rows,
            dim: 64,
        };
        Table::from_shards(&noop.kernels, desc, &shards.collect::<Vec<_>>(), None)
            .err()
            .map(|error| error.to_string())
    };
    let from = |first: u32, got: &str| {
        Some(format!(
            "shards: needed rows within 0..10, from {first} on, got {got}"
        ))
    };
    assert_eq!(refused(10, &[0..4, 4..9, 9..10]), None);
    assert_eq!(refused(10, &[0..4, 5..10]), from(4, "5..10"));
    assert_eq!(refused(10, &[0..4, 3..10]), from(4, "3..10"));
    assert_eq!(refused(10, &[1..4, 4..10]), from(0, "1..4"));
    assert_eq!(refused(10, &[0..4, 4..4, 4..10]), from(4, "4..4"));
    assert_eq!(refused(10, &[0..0, 0..10]), from(0, "0..0"));
    assert_eq!(refused(10, &[0..4, 4..11]), from(4, "4..11"));
    #[expect(clippy::reversed_empty_ranges, reason = "what a caller may give")]
    let reversed = [0..4, 4..3];
    assert_eq!(refused(10, &reversed), from(4, "4..3"));
    let all = "shards: needed all rows within 0..10, got 0..";
    assert_eq!(
        refused(10, &[0..4, 4..9]),
        Some(format!("{all}9 in 2 shards"))
    );
    assert_eq!(refused(10, &[]), Some(format!("{all}0 in 0 shards")));
    assert_eq!(refused(0, &std::iter::once(0..0).collect::<Vec<_>>()), None);
    assert_eq!(
        refused(0, &[0..0, 0..0]),
        Some("shards: needed rows within 0..0, from 0 on, got 0..0".into())
    );
    assert_eq!(
        refused(0, &[]),
        Some("shards: needed all rows within 0..0, got 0..0 in 0 shards".into())
    );
}

#[test]
fn ranges_of_shards_are_checked() {
    let noop = small_noop();
    let large = noop.storage(MOST);
    let other = noop.buffer(MOST, BufferUsages::COPY_DST);
    let refused = |rows: [std::ops::Range<u32>; 2], [one, two]: [(&wgpu::Buffer, u64); 2]| {
        let [first, second] = rows;
        let shard = |rows, (buffer, offset)| Shard {
            rows,
            words: BufferBinding {
                buffer,
                offset,
                size: None,
            },
        };
        let desc = TableDesc {
            format: Q4,
            rows: second.end,
            dim: 64,
        };
        let shards = [shard(first, one), shard(second, two)];
        let error = Table::from_shards(&noop.kernels, desc, &shards, None).unwrap_err();
        error.to_string()
    };
    for (rows, buffers, expected) in [
        (
            [0..400, 400..410],
            [(&large, 0), (&large, 14_336)],
            "rows shares bytes with rows: give each a range of its own",
        ),
        (
            [0..200, 200..410],
            [(&large, 0), (&large, 9216)],
            "rows: the range has 7168 bytes, 7560 are needed",
        ),
        (
            [0..4, 4..10],
            [(&large, 0), (&large, 300)],
            "rows: the range starts at byte 300, which must be a multiple of 256",
        ),
        (
            [0..4, 4..10],
            [(&large, 0), (&other, 0)],
            "rows: the buffer lacks the usage STORAGE; add it where the buffer is created",
        ),
        (
            [0..4, 4..460],
            [(&large, 0), (&large, 256)],
            "table: needs 16416 of the device's max_storage_buffer_binding_size, which is 16384",
        ),
    ] {
        assert_eq!(refused(rows, buffers), expected);
    }
}

#[test]
fn a_row_that_no_binding_holds() {
    let desc = TableDesc {
        format: F32,
        rows: 1 << 30,
        dim: 8192,
    };
    let noop = small_noop();
    assert_eq!(
        noop.kernels.allocate(desc).unwrap_err().to_string(),
        "a row of the table: needs 32768 of the device's max_storage_buffer_binding_size, which is 16384"
    );
    let noop = Noop::with_limits(wgpu::Limits {
        max_buffer_size: MOST,
        ..Default::default()
    });
    assert_eq!(
        noop.kernels.allocate(desc).unwrap_err().to_string(),
        "table: needs 32768 of the device's max_buffer_size, which is 16384"
    );
}

/// Rows that are written reach two shards, of which one takes no copies: nothing is written.
#[test]
fn a_shard_that_nothing_is_copied_to() {
    let noop = small_noop();
    let desc = TableDesc {
        format: Q4,
        rows: 10,
        dim: 64,
    };
    let usages = [
        BufferUsages::STORAGE | BufferUsages::COPY_DST,
        BufferUsages::STORAGE,
    ];
    let buffers = usages.map(|usage| noop.buffer(4096, usage));
    let shards = [(0..4, &buffers[0]), (4..10, &buffers[1])].map(|(rows, buffer)| Shard {
        rows,
        words: buffer.as_entire_buffer_binding(),
    });
    let live = Table::from_shards(&noop.kernels, desc, &shards, None).unwrap();
    let written = PackedTable::quantize(&[0.5; 128], 64, Q4, Method::Asym).unwrap();
    live.write_rows(&noop.queue, 2, &written).unwrap();
    for first in [3, 4, 8] {
        let error = live.write_rows(&noop.queue, first, &written).unwrap_err();
        assert_eq!(
            error.to_string(),
            "table: the buffer lacks the usage COPY_DST; add it where the buffer is created"
        );
    }
}

#[test]
fn a_lost_device_is_said_to_be_lost() {
    let noop = small_noop();
    let table = noop.sharded(Q4, &[4, 6]);
    let lookup = noop.kernels.lookup(SUM).unwrap();
    let [indices, offsets, output] = [48, 20, 1024].map(|bytes| noop.storage(bytes));
    let args = LookupArgs {
        counts: Counts::Host {
            bags: 4,
            indices: 12,
        },
        indices: range(&indices),
        offsets: range(&offsets),
        weights: None,
        output: range(&output),
        status: None,
    };
    noop.device.destroy();
    let error = lookup.bind(&table, args).unwrap_err();
    assert!(matches!(error, Error::DeviceLost), "{error}");
}
