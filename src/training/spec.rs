//! Which update, and of what.

use crate::format::Format;
use crate::philox::RandomKey;
use crate::training::{Optimizer, OptimizerConstants};
use crate::{Bits, Error, Pooling, Result};

/// The lookup whose gradient is at hand.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// How bags were pooled; a max has no update.
    pub pooling: Pooling,
    /// Rows that were looked up.
    pub indices: &'a [u32],
    /// Where bags begin, bags + 1 entries; `None` for a gather, where every index is a bag of its own.
    pub offsets: Option<&'a [u32]>,
    /// One weight for every index.
    pub weights: Option<&'a [f32]>,
}

impl Batch<'_> {
    /// Rows of the lookup's output.
    pub fn bags(&self) -> usize {
        match self.offsets {
            None => self.indices.len(),
            Some(offsets) => offsets.len().saturating_sub(1),
        }
    }

    /// # Errors
    /// [`Error::Unsupported`] for a max; [`Error::Shape`] where offsets are missing or not wanted, or there is
    /// not one weight for every index.
    pub(crate) fn check(&self) -> Result<()> {
        if self.pooling == Pooling::Max {
            return Err(no_update_of_max());
        }
        if let Some(weights) = self.weights
            && weights.len() != self.indices.len()
        {
            return Err(Error::Shape {
                argument: "weights",
                needed: format!("{}, one for every index", self.indices.len()),
                got: weights.len().to_string(),
            });
        }
        match (self.pooling, self.offsets) {
            (Pooling::None, Some(_)) => Err(Error::Shape {
                argument: "offsets",
                needed: "None for a gather".into(),
                got: "offsets".into(),
            }),
            (Pooling::Sum | Pooling::Mean, None | Some([])) => Err(Error::Shape {
                argument: "offsets",
                needed: "bags + 1 entries, at least one, to pool".into(),
                got: "none".into(),
            }),
            _ => Ok(()),
        }
    }
}

pub(crate) fn no_steps_of(format: Format) -> Error {
    Error::Unsupported {
        what: format!("learning the steps of {format} rows"),
        instead: "take symmetric rows",
    }
}

pub(crate) fn no_update_of_max() -> Error {
    Error::Unsupported {
        what: "an update through max pooling".into(),
        instead: "pool by sum or mean, or gather",
    }
}

/// # Errors
/// [`Error::Shape`] where a gradient is not `[bags, dim]`.
pub(crate) fn check_gradient(batch: &Batch<'_>, dim: u32, gradient: &[f32]) -> Result<()> {
    let needed = batch.bags() * dim as usize;
    if gradient.len() == needed {
        return Ok(());
    }
    Err(Error::Shape {
        argument: "gradient",
        needed: format!("{needed} values: {} bags of dim {dim}", batch.bags()),
        got: gradient.len().to_string(),
    })
}

/// How a new value becomes a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Up with the probability of what lies above the code below, by the draw of [`RandomKey`]: unbiased.
    Stochastic,
    /// To nearest, ties to even: updates of less than half a step are lost.
    Nearest,
}

impl Rounding {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stochastic, Self::Nearest];

    /// Its name in labels, files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stochastic => "stochastic",
            Self::Nearest => "nearest",
        }
    }
}

/// What an updated row's header becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parameters {
    /// What it was.
    Frozen,
    /// That of the new values' minimum and maximum ([`crate::Method::Asym`]); affine rows.
    Refreshed,
    /// A step that the caller gives for every row of the table; symmetric rows.
    Given,
}

impl Parameters {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Frozen, Self::Refreshed, Self::Given];

    /// Its part of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Refreshed => "refreshed",
            Self::Given => "given",
        }
    }
}

/// What a bad index, or a row that cannot be updated, does to a batch.
///
/// Such a row has a gradient, a weight, a state or a result that is not finite, a negative second moment, or
/// new values that its header cannot hold.
/// Bags whose offsets decrease or pass the end always refuse the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum BadInput {
    /// The batch changes nothing. Costs a second pass over the batch, because nothing may be stored before all
    /// rows are known to be good.
    #[default]
    Refuse,
    /// The index contributes nothing, the row stays as it is; both are counted.
    Skip,
}

/// Which update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateSpec {
    /// Format of the table's rows: affine or symmetric, 2, 4 or 8 bits.
    pub format: Format,
    /// The rows' optimizer.
    pub optimizer: Optimizer,
    /// What a row's header becomes.
    pub parameters: Parameters,
}

/// Formats that can be trained.
pub fn training_formats() -> impl Iterator<Item = Format> {
    Format::all().filter(|format| check_format(*format).is_ok())
}

