//! What ends the command early: one line, and an exit code.

use std::fmt;
use std::path::Path;

use clap::error::ErrorKind;
use qembed::{Error, Params};

/// Why the command ends.
#[derive(Debug)]
pub enum Failure {
    /// The arguments do not fit together: exit code 2.
    Usage(String),
    /// It was tried and failed: exit code 1.
    Failed(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Failed(message)) = self;
        // One line of a reasonable length, whatever a name or a file put into it.
        const LONGEST: usize = 2000;
        let words: Vec<_> = message.split_whitespace().collect();
        let line = words.join(" ").replace(char::is_control, "?");
        f.write_str(&line.chars().take(LONGEST).collect::<String>())
    }
}

impl Failure {
    /// The library's words about a file.
    pub fn about(path: &Path, error: qembed::Error) -> Self {
        match Self::from(error) {
            Self::Failed(message) => Self::Failed(format!("{}: {message}", path.display())),
            usage @ Self::Usage(_) => usage,
        }
    }
}

impl From<qembed::Error> for Failure {
    /// The library's words, and the flag that helps.
    fn from(error: qembed::Error) -> Self {
        let flag = match &error {
            Error::HeaderRange {
                params: Params::F16,
                ..
            }
            | Error::StepRange { .. } => " (--params f32)",
            Error::FloatRange { .. } => " (--float f32)",
            Error::NarrowingRefused => " (--narrow)",
            Error::IndexOutOfRange { .. } => " (--out-of-range skip)",
            Error::Limit { .. } | Error::OutOfMemory { .. } => "; --device cpu has no such limit",
            _ => "",
        };
        Self::Failed(format!("{error}{flag}"))
    }
}

impl From<clap::Error> for Failure {
    /// The first paragraph says what is wrong; usage and tips follow it.
    fn from(error: clap::Error) -> Self {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self::Usage("a command is missing (qembed --help lists them)".into());
        }
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        Self::Usage(format!("{first} (qembed --help tells more)"))
    }
}
