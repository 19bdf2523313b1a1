//! MovieLens-100K in the person's cache. Its licence does not let others hand it on, so it comes from a
//! Python package that carries it, when it is first needed.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::terminal::Terminal;

/// Who rated what.
pub const RATINGS: &str = "ml-100k.inter";
/// What is known of films.
pub const FILMS: &str = "ml-100k.item";
/// What is known of users.
pub const USERS: &str = "ml-100k.user";

/// A file that the figures stand on.
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// Its SHA-256.
    checksum: &'static str,
}

/// The files of the data set.
pub const FILES: [Known; 3] = [
    Known {
        name: RATINGS,
        checksum: "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    },
    Known {
        name: FILMS,
        checksum: "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    },
    Known {
        name: USERS,
        checksum: "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
];

/// The package that carries them, and where in it.
const PACKAGE: &str = "recbole==1.2.1";
const IN_PACKAGE: &str = "recbole/dataset_example/ml-100k";

/// The folder of the three files, fetched where it is not there yet.
pub fn cached(terminal: &Terminal) -> Result<PathBuf> {
    let folder = cache()?.join("qembed").join("movielens-100k");
    if !folder.exists() {
        terminal.error(&format!(
            "fetching MovieLens-100K into {}",
            folder.display()
        ));
        let spinner = terminal.spinner("fetching");
        fetch(&folder)?;
        spinner.finish_and_clear();
    }
    check(&folder)?;
    Ok(folder)
}

/// Where programs of this person keep what they can fetch again.
fn cache() -> Result<PathBuf> {
    let from = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let told = from("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || from("HOME").map(|home| PathBuf::from(home).join(".cache"));
    told.or_else(home).ok_or_else(|| {
        let message = "neither XDG_CACHE_HOME nor HOME is set; use --data-dir";
        Failure::Failed(format!("--data movielens: {message}"))
    })
}

/// Downloads beside the folder, and moves what is whole and known into its place.
fn fetch(folder: &Path) -> Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(|error| Failure::about(parent, error))?;
    let place = tempfile::tempdir_in(parent).map_err(|error| Failure::about(parent, error))?;
    let package = download(place.path())?;
    let unpacked = place.path().join("unpacked");
    python(
        ["-m", "zipfile", "-e"]
            .map(OsStr::new)
            .into_iter()
            .chain([package.as_os_str(), unpacked.as_os_str()]),
    )?;
    let kept = place.path().join("kept");
    fs::create_dir(&kept).map_err(|error| Failure::about(&kept, error))?;
    for file in FILES {
        let (from, to) = (
            unpacked.join(IN_PACKAGE).join(file.name),
            kept.join(file.name),
        );
        fs::rename(&from, to).map_err(|error| Failure::about(&from, error))?;
    }
    check(&kept)?;
    match fs::rename(&kept, folder) {
        // Another process was faster.
        Err(_) if folder.exists() => Ok(()),
        renamed => renamed.map_err(|error| Failure::about(folder, error)),
    }
}

/// The package as a file in a folder.
fn download(folder: &Path) -> Result<PathBuf> {
    let pip = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ];
    let what = ["--only-binary=:all:", PACKAGE, "--dest"];
    python(
        pip.into_iter()
            .chain(what)
            .map(OsStr::new)
            .chain([folder.as_os_str()]),
    )?;
    let entries = fs::read_dir(folder).map_err(|error| Failure::about(folder, error))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let wheel = paths.find(|path| path.extension() == Some(OsStr::new("whl")));
    wheel.ok_or_else(|| failed("it left no file"))
}

fn python<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<()> {
    let output = Command::new("python3").args(arguments).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => failed("python3 is not installed (Debian: apt install python3-pip)"),
        _ => failed(&format!("python3: {error}")),
    })?;
    let text = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false if text.contains("No module named pip") => Err(failed(
            "pip is not installed (Debian: apt install python3-pip)",
        )),
        false => Err(failed(text.lines().last().unwrap_or("it says nothing"))),
    }
}

/// Why nothing was fetched, and what a person can do by hand.
fn failed(problem: &str) -> Failure {
    Failure::Failed(format!(
        "--data movielens: `pip download {PACKAGE}` failed: {problem}; \
         or unzip that package elsewhere and name its folder {IN_PACKAGE} with --data-dir"
    ))
}

/// Refuses files that are not the ones the figures stand on.
fn check(folder: &Path) -> Result<()> {
    for file in FILES {
        let path = folder.join(file.name);
        let bytes = fs::read(&path).map_err(|error| {
            let help = format!("remove {} to fetch it again", folder.display());
            Failure::about(&path, format!("{error}; {help}"))
        })?;
        if hexadecimal(&Sha256::digest(bytes)) != file.checksum {
            let problem = "is not the known file; remove its folder to fetch it again, \
                or name the folder with --data-dir to use it as it is";
            return Err(Failure::about(&path, problem));
        }
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
