//! The string metadata of a checkpoint (`docs/formats.md`).

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::entries::Entries;
use super::row_kind::{VERSION, entries_of};
use crate::format::check_dim;
use crate::training::{
    BadInput, Boundary, Checkpoint, GradientScale, Granularity, LearnedSteps, Optimizer,
    Parameters, Rounding, TrainingSpec,
};
use crate::{Format, Result};

/// What tells a checkpoint from a table.
const FORMAT: &str = "qembed-checkpoint";

const BAD_INPUTS: [(&str, BadInput); 2] = [("refuse", BadInput::Refuse), ("skip", BadInput::Skip)];

const BOUNDARIES: [(&str, Boundary); 2] = [
    ("strict", Boundary::Strict),
    ("inclusive", Boundary::Inclusive),
];

const GRANULARITIES: [(&str, Option<Granularity>); 3] = [
    ("none", None),
    ("row", Some(Granularity::Row)),
    ("table", Some(Granularity::Table)),
];

/// The name of a choice.
fn name_of<T: PartialEq>(choices: &[(&'static str, T)], choice: &T) -> &'static str {
    let found = choices.iter().find(|(_, other)| other == choice);
    found.map_or("", |(name, _)| name)
}

/// What the metadata says of a run.
pub(super) struct CheckpointMetadata {
    pub(super) format: Format,
    pub(super) dim: u32,
    pub(super) spec: TrainingSpec,
    pub(super) number: u32,
}

/// Entries in the making.
struct Writer(Map<String, Value>);

impl Writer {
    fn text(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.0.insert(key.into(), Value::String(text.into()));
    }

    fn number(&mut self, key: &str, number: impl ToString) {
        self.text(key, number.to_string());
    }

    /// The shortest decimal that is read back as this float, bit for bit.
    fn float(&mut self, key: impl Into<String>, value: f32) {
        self.text(key, format!("{value:?}"));
    }

    /// `optimizer` and its constants, each key behind `prefix`.
    fn optimizer(&mut self, prefix: &str, optimizer: Optimizer) {
        self.text(format!("{prefix}optimizer"), optimizer.name());
        let mut float = |key: &str, value| self.float(format!("{prefix}{key}"), value);
        match optimizer {
            Optimizer::Sgd => {}
            Optimizer::Momentum { momentum } => float("momentum", momentum),
            Optimizer::Adagrad { epsilon } | Optimizer::RowwiseAdagrad { epsilon } => {
                float("epsilon", epsilon);
            }
            Optimizer::Adam {
                beta1,
                beta2,
                epsilon,
            } => {
                float("beta1", beta1);
                float("beta2", beta2);
                float("epsilon", epsilon);
            }
        }
    }

    fn learned(&mut self, learned: Option<LearnedSteps>) {
        let granularity = learned.map(|learned| learned.granularity);
        self.text("learned_steps", name_of(&GRANULARITIES, &granularity));
        let Some(learned) = learned else { return };
        self.optimizer("step_", learned.optimizer);
        self.text("boundary", name_of(&BOUNDARIES, &learned.boundary));
        let scale = match learned.gradient_scale {
            GradientScale::One => "one",
            GradientScale::Dim => "dim",
            GradientScale::BatchDim => "batch-dim",
            GradientScale::Fixed(value) => {
                self.float("gradient_scale_value", value);
                "fixed"
            }
        };
        self.text("gradient_scale", scale);
        self.float("step_weight_decay", learned.weight_decay);
    }
}

impl CheckpointMetadata {
    pub(super) fn of(run: &Checkpoint) -> Self {
        Self {
            format: run.table.format(),
            dim: run.table.dim(),
            spec: run.spec,
            number: run.number,
        }
    }

    /// As it stands in the file.
    pub(super) fn to_json(&self) -> Value {
        let mut entries = Writer(Map::new());
        entries.text("format", FORMAT);
        entries.text("version", VERSION);
        for (key, text) in entries_of(self.format) {
            entries.text(key, text);
        }
        entries.number("dim", self.dim);
        entries.number("number", self.number);
        entries.number("seed", self.spec.seed);
        entries.number("table", self.spec.table);
        entries.text("rounding", self.spec.rounding.name());
        entries.text("bad_input", name_of(&BAD_INPUTS, &self.spec.bad_input));
        entries.text("parameters", self.spec.parameters.name());
        entries.float("weight_decay", self.spec.weight_decay);
        entries.optimizer("", self.spec.optimizer);
        entries.learned(self.spec.learned);
        Value::Object(entries.0)
    }

    /// From the entries of a file.
    ///
    /// # Errors
    /// [`crate::Error::File`] where they are no checkpoint's, or describe no table that there can be.
    pub(super) fn read(path: &Path, entries: HashMap<String, String>) -> Result<Self> {
        let entries = Entries::new(path, entries);
        if entries.get("format") != FORMAT {
            return Err(entries.problem("is no checkpoint of a training"));
        }
        let kind = entries.kind()?;
        let format = entries.format(kind)?;
        let dim = check_dim(entries.number("dim")?);
        Ok(Self {
            format,
            dim: dim.map_err(|error| entries.problem(error))?,
            spec: entries.spec()?,
            number: entries.number("number")?,
        })
    }
}

impl Entries<'_> {
    fn spec(&self) -> Result<TrainingSpec> {
        let roundings = Rounding::ALL.map(|rounding| (rounding.name(), rounding));
        let parameters = Parameters::ALL.map(|parameters| (parameters.name(), parameters));
        Ok(TrainingSpec {
            optimizer: self.optimizer("")?,
            parameters: self.choice("parameters", &parameters)?,
            learned: self.learned()?,
            weight_decay: self.number("weight_decay")?,
            rounding: self.choice("rounding", &roundings)?,
            bad_input: self.choice("bad_input", &BAD_INPUTS)?,
            seed: self.number("seed")?,
            table: self.number("table")?,
        })
    }

    /// An optimizer whose keys stand behind `prefix`; whether its constants can be is the run's to check.
    fn optimizer(&self, prefix: &str) -> Result<Optimizer> {
        let named = Optimizer::ALL.map(|optimizer| (optimizer.name(), optimizer));
        let float = |key: &str| self.number(&format!("{prefix}{key}"));
        Ok(match self.choice(&format!("{prefix}optimizer"), &named)? {
            Optimizer::Sgd => Optimizer::Sgd,
            Optimizer::Momentum { .. } => Optimizer::Momentum {
                momentum: float("momentum")?,
            },
            Optimizer::Adagrad { .. } => Optimizer::Adagrad {
                epsilon: float("epsilon")?,
            },
            Optimizer::RowwiseAdagrad { .. } => Optimizer::RowwiseAdagrad {
                epsilon: float("epsilon")?,
            },
            Optimizer::Adam { .. } => Optimizer::Adam {
                beta1: float("beta1")?,
                beta2: float("beta2")?,
                epsilon: float("epsilon")?,
            },
        })
    }

    fn learned(&self) -> Result<Option<LearnedSteps>> {
        let Some(granularity) = self.choice("learned_steps", &GRANULARITIES)? else {
            return Ok(None);
        };
        let scales = [
            ("one", GradientScale::One),
            ("dim", GradientScale::Dim),
            ("batch-dim", GradientScale::BatchDim),
            ("fixed", GradientScale::Fixed(0.0)),
        ];
        let gradient_scale = match self.choice("gradient_scale", &scales)? {
            GradientScale::Fixed(_) => GradientScale::Fixed(self.number("gradient_scale_value")?),
            other => other,
        };
        Ok(Some(LearnedSteps {
            optimizer: self.optimizer("step_")?,
            gradient_scale,
            weight_decay: self.number("step_weight_decay")?,
            boundary: self.choice("boundary", &BOUNDARIES)?,
            granularity,
        }))
    }
}
