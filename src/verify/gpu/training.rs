//! The kernels that train as a device under test.

use super::arena::{Arena, Place};
use crate::gpu::{
    self, BatchArgs, BatchSpec, Learn, LearnArgs, LearnBuffers, LearnSpec, Table, WeighArgs,
};
use crate::reference::{StepArgs, UpdateArgs};
use crate::shader::HyperUniform;
use crate::training::{BadInput, Batch, Parameters, UpdateStatus, UpdateStep};
use crate::verify::compare::{Fill, Outcome};
use crate::verify::training::{Learned, Updated, Weighed};
use crate::{Result, Session, Weighting};

/// Positions that scratch of learned steps has room for beyond the batch's, to see that it is left alone.
const SPARE: u32 = 3;

/// A batch, gradients and steps, each in a range of one buffer.
struct Inputs {
    buffer: wgpu::Buffer,
    bags: u32,
    positions: u32,
    indices: Place,
    offsets: Option<Place>,
    weights: Option<Place>,
    gradients: Vec<Place>,
    steps: Place,
}

impl Inputs {
    fn new(
        session: &Session,
        batch: &Batch<'_>,
        gradients: &[&[f32]],
        steps: &[f32],
    ) -> Result<Self> {
        let mut arena = Arena::default();
        let indices = arena.push(batch.indices);
        let offsets = batch.offsets.map(|offsets| arena.push(offsets));
        let weights = batch.weights.map(bytemuck::cast_slice);
        let weights = weights.map(|weights| arena.push(weights));
        let gradients = gradients.iter();
        let gradients = gradients
            .map(|gradient| arena.push(bytemuck::cast_slice(gradient)))
            .collect();
        let steps = arena.push(bytemuck::cast_slice(steps));
        Ok(Self {
            buffer: session.filled("inputs", bytemuck::cast_slice(arena.words()))?,
            bags: batch.bags() as u32,
            positions: batch.indices.len() as u32,
            indices,
            offsets,
            weights,
            gradients,
            steps,
        })
    }

    fn batch(&self) -> BatchArgs<'_> {
        let of = |place: &Place| place.of(&self.buffer);
        BatchArgs {
            bags: self.bags,
            positions: self.positions,
            indices: of(&self.indices),
            offsets: self.offsets.as_ref().and_then(of),
            weights: self.weights.as_ref().and_then(of),
        }
    }

    fn gradient(&self, number: usize) -> Option<wgpu::BufferBinding<'_>> {
        self.gradients[number].of(&self.buffer)
    }
}

/// What is read and written, in ranges of one buffer, and its contents once a kernel has run.
struct Outputs<'a> {
    session: &'a Session,
    buffer: wgpu::Buffer,
    words: usize,
}

impl<'a> Outputs<'a> {
    fn new(session: &'a Session, arena: &Arena) -> Result<Self> {
        Ok(Self {
            session,
            buffer: session.filled("outputs", bytemuck::cast_slice(arena.words()))?,
            words: arena.words().len(),
        })
    }

    /// A range that is always there.
    fn bind(&self, place: &Place) -> wgpu::BufferBinding<'_> {
        let whole = self.buffer.as_entire_buffer_binding();
        place.of(&self.buffer).unwrap_or(whole)
    }

    fn read(&self) -> Result<Vec<u32>> {
        self.session.read(&self.buffer, 0, 4 * self.words as u64)
    }
}

/// What a range of statuses holds, and what its guards found.
fn status(place: &Place, memory: &[u32]) -> (UpdateStatus, Outcome) {
    let (words, guards) = place.check(memory);
    let status = bytemuck::pod_read_unaligned(bytemuck::cast_slice(words));
    (status, guards)
}

fn numbers(place: &Place, memory: &[u32]) -> (Vec<f32>, Outcome) {
    let (words, guards) = place.check(memory);
    (bytemuck::cast_slice(words).to_vec(), guards)
}

/// The packed rows of a table, and what the guards around them found.
fn rows(session: &Session, table: &Table) -> Result<(Vec<u32>, Outcome)> {
    let rows = table.only_shard()?.words;
    let memory = session.read(rows.buffer, 0, rows.buffer.size())?;
    let (words, guards) = Place::of_binding(&rows).check(&memory);
    // A table without rows lies at a range of one word, which is its guard here.
    match table.desc().rows {
        0 => Ok((vec![], Outcome::PASS)),
        _ => Ok((words.to_vec(), guards)),
    }
}

/// The constants of some steps, each in a range of one uniform buffer.
struct Hypers {
    buffer: wgpu::Buffer,
    places: Vec<Place>,
}

