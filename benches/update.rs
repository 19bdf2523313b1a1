//! Updates of a batch of 4096 bags of 32 rows against a copy of as many bytes, on the CPU and on the GPU. Every
//! answer is checked first, on a smaller table.

mod common;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use qembed::gpu::{self, BatchArgs, BatchSpec};
use qembed::philox::RandomKey;
use qembed::reference::{self, UpdateArgs};
use qembed::shader::HyperUniform;
use qembed::training::{
    BadInput, Batch, Optimizer, Parameters, Rounding, UpdateSpec, UpdateStatus, UpdateStep,
};
use qembed::verify::shapes::Random;
use qembed::wgpu::{self, BufferUsages};
use qembed::{Bits, Format, Method, PackedTable, Params, Pooling, Session, Weighting, cpu};

const BAGS: u32 = 4096;
const BAG_LENGTH: u32 = 32;
/// As many as a batch has indices.
const ROWS: u32 = BAGS * BAG_LENGTH;

const OPTIMIZERS: [Optimizer; 3] = [
    Optimizer::Sgd,
    Optimizer::RowwiseAdagrad { epsilon: 1e-10 },
    Optimizer::ADAM,
];

/// As many indices as a table has rows.
type Indices = fn(u32) -> Vec<u32>;

/// A batch that owns its arrays.
struct Owned {
    indices: Vec<u32>,
    offsets: Vec<u32>,
    gradient: Vec<f32>,
    dim: u32,
}

impl Owned {
    fn new(indices: Vec<u32>, dim: u32) -> Self {
        let bags = indices.len() as u32 / BAG_LENGTH;
        Self {
            indices,
            offsets: (0..=bags).map(|bag| bag * BAG_LENGTH).collect(),
            gradient: common::values((bags * dim) as usize),
            dim,
        }
    }

    fn args(&self, spec: UpdateSpec) -> UpdateArgs<'_> {
        UpdateArgs {
            batch: Batch {
                pooling: Pooling::Sum,
                indices: &self.indices,
                offsets: Some(&self.offsets),
                weights: None,
            },
            gradient: &self.gradient,
            spec,
            step: UpdateStep {
                learning_rate: 1e-3,
                weight_decay: 0.0,
                rounding: Rounding::Stochastic,
                key: RandomKey {
                    seed: 1,
                    table: 0,
                    step: 1,
                },
                bad_input: BadInput::Refuse,
            },
            steps: &[],
        }
    }

    fn distinct(&self) -> u64 {
        let rows: std::collections::BTreeSet<_> = self.indices.iter().collect();
        rows.len() as u64
    }

    /// Indices, offsets and gradient read; rows and state of the batch read and written.
    fn moved_bytes(&self, spec: UpdateSpec) -> u64 {
        let state = 4 * spec.optimizer.state_len(self.dim);
        let row = u64::from(spec.format.row_bytes(self.dim) + state);
        let read = self.indices.len() + self.offsets.len() + self.gradient.len();
        4 * read as u64 + 2 * self.distinct() * row
    }
}

/// Every row once, in no order.
fn distinct(rows: u32) -> Vec<u32> {
    let mut random = Random::new(1);
    let mut indices: Vec<u32> = (0..rows).collect();
    for at in (1..rows).rev() {
        indices.swap(at as usize, random.below(at + 1) as usize);
    }
    indices
}

/// Row `k` as often as `1 / (k + 1)`, the rows in no order.
fn zipf(rows: u32) -> Vec<u32> {
    let order = distinct(rows);
    let mut total = 0.0;
    let sums: Vec<f64> = (0..rows)
        .map(|k| {
            total += 1.0 / f64::from(k + 1);
            total
        })
        .collect();
    let mut random = Random::new(2);
    let draw = |_| {
        let place = total * f64::from(random.word()) / 2.0f64.powi(32);
        order[sums.partition_point(|sum| *sum <= place)]
    };
    (0..rows).map(draw).collect()
}

fn state_len(spec: UpdateSpec, rows: u32, dim: u32) -> usize {
    rows as usize * spec.optimizer.state_len(dim) as usize
}

/// The same batch by the reference, on a table of fewer rows.
fn check(session: Option<&Session>, spec: UpdateSpec, dim: u32, indices: Indices) {
    const ROWS: u32 = 1024;
    let owned = Owned::new(indices(ROWS), dim);
    let table = table(spec.format, ROWS, dim);
    let state = vec![0.0; state_len(spec, ROWS, dim)];
    let (mut expected, mut expected_state) = (table.clone(), state.clone());
    let args = owned.args(spec);
    reference::update(&mut expected, &mut expected_state, args).unwrap();

    let (mut got, mut got_state) = (table.clone(), state.clone());
    let status = cpu::update(&mut got, &mut got_state, args).unwrap();
    assert_eq!(status, UpdateStatus::CLEAR, "{}", spec.label());
    let same = got == expected && got_state == expected_state;
    assert!(same, "{} on the CPU", spec.label());

    if let Some(session) = session {
        let device = Device::new(session, &owned, spec, &table);
        common::timed(session, 1, |pass| device.bound.record(pass));
        let status = common::read(session, &device.status);
        assert_eq!(status, words(&UpdateStatus::CLEAR), "{}", spec.label());
        let rows = common::read(session, device.table.shards().next().unwrap().words.buffer);
        let state = device.state.as_ref();
        let state = state.map_or(vec![], |state| common::read(session, state));
        let expected_state: Vec<u32> = expected_state.iter().map(|x| x.to_bits()).collect();
        let same = rows == expected.words() && state == expected_state;
        assert!(same, "{} on the GPU", spec.label());
    }
}

