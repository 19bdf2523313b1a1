//! Every kernel against the reference, over one case table: what `qembed verify` runs, and what an
//! engine can run in its own tests.
//!
//! A device under test is an [`Engine`]; `GpuEngine` runs the kernels on a GPU, [`CpuEngine`] those on the CPU.

pub mod batched;
pub mod compare;
mod cpu;
#[cfg(feature = "session")]
mod gpu;
pub mod shapes;
pub mod training;

pub use cpu::CpuEngine;
#[cfg(feature = "session")]
pub use gpu::GpuEngine;

use batched::{BatchedData, BatchedVariant};
use compare::Outcome;
use shapes::{Batch, Faults, Shape};
use training::{Learned, Updated, Weighed};

use crate::reference::quantize::Solver;
use crate::reference::{self, StepArgs, UpdateArgs, quantize_row};
use crate::shader::{self, BatchedPlan};
use crate::{
    Bits, Float, Format, IndexType, LookupPlan, LookupSpec, LookupStatus, Method, Output,
    PackedTable, Params, Pooling, QuantizeSpec, QuantizeStatus, Result, Weighting,
};

/// A device under test.
pub trait Engine {
    /// A table on the device.
    type Table;

    /// Copies a table to the device.
    ///
    /// # Errors
    /// Whatever the device refuses.
    fn upload(&self, table: &PackedTable) -> Result<Self::Table>;

    /// The plans that its lookups can be told to take.
    const PLANS: &'static [LookupPlan];

    /// The lookup of a spec: `[output rows, dim]` as f32 and the status, and what the device's own
    /// guards found. The plan is one of [`Engine::PLANS`], or `None` for the engine's own choice.
    ///
    /// # Errors
    /// Whatever the device refuses.
    fn lookup(
        &self,
        table: &Self::Table,
        planned: (&LookupSpec, Option<LookupPlan>),
        batch: &Batch,
    ) -> Result<Lookup>;

    /// The plans that its batched lookups can be told to take.
    const BATCHED_PLANS: &'static [BatchedPlan];

    /// The types of indices that its batched lookups read.
    const INDEX_TYPES: &'static [IndexType];

    /// A lookup in many tables at once: the whole output, in which every element is in a feature's place, as f32.
    ///
    /// # Errors
    /// Whatever the device refuses.
    fn batched(&self, variant: &BatchedVariant, data: &BatchedData) -> Result<Lookup>;

    /// How it finds the centroids of [`Method::Kmeans`].
    const SOLVER: Solver;

    /// Quantizes `[rows, dim]` values.
    ///
    /// # Errors
    /// Whatever the device refuses.
    fn quantize(
        &self,
        values: &[f32],
        dim: usize,
        format: Format,
        method: Method,
    ) -> Result<Quantized>;

    /// Every value of a table, and what the device's own guards found.
    ///
    /// # Errors
    /// Whatever the device refuses.
    fn dequantize(&self, table: &Self::Table) -> Result<(Vec<f32>, Outcome)>;

    /// Updates a table by a batch; `state` is `[rows, state_len]`.
    ///
    /// # Errors
    /// Whatever the device refuses; a batch that is refused is none.
    fn update(&self, table: Self::Table, state: &[f32], args: UpdateArgs<'_>) -> Result<Updated>;

    /// Learns the steps of a table by both halves of a step of ALPT, the second unless the first is refused;
    /// `states` are those of the rows' optimizer and of the steps'.
    ///
    /// # Errors
    /// Whatever the device refuses; a batch that is refused is none.
    fn learn(
        &self,
        table: Self::Table,
        states: [&[f32]; 2],
        halves: (UpdateArgs<'_>, StepArgs<'_>),
    ) -> Result<Learned>;

    /// The gradient of a batch's weights.
    ///
    /// # Errors
    /// Whatever the device refuses; a batch that is refused is none.
    fn weigh(
        &self,
        table: &Self::Table,
        batch: &crate::training::Batch<'_>,
        gradient: &[f32],
    ) -> Result<Weighed>;
}

/// What an engine's lookup gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    /// The output.
    pub values: Vec<f32>,
    /// Bad indices and bad bags.
    pub status: LookupStatus,
    /// What the device's own guards found.
    pub guards: Outcome,
}

