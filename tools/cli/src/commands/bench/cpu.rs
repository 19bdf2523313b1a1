//! What is measured on the CPU.

use std::hint::black_box;

use qembed::cpu::LookupOutput;
use qembed::half::f16;
use qembed::training::{UpdateSpec, UpdateStatus};
use qembed::verify::{CpuEngine, Engine, compare};
use qembed::{
    BatchedRequest, Error, Format, LookupRequest, LookupSpec, Method, OutOfRange, Output,
    PackedTable, Pooling, Values, Weighting, cpu, reference, shader,
};
use rayon::ThreadPool;

use super::batch::Batches;
use super::check::{Sample, evenly, right};
use super::point::Point;
use super::ready::{Ready, nothing, on_threads};
use super::recommender::Recommender;
use super::refusal::{Refusal, host_memory};
use super::scale::Scale;
use super::subject::{Dispatches, Subject};
use super::traffic::Traffic;
use super::updates::Inputs;
use super::{rows, tables};
use crate::measure::memory_copy;

/// Makes what a subject needs, and checks its answer.
pub fn prepare<'a>(
    pool: &'a ThreadPool,
    subject: &Subject,
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    match subject {
        Subject::Copy => copy(pool, scale),
        Subject::Lookup(spec, None) => lookup(pool, *spec, (point, scale)),
        Subject::Lookup(_, Some(_)) => Err(Refusal::Skip("plans are those of a GPU".into())),
        Subject::Dequantize(format) => dequantize(pool, *format, point),
        Subject::Quantize(format, method) => quantize(pool, (*format, *method), point),
        Subject::Update(spec) => update(pool, *spec, (point, scale)),
        Subject::Sort => Err(Refusal::Skip(
            "on the CPU a sort is a part of updates".into(),
        )),
        Subject::Batched(Dispatches::One) => batched(pool, (point, scale)),
        Subject::Batched(Dispatches::Many) | Subject::Baseline(..) => {
            Err(Refusal::Skip("baselines are kernels of a GPU".into()))
        }
    }
}

/// Half of the bytes read, half of them written.
fn copy<'a>(pool: &'a ThreadPool, scale: &Scale) -> Result<Ready<'a>, Refusal> {
    host_memory("copy", 2 * scale.copy_bytes)?;
    let mut copy = memory_copy(scale.copy_bytes as usize);
    Ok(Ready {
        run: on_threads(pool, move |_| {
            copy();
            Ok(())
        }),
        traffic: Traffic::stream(2 * scale.copy_bytes),
        items: 2 * scale.copy_bytes,
        after: nothing(),
    })
}

fn batched<'a>(
    pool: &'a ThreadPool,
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    let recommender = Recommender::new(point, scale)?;
    let elements = u64::from(recommender.columns()) * u64::from(point.bags);
    host_memory("output", 12 * elements)?;
    let label = Subject::Batched(Dispatches::One).label();
    let looked = cpu::batched(
        &recommender.batched_tables(),
        batched_request(&recommender, 0),
    )?;
    recommender.check(&label, &looked.values.into_f32(), Dispatches::One)?;
    let (traffic, items) = (recommender.traffic(), recommender.lookups());
    let mut output = vec![0.0; elements as usize];
    Ok(Ready {
        run: on_threads(pool, move |done| {
            let request = batched_request(&recommender, done);
            let output = LookupOutput::F32(&mut output);
            let status = cpu::batched_into(&recommender.batched_tables(), request, output)?;
            black_box(status);
            Ok(())
        }),
        traffic,
        items,
        after: nothing(),
    })
}

/// The batch that comes after so many others.
fn batched_request(recommender: &Recommender, done: usize) -> BatchedRequest<'_> {
    let batches = &recommender.batches;
    BatchedRequest {
        features: &recommender.features,
        places: None,
        indices: &batches.indices[done % batches.indices.len()],
        offsets: &batches.offsets,
        weights: None,
        output: Output::F32,
        out_of_range: OutOfRange::Error,
    }
}

