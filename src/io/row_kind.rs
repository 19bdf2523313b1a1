//! A row format as the metadata of a file says it: `kind`, `bits` and `params`.

use super::entries::Entries;
use crate::{Bits, Format, Params, Result};

/// Version of the metadata.
pub(super) const VERSION: &str = "1";

/// What a row's codes stand for, by its name in files.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Affine,
    Symmetric,
    Codebook,
    Blocks,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Affine, Self::Symmetric, Self::Codebook, Self::Blocks];

    pub(super) fn of(format: Format) -> Self {
        match format {
            Format::Affine { .. } => Self::Affine,
            Format::Symmetric { .. } => Self::Symmetric,
            Format::Codebook { .. } => Self::Codebook,
            Format::Blocks { .. } => Self::Blocks,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Affine => "affine",
            Self::Symmetric => "symmetric",
            Self::Codebook => "codebook",
            Self::Blocks => "blocks",
        }
    }
}

impl Entries<'_> {
    /// The kind of a file of the version that this library reads.
    ///
    /// # Errors
    /// [`crate::Error::File`] for another version, and for no kind.
    pub(super) fn kind(&self) -> Result<Kind> {
        let (version, name) = (self.get("version"), self.get("kind"));
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.filter(|_| version == VERSION).ok_or_else(|| {
            self.problem(format!(
                "has version {version:?} and kind {name:?}; this qembed reads version {VERSION:?}, kinds {}",
                Kind::ALL.map(Kind::name).join(", ")
            ))
        })
    }

    /// The format of this kind.
    ///
    /// # Errors
    /// [`crate::Error::File`] where there is none of these `bits` and `params`.
    pub(super) fn format(&self, kind: Kind) -> Result<Format> {
        let bits =
            Bits::try_from(self.number::<u32>("bits")?).map_err(|error| self.problem(error))?;
        let params: &[Params] = match kind {
            Kind::Affine | Kind::Symmetric => &Params::ALL,
            Kind::Codebook | Kind::Blocks => &[Params::F16],
        };
        let named: Vec<_> = params
            .iter()
            .map(|params| (params.name(), *params))
            .collect();
        let params = self.choice("params", &named)?;
        let format = match kind {
            Kind::Affine => Format::Affine { bits, params },
            Kind::Symmetric => Format::Symmetric { bits, params },
            Kind::Codebook => Format::Codebook { bits },
            Kind::Blocks => Format::Blocks { bits },
        };
        format.check().map_err(|error| self.problem(error))?;
        Ok(format)
    }
}
