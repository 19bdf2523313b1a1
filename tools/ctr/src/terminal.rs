//! What the person sees: results on standard output; errors and progress on standard error.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::{Failure, Result};

/// Standard output and standard error of this command.
#[derive(Debug)]
pub struct Terminal;

impl Terminal {
    /// Prints a result, without what a name may tell the terminal to do.
    ///
    /// # Errors
    /// Where it cannot be written; a closed pipe is the reader's choice and no error.
    pub fn print(&self, text: &str) -> Result<()> {
        let text = text.replace(|c: char| c.is_control() && c != '\n', "?");
        let mut output = std::io::stdout().lock();
        match writeln!(output, "{text}").and_then(|()| output.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Failed(format!(
                "standard output: {}",
                error.kind()
            ))),
            _ => Ok(()),
        }
    }

    /// Prints one line to standard error.
    pub fn error(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// A progress bar on a terminal, nothing in a pipe.
    pub fn progress(&self, length: u64) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg:32} {wide_bar} {pos}/{len} {eta:>4}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(length).with_style(style)
    }

    /// A spinner for work of unknown length, on a terminal alone.
    pub fn spinner(&self, what: &'static str) -> ProgressBar {
        let bar = ProgressBar::new_spinner().with_message(what);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }
}
