//! Ring 3: every error of kernels, tables and `bind`, on wgpu's noop device with default limits; no
//! validation error of wgpu's own escapes. No GPU.

mod common;

use common::Noop;
use qembed::gpu::{
    BlocksBuffer, Counts, DequantizeArgs, Kernels, LookupArgs, QuantizeArgs, Table, TableBuffers,
    TableDesc,
};
use qembed::wgpu::{self, BufferUsages};
use qembed::{
    Bits, Error, Format, LookupSpec, Method, Output, PackedTable, Pooling, QuantizeSpec, Weighting,
};

const Q4: Format = Format::affine(Bits::B4);

impl Noop {
    /// A table of zeros, with three blocks where the format has them.
    fn table_of(&self, desc: TableDesc) -> Table {
        let Format::Blocks { .. } = desc.format else {
            return self.kernels.allocate(desc).unwrap();
        };
        let rows = self.storage(desc.bytes());
        let words = self.storage(4 * (3 * 8 + 1));
        let buffers = TableBuffers {
            rows: rows.as_entire_buffer_binding(),
            blocks: Some(BlocksBuffer {
                count: 3,
                words: words.as_entire_buffer_binding(),
            }),
        };
        Table::from_buffers(&self.kernels, desc, buffers).unwrap()
    }

    /// 10 rows of 64 columns.
    fn table(&self) -> Table {
        let packed = PackedTable::quantize(&[0.5; 640], 64, Q4, Method::Asym).unwrap();
        self.kernels.upload(&self.queue, &packed).unwrap()
    }
}

const SUM: LookupSpec = LookupSpec {
    format: Q4,
    pooling: Pooling::Sum,
    weighting: Weighting::Weighted,
    output: Output::F32,
};

/// Buffers of a weighted sum of 4 bags and 12 indices over the table of [`Noop::table`].
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
            offsets: noop.storage(20),
            weights: noop.storage(48),
            output: noop.storage(4 * 64 * 4),
            status: noop.storage(16),
        }
    }

    fn args(&self) -> LookupArgs<'_> {
        LookupArgs {
            counts: Counts::Host {
                bags: 4,
                indices: 12,
            },
            indices: Some(self.indices.as_entire_buffer_binding()),
            offsets: Some(self.offsets.as_entire_buffer_binding()),
            weights: Some(self.weights.as_entire_buffer_binding()),
            output: Some(self.output.as_entire_buffer_binding()),
            status: Some(self.status.as_entire_buffer_binding()),
        }
    }
}

/// The error of binding `SUM` with one argument changed.
fn refused(
    change: impl for<'a> FnOnce(&'a Noop, &mut LookupArgs<'a>, &'a Buffers, &'a Spare),
) -> Error {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let spare = Spare::new(&noop);
    let mut args = buffers.args();
    change(&noop, &mut args, &buffers, &spare);
    let lookup = noop.kernels.lookup(SUM).unwrap();
    lookup.bind(&noop.table(), args).unwrap_err()
}

/// Further buffers that a change may use.
struct Spare {
    small: wgpu::Buffer,
    large: wgpu::Buffer,
    uniform: wgpu::Buffer,
}

impl Spare {
    fn new(noop: &Noop) -> Self {
        Self {
            small: noop.storage(16),
            large: noop.storage(1 << 20),
            uniform: noop.buffer(4096, BufferUsages::UNIFORM),
        }
    }
}

fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> Option<wgpu::BufferBinding<'_>> {
    Some(wgpu::BufferBinding {
        buffer,
        offset,
        size: std::num::NonZeroU64::new(size),
    })
}

#[test]
fn a_sound_bind_is_accepted_and_recorded_twice() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let lookup = noop.kernels.lookup(SUM).unwrap();
    assert_eq!(lookup.spec(), SUM);
    let bound = lookup.bind(&noop.table(), buffers.args()).unwrap();
    noop.submit(|pass| {
        bound.record(pass);
        bound.record(pass);
    });
}

