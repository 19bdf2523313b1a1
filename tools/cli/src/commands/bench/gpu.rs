//! What is measured on a GPU.

mod baseline;
mod batched;
mod lookup;
mod rows;
mod sort;
mod update;

use qembed::verify::compare::Fill;
use qembed::wgpu::{self, Buffer, BufferUsages};
use qembed::{LookupStatus, Session};

use super::point::Point;
use super::ready::{Ready, nothing};
use super::refusal::{Refusal, host_memory};
use super::scale::Scale;
use super::subject::Subject;
use super::traffic::Traffic;
use crate::measure::GpuClock;

/// A device, and how its time is taken.
type Gpu<'a> = (&'a Session, &'a GpuClock<'a>);

/// Makes what a subject needs on the device, and checks its answer.
pub fn prepare<'a>(
    gpu: Gpu<'a>,
    subject: &Subject,
    (point, scale): (&Point, &Scale),
) -> Result<Ready<'a>, Refusal> {
    match subject {
        Subject::Copy => copy(gpu, scale),
        Subject::Lookup(spec, plan) => lookup::prepare(gpu, (*spec, *plan), (point, scale)),
        Subject::Batched(dispatches) => batched::prepare(gpu, *dispatches, (point, scale)),
        Subject::Dequantize(format) => rows::dequantize(gpu, *format, point),
        Subject::Quantize(format, method) => rows::quantize(gpu, (*format, *method), point),
        Subject::Sort => sort::prepare(gpu, point, scale),
        Subject::Update(spec) => update::prepare(gpu, *spec, (point, scale)),
        Subject::Baseline(baseline, bits) => {
            baseline::prepare(gpu, (*baseline, *bits), (point, scale))
        }
    }
}

/// Half of the bytes read, half of them written.
fn copy<'a>((session, clock): Gpu<'a>, scale: &Scale) -> Result<Ready<'a>, Refusal> {
    let from = session.buffer("copy", scale.copy_bytes)?;
    let to = session.buffer("copy", scale.copy_bytes)?;
    Ok(Ready {
        run: Box::new(move |repetitions| clock.copies((&from, &to), repetitions)),
        traffic: Traffic::stream(2 * scale.copy_bytes),
        items: 2 * scale.copy_bytes,
        after: nothing(),
    })
}

/// A buffer whose every word is one that no kernel writes, and no more than the device binds.
fn poisoned(session: &Session, argument: &'static str, bytes: u64) -> Result<Buffer, Refusal> {
    bindable(session, argument, bytes)?;
    host_memory(argument, bytes)?;
    let words = vec![Fill::Poison.word(); (bytes / 4) as usize];
    Ok(session.filled(argument, bytemuck::cast_slice(&words))?)
}

/// Skips a lookup that says that something was wrong: indices and offsets are good.
fn clear(session: &Session, status: &Buffer) -> Result<(), Refusal> {
    let words = session.read(status, 0, status.size())?;
    if words == bytemuck::cast_slice::<_, u32>(&[LookupStatus::CLEAR]) {
        return Ok(());
    }
    let ended = "the driver ended the walk of a bag early; take shorter bags";
    Err(Refusal::Skip(ended.into()))
}

/// # Errors
/// Where the device does not bind so many bytes.
fn bindable(session: &Session, argument: &'static str, bytes: u64) -> Result<(), Refusal> {
    let limits = session.device().limits();
    let available = limits
        .max_storage_buffer_binding_size
        .min(limits.max_buffer_size);
    match bytes <= available {
        true => Ok(()),
        false => Err(qembed::Error::Limit {
            argument,
            name: "max_storage_buffer_binding_size",
            needed: bytes,
            available,
        }
        .into()),
    }
}

/// A uniform with these contents.
fn uniform<T: bytemuck::NoUninit>(session: &Session, contents: &T) -> Result<Buffer, Refusal> {
    let contents = bytemuck::bytes_of(contents);
    let size = contents.len() as u64;
    let buffer = session.checked("uniform", size, || {
        let buffer = session.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("uniform"),
            size,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        session.queue().write_buffer(&buffer, 0, contents);
        buffer
    });
    Ok(buffer?)
}
