//! The same lookup as others do it: sums of bags of affine rows with an f16 header, on the same table.
//!
//! The kernels are in `benches/baselines`; wgpu checks them at run time as it checks qembed's own.

use qembed::shader::{GRID_WIDTH, grid};
use qembed::wgpu::{self, Buffer, ComputePass};
use qembed::{Bits, Error, PackedTable, Session};

use super::super::batch::Batches;
use super::super::check::{Sample, right, written};
use super::super::point::Point;
use super::super::ready::{Ready, in_turn, nothing};
use super::super::refusal::Refusal;
use super::super::scale::Scale;
use super::super::subject::{Baseline, Subject, affine_f16, sum_of};
use super::super::tables;
use super::super::traffic::Traffic;
use super::{Gpu, bindable, poisoned, uniform};

macro_rules! kernel {
    ($name:literal) => {
        concat!(
            include_str!("../../../../../../benches/baselines/sizes.wgsl"),
            include_str!(concat!(
                "../../../../../../benches/baselines/",
                $name,
                ".wgsl"
            ))
        )
    };
}

/// A shader and its entry point.
type Source = (&'static str, &'static str);

const ELEMENT: Source = (kernel!("element"), "gather");
const ROW: Source = (kernel!("row"), "gather");
const REDUCE: Source = (kernel!("reduce"), "reduce");
const EXPAND: Source = (kernel!("expand"), "expand");
const F32: Source = (kernel!("f32"), "pool");

/// Rounds of a loop that every driver runs: llvmpipe ends it after 65535, and the baselines do not look.
const LONGEST_WALK: u32 = 65_000;

/// Lanes of a workgroup.
const WORKGROUP: u64 = 64;

pub fn prepare<'a>(
    (session, clock): Gpu<'a>,
    (baseline, bits): (Baseline, Bits),
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    let format = affine_f16(bits);
    let packed = tables::packed(format, point.rows, point.dim)?;
    let row_bytes = u64::from(format.row_bytes(point.dim));
    let batches = Batches::new(point, row_bytes, scale.touched_bytes)?;
    let device = OnDevice::new(session, (&packed, &batches), (baseline, bits))?;
    let steps = (0..batches.indices.len()).map(|batch| device.steps(session, baseline, batch));
    let mut steps: Vec<_> = steps.collect::<Result<_, _>>()?;
    session.submit(|pass| record(&steps[0], pass))?;
    if baseline == Baseline::F32 {
        // The rows are there now.
        steps.iter_mut().for_each(|steps| drop(steps.remove(0)));
    }
    let words = session.read(&device.output, 0, device.output.size())?;
    let label = Subject::Baseline(baseline, bits).label();
    right(&label, written(&words))?;
    let sample = Sample::new(sum_of(format), &packed, &batches)?;
    let outcome = sample.compare(&bytemuck::cast_vec(words));
    if outcome.failure.is_some() && point.bag_length > LONGEST_WALK {
        let ended = "the driver may end the walk of a bag early; take shorter bags";
        return Err(Refusal::Skip(ended.into()));
    }
    right(&label, outcome)?;
    Ok(Ready {
        run: in_turn(clock, steps, |steps, pass| record(steps, pass)),
        traffic: traffic(baseline, &packed, &batches),
        items: point.indices(),
        after: nothing(),
    })
}

/// What the lookup must move, whatever a baseline moves beside it: packed rows, or those that were never packed.
fn traffic(baseline: Baseline, packed: &PackedTable, batches: &Batches) -> Traffic {
    let spec = sum_of(packed.format());
    if baseline != Baseline::F32 {
        return Traffic::lookup(spec, packed, batches);
    }
    let rows = Traffic::rows(
        batches.indices.iter().flatten(),
        4 * u64::from(packed.dim()),
    );
    let rows = rows.share(batches.indices.len() as u64);
    rows.and(Traffic::beside_rows(spec, packed.dim(), batches))
}

/// One dispatch.
struct Step {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
}