fn words(status: &UpdateStatus) -> &[u32] {
    bytemuck::cast_slice(bytemuck::bytes_of(status))
}

/// An update on the GPU, ready to be recorded.
struct Device {
    table: gpu::Table,
    state: Option<wgpu::Buffer>,
    status: wgpu::Buffer,
    bound: gpu::BoundUpdate,
}

impl Device {
    fn new(session: &Session, owned: &Owned, spec: UpdateSpec, table: &PackedTable) -> Self {
        let kernels = session.kernels();
        let filled = |words: &[u32]| common::filled(session, bytemuck::cast_slice(words));
        let (indices, offsets) = (filled(&owned.indices), filled(&owned.offsets));
        let gradient = filled(bytemuck::cast_slice(&owned.gradient));
        let status = filled(words(&UpdateStatus::CLEAR));
        let state_len = state_len(spec, table.rows(), owned.dim);
        let state = (state_len > 0).then(|| filled(&vec![0; state_len]));
        let step = owned.args(spec).step;
        let hyper = session.device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: size_of::<HyperUniform>() as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let numbers = HyperUniform::new(spec.optimizer, &step).unwrap();
        let queue = session.queue();
        queue.write_buffer(&hyper, 0, bytemuck::bytes_of(&numbers));
        let table = session.upload(table).unwrap();
        let positions = owned.indices.len() as u32;
        let buffers = kernels.update_buffers(positions, owned.dim).unwrap();
        let batch = BatchSpec {
            pooling: Pooling::Sum,
            weighting: Weighting::Unweighted,
        };
        let args = gpu::UpdateArgs {
            batch: BatchArgs {
                bags: owned.offsets.len() as u32 - 1,
                positions,
                indices: Some(indices.as_entire_buffer_binding()),
                offsets: Some(offsets.as_entire_buffer_binding()),
                weights: None,
            },
            gradient: Some(gradient.as_entire_buffer_binding()),
            state: state.as_ref().map(wgpu::Buffer::as_entire_buffer_binding),
            steps: None,
            hyper: hyper.as_entire_buffer_binding(),
            status: status.as_entire_buffer_binding(),
            bad_input: step.bad_input,
        };
        let update = kernels.update(spec, batch).unwrap();
        let bound = update.bind(&table, &buffers, args).unwrap();
        Self {
            table,
            state,
            status,
            bound,
        }
    }
}

fn table(format: Format, rows: u32, dim: u32) -> PackedTable {
    let values = common::values((rows * dim) as usize);
    PackedTable::quantize(&values, dim as usize, format, Method::Absmax).unwrap()
}

/// Every device's update by a batch, each beside a copy of its own.
fn devices(
    criterion: &mut Criterion,
    session: Option<&Session>,
    (name, spec): (&str, UpdateSpec),
    (owned, table): (&Owned, &PackedTable),
) {
    let label = format!("{}/dim{}/{name}", spec.label(), owned.dim);
    let moved_bytes = owned.moved_bytes(spec);
    let mut group = criterion.benchmark_group(&label);
    group.throughput(Throughput::ElementsAndBytes {
        elements: owned.distinct(),
        bytes: moved_bytes,
    });
    on_the_cpu(&mut group, spec, owned, table.clone());
    common::host_copy(&mut group, moved_bytes);
    group.finish();
    if let Some(session) = session {
        let mut group = criterion.benchmark_group(format!("{label}/gpu"));
        let device = Device::new(session, owned, spec, table);
        common::beside_a_copy(&mut group, session, moved_bytes, |pass| {
            device.bound.record(pass);
        });
        group.finish();
    }
}

fn on_the_cpu(
    group: &mut BenchmarkGroup<'_, WallTime>,
    spec: UpdateSpec,
    owned: &Owned,
    mut table: PackedTable,
) {
    let mut state = vec![0.0; state_len(spec, ROWS, owned.dim)];
    group.bench_function("cpu", |bench| {
        bench.iter(|| cpu::update(&mut table, &mut state, owned.args(spec)).unwrap());
    });
}

fn update(criterion: &mut Criterion) {
    let session = common::session();
    let session = session.as_ref();
    let batches: [(&str, Indices); 2] = [("distinct", distinct), ("zipf", zipf)];
    for dim in [16, 64, 128] {
        let batches = batches.map(|(name, indices)| {
            let owned = Owned::new(indices(ROWS), dim);
            (name, indices, owned)
        });
        for bits in [Bits::B4, Bits::B8] {
            let format = Format::Symmetric {
                bits,
                params: Params::F32,
            };
            let table = table(format, ROWS, dim);
            for (name, indices, owned) in &batches {
                for optimizer in OPTIMIZERS {
                    let spec = UpdateSpec {
                        format,
                        optimizer,
                        parameters: Parameters::Frozen,
                    };
                    check(session, spec, dim, *indices);
                    devices(criterion, session, (*name, spec), (owned, &table));
                }
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = update
}
criterion_main!(benches);
