//! A row format as the metadata of a file says it: `kind`, `bits` and `params`.

use super::entries::Entries;
use crate::{Bits, Float, Format, Params, Result};

/// Version of the metadata.
pub(super) const VERSION: &str = "1";

/// What a row's codes stand for, or that it holds floats, by its name in files.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Affine,
    Symmetric,
    Codebook,
    Blocks,
    Float,
}

/// What a file says of a format, by key.
pub(super) fn entries_of(format: Format) -> [(&'static str, String); 3] {
    let params = match format {
        Format::Affine { params, .. } | Format::Symmetric { params, .. } => params.name(),
        Format::Codebook { .. } | Format::Blocks { .. } => Params::F16.name(),
        Format::Float(float) => float.name(),
    };
    [
        ("kind", Kind::of(format).name().into()),
        ("bits", format.width_bits().to_string()),
        ("params", params.into()),
    ]
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Affine,
        Self::Symmetric,
        Self::Codebook,
        Self::Blocks,
        Self::Float,
    ];

    fn of(format: Format) -> Self {
        match format {
            Format::Affine { .. } => Self::Affine,
            Format::Symmetric { .. } => Self::Symmetric,
            Format::Codebook { .. } => Self::Codebook,
            Format::Blocks { .. } => Self::Blocks,
            Format::Float(_) => Self::Float,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Affine => "affine",
            Self::Symmetric => "symmetric",
            Self::Codebook => "codebook",
            Self::Blocks => "blocks",
            Self::Float => "float",
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
        let format = match kind {
            Kind::Affine => Format::Affine {
                bits: self.bits()?,
                params: self.params(&Params::ALL)?,
            },
            Kind::Symmetric => Format::Symmetric {
                bits: self.bits()?,
                params: self.params(&Params::ALL)?,
            },
            Kind::Codebook | Kind::Blocks => {
                let bits = self.bits()?;
                self.params(&[Params::F16])?;
                match kind {
                    Kind::Blocks => Format::Blocks { bits },
                    _ => Format::Codebook { bits },
                }
            }
            Kind::Float => Format::Float(self.float()?),
        };
        format.check().map_err(|error| self.problem(error))?;
        Ok(format)
    }

    fn bits(&self) -> Result<Bits> {
        Bits::try_from(self.number::<u32>("bits")?).map_err(|error| self.problem(error))
    }

    fn params(&self, choices: &[Params]) -> Result<Params> {
        let named: Vec<_> = choices
            .iter()
            .map(|params| (params.name(), *params))
            .collect();
        self.choice("params", &named)
    }

    fn float(&self) -> Result<Float> {
        let float = self.choice("params", &Float::ALL.map(|float| (float.name(), float)))?;
        let bits: u32 = self.number("bits")?;
        if bits != float.width_bits() {
            let (name, width) = (float.name(), float.width_bits());
            let problem = format!("its metadata \"bits\" is \"{bits}\"; {name} has {width}");
            return Err(self.problem(problem));
        }
        Ok(float)
    }
}
