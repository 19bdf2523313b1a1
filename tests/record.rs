//! Ring 4, the engine's contract: recording costs the wgpu calls that it makes and nothing beside them, and no work
//! records nothing.

mod common;

use std::time::{Duration, Instant};

use common::{Noop, gpu, table};
use qembed::gpu::{
    BoundLookup, Counts, DequantizeArgs, Kernels, LookupArgs, QuantizeArgs, Table, TableDesc,
};
use qembed::shader::{self, Access, CountsWords, TableUniform};
use qembed::wgpu::{self, BufferUsages, ComputePass};
use qembed::{
    Bits, Format, IndexType, LookupPlan, LookupSpec, Method, Output, PackedTable, Pooling,
    QuantizeSpec, Session, Weighting,
};

const Q4: Format = Format::affine(Bits::B4);
const SUM: LookupSpec = LookupSpec {
    format: Q4,
    pooling: Pooling::Sum,
    weighting: Weighting::Unweighted,
    output: Output::F32,
};
const MAX: LookupSpec = LookupSpec {
    pooling: Pooling::Max,
    ..SUM
};

/// What a lookup takes: eight indices of two rows, in two bags.
struct Inputs {
    indices: wgpu::Buffer,
    offsets: wgpu::Buffer,
    output: wgpu::Buffer,
}

impl Inputs {
    fn new(device: &wgpu::Device) -> Self {
        Self {
            indices: filled(device, &[0, 1, 0, 1, 1, 1, 0, 0]),
            offsets: filled(device, &[0, 3, 8]),
            output: filled(device, &[0; 2 * 3]),
        }
    }

    fn bind(&self, kernels: &Kernels, spec: LookupSpec, table: &Table) -> BoundLookup {
        let args = LookupArgs {
            counts: Counts::Host {
                bags: 2,
                indices: 8,
            },
            indices: Some(self.indices.as_entire_buffer_binding()),
            offsets: Some(self.offsets.as_entire_buffer_binding()),
            weights: None,
            output: Some(self.output.as_entire_buffer_binding()),
            status: None,
        };
        // The plan of the bare calls.
        let lookup = kernels.lookup_by(spec, LookupPlan::Columns).unwrap();
        lookup.bind(table, args).unwrap()
    }
}

fn filled(device: &wgpu::Device, words: &[u32]) -> wgpu::Buffer {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4 * words.len() as u64,
        usage: BufferUsages::STORAGE | BufferUsages::UNIFORM | BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    let mut mapped = buffer.get_mapped_range_mut(..).unwrap();
    mapped.copy_from_slice(bytemuck::cast_slice(words));
    drop(mapped);
    buffer.unmap();
    buffer
}

fn rows() -> PackedTable {
    table(Q4, &[(1.0, 0.0, &[1, 2, 3]), (2.0, 0.5, &[4, 5, 6])])
}

/// The same kernel by wgpu's calls alone.
struct Bare {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
}

impl Bare {
    fn new(
        device: &wgpu::Device,
        spec: LookupSpec,
        (packed, inputs): (&PackedTable, &Inputs),
    ) -> Self {
        let variant = shader::lookup(&spec, LookupPlan::Columns, IndexType::U32);
        let uniform = TableUniform {
            rows: packed.rows(),
            dim: packed.dim(),
            row_words: packed.format().row_words(packed.dim()),
            zero: 0,
            blocks: 0,
            id_bits: 0,
        };
        let counts = CountsWords {
            bags: 2,
            indices: 8,
        };
        let own = |words| filled(device, bytemuck::cast_slice(words));
        let buffers = [
            ("table", own(bytemuck::bytes_of(&uniform))),
            ("counts", own(bytemuck::bytes_of(&counts))),
            ("rows", own(packed.bytes())),
            ("indices", inputs.indices.clone()),
            ("offsets", inputs.offsets.clone()),
            ("weights", own(&[0; 4])),
            ("output", inputs.output.clone()),
            ("status", own(&[0; 16])),
        ];
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &variant
                .bindings
                .iter()
                .map(layout_entry)
                .collect::<Vec<_>>(),
        });
        let buffer_of = |name| &buffers.iter().find(|(other, _)| *other == name).unwrap().1;
        let entries = variant.bindings.iter().map(|binding| wgpu::BindGroupEntry {
            binding: binding.number,
            resource: buffer_of(binding.name).as_entire_binding(),
        });
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &layout,
            entries: &entries.collect::<Vec<_>>(),
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(variant.source.into()),
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(variant.entry_point),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &variant.constants,
                ..Default::default()
            },
            cache: None,
        });
        Self {
            pipeline,
            bind_group,
        }
    }

    fn record(&self, pass: &mut ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
}