impl Hypers {
    fn new(session: &Session, hypers: &[HyperUniform]) -> Result<Self> {
        let mut arena = Arena::default();
        let places = hypers.iter();
        let places = places
            .map(|hyper| arena.push(bytemuck::cast_slice(bytemuck::bytes_of(hyper))))
            .collect();
        let bytes = bytemuck::cast_slice(arena.words());
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu::buffer(session.device(), "hyper", bytes.len() as u64, usage)?;
        session.queue().write_buffer(&buffer, 0, bytes);
        Ok(Self { buffer, places })
    }

    fn bind(&self, number: usize) -> wgpu::BufferBinding<'_> {
        let whole = self.buffer.as_entire_buffer_binding();
        self.places[number].of(&self.buffer).unwrap_or(whole)
    }
}

fn batch_spec(batch: &Batch<'_>) -> BatchSpec {
    BatchSpec {
        pooling: batch.pooling,
        weighting: match batch.weights {
            Some(_) => Weighting::Weighted,
            None => Weighting::Unweighted,
        },
    }
}

/// An update in place.
pub(super) fn update(
    session: &Session,
    table: &Table,
    given: &[f32],
    args: UpdateArgs<'_>,
) -> Result<Updated> {
    let inputs = Inputs::new(session, &args.batch, &[args.gradient], args.steps)?;
    let mut arena = Arena::default();
    let state = arena.push(bytemuck::cast_slice(given));
    let found = arena.push(bytemuck::cast_slice(&[UpdateStatus::CLEAR]));
    let outputs = Outputs::new(session, &arena)?;
    let hyper = HyperUniform::new(args.spec.optimizer, &args.step)?;
    let hypers = Hypers::new(session, &[hyper])?;

    let kernels = session.kernels();
    let buffers = kernels.update_buffers(inputs.positions, table.desc().dim)?;
    let kernel = kernels.update(args.spec, batch_spec(&args.batch))?;
    let bound = kernel.bind(
        table,
        &buffers,
        gpu::UpdateArgs {
            batch: inputs.batch(),
            gradient: inputs.gradient(0),
            state: state.of(&outputs.buffer),
            steps: match args.spec.parameters {
                Parameters::Given => inputs.steps.of(&inputs.buffer),
                Parameters::Frozen | Parameters::Refreshed => None,
            },
            hyper: hypers.bind(0),
            status: outputs.bind(&found),
            bad_input: args.step.bad_input,
        },
    )?;
    session.submit(|pass| bound.record(pass))?;
    let memory = outputs.read()?;
    let (state, state_guards) = numbers(&state, &memory);
    let (status, status_guards) = status(&found, &memory);
    let (rows, rows_guards) = rows(session, table)?;
    Ok(Updated {
        rows,
        state,
        status,
        guards: rows_guards.and(state_guards).and(status_guards),
    })
}

/// A step of ALPT at work.
struct Step<'a> {
    session: &'a Session,
    table: &'a Table,
    kernel: Learn,
    buffers: LearnBuffers,
    inputs: Inputs,
    outputs: Outputs<'a>,
    states: [Place; 2],
    statuses: [Place; 2],
    hypers: Hypers,
    bad_input: BadInput,
}

impl<'a> Step<'a> {
    fn new(
        session: &'a Session,
        table: &'a Table,
        states: [&[f32]; 2],
        (first, second): (UpdateArgs<'_>, StepArgs<'_>),
    ) -> Result<Self> {
        let gradients = [first.gradient, second.update.gradient];
        let inputs = Inputs::new(session, &first.batch, &gradients, &[])?;
        let mut arena = Arena::default();
        let states = states.map(|state| arena.push(bytemuck::cast_slice(state)));
        let statuses = [(); 2].map(|()| arena.push(bytemuck::cast_slice(&[UpdateStatus::CLEAR])));
        let desc = table.desc();
        let of_rows = HyperUniform::new(first.spec.optimizer, &first.step)?;
        let step = UpdateStep {
            learning_rate: second.learning_rate,
            ..second.update.step
        };
        let shape = (desc.format, desc.dim, inputs.bags);
        let of_steps = HyperUniform::learned(&second.learned, &step, shape)?;
        let spec = LearnSpec {
            update: first.spec,
            learned: second.learned,
        };
        let kernels = session.kernels();
        Ok(Self {
            session,
            table,
            kernel: kernels.learn(spec, batch_spec(&first.batch))?,
            buffers: kernels.learn_buffers(inputs.positions + SPARE, desc.format, desc.dim)?,
            inputs,
            outputs: Outputs::new(session, &arena)?,
            states,
            statuses,
            hypers: Hypers::new(session, &[of_rows, of_steps])?,
            bad_input: first.step.bad_input,
        })
    }