/// What an engine's quantize gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// The packed rows.
    pub words: Vec<u32>,
    /// Rows with a problem.
    pub status: QuantizeStatus,
    /// What the device's own guards found.
    pub guards: Outcome,
}

/// One case that ran.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The variant's label.
    pub label: String,
    /// The shape's name.
    pub shape: String,
    /// What the comparison found.
    pub outcome: Outcome,
}

/// Number of cases whose name contains `filter`.
pub fn count<E: Engine>(filter: &str) -> usize {
    let shapes = shapes::shapes();
    let cases = |shape: &Shape| {
        let labels = Format::all().flat_map(|format| labels::<E>(format, shape));
        labels
            .filter(|label| selected(label, shape, filter))
            .count()
    };
    shapes.iter().map(cases).sum::<usize>() + batched::count::<E>(filter) + training::count(filter)
}

/// Runs every case whose name, `label/shape`, contains `filter`, and hands each to `done`.
///
/// # Errors
/// The first thing that the device refuses; a wrong answer is no error but a failed [`Case`].
pub fn run<E: Engine>(engine: &E, filter: &str, mut done: impl FnMut(Case)) -> Result<()> {
    for (number, shape) in shapes::shapes().iter().enumerate() {
        for format in Format::all() {
            if labels::<E>(format, shape)
                .iter()
                .any(|label| selected(label, shape, filter))
            {
                run_shape(engine, shape, format, number as u64, filter, &mut done)?;
            }
        }
    }
    batched::run(engine, filter, &mut done)?;
    training::run(engine, filter, &mut done)
}

fn selected(label: &str, shape: &Shape, filter: &str) -> bool {
    format!("{label}/{}", shape.name()).contains(filter)
}

/// The labels of every kernel for one format and shape.
fn labels<E: Engine>(format: Format, shape: &Shape) -> Vec<String> {
    let lookups = lookups::<E>(format);
    let mut labels: Vec<_> = lookups.map(lookup_label).collect();
    let methods = methods(format).filter(|method| shape.is_worth(*method));
    labels.extend(methods.map(|method| quantize_label(format, method)));
    labels.push(shader::dequantize(format).label);
    labels
}

/// Formats whose lookups are run by every plan: one for each way to decode, codes that straddle words among them.
const PLANNED_FORMATS: [Format; 6] = [
    Format::Affine {
        bits: Bits::B3,
        params: Params::F32,
    },
    Format::affine(Bits::B4),
    Format::Symmetric {
        bits: Bits::B8,
        params: Params::F16,
    },
    Format::Codebook { bits: Bits::B4 },
    Format::Blocks { bits: Bits::B2 },
    Format::Float(Float::F16),
];

/// Every lookup of a format by the engine's own choice of plan; of two that pool by sum and mean, with and without
/// weights, in f32 and in f16, every plan.
fn lookups<E: Engine>(format: Format) -> impl Iterator<Item = (LookupSpec, Option<LookupPlan>)> {
    let lookups = LookupSpec::all().filter(move |spec| spec.format == format);
    lookups.flat_map(move |spec| {
        let planned = match (spec.pooling, spec.weighting, spec.output) {
            (Pooling::Sum, Weighting::Weighted, Output::F32)
            | (Pooling::Mean, Weighting::Unweighted, Output::F16)
                if PLANNED_FORMATS.contains(&format) =>
            {
                E::PLANS
            }
            _ => &[],
        };
        let planned = planned.iter().map(|plan| Some(*plan));
        [None]
            .into_iter()
            .chain(planned)
            .map(move |plan| (spec, plan))
    })
}

fn lookup_label((spec, plan): (LookupSpec, Option<LookupPlan>)) -> String {
    format!("{}{}", spec.label(), plan.map_or("", LookupPlan::suffix))
}

/// The methods that write a format row by row, on every device.
fn methods(format: Format) -> impl Iterator<Item = Method> {
    let by_row = |method: &Method| !matches!(method, Method::KmeansCls { .. });
    let fits = move |method: &Method| method.check(format).is_ok();
    Method::ALL
        .iter()
        .map(|method| match *method {
            // The reference is cubic in the bins.
            Method::HistBrute { .. } => Method::HistBrute { bins: 24 },
            method => method,
        })
        .filter(by_row)
        .filter(fits)
}

