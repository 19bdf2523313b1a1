//! What the person sees: results on standard output; errors and progress on standard error, where
//! graphics drivers are kept quiet.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::{Failure, Result};

/// Standard output and standard error of this command.
#[derive(Debug)]
pub struct Terminal {
    /// The real standard error, where the process's own one is closed to drivers.
    errors: Option<File>,
}

impl Terminal {
    /// Leaves standard error as it is.
    pub fn plain() -> Self {
        Self { errors: None }
    }

    /// Keeps standard error for this command: what drivers print there goes nowhere.
    pub fn quiet() -> Self {
        let terminal = Self {
            errors: take_standard_error(),
        };
        let errors = terminal.errors.as_ref().map(File::try_clone);
        if let Some(Ok(errors)) = errors {
            std::panic::set_hook(Box::new(move |panic| {
                let message = "qembed-ctr: internal error, please report it";
                let _ = writeln!(&errors, "{message}: {panic}");
            }));
        }
        terminal
    }

    /// Prints a result.
    ///
    /// # Errors
    /// Where it cannot be written; a closed pipe is the reader's choice and no error.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut output = std::io::stdout().lock();
        match writeln!(output, "{text}").and_then(|()| output.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let message = format!("standard output: {}", error.kind());
                Err(Failure::Failed(message))
            }
            _ => Ok(()),
        }
    }

    /// Prints one line to standard error.
    pub fn error(&self, line: &str) {
        let _ = match &self.errors {
            Some(errors) => writeln!(&mut &*errors, "{line}"),
            None => writeln!(std::io::stderr(), "{line}"),
        };
    }

    /// A progress bar on a terminal, nothing in a pipe.
    pub fn progress(&self, length: u64) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg:32} {wide_bar} {pos}/{len} {eta:>4}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(length), self.draw_target()).with_style(style)
    }

    /// A spinner for work of unknown length, on a terminal alone.
    pub fn spinner(&self, what: &'static str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, self.draw_target()).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn draw_target(&self) -> ProgressDrawTarget {
        const FRAMES_PER_SECOND: u8 = 10;
        let clone = || self.errors.as_ref()?.try_clone().ok();
        match (clone(), clone()) {
            (Some(read), Some(write)) => {
                let terminal = console::Term::read_write_pair(read, write);
                ProgressDrawTarget::term(terminal, FRAMES_PER_SECOND)
            }
            _ => ProgressDrawTarget::stderr(),
        }
    }
}

/// Moves standard error to a handle of our own and leaves nothing in its place.
#[cfg(unix)]
fn take_standard_error() -> Option<File> {
    let kept = rustix::io::dup(rustix::stdio::stderr()).ok()?;
    let nothing = File::options().write(true).open("/dev/null").ok()?;
    rustix::stdio::dup2_stderr(&nothing).ok()?;
    Some(File::from(kept))
}

/// Drivers elsewhere do not write to standard error.
#[cfg(not(unix))]
fn take_standard_error() -> Option<File> {
    None
}
