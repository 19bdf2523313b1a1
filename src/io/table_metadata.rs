//! The string metadata of a table file (`docs/formats.md`).

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use super::file_error;
use crate::format::check_dim;
use crate::{Bits, Error, Format, Params, Result};

/// Version of the metadata.
const VERSION: &str = "1";

/// What the metadata says of a table.
pub(super) struct TableMetadata {
    pub(super) format: Format,
    pub(super) dim: u32,
    /// Number of codebooks that rows share; `None` where they share none.
    pub(super) blocks: Option<u32>,
    pub(super) method: String,
}

impl TableMetadata {
    /// As it stands in the file.
    pub(super) fn to_json(&self) -> Value {
        let mut entries = json!({
            "format": "qembed",
            "version": VERSION,
            "kind": Kind::of(self.format).name(),
            "bits": self.format.bits().count().to_string(),
            "params": self.format.params().name(),
            "dim": self.dim.to_string(),
            "method": self.method,
        });
        if let Some(blocks) = self.blocks {
            entries["blocks"] = json!(blocks.to_string());
        }
        entries
    }

    /// From the entries of a file.
    ///
    /// # Errors
    /// [`Error::File`] where they are no table's, or describe none that there can be.
    pub(super) fn read(path: &Path, entries: HashMap<String, String>) -> Result<Self> {
        let entries = Entries { path, entries };
        let kind = entries.kind()?;
        let format = entries.format(kind)?;
        let dim = check_dim(entries.number("dim")? as usize);
        let blocks = match kind {
            Kind::Blocks => Some(entries.number("blocks")?),
            Kind::Affine | Kind::Symmetric | Kind::Codebook => None,
        };
        Ok(Self {
            format,
            dim: dim.map_err(|error| file_error(path, error))?,
            blocks,
            method: entries.get("method").into(),
        })
    }
}

/// What a row's codes stand for, by its name in files.
#[derive(Clone, Copy)]
enum Kind {
    Affine,
    Symmetric,
    Codebook,
    Blocks,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Affine, Self::Symmetric, Self::Codebook, Self::Blocks];

    fn of(format: Format) -> Self {
        match format {
            Format::Affine { .. } => Self::Affine,
            Format::Symmetric { .. } => Self::Symmetric,
            Format::Codebook { .. } => Self::Codebook,
            Format::Blocks { .. } => Self::Blocks,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Affine => "affine",
            Self::Symmetric => "symmetric",
            Self::Codebook => "codebook",
            Self::Blocks => "blocks",
        }
    }
}

/// The entries of a file.
struct Entries<'a> {
    path: &'a Path,
    entries: HashMap<String, String>,
}

impl Entries<'_> {
    fn get(&self, key: &str) -> &str {
        self.entries.get(key).map_or("", String::as_str)
    }

    fn problem(&self, problem: impl std::fmt::Display) -> Error {
        file_error(self.path, problem)
    }

    fn kind(&self) -> Result<Kind> {
        if self.get("format") != "qembed" {
            return Err(self.problem("is no table file: quantize makes one"));
        }
        let (version, name) = (self.get("version"), self.get("kind"));
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.filter(|_| version == VERSION).ok_or_else(|| {
            self.problem(format!(
                "has version {version:?} and kind {name:?}; this qembed reads version {VERSION:?}, kinds {}",
                Kind::ALL.map(Kind::name).join(", ")
            ))
        })
    }

    fn format(&self, kind: Kind) -> Result<Format> {
        let bits = Bits::try_from(self.number("bits")?).map_err(|error| self.problem(error))?;
        let params = self.params(match kind {
            Kind::Affine | Kind::Symmetric => &Params::ALL,
            Kind::Codebook | Kind::Blocks => &[Params::F16],
        })?;
        let format = match kind {
            Kind::Affine => Format::Affine { bits, params },
            Kind::Symmetric => Format::Symmetric { bits, params },
            Kind::Codebook => Format::Codebook { bits },
            Kind::Blocks => Format::Blocks { bits },
        };
        format.check().map_err(|error| self.problem(error))?;
        Ok(format)
    }

    fn params(&self, allowed: &[Params]) -> Result<Params> {
        let text = self.get("params");
        let found = allowed.iter().find(|params| params.name() == text);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = allowed.iter().map(|params| params.name()).collect();
            let needed = names.join(" or ");
            self.problem(format!("its metadata \"params\" is {text:?}, not {needed}"))
        })
    }

    fn number(&self, key: &str) -> Result<u32> {
        let text = self.get(key);
        text.parse()
            .map_err(|_| self.problem(format!("its metadata {key:?} is {text:?}, not a number")))
    }
}
