//! Writes a file whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use super::{file_error, os_error};
use crate::{Error, Result};

pub(super) const CANNOT: &str = "cannot be written";

/// The temporary files that this process has at the moment.
static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(vec![]);

fn temporaries() -> MutexGuard<'static, Vec<PathBuf>> {
    TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of this process and lets it make no more: for somebody who is about to
/// end it from another thread. What writes files waits from now on, for ever.
pub fn abandon() {
    let temporaries = temporaries();
    for path in temporaries.iter() {
        // Nothing to be done about one that stays.
        let _ = std::fs::remove_file(path);
    }
    std::mem::forget(temporaries);
}

/// A temporary file on its way to its target.
struct Pending {
    file: NamedTempFile,
    target: PathBuf,
}

impl Drop for Pending {
    /// Removes the file, unless it was renamed, and takes it off the list, under one lock.
    fn drop(&mut self) {
        let mut temporaries = temporaries();
        let _ = std::fs::remove_file(self.file.path());
        temporaries.retain(|path| path != self.file.path());
    }
}

/// Says, before the work is done, whether its result could be written.
///
/// # Errors
/// [`crate::Error::File`], as [`replace`] would give it.
pub fn check_writable(path: &Path) -> Result<()> {
    create(path).map(drop)
}

/// Writes a temporary file beside `path` and renames it to `path` when it is whole and on disk.
///
/// A file that was there is replaced and keeps its permissions; a symbolic link is followed.
///
/// # Errors
/// [`crate::Error::File`] where the folder or the path cannot be written, and what `write` says: an
/// [`crate::Error`] in its `io::Error` ([`io::Error::other`]) comes out as it is. The temporary file is
/// gone then.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<()> {
    let pending = create(path)?;
    let file = pending.file.as_file();
    let written = (|| {
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        write(&mut writer)?;
        writer.flush()?;
        drop(writer);
        if let Ok(existing) = pending.target.metadata() {
            file.set_permissions(existing.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(pending.file.path(), &pending.target)
    })();
    written.map_err(|error: io::Error| match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => os_error(path, CANNOT, &error),
    })
}

/// A temporary file, and the file that it will become.
fn create(path: &Path) -> Result<Pending> {
    if path.metadata().is_ok_and(|existing| !existing.is_file()) {
        return Err(file_error(
            path,
            "is not a regular file; choose another output",
        ));
    }
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(file_error(path, "names a folder; choose another output"));
    }
    if let Err(error) = path.symlink_metadata()
        && error.kind() != ErrorKind::NotFound
    {
        return Err(os_error(path, CANNOT, &error));
    }
    let target = match path.canonicalize() {
        Ok(target) => target,
        Err(_) if path.is_symlink() => {
            return Err(file_error(
                path,
                "is a symbolic link to nothing; choose another output",
            ));
        }
        Err(_) => path.to_owned(),
    };
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(file_error(
            path,
            "cannot be written: its folder does not exist",
        ));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".qembed-");
    // Those of the file that it replaces, lest it be read by others meanwhile.
    let permissions = target.metadata().map(|existing| existing.permissions());
    if let Some(permissions) = permissions.ok().or_else(first_permissions) {
        builder.permissions(permissions);
    }
    // Made and listed under one lock, so that `abandon` misses none.
    let mut temporaries = temporaries();
    // The kind alone: `tempfile` adds the temporary name to its errors.
    let file = builder
        .tempfile_in(folder)
        .map_err(|error| os_error(path, CANNOT, &error.kind().into()))?;
    temporaries.push(file.path().to_owned());
    Ok(Pending { file, target })
}

/// Those of any new file, less the umask; a temporary one has fewer.
#[cfg(unix)]
fn first_permissions() -> Option<Permissions> {
    Some(std::os::unix::fs::PermissionsExt::from_mode(0o666))
}

/// Those of any new file.
#[cfg(not(unix))]
fn first_permissions() -> Option<Permissions> {
    None
}
