//! wgpu's errors as ours. wgpu panics on an error that no scope takes, so everything that creates
//! an object does it in here.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::{Error, Result};

/// Runs `create` under error scopes and returns what they caught.
///
/// `argument` and `needed_bytes` are for the message where memory runs out.
pub(crate) fn checked<T>(
    device: &wgpu::Device,
    argument: &'static str,
    needed_bytes: u64,
    create: impl FnOnce() -> T,
) -> Result<T> {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let created = create();
    // Every scope must be popped, in reverse order, before the first error returns.
    let caught = [
        settled(validation.pop()),
        settled(internal.pop()),
        settled(memory.pop()),
    ];
    match caught.into_iter().flatten().next() {
        None => Ok(created),
        Some(wgpu::Error::OutOfMemory { .. }) => Err(Error::OutOfMemory {
            argument,
            needed_bytes,
        }),
        Some(error) => Err(Error::Device(one_line(&error.to_string()))),
    }
}

/// Creates a buffer filled at creation, which needs no queue.
///
/// # Errors
/// [`Error::DeviceLost`] too: wgpu does not report it to scopes, but such a buffer is not mapped.
pub(super) fn filled_buffer(
    device: &wgpu::Device,
    label: &'static str,
    usage: wgpu::BufferUsages,
    contents: &[u8],
) -> Result<wgpu::Buffer> {
    let size = contents.len() as u64;
    checked(device, label, size, || {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: true,
        });
        let mapped = buffer.get_mapped_range_mut(..);
        mapped
            .map_err(|_| Error::DeviceLost)?
            .copy_from_slice(contents);
        buffer.unmap();
        Ok(buffer)
    })?
}

/// Creates a buffer of at least this many bytes, never an empty one.
///
/// # Errors
/// [`Error::Limit`], [`Error::OutOfMemory`].
pub(crate) fn buffer(
    device: &wgpu::Device,
    argument: &'static str,
    bytes: u64,
    usage: wgpu::BufferUsages,
) -> Result<wgpu::Buffer> {
    let size = bytes.checked_next_multiple_of(4).unwrap_or(bytes).max(4);
    let available = device.limits().max_buffer_size;
    if size > available {
        return Err(Error::Limit {
            argument,
            name: "max_buffer_size",
            needed: size,
            available,
        });
    }
    checked(device, argument, size, || {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(argument),
            size,
            usage,
            mapped_at_creation: false,
        })
    })
}

/// # Errors
/// [`Error::DeviceLost`] where the device no longer creates anything.
pub(crate) fn alive(device: &wgpu::Device) -> Result<()> {
    filled_buffer(device, "qembed.alive", wgpu::BufferUsages::UNIFORM, &[0; 4]).map(drop)
}

/// The result of a future that is ready at once, as scopes are everywhere but in a browser, where
/// errors reach the page's console instead.
fn settled(caught: impl Future<Output = Option<wgpu::Error>>) -> Option<wgpu::Error> {
    match pin!(caught).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(error) => error,
        Poll::Pending => None,
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