fn lookup<'a>(
    pool: &'a ThreadPool,
    spec: LookupSpec,
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    let packed = tables::packed(spec.format, point.rows, point.dim)?;
    let row_bytes = u64::from(spec.format.row_bytes(point.dim));
    let batches = Batches::new(point, row_bytes, scale.touched_bytes)?;
    let output_rows = match spec.pooling {
        Pooling::None => point.indices(),
        _ => point.bags.into(),
    };
    let elements = output_rows * u64::from(point.dim);
    // What is timed, what is checked, and that in f32.
    host_memory("output", 12 * elements)?;
    let looked = cpu::lookup(&packed, request(&spec, &batches, 0))?;
    let sample = Sample::new(spec, &packed, &batches)?;
    right(&spec.label(), sample.compare(&looked.values.into_f32()))?;
    let traffic = Traffic::lookup(spec, &packed, &batches);
    let mut output = match spec.output {
        Output::F32 => Values::F32(vec![0.0; elements as usize]),
        Output::F16 => Values::F16(vec![f16::ZERO; elements as usize]),
    };
    Ok(Ready {
        run: on_threads(pool, move |done| {
            let batch = done % batches.indices.len();
            let written = match &mut output {
                Values::F32(values) => LookupOutput::F32(values),
                Values::F16(values) => LookupOutput::F16(values),
            };
            cpu::lookup_into(&packed, request(&spec, &batches, batch), written)?;
            black_box(&output);
            Ok(())
        }),
        traffic,
        items: point.indices(),
        after: nothing(),
    })
}

/// The lookup of one batch.
pub fn request<'a>(spec: &LookupSpec, batches: &'a Batches, batch: usize) -> LookupRequest<'a> {
    LookupRequest {
        pooling: spec.pooling,
        indices: &batches.indices[batch],
        offsets: (spec.pooling != Pooling::None).then_some(&batches.offsets),
        weights: (spec.weighting == Weighting::Weighted).then_some(&batches.weights),
        output: spec.output,
        out_of_range: OutOfRange::Error,
    }
}

fn dequantize<'a>(
    pool: &'a ThreadPool,
    format: Format,
    point: &Point,
) -> Result<Ready<'a>, Refusal> {
    host_memory("values", rows::value_bytes(point))?;
    let packed: PackedTable = tables::packed(format, point.rows, point.dim)?;
    let values = cpu::dequantize(&packed);
    let label = shader::dequantize(format).label;
    right(&label, rows::compare_values(&packed, &values))?;
    let traffic = rows::traffic(&packed);
    Ok(Ready {
        run: on_threads(pool, move |_| {
            black_box(cpu::dequantize(&packed));
            Ok(())
        }),
        traffic,
        items: point.rows.into(),
        after: nothing(),
    })
}

fn quantize<'a>(
    pool: &'a ThreadPool,
    (format, method): (Format, Method),
    point: &Point,
) -> Result<Ready<'a>, Refusal> {
    let dim = point.dim as usize;
    host_memory("values", 2 * rows::value_bytes(point))?;
    let values = tables::values(point.rows as usize * dim);
    let packed = PackedTable::quantize(&values, dim, format, method)?;
    for row in evenly(point.rows as usize, rows::most_checked(method, point.dim)) {
        let mut expected = vec![0; format.row_words(point.dim) as usize];
        let solver = <CpuEngine as Engine>::SOLVER;
        let values = &values[row * dim..][..dim];
        reference::quantize_row(values, format, (method, solver), &mut expected);
        let compared = compare::words("a row", &expected, packed.row_words(row));
        right(&Subject::Quantize(format, method).label(), compared)?;
    }
    let traffic = Traffic::stream(rows::value_bytes(point));
    Ok(Ready {
        traffic: traffic.and(Traffic::stream(packed.bytes().len() as u64)),
        run: on_threads(pool, move |_| {
            black_box(PackedTable::quantize(&values, dim, format, method)?);
            Ok(())
        }),
        items: point.rows.into(),
        after: nothing(),
    })
}

fn update<'a>(
    pool: &'a ThreadPool,
    spec: UpdateSpec,
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    let inputs = Inputs::new(spec, (point, scale))?;
    let mut table = inputs.table.clone();
    let mut state = vec![0.0; inputs.state_len(table.rows())];
    let status = cpu::update(&mut table, &mut state, inputs.args(0))?;
    let expected = inputs.expected()?;
    let first: Vec<_> = state[..expected.state.len()]
        .iter()
        .map(|x| x.to_bits())
        .collect();
    let words = &table.words()[..expected.words.len()];
    right(&spec.label(), expected.compare(&status, (words, &first)))?;
    Ok(Ready {
        traffic: inputs.traffic(),
        items: point.indices(),
        run: on_threads(pool, move |done| {
            let batch = done % inputs.batches.indices.len();
            let status = cpu::update(&mut table, &mut state, inputs.args(batch))?;
            // A batch that is refused changes nothing, and takes less time.
            match status == UpdateStatus::CLEAR {
                true => Ok(()),
                false => Err(Error::Device(
                    "a batch was refused while it was timed".into(),
                )),
            }
        }),
        after: nothing(),
    })
}
