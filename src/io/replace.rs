//! Writes a file whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::{file_error, os_error};
use crate::Result;

/// Writes a temporary file beside `path` and renames it to `path` when it is whole.
///
/// # Errors
/// [`crate::Error::File`] where the folder or the path cannot be written, and what `write` says. The
/// temporary file is gone then.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> Result<()> {
    const CANNOT: &str = "cannot be written";
    if let Ok(existing) = path.metadata()
        && !existing.is_file()
    {
        return Err(file_error(
            path,
            "is not a regular file; choose another output",
        ));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".qembed-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder
        .tempfile_in(folder)
        .map_err(|error| os_error(path, CANNOT, &plain(error)))?;
    let written = (|| {
        let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file());
        write(&mut writer)?;
        writer.flush()
    })();
    written.map_err(|error| os_error(path, CANNOT, &error))?;
    temporary
        .persist(path)
        .map_err(|error| os_error(path, CANNOT, &error.error))?;
    Ok(())
}

/// The error without the temporary name that `tempfile` adds to it.
fn plain(error: std::io::Error) -> std::io::Error {
    error.kind().into()
}
