//! What ends the command early: one line, and an exit code.

use std::fmt;
use std::path::Path;

/// Why the command ends.
#[derive(Debug)]
pub enum Failure {
    /// The arguments do not fit together: exit code 2.
    Usage(String),
    /// It was tried and failed: exit code 1.
    Failed(String),
}

/// What may fail.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }

    /// A problem with a file or a folder.
    pub fn about(path: &Path, problem: impl fmt::Display) -> Self {
        Self::Failed(format!("{}: {problem}", path.display()))
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

impl From<qembed::Error> for Failure {
    fn from(error: qembed::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<candle_core::Error> for Failure {
    fn from(error: candle_core::Error) -> Self {
        Self::Failed(format!("the network: {error}"))
    }
}

impl From<clap::Error> for Failure {
    /// The first paragraph says what is wrong; usage and tips follow it.
    fn from(error: clap::Error) -> Self {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        Self::Usage(format!("{first} (qembed-ctr --help tells more)"))
    }
}
