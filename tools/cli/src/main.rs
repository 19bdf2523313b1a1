//! The `qembed` command.

mod args;
mod commands;
mod device;
mod failure;
mod measure;
mod page;
mod parameters;
mod plot;
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
            let text = error.render().to_string();
            let terminal = Terminal::plain();
            return match terminal.print(text.trim_end()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => fail(&terminal, &failure),
            };
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
