//! Inside an engine: the caller's own device, encoder and buffers; two lookups into one arena; one
//! submit. Nothing here allocates, submits or waits behind the engine's back.

use qembed::gpu::{Counts, Kernels, Lookup, LookupArgs, Table};
use qembed::wgpu::{self, BufferBinding, BufferUsages};
use qembed::{Bits, Error, Format, LookupSpec, Method, Output, PackedTable, Pooling, Weighting};

const DIM: u64 = 32;

fn main() -> Result<(), Error> {
    let Some((device, queue)) = engine_device() else {
        println!("no adapter to run on");
        return Ok(());
    };

    // Once: kernels, tables, pipelines.
    let kernels = Kernels::new(&device)?;
    let users = kernels.upload(&queue, &table(1000, Bits::B8)?)?;
    let items = kernels.upload(&queue, &table(5000, Bits::B4)?)?;
    let mean_of_users = compile(&kernels, &users, Pooling::Mean)?;
    let sum_of_items = compile(&kernels, &items, Pooling::Sum)?;

    // The engine's own memory: one buffer of inputs, one arena of outputs.
    let inputs = buffer(&device, 1024, BufferUsages::COPY_DST);
    let arena = buffer(&device, 1024, BufferUsages::COPY_SRC);
    let (user_indices, user_offsets) = (0, 256);
    let (item_indices, item_offsets) = (512, 768);
    queue.write_buffer(&inputs, user_indices, bytemuck::cast_slice(&[7u32, 8, 9]));
    queue.write_buffer(&inputs, user_offsets, bytemuck::cast_slice(&[0u32, 1, 3]));
    queue.write_buffer(
        &inputs,
        item_indices,
        bytemuck::cast_slice(&[1u32, 2, 3, 4, 4999]),
    );
    queue.write_buffer(&inputs, item_offsets, bytemuck::cast_slice(&[0u32, 5, 5]));

    // Once per set of buffers: every check happens here.
    let args = |indices, offsets, output, count| LookupArgs {
        counts: Counts::Host {
            bags: 2,
            indices: count,
        },
        indices: Some(range(&inputs, indices)),
        offsets: Some(range(&inputs, offsets)),
        weights: None,
        output: Some(range(&arena, output)),
        status: None,
    };
    let users = mean_of_users.bind(&users, args(user_indices, user_offsets, 0, 3))?;
    let items = sum_of_items.bind(&items, args(item_indices, item_offsets, 2 * DIM * 4, 5))?;

    // Every frame: the engine's encoder, the engine's pass, the engine's submit.
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    users.record(&mut pass);
    items.record(&mut pass);
    drop(pass);
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: arena.size(),
        usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    encoder.copy_buffer_to_buffer(&arena, 0, &staging, 0, arena.size());
    queue.submit([encoder.finish()]);

    // Only to show the result.
    staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
    device
        .poll(wgpu::PollType::wait_indefinitely())
        .map_err(|error| Error::Device(error.to_string()))?;
    let mapped = staging
        .slice(..)
        .get_mapped_range()
        .map_err(|_| Error::DeviceLost)?;
    let values: &[f32] = bytemuck::cast_slice(&mapped);
    for (name, row) in [
        ("user bag 0", 0),
        ("user bag 1", 1),
        ("item bag 0", 2),
        ("item bag 1, empty", 3),
    ] {
        println!("{name}: {:?} ..", &values[row * DIM as usize..][..4]);
    }
    Ok(())
}

/// A device as an engine has it: default limits, no features.
fn engine_device() -> Option<(wgpu::Device, wgpu::Queue)> {
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).ok()?;
    pollster::block_on(adapter.request_device(&Default::default())).ok()
}

/// A table of some values.
fn table(rows: usize, bits: Bits) -> Result<PackedTable, Error> {
    let values: Vec<f32> = (0..rows * DIM as usize)
        .map(|i| (i as f32 * 0.11).sin())
        .collect();
    PackedTable::quantize(&values, DIM as usize, Format::affine(bits), Method::Asym)
}

fn compile(kernels: &Kernels, table: &Table, pooling: Pooling) -> Result<Lookup, Error> {
    kernels.lookup(LookupSpec {
        format: table.desc().format,
        pooling,
        weighting: Weighting::Unweighted,
        output: Output::F32,
    })
}

fn buffer(device: &wgpu::Device, size: u64, usage: BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage: usage | BufferUsages::STORAGE,
        mapped_at_creation: false,
    })
}

/// From an offset to the end; the counts say how much of it is used.
fn range(buffer: &wgpu::Buffer, offset: u64) -> BufferBinding<'_> {
    BufferBinding {
        buffer,
        offset,
        size: None,
    }
}