fn layout_entry(binding: &shader::Binding) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding: binding.number,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: match binding.access {
                Access::Uniform => wgpu::BufferBindingType::Uniform,
                Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
            },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}

/// Runs something on a pass that nobody submits.
fn on_a_pass<T>(device: &wgpu::Device, run: impl FnOnce(&mut ComputePass<'_>) -> T) -> T {
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    run(&mut pass)
}

const RECORDS: usize = 500;

fn seconds(device: &wgpu::Device, record: impl Fn(&mut ComputePass<'_>)) -> Duration {
    on_a_pass(device, |pass| {
        let start = Instant::now();
        (0..RECORDS).for_each(|_| record(pass));
        start.elapsed()
    })
}

/// Allocations of so many records, and their bytes.
fn allocations(device: &wgpu::Device, record: impl Fn(&mut ComputePass<'_>)) -> [u64; 2] {
    on_a_pass(device, |pass| {
        let all = || (0..RECORDS).for_each(|_| record(pass));
        let info = allocation_counter::measure(all);
        [info.count_total, info.bytes_total]
    })
}

/// The least of many batches in turn: what disturbs the machine only ever adds.
fn check_cost(device: &wgpu::Device, queue: &wgpu::Queue, kernels: &Kernels) {
    const BATCHES: usize = 200;
    const MOST: f64 = 1.2;
    let packed = rows();
    let inputs = Inputs::new(device);
    let uploaded = kernels.upload(queue, &packed).unwrap();
    // Two kernels in turn, because wgpu leaves out what is set already.
    let specs = [SUM, MAX];
    let bound = specs.map(|spec| inputs.bind(kernels, spec, &uploaded));
    let bare = specs.map(|spec| Bare::new(device, spec, (&packed, &inputs)));
    let ours = |pass: &mut ComputePass<'_>| bound.iter().for_each(|bound| bound.record(pass));
    let theirs = |pass: &mut ComputePass<'_>| bare.iter().for_each(|bare| bare.record(pass));

    let allocated = allocations(device, ours);
    assert!(allocated[0] > 0, "wgpu keeps what is recorded");
    assert_eq!(
        allocated,
        allocations(device, theirs),
        "allocations and their bytes"
    );

    let (mut of_ours, mut of_theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..BATCHES {
        of_ours = of_ours.min(seconds(device, ours));
        of_theirs = of_theirs.min(seconds(device, theirs));
    }
    let ratio = of_ours.as_secs_f64() / of_theirs.as_secs_f64();
    println!("{ratio:.3} times the bare calls: {of_ours:?}, {of_theirs:?}");
    assert!(
        ratio <= MOST,
        "{ratio} times the bare calls: {of_ours:?}, {of_theirs:?}"
    );
}

#[test]
fn recording_costs_what_wgpu_costs() {
    let noop = Noop::new();
    check_cost(&noop.device, &noop.queue, &noop.kernels);
    if let Some(session) = gpu() {
        check_cost(session.device(), session.queue(), session.kernels());
    }
}

/// The bare calls are those of the lookup: the same sums.
#[test]
fn the_bare_calls_are_the_same_work() {
    let Some(session) = gpu() else { return };
    let inputs = Inputs::new(session.device());
    let uploaded = session.upload(&rows()).unwrap();
    let bound = inputs.bind(session.kernels(), SUM, &uploaded);
    let other = Inputs::new(session.device());
    let bare = Bare::new(session.device(), SUM, (&rows(), &other));
    session
        .submit(|pass| {
            bound.record(pass);
            bare.record(pass);
        })
        .unwrap();
    let read = |buffer| session.read(buffer, 0, 24).unwrap();
    let sums = read(&inputs.output);
    assert_eq!(f32::from_bits(sums[0]), 1.0 + 8.5 + 1.0);
    assert_eq!(sums, read(&other.output));
}

/// A kernel that counts how often it runs.
struct Probe<'a> {
    session: &'a Session,
    pipeline: wgpu::ComputePipeline,
}

impl<'a> Probe<'a> {
    fn new(session: &'a Session) -> Self {
        const SOURCE: &str = "@group(0) @binding(0) var<storage, read_write> runs: array<u32>;
            @compute @workgroup_size(1) fn probe() { runs[0] += 1u; }";
        let device = session.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(SOURCE.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("probe"),
            compilation_options: Default::default(),
            cache: None,
        });
        Self { session, pipeline }
    }

    /// Sets itself, records something, dispatches: how often it runs. Once, where nothing was recorded.
    fn runs(&self, record: impl FnOnce(&mut ComputePass<'_>)) -> u32 {
        let device = self.session.device();
        let runs = filled(device, &[0]);
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: runs.as_entire_binding(),
            }],
        });
        self.session
            .submit(|pass| {
                pass.set_pipeline(&self.pipeline);
                pass.set_bind_group(0, &bind_group, &[]);
                record(pass);
                pass.dispatch_workgroups(1, 1, 1);
            })
            .unwrap();
        self.session.read(&runs, 0, 4).unwrap()[0]
    }
}

