//! Many tables at once, and by a dispatch for each.

use qembed::gpu::{BatchedSpec, BoundLookup, Counts, LookupArgs};
use qembed::wgpu::Buffer;
use qembed::{IndexType, LookupStatus, Output, PackedTable, Session, Weighting};

use super::super::check::{right, written};
use super::super::point::Point;
use super::super::ready::{Ready, in_turn, nothing};
use super::super::recommender::Recommender;
use super::super::refusal::Refusal;
use super::super::scale::Scale;
use super::super::subject::{Dispatches, Subject, sum_of};
use super::{Gpu, clear, poisoned};

pub fn prepare<'a>(
    (session, clock): Gpu<'a>,
    dispatches: Dispatches,
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    let recommender = Recommender::new(point, scale)?;
    let device = Inputs::new(session, &recommender, (dispatches, point.bags))?;
    let bound = match dispatches {
        Dispatches::One => device.one(session, &recommender)?,
        Dispatches::Many => device.many(session, &recommender)?,
    };
    session.submit(|pass| record(&bound[0], pass))?;
    device.check(session, &recommender, dispatches)?;
    Ok(Ready {
        run: in_turn(clock, bound, |bound, pass| record(bound, pass)),
        traffic: recommender.traffic(),
        items: recommender.lookups(),
        after: nothing(),
    })
}

fn record(bound: &[BoundLookup], pass: &mut qembed::wgpu::ComputePass<'_>) {
    bound.iter().for_each(|bound| bound.record(pass));
}

/// Batches on the device.
struct Inputs {
    indices: Vec<Buffer>,
    count: u32,
    bags: u32,
    /// One of each dispatch.
    outputs: Vec<Buffer>,
    status: Buffer,
}

impl Inputs {
    fn new(
        session: &Session,
        recommender: &Recommender,
        (dispatches, bags): (Dispatches, u32),
    ) -> Result<Self, Refusal> {
        let indices = recommender.batches.indices.iter();
        let indices = indices.map(|one| session.filled("indices", bytemuck::cast_slice(one)));
        let columns = match dispatches {
            Dispatches::One => vec![recommender.columns()],
            Dispatches::Many => recommender.tables.iter().map(PackedTable::dim).collect(),
        };
        let outputs = columns.into_iter().map(|columns| {
            let bytes = 4 * u64::from(columns) * u64::from(bags);
            poisoned(session, "output", bytes)
        });
        Ok(Self {
            indices: indices.collect::<Result<_, _>>()?,
            count: recommender.batches.indices[0].len() as u32,
            bags,
            outputs: outputs.collect::<Result<_, _>>()?,
            status: session.filled("status", bytemuck::bytes_of(&LookupStatus::CLEAR))?,
        })
    }

    fn args<'a>(&'a self, batch: usize, offsets: &'a Buffer, output: &'a Buffer) -> LookupArgs<'a> {
        LookupArgs {
            counts: Counts::Host {
                bags: self.bags,
                indices: self.count,
            },
            indices: Some(self.indices[batch].as_entire_buffer_binding()),
            offsets: Some(offsets.as_entire_buffer_binding()),
            weights: None,
            output: Some(output.as_entire_buffer_binding()),
            status: Some(self.status.as_entire_buffer_binding()),
        }
    }

    /// One dispatch a batch.
    fn one(
        &self,
        session: &Session,
        recommender: &Recommender,
    ) -> Result<Vec<Vec<BoundLookup>>, Refusal> {
        let arena = session.upload_arena(&recommender.batched_tables())?;
        let spec = BatchedSpec {
            features: &recommender.features,
            places: None,
            weighting: Weighting::Unweighted,
            output: Output::F32,
            index: IndexType::U32,
        };
        let kernel = session.kernels().batched(&arena, spec)?;
        let offsets = bytemuck::cast_slice(&recommender.batches.offsets);
        let offsets = session.filled("offsets", offsets)?;
        let bound = (0..self.indices.len()).map(|batch| {
            let args = self.args(batch, &offsets, &self.outputs[0]);
            Ok(vec![kernel.bind(args)?])
        });
        bound.collect()
    }

    /// A dispatch for each table.
    fn many(
        &self,
        session: &Session,
        recommender: &Recommender,
    ) -> Result<Vec<Vec<BoundLookup>>, Refusal> {
        let mut bound: Vec<Vec<BoundLookup>> = self.indices.iter().map(|_| vec![]).collect();
        for (feature, packed) in recommender.tables.iter().enumerate() {
            let table = session.upload(packed)?;
            let offsets = bytemuck::cast_slice(recommender.offsets(feature));
            let offsets = session.filled("offsets", offsets)?;
            let kernel = session.kernels().lookup(sum_of(packed.format()))?;
            for (batch, bound) in bound.iter_mut().enumerate() {
                let args = self.args(batch, &offsets, &self.outputs[feature]);
                bound.push(kernel.bind(&table, args)?);
            }
        }
        Ok(bound)
    }

    /// Compares what was written with the reference.
    fn check(
        &self,
        session: &Session,
        recommender: &Recommender,
        dispatches: Dispatches,
    ) -> Result<(), Refusal> {
        clear(session, &self.status)?;
        let label = Subject::Batched(dispatches).label();
        let outputs = self.outputs.iter();
        let words = outputs.map(|output| session.read(output, 0, output.size()));
        let words = words.collect::<Result<Vec<_>, _>>()?.concat();
        right(&label, written(&words))?;
        let values: Vec<f32> = bytemuck::cast_vec(words);
        recommender.check(&label, &values, dispatches)
    }
}
