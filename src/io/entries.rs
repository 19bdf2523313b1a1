//! The string metadata of a file: its entries, read one by one.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use super::file_error;
use crate::{Error, Result};

/// The entries of a file. One that is missing is empty, unless a function says otherwise.
pub(super) struct Entries<'a> {
    path: &'a Path,
    entries: HashMap<String, String>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(path: &'a Path, entries: HashMap<String, String>) -> Self {
        Self { path, entries }
    }

    pub(super) fn get(&self, key: &str) -> &str {
        self.entries.get(key).map_or("", String::as_str)
    }

    pub(super) fn problem(&self, problem: impl std::fmt::Display) -> Error {
        file_error(self.path, problem)
    }

    /// A number.
    ///
    /// # Errors
    /// [`Error::File`] where it is none, or none of this type.
    pub(super) fn number<T: FromStr>(&self, key: &str) -> Result<T> {
        let text = self.get(key);
        text.parse()
            .map_err(|_| self.problem(format!("its metadata {key:?} is {text:?}, not a number")))
    }

    /// The choice of this name.
    ///
    /// # Errors
    /// [`Error::File`] where it is none of them, with the names that there are.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T> {
        let text = self.get(key);
        let found = choices.iter().find(|(name, _)| *name == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let needed = names.join(" or ");
            self.problem(format!("its metadata {key:?} is {text:?}, not {needed}"))
        })
    }
}