    /// Runs the first half, 0, or the second, 1.
    fn run(&self, half: usize) -> Result<UpdateStatus> {
        let args = LearnArgs {
            batch: self.inputs.batch(),
            gradient: self.inputs.gradient(half),
            state: self.states[half].of(&self.outputs.buffer),
            hyper: self.hypers.bind(half),
            status: self.outputs.bind(&self.statuses[half]),
            bad_input: self.bad_input,
        };
        let bound = match half {
            0 => self.kernel.bind_stage(self.table, &self.buffers, args)?,
            _ => self.kernel.bind_steps(self.table, &self.buffers, args)?,
        };
        self.session.submit(|pass| bound.record(pass))?;
        Ok(status(&self.statuses[half], &self.outputs.read()?).0)
    }

    /// The staged rows, one for every segment; behind them scratch is zeros, as it was made.
    fn staged(&self) -> Result<(Vec<u32>, Outcome)> {
        let totals = self.buffers.update().sorted().totals();
        let segments = self.session.read(totals, 0, 4)?[0] as usize;
        let staged = self.buffers.staged();
        let desc = staged.desc();
        let rows = staged.only_shard()?.words;
        let mut words = self.session.read(rows.buffer, 0, desc.bytes())?;
        let row_words = desc.format.row_words(desc.dim) as usize;
        let behind = words.split_off((segments * row_words).min(words.len()));
        let guards = match behind.iter().position(|word| *word != 0) {
            Some(at) => Outcome::fail(format!("word {at} behind the staged rows was overwritten")),
            None => Outcome::PASS,
        };
        Ok((words, guards))
    }

    fn ranks(&self) -> Result<Vec<u32>> {
        let bytes = 4 * u64::from(self.inputs.positions);
        self.session.read(self.buffers.ranks(), 0, bytes)
    }
}

/// Both halves of a step of ALPT, the second unless the first is refused.
pub(super) fn learn(
    session: &Session,
    table: &Table,
    states: [&[f32]; 2],
    halves: (UpdateArgs<'_>, StepArgs<'_>),
) -> Result<Learned> {
    let step = Step::new(session, table, states, halves)?;
    let staging = step.run(0)?;
    let (mut second, mut staged, mut ranks) = (None, vec![], vec![]);
    let mut guards = Outcome::PASS;
    if !staging.refuses(step.bad_input) {
        (staged, guards) = step.staged()?;
        ranks = step.ranks()?;
        second = Some(step.run(1)?);
    }
    let memory = step.outputs.read()?;
    let (state, state_guards) = numbers(&step.states[0], &memory);
    let (step_state, step_state_guards) = numbers(&step.states[1], &memory);
    let (rows, rows_guards) = rows(session, table)?;
    let found = step.statuses.iter().map(|place| status(place, &memory).1);
    let all = [rows_guards, state_guards, step_state_guards];
    Ok(Learned {
        rows,
        state,
        step_state,
        staging,
        status: second,
        staged,
        ranks,
        guards: all.into_iter().chain(found).fold(guards, Outcome::and),
    })
}

/// A gradient of weights, none of which it is told.
pub(super) fn weigh(
    session: &Session,
    table: &Table,
    batch: &Batch<'_>,
    gradient: &[f32],
) -> Result<Weighed> {
    let unweighted = Batch {
        weights: None,
        ..*batch
    };
    let inputs = Inputs::new(session, &unweighted, &[gradient], &[])?;
    let mut arena = Arena::default();
    let written = arena.push(&vec![Fill::Poison.word(); batch.indices.len()]);
    let found = arena.push(bytemuck::cast_slice(&[UpdateStatus::CLEAR]));
    let outputs = Outputs::new(session, &arena)?;
    let kernels = session.kernels();
    let desc = table.desc();
    let buffers = kernels.update_buffers(inputs.positions, desc.dim)?;
    let args = WeighArgs {
        batch: inputs.batch(),
        gradient: inputs.gradient(0),
        weight_gradient: written.of(&outputs.buffer),
        status: outputs.bind(&found),
    };
    let kernel = kernels.weigh(desc.format, batch.pooling)?;
    let bound = kernel.bind(table, &buffers, args)?;
    session.submit(|pass| bound.record(pass))?;
    let memory = outputs.read()?;
    let (values, values_guards) = numbers(&written, &memory);
    let (status, status_guards) = status(&found, &memory);
    Ok(Weighed {
        values,
        status,
        guards: values_guards.and(status_guards),
    })
}
