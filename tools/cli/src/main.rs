//! The `qembed` command.

mod args;
mod commands;
mod device;
mod failure;
mod measure;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;
use failure::Failure;
use terminal::Terminal;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            // Help and version; nothing to do about a closed pipe.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&Terminal::plain(), &Failure::from(error)),
    };
    let terminal = Terminal::quiet();
    match commands::run(&arguments.command, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&terminal, &failure),
    }
}

fn fail(terminal: &Terminal, failure: &Failure) -> ExitCode {
    terminal.error(&format!("qembed: {failure}"));
    ExitCode::from(failure.code())
}