#[test]
fn every_variant_binds_and_records() {
    let noop = Noop::new();
    for spec in LookupSpec::all() {
        let desc = TableDesc {
            format: spec.format,
            rows: 10,
            dim: 63,
        };
        let table = noop.table_of(desc);
        let buffers = Buffers::new(&noop);
        let output = noop.storage(4 * 12 * 64);
        let mut args = buffers.args();
        args.output = Some(output.as_entire_buffer_binding());
        args.offsets = args.offsets.filter(|_| spec.pooling != Pooling::None);
        args.weights = args
            .weights
            .filter(|_| spec.weighting == Weighting::Weighted);
        for status in [args.status.clone(), None] {
            let args = LookupArgs {
                status,
                ..args.clone()
            };
            let host = noop
                .kernels
                .lookup(spec)
                .unwrap()
                .bind(&table, args.clone())
                .unwrap();
            let counts = noop.storage(8);
            let counts = Counts::Device(counts.as_entire_buffer_binding());
            let device = LookupArgs { counts, ..args };
            let device = noop
                .kernels
                .lookup(spec)
                .unwrap()
                .bind(&table, device)
                .unwrap();
            noop.submit(|pass| {
                host.record(pass);
                device.record(pass);
            });
        }
    }
}

#[test]
fn empty_work_needs_no_buffers_and_records_nothing() {
    let noop = Noop::new();
    let none = |counts| LookupArgs {
        counts,
        indices: None,
        offsets: None,
        weights: None,
        output: None,
        status: None,
    };
    let lookup = noop.kernels.lookup(SUM).unwrap();
    let no_bags = none(Counts::Host {
        bags: 0,
        indices: 0,
    });
    let bound = lookup.bind(&noop.table(), no_bags).unwrap();
    noop.submit(|pass| bound.record(pass));

    let gather = LookupSpec {
        pooling: Pooling::None,
        ..SUM
    };
    let no_indices = none(Counts::Host {
        bags: 7,
        indices: 0,
    });
    let bound = noop
        .kernels
        .lookup(gather)
        .unwrap()
        .bind(&noop.table(), no_indices)
        .unwrap();
    noop.submit(|pass| bound.record(pass));

    // Bags, all of them empty: no indices, no weights.
    let buffers = Buffers::new(&noop);
    let args = LookupArgs {
        counts: Counts::Host {
            bags: 4,
            indices: 0,
        },
        indices: None,
        weights: None,
        ..buffers.args()
    };
    let bound = lookup.bind(&noop.table(), args).unwrap();
    noop.submit(|pass| bound.record(pass));

    let empty = noop
        .kernels
        .allocate(TableDesc {
            format: Q4,
            rows: 0,
            dim: 64,
        })
        .unwrap();
    let bound = lookup.bind(&empty, buffers.args()).unwrap();
    noop.submit(|pass| bound.record(pass));
}

#[test]
fn a_range_that_is_too_small() {
    let error = refused(|_, args, _, spare| args.indices = range(&spare.small, 0, 0));
    assert_eq!(
        error.to_string(),
        "indices: the range has 16 bytes, 48 are needed"
    );
    let error = refused(|_, args, buffers, _| args.output = range(&buffers.output, 0, 1020));
    assert!(matches!(
        error,
        Error::BufferTooSmall {
            argument: "output",
            needed_bytes: 1024,
            got_bytes: 1020
        }
    ));
    for (offset, size) in [(0, 64), (256, 0), (1 << 40, 0)] {
        let error =
            refused(|_, args, buffers, _| args.status = range(&buffers.status, offset, size));
        assert!(
            matches!(
                error,
                Error::BufferTooSmall {
                    argument: "status",
                    ..
                }
            ),
            "{error}"
        );
    }
    let error = refused(|_, args, _, spare| args.offsets = range(&spare.small, 0, 0));
    assert!(matches!(
        error,
        Error::BufferTooSmall {
            argument: "offsets",
            needed_bytes: 20,
            ..
        }
    ));
    let error = refused(|_, args, _, spare| args.weights = range(&spare.small, 0, 0));
    assert!(matches!(
        error,
        Error::BufferTooSmall {
            argument: "weights",
            ..
        }
    ));
    let error = refused(|_, args, _, spare| {
        args.counts = Counts::Device(range(&spare.small, 0, 4).unwrap());
    });
    assert!(matches!(
        error,
        Error::BufferTooSmall {
            argument: "counts",
            ..
        }
    ));
}

#[test]
fn a_buffer_without_the_usage() {
    let error = refused(|_, args, _, spare| args.weights = range(&spare.uniform, 0, 0));
    assert!(matches!(
        error,
        Error::BufferUsage {
            argument: "weights",
            missing: "STORAGE"
        }
    ));
}

