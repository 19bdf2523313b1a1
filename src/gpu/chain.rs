//! What the ranges of several dispatches in a row may share: each dispatch alone may be in order where
//! together they are not.

use super::arguments::{Range, read_and_written};
use crate::{Error, Result};

/// A range that the caller gave, or did not.
pub(super) type Given<'b, 'a> = (&'static str, Option<&'b wgpu::BufferBinding<'a>>);

/// # Errors
/// [`Error::Aliased`] where a range lies in a buffer of the kernels' own, which one dispatch overwrites before
/// another reads the range.
pub(super) fn check_scratch(
    scratch: &[(&'static str, &wgpu::Buffer)],
    given: &[Given<'_, '_>],
) -> Result<()> {
    for (name, binding) in given {
        let Some(binding) = binding else { continue };
        if let Some((argument, _)) = scratch.iter().find(|(_, own)| *own == binding.buffer) {
            return Err(Error::Aliased {
                argument,
                other: name,
                overlap: "a buffer",
                remedy: "it is scratch, which the kernels overwrite; use another one",
            });
        }
    }
    Ok(())
}

/// # Errors
/// [`Error::Aliased`] where a range that a later dispatch writes lies in a buffer that an earlier one reads: refused as
/// if one dispatch had both.
pub(super) fn check_buffers(written: &[Given<'_, '_>], read: &[Given<'_, '_>]) -> Result<()> {
    for (argument, binding) in written {
        let Some(binding) = binding else { continue };
        let same = |other: &wgpu::BufferBinding<'_>| other.buffer == binding.buffer;
        if let Some((other, _)) = read.iter().find(|(_, other)| other.is_some_and(same)) {
            return Err(read_and_written(argument, other));
        }
    }
    Ok(())
}

/// # Errors
/// [`Error::Aliased`] where bytes that a dispatch writes are read or written by another under another name:
/// now, or the next time that the same is recorded.
pub(super) fn check_overlaps(written: &[&Range<'_>], read: &[&Range<'_>]) -> Result<()> {
    for (at, range) in written.iter().enumerate() {
        let others = written[..at].iter().chain(read);
        if let Some(other) = others.into_iter().find(|other| range.overlaps(other)) {
            return Err(Error::Aliased {
                argument: range.name(),
                other: other.name(),
                overlap: "bytes",
                remedy: "give each a range of its own",
            });
        }
    }
    Ok(())
}