/// No bags, no indices, no rows: the pass is as it was, and not one buffer is needed.
#[test]
fn no_work_records_nothing() {
    let Some(session) = gpu() else { return };
    let probe = Probe::new(session);
    let kernels = session.kernels();
    let some = session.upload(&rows()).unwrap();
    let desc = TableDesc {
        format: Q4,
        rows: 0,
        dim: 3,
    };
    let none = kernels.allocate(desc).unwrap();

    // The check can fail: a lookup with work takes the pass for itself.
    let bound = Inputs::new(session.device()).bind(kernels, SUM, &some);
    assert_eq!(probe.runs(|pass| bound.record(pass)), 0);

    for table in [&some, &none] {
        for pooling in Pooling::ALL {
            let spec = LookupSpec { pooling, ..SUM };
            let no_rows_of_output = match pooling {
                Pooling::None => [(0, 0), (7, 0)],
                _ => [(0, 0), (0, 7)],
            };
            for (bags, indices) in no_rows_of_output {
                let args = LookupArgs {
                    counts: Counts::Host { bags, indices },
                    indices: None,
                    offsets: None,
                    weights: None,
                    output: None,
                    status: None,
                };
                let bound = kernels.lookup(spec).unwrap().bind(table, args).unwrap();
                let runs = probe.runs(|pass| bound.record(pass));
                assert_eq!(runs, 1, "{} {bags} {indices}", spec.label());
            }
        }
        let args = DequantizeArgs {
            rows: 0..0,
            values: None,
        };
        let bound = kernels.dequantize(Q4).unwrap().bind(table, args).unwrap();
        assert_eq!(probe.runs(|pass| bound.record(pass)), 1);
        let spec = QuantizeSpec {
            format: Q4,
            method: Method::Asym,
            dim: 3,
        };
        let args = QuantizeArgs {
            rows: 0..0,
            values: None,
            status: None,
        };
        let bound = kernels.quantize(spec).unwrap().bind(table, args).unwrap();
        assert_eq!(probe.runs(|pass| bound.record(pass)), 1);
    }
}

/// Tables without rows and batches without indices go up, down, and through every call.
#[test]
fn no_work_is_right() {
    let Some(session) = gpu() else { return };
    for format in Format::all().filter(|format| !matches!(format, Format::Blocks { .. })) {
        let empty = PackedTable::from_words(format, 3, vec![]).unwrap();
        let uploaded = session.upload(&empty).unwrap();
        assert_eq!(session.download(&uploaded).unwrap(), empty, "{format}");
        assert!(
            session.dequantize(&uploaded).unwrap().is_empty(),
            "{format}"
        );
        assert!(
            session.gather(&uploaded, &[]).unwrap().is_empty(),
            "{format}"
        );
        for pooling in [Pooling::Sum, Pooling::Mean, Pooling::Max] {
            let pool = |offsets| session.pool(&uploaded, &[], offsets, pooling).unwrap();
            assert!(pool(&[0]).is_empty(), "{format}");
            assert_eq!(pool(&[0, 0, 0]), [0.0; 6], "{format}");
        }
    }
    let quantized = session.quantize(&[], 3, Q4, Method::Asym).unwrap();
    assert_eq!(quantized.desc().rows, 0);
}