pub(crate) fn check_format(format: Format) -> Result<()> {
    let trained = matches!(
        format,
        Format::Affine {
            bits: Bits::B2 | Bits::B4 | Bits::B8,
            ..
        } | Format::Symmetric {
            bits: Bits::B2 | Bits::B4 | Bits::B8,
            ..
        }
    );
    if trained {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: format!("training {format} rows"),
        instead: "take affine or symmetric rows of 2, 4 or 8 bits",
    })
}

impl UpdateSpec {
    /// Every supported update.
    pub fn all() -> impl Iterator<Item = Self> {
        training_formats()
            .flat_map(|format| Parameters::ALL.map(|parameters| (format, parameters)))
            .flat_map(|(format, parameters)| {
                Optimizer::ALL.map(|optimizer| Self {
                    format,
                    optimizer,
                    parameters,
                })
            })
            .filter(|spec| spec.check().is_ok())
    }

    /// The variant's name everywhere: `update.s4h32.adam.frozen`
    pub fn label(&self) -> String {
        format!(
            "update.{}.{}.{}",
            self.format,
            self.optimizer.name(),
            self.parameters.name()
        )
    }

    /// # Errors
    /// [`Error::Unsupported`] for formats that are not trained and for parameters that they do not have.
    pub fn check(&self) -> Result<()> {
        check_format(self.format)?;
        match (self.format, self.parameters) {
            (Format::Symmetric { .. }, Parameters::Refreshed) => Err(Error::Unsupported {
                what: "refreshing the step of symmetric rows".into(),
                instead: "freeze it, give it, or learn it; or take affine rows",
            }),
            (Format::Affine { .. }, Parameters::Given) => Err(Error::Unsupported {
                what: "giving steps to affine rows".into(),
                instead: "freeze or refresh their headers; or take symmetric rows",
            }),
            _ => Ok(()),
        }
    }
}

/// What changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateStep {
    /// Learning rate, 0 or more.
    pub learning_rate: f32,
    /// L2 weight decay, added to the gradient of the rows of the batch; 0 or more.
    pub weight_decay: f32,
    /// How new values become codes.
    pub rounding: Rounding,
    /// What the random bits depend on; `key.step`, counted from 1, is Adam's step too.
    pub key: RandomKey,
    /// What bad indices and bad rows do.
    pub bad_input: BadInput,
}

impl UpdateStep {
    /// The numbers of an optimizer at this step.
    ///
    /// # Errors
    /// Those of [`Optimizer::constants`].
    pub fn constants(&self, optimizer: Optimizer) -> Result<OptimizerConstants> {
        optimizer.constants(self.learning_rate, self.weight_decay, self.key.step)
    }
}

/// What went wrong in an update; the same eight words that the kernel writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct UpdateStatus {
    /// Positions in bags whose index is not a row of the table. Of no meaning where a bag is bad: bags may
    /// overlap then, and which of them a position is counted in depends on the device.
    pub bad_indices: u32,
    /// Position in `indices` of the first of them; `u32::MAX` where there is none. Of no meaning where a bag
    /// is bad.
    pub first_position: u32,
    /// Bags whose offsets decrease or pass the end; such a batch changes nothing.
    pub bad_bags: u32,
    /// The first of them; `u32::MAX` where there is none.
    pub first_bag: u32,
    /// Rows that could not be updated; see [`BadInput`].
    pub bad_rows: u32,
    /// The first of them, as a row of the table; `u32::MAX` where there is none.
    pub first_row: u32,
    /// Rows whose loops the driver ended early (llvmpipe ends a lane's loops after 65535 iterations together:
    /// rows that come millions of times in a batch); they may count several times. Such a row may hold
    /// anything, unless [`BadInput::Refuse`] found it before anything was stored.
    pub unfinished: u32,
    /// The first of them, as a row of the table; `u32::MAX` where there is none.
    pub first_unfinished: u32,
}

impl UpdateStatus {
    /// Nothing wrong; what the caller writes into `status` before an update.
    pub const CLEAR: Self = Self {
        bad_indices: 0,
        first_position: u32::MAX,
        bad_bags: 0,
        first_bag: u32::MAX,
        bad_rows: 0,
        first_row: u32::MAX,
        unfinished: 0,
        first_unfinished: u32::MAX,
    };

    /// Whether a batch with this status is refused.
    pub const fn refuses(&self, bad_input: BadInput) -> bool {
        self.bad_bags > 0
            || matches!(bad_input, BadInput::Refuse)
                && (self.bad_indices > 0 || self.bad_rows > 0 || self.unfinished > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_and_twenty_updates_with_a_label_each() {
        let labels: std::collections::BTreeSet<_> = UpdateSpec::all().map(|s| s.label()).collect();
        // 6 affine formats, 6 symmetric ones; two kinds of parameters and five optimizers each.
        assert_eq!(labels.len(), 120);
        assert!(labels.contains("update.s4h32.adam.frozen"));
    }
}
