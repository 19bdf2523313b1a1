//! The string metadata of a table file (`docs/formats.md`).

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use super::entries::Entries;
use super::row_kind::{Kind, VERSION, entries_of};
use crate::format::check_dim;
use crate::{Format, Result};

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
            "dim": self.dim.to_string(),
            "method": self.method,
        });
        for (key, text) in entries_of(self.format) {
            entries[key] = json!(text);
        }
        if let Some(blocks) = self.blocks {
            entries["blocks"] = json!(blocks.to_string());
        }
        entries
    }

    /// From the entries of a file.
    ///
    /// # Errors
    /// [`crate::Error::File`] where they are no table's, or describe none that there can be.
    pub(super) fn read(path: &Path, entries: HashMap<String, String>) -> Result<Self> {
        let entries = Entries::new(path, entries);
        if entries.get("format") != "qembed" {
            return Err(entries.problem("is no table file: quantize makes one"));
        }
        let kind = entries.kind()?;
        let format = entries.format(kind)?;
        let dim = check_dim(entries.number("dim")?);
        let blocks = match kind {
            Kind::Blocks => Some(entries.number("blocks")?),
            Kind::Affine | Kind::Symmetric | Kind::Codebook | Kind::Float => None,
        };
        Ok(Self {
            format,
            dim: dim.map_err(|error| entries.problem(error))?,
            blocks,
            method: entries.get("method").into(),
        })
    }
}
