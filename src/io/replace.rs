//! Writes a file whole or not at all.

use std::fs::{File, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::{file_error, os_error};
use crate::Result;

const CANNOT: &str = "cannot be written";

/// How the temporary files of this process begin, so that somebody who ends it can clear them away.
pub fn temporary_prefix() -> &'static str {
    // The process's number alone may be another container's too.
    static PREFIX: LazyLock<String> = LazyLock::new(|| {
        let token = RandomState::new().hash_one(std::process::id());
        format!(".qembed-{token:016x}-")
    });
    &PREFIX
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
/// [`crate::Error::File`] where the folder or the path cannot be written, and what `write` says. The
/// temporary file is gone then.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> Result<()> {
    let (temporary, target) = create(path)?;
    let written = (|| {
        let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file());
        write(&mut writer)?;
        writer.flush()?;
        drop(writer);
        if let Ok(existing) = target.metadata() {
            temporary
                .as_file()
                .set_permissions(existing.permissions())?;
        }
        temporary.as_file().sync_all()
    })();
    written.map_err(|error| os_error(path, CANNOT, &error))?;
    temporary
        .persist(&target)
        .map_err(|error| os_error(path, CANNOT, &error.error))?;
    Ok(())
}

/// A temporary file, and the file that it will become.
fn create(path: &Path) -> Result<(tempfile::NamedTempFile, PathBuf)> {
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
    builder.prefix(temporary_prefix());
    // Those of the file that it replaces, lest it be read by others meanwhile.
    let permissions = target.metadata().map(|existing| existing.permissions());
    if let Some(permissions) = permissions.ok().or_else(first_permissions) {
        builder.permissions(permissions);
    }
    // The kind alone: `tempfile` adds the temporary name to its errors.
    let temporary = builder
        .tempfile_in(folder)
        .map_err(|error| os_error(path, CANNOT, &error.kind().into()))?;
    Ok((temporary, target))
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