fn record(steps: &[Step], pass: &mut ComputePass<'_>) {
    for step in steps {
        let [x, y, z] = step.groups;
        pass.set_pipeline(&step.pipeline);
        pass.set_bind_group(0, &step.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// A table, batches, and what a baseline needs beside them.
struct OnDevice {
    pipelines: Vec<wgpu::ComputePipeline>,
    sizes: Sizes,
    uniform: Buffer,
    rows: Buffer,
    /// What is written first and read then: an f32 gather, or f32 rows.
    between: Buffer,
    indices: Vec<Buffer>,
    offsets: Buffer,
    output: Buffer,
}

/// What the shaders know.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Sizes {
    rows: u32,
    dim: u32,
    row_words: u32,
    indices: u32,
    bags: u32,
}

impl OnDevice {
    fn new(
        session: &Session,
        (packed, batches): (&PackedTable, &Batches),
        (baseline, bits): (Baseline, Bits),
    ) -> Result<Self, Refusal> {
        let sizes = Sizes {
            rows: packed.rows(),
            dim: packed.dim(),
            row_words: packed.format().row_words(packed.dim()),
            indices: batches.indices[0].len() as u32,
            bags: batches.offsets.len() as u32 - 1,
        };
        let elements = |count: u32| 4 * u64::from(count) * u64::from(sizes.dim);
        let (name, count) = match baseline {
            Baseline::Element | Baseline::Row => ("gathered", sizes.indices),
            Baseline::Expand | Baseline::F32 => ("f32 rows", sizes.rows),
        };
        bindable(session, name, elements(count))?;
        bindable(session, "rows", packed.bytes().len() as u64)?;
        let upload = |name, words: &[u32]| session.filled(name, bytemuck::cast_slice(words));
        let indices = batches.indices.iter();
        let indices = indices.map(|indices| upload("indices", indices));
        let pipeline = |source| compile(session, source, bits);
        Ok(Self {
            pipelines: sources(baseline)
                .into_iter()
                .map(pipeline)
                .collect::<Result<_, _>>()?,
            sizes,
            uniform: uniform(session, &sizes)?,
            rows: upload("rows", packed.words())?,
            between: session.buffer(name, elements(count))?,
            indices: indices.collect::<Result<_, _>>()?,
            offsets: upload("offsets", &batches.offsets)?,
            output: poisoned(session, "output", elements(sizes.bags))?,
        })
    }

    /// The dispatches of one batch, the first of which a table that was never packed needs once.
    fn steps(
        &self,
        session: &Session,
        baseline: Baseline,
        batch: usize,
    ) -> Result<Vec<Step>, Refusal> {
        let Self {
            rows,
            between,
            offsets,
            output,
            ..
        } = self;
        let indices = &self.indices[batch];
        let [table, positions, bags] = [self.sizes.rows, self.sizes.indices, self.sizes.bags];
        let elements = |count: u32| u64::from(count) * u64::from(self.sizes.dim);
        let reduce = (vec![between, offsets, output], elements(bags));
        let pool = (vec![between, indices, offsets, output], elements(bags));
        let words = u64::from(table) * u64::from(self.sizes.row_words - 1);
        let expand = (vec![rows, between], words);
        let gather = |lanes| (vec![rows, indices, between], lanes);
        let stages = match baseline {
            Baseline::Element => [gather(elements(positions)), reduce],
            Baseline::Row => [gather(positions.into()), reduce],
            Baseline::Expand | Baseline::F32 => [expand, pool],
        };
        let stages = stages.iter().zip(&self.pipelines);
        let steps = stages.map(|((buffers, lanes), pipeline)| {
            let all = [&self.uniform].into_iter().chain(buffers.iter().copied());
            let entries = all.zip(0..).map(|(buffer, binding)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            });
            let entries: Vec<_> = entries.collect();
            let bind_group = session.checked("baseline", 0, || {
                session
                    .device()
                    .create_bind_group(&wgpu::BindGroupDescriptor {
                        label: Some("baseline"),
                        layout: &pipeline.get_bind_group_layout(0),
                        entries: &entries,
                    })
            });
            Ok(Step {
                pipeline: pipeline.clone(),
                bind_group: bind_group?,
                groups: groups(*lanes)?,
            })
        });
        steps.collect()
    }
}

fn sources(baseline: Baseline) -> [Source; 2] {
    match baseline {
        Baseline::Element => [ELEMENT, REDUCE],
        Baseline::Row => [ROW, REDUCE],
        Baseline::Expand | Baseline::F32 => [EXPAND, F32],
    }
}

fn compile(
    session: &Session,
    (source, entry_point): Source,
    bits: Bits,
) -> Result<wgpu::ComputePipeline, Refusal> {
    let device = session.device();
    let pipeline = session.checked("baseline", 0, || {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(entry_point),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry_point),
            layout: None,
            module: &module,
            entry_point: Some(entry_point),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[("BITS", bits.count().into())],
                ..Default::default()
            },
            cache: None,
        })
    });
    Ok(pipeline?)
}

fn groups(lanes: u64) -> Result<[u32; 3], Refusal> {
    let groups = lanes.div_ceil(WORKGROUP);
    let folded = grid(groups).ok_or(Error::Limit {
        argument: "baseline",
        name: "max_compute_workgroups_per_dimension, squared",
        needed: groups,
        available: u64::from(GRID_WIDTH).pow(2),
    });
    Ok(folded?)
}
