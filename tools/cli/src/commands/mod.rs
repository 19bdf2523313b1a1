//! One file per command.

mod bench;
mod compare;
mod demo;
mod dequantize;
mod export;
mod import;
mod info;
mod inspect;
mod interrupt;
mod lookup;
mod quantize;
mod verify;

use std::path::Path;

use qembed::io::check_writable;

use crate::args::Command;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs a command, once its outputs are known to be writable.
pub fn run(command: &Command, terminal: &Terminal) -> Result<(), Failure> {
    let outputs = command.outputs();
    if !outputs.is_empty() {
        interrupt::clear_when_interrupted();
    }
    refuse_one_file_twice(&outputs)?;
    for output in outputs {
        refuse_input_as_output(&command.inputs(), output)?;
        check_writable(output)?;
    }
    match command {
        Command::Info(args) => info::run(args, terminal),
        Command::Quantize(args) => quantize::run(args, terminal),
        Command::Compare(args) => compare::run(args, terminal),
        Command::Dequantize(args) => dequantize::run(args, terminal),
        Command::Inspect(args) => inspect::run(args, terminal),
        Command::Lookup(args) => lookup::run(args, terminal),
        Command::Export(args) => export::run(args, terminal),
        Command::Import(args) => import::run(args, terminal),
        Command::Verify(args) => verify::run(args, terminal),
        Command::Bench(args) => bench::run(args, terminal),
        Command::Demo(args) => demo::run(args, terminal),
    }
}

/// The second file would replace the first.
fn refuse_one_file_twice(outputs: &[&Path]) -> Result<(), Failure> {
    let place = |path: &Path| {
        let known = path.canonicalize();
        known.or_else(|_| std::path::absolute(path)).ok()
    };
    match outputs {
        [json, html] if place(json) == place(html) => {
            let path = html.display();
            let message = format!("{path}: is both --json and --html; choose another for one");
            Err(Failure::Usage(message))
        }
        _ => Ok(()),
    }
}

/// Refuses to replace what is being read.
fn refuse_input_as_output(inputs: &[&Path], output: &Path) -> Result<(), Failure> {
    let Ok(output) = output.canonicalize() else {
        return Ok(());
    };
    let same = |input: &&&Path| input.canonicalize().is_ok_and(|input| input == output);
    match inputs.iter().find(same) {
        None => Ok(()),
        Some(input) => {
            let message = format!(
                "{}: is both input and output; choose another output",
                input.display()
            );
            Err(Failure::Usage(message))
        }
    }
}

/// Writes text whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    qembed::io::replace(path, |file| {
        use std::io::Write as _;
        file.write_all(text.as_bytes())
    })?;
    Ok(())
}

/// A problem with a file, in the words of the library's own.
fn file_problem(path: &Path, problem: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("{}: {problem}", path.display()))
}

/// Percent of the same rows in f32.
fn percent_of_f32(row_bytes: u32, dim: u32) -> f64 {
    100.0 * f64::from(row_bytes) / (4.0 * f64::from(dim))
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(46_881_792), "46,881,792");
    }
}