/// A label leaves the dim out.
fn quantize_label(format: Format, method: Method) -> String {
    QuantizeSpec {
        format,
        method,
        dim: 1,
    }
    .label()
}

fn run_shape<E: Engine>(
    engine: &E,
    shape: &Shape,
    format: Format,
    seed: u64,
    filter: &str,
    done: &mut impl FnMut(Case),
) -> Result<()> {
    let packed = shapes::table(shape, format, seed)?;
    let batch = shapes::batch(shape, seed);
    let table = engine.upload(&packed)?;
    let mut report = |label: String, outcome: Outcome| {
        let shape = shape.name();
        done(Case {
            label,
            shape,
            outcome,
        });
    };
    for lookup in lookups::<E>(format) {
        let label = lookup_label(lookup);
        if selected(&label, shape, filter) {
            let outcome = check_lookup(engine, (&table, &packed), lookup, &batch)?;
            report(label, outcome);
        }
    }
    for method in methods(format).filter(|method| shape.is_worth(*method)) {
        let label = quantize_label(format, method);
        if selected(&label, shape, filter) {
            let outcome = check_quantize(engine, shape, (format, method), seed)?;
            report(label, outcome);
        }
    }
    let label = shader::dequantize(format).label;
    if selected(&label, shape, filter) {
        let (values, guards) = engine.dequantize(&table)?;
        let compared = compare::bits(&reference::dequantize(&packed), &values);
        report(label, guards.and(compared));
    }
    Ok(())
}

fn check_lookup<E: Engine>(
    engine: &E,
    (table, packed): (&E::Table, &PackedTable),
    (spec, plan): (LookupSpec, Option<LookupPlan>),
    batch: &Batch,
) -> Result<Outcome> {
    let expected = reference::lookup(packed, reference_args(&spec, batch))?;
    let got = engine.lookup(table, (&spec, plan), batch)?;
    let status = compare::words(
        "status",
        bytemuck::cast_slice(&[expected.status]),
        bytemuck::cast_slice(&[got.status]),
    );
    let values = compare::lookup(&expected, spec.pooling, spec.output, &got.values);
    Ok(got.guards.and(status).and(values))
}

/// The reference's arguments for a batch.
pub fn reference_args<'a>(spec: &LookupSpec, batch: &'a Batch) -> reference::LookupArgs<'a> {
    reference::LookupArgs {
        pooling: spec.pooling,
        indices: &batch.indices,
        offsets: (spec.pooling != Pooling::None).then_some(&batch.offsets),
        weights: (spec.weighting == Weighting::Weighted).then_some(&batch.weights),
    }
}

fn check_quantize<E: Engine>(
    engine: &E,
    shape: &Shape,
    (format, method): (Format, Method),
    seed: u64,
) -> Result<Outcome> {
    let values = shapes::values(shape, format, seed);
    let (words, status) = quantize_counting(&values, shape.dim, (format, method), E::SOLVER);
    let got = engine.quantize(&values, shape.dim as usize, format, method)?;
    let counted = compare::words(
        "status",
        bytemuck::cast_slice(&[status]),
        bytemuck::cast_slice(&[got.status]),
    );
    debug_assert!(shape.faults == Faults::Some || status == QuantizeStatus::CLEAR);
    Ok(got
        .guards
        .and(counted)
        .and(compare::words("rows", &words, &got.words)))
}

/// The reference's rows, with problems counted as the kernel counts them.
///
/// # Panics
/// Where `dim` is 0, and as [`quantize_row`].
pub fn quantize_counting(
    values: &[f32],
    dim: u32,
    (format, method): (Format, Method),
    solver: Solver,
) -> (Vec<u32>, QuantizeStatus) {
    let mut status = QuantizeStatus::CLEAR;
    let row_words = format.row_words(dim) as usize;
    let mut packed = vec![0; values.len() / dim as usize * row_words];
    let rows = values
        .chunks_exact(dim as usize)
        .zip(packed.chunks_exact_mut(row_words));
    for (row, (values, words)) in rows.enumerate() {
        if let Some(problem) = quantize_row(values, format, (method, solver), words) {
            status.count(row as u32, problem);
        }
    }
    (packed, status)
}