#[test]
fn a_misaligned_range() {
    let error = refused(|_, args, _, spare| args.indices = range(&spare.large, 128, 0));
    assert_eq!(
        error.to_string(),
        "indices: the range starts at byte 128, which must be a multiple of 256"
    );
}

#[test]
fn a_written_buffer_that_is_read_too() {
    let error = refused(|_, args, _, spare| {
        args.indices = range(&spare.large, 0, 48);
        args.output = range(&spare.large, 4096, 1024);
    });
    assert!(
        matches!(
            error,
            Error::Aliased {
                argument: "output",
                other: "indices",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn written_ranges_that_overlap() {
    let error = refused(|_, args, _, spare| {
        args.output = range(&spare.large, 0, 1024);
        args.status = range(&spare.large, 768, 16);
    });
    assert!(
        matches!(
            error,
            Error::Aliased {
                overlap: "bytes",
                ..
            }
        ),
        "{error}"
    );
    // Side by side in one buffer is fine.
    let noop = Noop::new();
    let (buffers, spare) = (Buffers::new(&noop), Spare::new(&noop));
    let args = LookupArgs {
        output: range(&spare.large, 0, 1024),
        status: range(&spare.large, 1024, 16),
        ..buffers.args()
    };
    let bound = noop
        .kernels
        .lookup(SUM)
        .unwrap()
        .bind(&noop.table(), args)
        .unwrap();
    noop.submit(|pass| bound.record(pass));
}

#[test]
fn ranges_that_the_spec_does_not_read_or_misses() {
    let error = refused(|_, args, _, _| args.weights = None);
    assert_eq!(error.to_string(), "weights: needed a range, got None");
    let error = refused(|_, args, _, _| args.output = None);
    assert_eq!(error.to_string(), "output: needed a range, got None");
    let error = refused(|_, args, _, spare| {
        args.counts = Counts::Device(range(&spare.small, 0, 8).unwrap());
        args.indices = None;
    });
    assert_eq!(error.to_string(), "indices: needed a range, got None");

    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let bind = |spec| {
        noop.kernels
            .lookup(spec)
            .unwrap()
            .bind(&noop.table(), buffers.args())
    };
    let unweighted = LookupSpec {
        weighting: Weighting::Unweighted,
        ..SUM
    };
    assert!(matches!(
        bind(unweighted),
        Err(Error::Shape {
            argument: "weights",
            ..
        })
    ));
    let gather = LookupSpec {
        pooling: Pooling::None,
        ..SUM
    };
    assert!(matches!(
        bind(gather),
        Err(Error::Shape {
            argument: "offsets",
            ..
        })
    ));
    let other = LookupSpec {
        format: Format::affine(Bits::B2),
        ..SUM
    };
    let error = bind(other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: needed q2h16 rows (the kernel's spec), got q4h16 rows"
    );
}

#[test]
fn limits_are_named_with_what_is_needed_and_what_there_is() {
    let noop = Noop::new();
    let rows = 4_000_000;
    let error = refused(|_, args, _, _| {
        args.counts = Counts::Host {
            bags: 1_000_000,
            indices: 12,
        };
        args.offsets.take();
    });
    assert!(
        matches!(
            error,
            Error::Shape {
                argument: "offsets",
                ..
            }
        ),
        "{error}"
    );
    let error = refused(|_, args, _, spare| {
        args.counts = Counts::Host {
            bags: u32::MAX,
            indices: u32::MAX,
        };
        args.indices = range(&spare.large, 0, 0);
    });
    assert!(
        matches!(
            error,
            Error::BufferTooSmall {
                needed_bytes: 17_179_869_180,
                ..
            }
        ),
        "{error}"
    );
    // A buffer larger than one binding.
    let huge = noop.storage(200 << 20);
    let desc = TableDesc {
        format: Q4,
        rows,
        dim: 64,
    };
    let rows = range(&huge, 0, 0).unwrap();
    let error =
        Table::from_buffers(&noop.kernels, desc, TableBuffers { rows, blocks: None }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: needs 144000000 of the device's max_storage_buffer_binding_size, which is 134217728"
    );

    let limits = wgpu::Limits {
        max_storage_buffers_per_shader_stage: 4,
        ..Default::default()
    };
    let (device, _) = wgpu::Device::noop(&wgpu::DeviceDescriptor {
        required_limits: limits,
        ..Default::default()
    });
    let error = Kernels::new(&device).unwrap_err();
    assert_eq!(
        error.to_string(),
        "device: needs 8 of the device's max_storage_buffers_per_shader_stage, which is 4"
    );
}

#[test]
fn tables_that_do_not_fit() {
    let noop = Noop::new();
    let allocate = |dim| {
        noop.kernels.allocate(TableDesc {
            format: Q4,
            rows: 1,
            dim,
        })
    };
    assert!(matches!(
        allocate(0),
        Err(Error::Shape {
            argument: "dim",
            ..
        })
    ));
    assert!(matches!(
        allocate(8193),
        Err(Error::Shape {
            argument: "dim",
            ..
        })
    ));
    let desc = TableDesc {
        format: Q4,
        rows: 10,
        dim: 64,
    };
    assert_eq!(desc.bytes(), 360);
    let from = |buffer: &wgpu::Buffer, offset, size| {
        let rows = range(buffer, offset, size).unwrap();
        Table::from_buffers(&noop.kernels, desc, TableBuffers { rows, blocks: None })
    };
    let buffer = noop.storage(4096);
    assert!(from(&buffer, 256, 360).is_ok());
    assert!(matches!(
        from(&buffer, 0, 356),
        Err(Error::BufferTooSmall {
            argument: "rows",
            ..
        })
    ));
    assert!(matches!(
        from(&buffer, 4, 360),
        Err(Error::Misaligned {
            argument: "rows",
            ..
        })
    ));
    let uniform = noop.buffer(4096, BufferUsages::UNIFORM);
    assert!(matches!(
        from(&uniform, 0, 360),
        Err(Error::BufferUsage {
            argument: "rows",
            ..
        })
    ));
}

#[test]
fn quantize_and_dequantize_check_rows_and_ranges() {
    let noop = Noop::new();
    let table = noop.table();
    let values = noop.storage(640 * 4);
    let args = |rows, values| DequantizeArgs { rows, values };
    let dequantize = noop.kernels.dequantize(Q4).unwrap();
    let whole = || range(&values, 0, 0);
    let bound = dequantize.bind(&table, args(0..10, whole())).unwrap();
    noop.submit(|pass| bound.record(pass));
    let bound = dequantize.bind(&table, args(3..3, None)).unwrap();
    noop.submit(|pass| bound.record(pass));
    for rows in [0..11, std::ops::Range { start: 4, end: 3 }] {
        let error = dequantize.bind(&table, args(rows, whole())).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Shape {
                    argument: "rows",
                    ..
                }
            ),
            "{error}"
        );
    }
    let error = dequantize.bind(&table, args(0..10, None)).unwrap_err();
    assert_eq!(error.to_string(), "values: needed a range, got None");
    let error = dequantize
        .bind(&table, args(0..10, range(&values, 0, 64)))
        .unwrap_err();
    assert!(matches!(
        error,
        Error::BufferTooSmall {
            argument: "values",
            ..
        }
    ));
    let other = noop.kernels.dequantize(Format::affine(Bits::B8)).unwrap();
    let error = other.bind(&table, args(0..10, whole())).unwrap_err();
    assert!(matches!(
        error,
        Error::Shape {
            argument: "table",
            ..
        }
    ));

    let spec = |dim| QuantizeSpec {
        format: Q4,
        method: Method::Asym,
        dim,
    };
    let args = |rows, values| QuantizeArgs {
        rows,
        values,
        status: None,
    };
    let quantize = noop.kernels.quantize(spec(64)).unwrap();
    for rows in [0..10, 9..10, 4..4] {
        let bound = quantize.bind(&table, args(rows, whole())).unwrap();
        noop.submit(|pass| bound.record(pass));
    }
    let error = quantize.bind(&table, args(9..12, whole())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rows: needed a range within 0..10, got 9..12"
    );
    let error = quantize.bind(&table, args(0..10, None)).unwrap_err();
    assert_eq!(error.to_string(), "values: needed a range, got None");
    let error = noop
        .kernels
        .quantize(spec(32))
        .unwrap()
        .bind(&table, args(0..10, whole()))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: needed dim 32 (the kernel's spec), got dim 64"
    );
    assert!(matches!(
        noop.kernels.quantize(spec(0)),
        Err(Error::Shape {
            argument: "dim",
            ..
        })
    ));
    // Rows and values in one buffer.
    let both = noop.storage(1 << 16);
    let desc = TableDesc {
        format: Q4,
        rows: 10,
        dim: 64,
    };
    let rows = range(&both, 0, 0).unwrap();
    let table =
        Table::from_buffers(&noop.kernels, desc, TableBuffers { rows, blocks: None }).unwrap();
    let error = quantize
        .bind(&table, args(0..10, range(&both, 4096, 0)))
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Aliased {
                argument: "rows",
                other: "values",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_weighted_max_is_refused() {
    let spec = LookupSpec {
        pooling: Pooling::Max,
        ..SUM
    };
    let error = Noop::new().kernels.lookup(spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "weighted max pooling is not supported: drop the weights or pool by sum or mean"
    );
}

#[test]
fn a_lost_device_is_said_to_be_lost() {
    let noop = Noop::new();
    let table = noop.table();
    let buffers = Buffers::new(&noop);
    let lookup = noop.kernels.lookup(SUM).unwrap();
    noop.device.destroy();
    let lost = |error| matches!(error, Error::DeviceLost);
    assert!(lost(lookup.bind(&table, buffers.args()).unwrap_err()));
    // One that is compiled is still there; binding it says what is wrong.
    assert!(noop.kernels.lookup(SUM).is_ok());
    let max = LookupSpec {
        pooling: Pooling::Max,
        weighting: Weighting::Unweighted,
        ..SUM
    };
    assert!(lost(noop.kernels.lookup(max).unwrap_err()));
    let desc = TableDesc {
        format: Q4,
        rows: 1,
        dim: 8,
    };
    assert!(lost(noop.kernels.allocate(desc).unwrap_err()));
    let packed = PackedTable::quantize(&[0.5; 64], 64, Q4, Method::Asym).unwrap();
    assert!(lost(noop.kernels.upload(&noop.queue, &packed).unwrap_err()));
}

/// wgpu numbers buffers by instance, so that another device's table could pass for one of this.
#[test]
fn a_table_of_other_kernels_is_refused() {
    let (noop, other) = (Noop::new(), Noop::new());
    let (buffers, table) = (Buffers::new(&noop), other.table());
    let foreign = |error: Error| {
        assert_eq!(
            error.to_string(),
            "table: needed one made with these kernels or a clone of them, got one made with others"
        )
    };
    foreign(
        noop.kernels
            .lookup(SUM)
            .unwrap()
            .bind(&table, buffers.args())
            .unwrap_err(),
    );
    let args = DequantizeArgs {
        rows: 0..1,
        values: None,
    };
    foreign(
        noop.kernels
            .dequantize(Q4)
            .unwrap()
            .bind(&table, args)
            .unwrap_err(),
    );
    let args = QuantizeArgs {
        rows: 0..1,
        values: None,
        status: None,
    };
    let spec = QuantizeSpec {
        format: Q4,
        method: Method::Asym,
        dim: 64,
    };
    foreign(
        noop.kernels
            .quantize(spec)
            .unwrap()
            .bind(&table, args)
            .unwrap_err(),
    );
    let own = noop.table();
    let cloned = noop.kernels.clone();
    assert!(
        cloned
            .lookup(SUM)
            .unwrap()
            .bind(&own, buffers.args())
            .is_ok()
    );
}

/// With counts on the device a range must hold something, and may hold more than one binding can.
#[test]
fn ranges_of_an_arena_under_device_counts() {
    let noop = Noop::new();
    let (buffers, counts) = (Buffers::new(&noop), noop.storage(8));
    let lookup = noop.kernels.lookup(SUM).unwrap();
    let args = || LookupArgs {
        counts: Counts::Device(counts.as_entire_buffer_binding()),
        ..buffers.args()
    };
    let too_small = |args, argument, needed| {
        let error = lookup.bind(&noop.table(), args).unwrap_err();
        assert!(
            matches!(error, Error::BufferTooSmall { argument: a, needed_bytes: n, .. } if a == argument && n == needed),
            "{error}"
        );
    };
    let output = range(&buffers.output, 0, 252);
    too_small(LookupArgs { output, ..args() }, "output", 256);
    let offsets = range(&buffers.offsets, 0, 4);
    too_small(LookupArgs { offsets, ..args() }, "offsets", 8);
    let huge = noop.storage(200 << 20);
    let indices = range(&huge, 0, 0);
    let bound = lookup
        .bind(&noop.table(), LookupArgs { indices, ..args() })
        .unwrap();
    noop.submit(|pass| bound.record(pass));
}

/// Every quantize kernel compiles, binds and records, for rows within and beyond workgroup memory.
#[test]
fn every_method_binds_and_records() {
    let noop = Noop::new();
    let mut count = 0;
    for format in Format::all() {
        for &method in Method::ALL {
            for dim in [63, 1000] {
                let spec = QuantizeSpec {
                    format,
                    method,
                    dim,
                };
                if method.check(format).is_err() || matches!(method, Method::KmeansCls { .. }) {
                    let error = noop.kernels.quantize(spec).unwrap_err();
                    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
                    continue;
                }
                let table = noop.table_of(TableDesc {
                    format,
                    rows: 10,
                    dim,
                });
                let values = noop.storage(4 * 10 * u64::from(dim));
                let args = QuantizeArgs {
                    rows: 0..10,
                    values: Some(values.as_entire_buffer_binding()),
                    status: None,
                };
                let kernel = noop.kernels.quantize(spec).unwrap();
                let bound = kernel.bind(&table, args).unwrap();
                noop.submit(|pass| bound.record(pass));
                count += 1;
            }
        }
    }
    // Eleven affine methods in eight formats, absmax in six, k-means and cast in three, at two dims.
    assert_eq!(count, 2 * (11 * 8 + 6 + 3 + 3));
}

#[test]
fn parameters_of_methods_are_checked() {
    let noop = Noop::new();
    let spec = QuantizeSpec {
        format: Q4,
        method: Method::HistBrute { bins: 0 },
        dim: 8,
    };
    let error = noop.kernels.quantize(spec).unwrap_err();
    assert_eq!(error.to_string(), "bins: needed 1 to 1024, got 0");
}

#[test]
fn blocks_are_checked() {
    let noop = Noop::new();
    let desc = TableDesc {
        format: Format::Blocks { bits: Bits::B4 },
        rows: 10,
        dim: 64,
    };
    let rows = noop.storage(desc.bytes());
    let words = noop.storage(4 * (3 * 8 + 1));
    let made = |desc, blocks| {
        let rows = rows.as_entire_buffer_binding();
        Table::from_buffers(&noop.kernels, desc, TableBuffers { rows, blocks })
    };
    let blocks = |count| {
        let words = words.as_entire_buffer_binding();
        Some(BlocksBuffer { count, words })
    };
    let refused = |desc, blocks| made(desc, blocks).unwrap_err().to_string();
    assert!(made(desc, blocks(3)).is_ok());
    assert_eq!(
        refused(desc, None),
        "blocks: needed at least one block for b4 rows, got None"
    );
    assert_eq!(
        refused(desc, blocks(0)),
        "blocks: needed at least one block for b4 rows, got 0 blocks"
    );
    assert_eq!(
        refused(desc, blocks(4)),
        "blocks: the range has 100 bytes, 132 are needed"
    );
    let affine = TableDesc {
        format: Format::Affine {
            bits: Bits::B2,
            params: qembed::Params::F16,
        },
        ..desc
    };
    assert_eq!(
        refused(affine, blocks(3)),
        "blocks: needed None for q2h16 rows, got 3 blocks"
    );
    let error = noop.kernels.allocate(desc).unwrap_err();
    assert!(matches!(
        error,
        Error::Shape {
            argument: "blocks",
            ..
        }
    ));
    let params = qembed::Params::F16;
    let bits = Bits::B3;
    for format in [
        Format::Codebook { bits: Bits::B8 },
        Format::Symmetric { bits, params },
    ] {
        assert!(matches!(
            made(TableDesc { format, ..desc }, None).unwrap_err(),
            Error::Unsupported { .. }
        ));
    }
    // A range that the device cannot bind, and one that is no storage.
    let bound = |words: wgpu::BufferBinding<'_>| {
        let rows = rows.as_entire_buffer_binding();
        let blocks = Some(BlocksBuffer { count: 3, words });
        Table::from_buffers(&noop.kernels, desc, TableBuffers { rows, blocks }).unwrap_err()
    };
    let uniform = noop.buffer(128, BufferUsages::UNIFORM);
    assert!(matches!(
        bound(uniform.as_entire_buffer_binding()),
        Error::BufferUsage {
            argument: "blocks",
            ..
        }
    ));
    let large = noop.storage(1024);
    let misaligned = wgpu::BufferBinding {
        buffer: &large,
        offset: 4,
        size: None,
    };
    assert!(matches!(
        bound(misaligned),
        Error::Misaligned {
            argument: "blocks",
            ..
        }
    ));
    assert!(noop.stray.lock().unwrap().is_empty());
}
