//! Ring 3, sort: every error, on wgpu's noop device with default limits; no validation error of wgpu's own
//! escapes. No GPU.

mod common;

use common::Noop;
use qembed::Error;
use qembed::gpu::{BoundSort, Kernels, SortArgs, SortBuffers};
use qembed::wgpu::{self, BufferUsages};

/// Binds and records a sort of so many keys, in buffers for 5000.
fn bind(noop: &Noop, count: u32, rows: u32, keys: &wgpu::Buffer) -> Result<BoundSort, Error> {
    let buffers = noop.kernels.sort_buffers(5000).unwrap();
    let keys = keys.as_entire_buffer_binding();
    let bound = noop
        .kernels
        .sort()?
        .bind(&buffers, SortArgs { count, rows, keys })?;
    noop.submit(|pass| (0..2).for_each(|_| bound.record(pass)));
    Ok(bound)
}

#[test]
fn sound_binds_are_accepted_and_recorded_twice() {
    let noop = Noop::new();
    let keys = noop.storage(4 * 5000);
    for count in [0, 1, 2048, 2049, 5000] {
        for rows in [0, 1, 256, 1 << 16, 1 << 24, u32::MAX] {
            bind(&noop, count, rows, &keys).unwrap();
        }
    }
    // Nothing is read of the keys of an empty batch.
    bind(&noop, 0, 9, &noop.buffer(4, BufferUsages::UNIFORM)).unwrap();
}

/// A batch that is summed up over its tiles.
#[test]
fn many_tiles_bind() {
    let noop = Noop::new();
    let keys = noop.storage(4 * 200_000);
    let buffers = noop.kernels.sort_buffers(200_000).unwrap();
    let args = SortArgs {
        count: 200_000,
        rows: 1_000_000,
        keys: keys.as_entire_buffer_binding(),
    };
    let bound = noop.kernels.sort().unwrap().bind(&buffers, args).unwrap();
    noop.submit(|pass| bound.record(pass));
}

#[test]
fn more_keys_than_the_buffers_hold() {
    let noop = Noop::new();
    let error = bind(&noop, 5001, 9, &noop.storage(4 * 5001)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "count: needed at most 5000 (the buffers' capacity), got 5001"
    );
}

#[test]
fn keys_that_cannot_be_bound() {
    let noop = Noop::new();
    let error = bind(&noop, 100, 9, &noop.storage(396)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "keys: the range has 396 bytes, 400 are needed"
    );
    let error = bind(&noop, 100, 9, &noop.buffer(400, BufferUsages::UNIFORM)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::BufferUsage {
                argument: "keys",
                ..
            }
        ),
        "{error}"
    );
    let buffers = noop.kernels.sort_buffers(5000).unwrap();
    let memory = noop.storage(800);
    let args = |offset| SortArgs {
        count: 10,
        rows: 9,
        keys: wgpu::BufferBinding {
            buffer: &memory,
            offset,
            size: None,
        },
    };
    let sort = noop.kernels.sort().unwrap();
    let error = sort.bind(&buffers, args(4)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Misaligned {
                argument: "keys",
                ..
            }
        ),
        "{error}"
    );
    sort.bind(&buffers, args(256)).unwrap();
}

/// Any output would be written while there is still something to read, or before the next time.
#[test]
fn keys_in_an_output() {
    let noop = Noop::new();
    let buffers = noop.kernels.sort_buffers(4).unwrap();
    let sort = noop.kernels.sort().unwrap();
    for (name, output) in [
        ("positions", buffers.positions()),
        ("segments", buffers.segments()),
        ("chunks", buffers.chunks()),
        ("ranks", buffers.ranks()),
        ("totals", buffers.totals()),
    ] {
        let args = SortArgs {
            count: 4,
            rows: 9,
            keys: output.as_entire_buffer_binding(),
        };
        let error = sort.bind(&buffers, args).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{name} shares a buffer with keys: the sort would overwrite its keys; use another one"
            )
        );
    }
}

#[test]
fn buffers_of_other_kernels() {
    let noop = Noop::new();
    let others = Kernels::new(&noop.device).unwrap();
    let buffers = others.sort_buffers(5000).unwrap();
    let keys = noop.storage(400);
    let args = SortArgs {
        count: 100,
        rows: 9,
        keys: keys.as_entire_buffer_binding(),
    };
    let error = noop
        .kernels
        .sort()
        .unwrap()
        .bind(&buffers, args)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "buffers: needed buffers made with these kernels or a clone of them, got some made with others"
    );
}

#[test]
fn buffers_have_the_bytes_and_usages_that_are_documented() {
    let noop = Noop::new();
    let buffers = noop.kernels.sort_buffers(100).unwrap();
    let usages = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
    for (output, bytes) in [
        (buffers.positions(), 400),
        (buffers.segments(), 808),
        (buffers.chunks(), 404),
        (buffers.ranks(), 400),
        (buffers.totals(), 16),
    ] {
        assert_eq!((output.size(), output.usage()), (bytes, usages));
    }
}

#[test]
fn batches_that_are_too_large() {
    let noop = Noop::new();
    let error = noop
        .kernels
        .sort_buffers(SortBuffers::MOST + 1)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "capacity: needed at most 16777216 positions, got 16777217"
    );
    // wgpu's default limits have room for every segment, but not for the one behind the last.
    let buffers = noop.kernels.sort_buffers(SortBuffers::MOST).unwrap();
    let keys = noop.storage(4 * u64::from(SortBuffers::MOST));
    let sort = noop.kernels.sort().unwrap();
    let args = |rows| SortArgs {
        count: SortBuffers::MOST,
        rows,
        keys: keys.as_entire_buffer_binding(),
    };
    sort.bind(&buffers, args(SortBuffers::MOST - 1)).unwrap();
    let error = sort.bind(&buffers, args(SortBuffers::MOST)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "segments: needs 134217736 of the device's max_storage_buffer_binding_size, which is 134217728"
    );
}

#[test]
fn a_device_whose_bindings_or_workgroups_are_small() {
    let with = |change: fn(&mut wgpu::Limits)| {
        let mut required_limits = wgpu::Limits::default();
        change(&mut required_limits);
        let desc = wgpu::DeviceDescriptor {
            required_limits,
            ..Default::default()
        };
        Kernels::new(&wgpu::Device::noop(&desc).0)
    };
    let kernels = with(|limits| limits.max_storage_buffer_binding_size = 1 << 20).unwrap();
    assert!(kernels.sort_buffers(1 << 17).is_ok());
    let error = kernels.sort_buffers((1 << 17) + 1).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                argument: "segments",
                ..
            }
        ),
        "{error}"
    );
    let error = with(|limits| limits.max_compute_workgroup_size_x = 128).unwrap_err();
    assert_eq!(
        error.to_string(),
        "device: needs 256 of the device's max_compute_workgroup_size_x, which is 128"
    );
}

#[test]
fn a_lost_device_is_said_to_be_lost() {
    let noop = Noop::new();
    let (sort, keys) = (noop.kernels.sort().unwrap(), noop.storage(400));
    let buffers = noop.kernels.sort_buffers(100).unwrap();
    noop.device.destroy();
    let lost = |error| matches!(error, Error::DeviceLost);
    assert!(lost(noop.kernels.sort_buffers(100).unwrap_err()));
    let args = SortArgs {
        count: 100,
        rows: 9,
        keys: keys.as_entire_buffer_binding(),
    };
    assert!(lost(sort.bind(&buffers, args).unwrap_err()));
    assert!(lost(
        Kernels::new(&noop.device).unwrap().sort().unwrap_err()
    ));
}
