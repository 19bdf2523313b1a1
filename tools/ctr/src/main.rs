//! The `qembed-ctr` command.

mod args;
mod data;
mod device;
mod embedding;
mod experiment;
mod failure;
mod measure;
mod model;
mod random;
mod report;
mod terminal;
mod training;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, DataChoice};
use data::{Samples, movielens, synthetic};
use device::Device;
use experiment::{Experiment, Outcome, configurations};
use failure::{Failure, Result};
use terminal::Terminal;

fn main() -> ExitCode {
    let terminal = Terminal;
    let ended = match Arguments::try_parse() {
        Ok(args) => run(&args, &terminal),
        Err(error) if !error.use_stderr() => terminal.print(error.render().to_string().trim_end()),
        Err(error) => Err(Failure::from(error)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.error(&format!("qembed-ctr: {failure}"));
            ExitCode::from(failure.code())
        }
    }
}

/// Trains everything, once its outputs are known to be writable.
fn run(args: &Arguments, terminal: &Terminal) -> Result<()> {
    let outputs: Vec<&Path> = [Some(&args.json), args.html.as_ref()]
        .into_iter()
        .flatten()
        .map(AsRef::as_ref)
        .collect();
    for output in &outputs {
        qembed::io::check_writable(output)?;
    }
    let samples = samples(args, terminal)?;
    let device = Device::open(args.device)?;
    let outcomes = train(args, &samples, &device, terminal)?;
    write(&args.json, &format!("{:#}\n", report::json(&outcomes)))?;
    if let Some(path) = &args.html {
        write(
            path,
            &report::html(&about(args, &samples, &device), &outcomes)?,
        )?;
    }
    terminal.print(&report::text(&outcomes))
}

fn samples(args: &Arguments, terminal: &Terminal) -> Result<Samples> {
    match (args.data, &args.data_dir) {
        (DataChoice::Movielens, folder) => movielens(folder.as_deref(), terminal),
        (DataChoice::Synthetic, None) => Ok(synthetic(args.synthetic.size())),
        (DataChoice::Synthetic, Some(_)) => {
            let message = "--data-dir belongs to --data movielens; leave it out";
            Err(Failure::Usage(message.into()))
        }
    }
}

fn train(
    args: &Arguments,
    samples: &Samples,
    device: &Device,
    terminal: &Terminal,
) -> Result<Vec<Outcome>> {
    let configurations = configurations(args);
    let experiment = Experiment::new(args, samples, device);
    let bar = terminal.progress(configurations.len() as u64 * u64::from(args.seeds));
    let outcomes = configurations.into_iter().map(|configuration| {
        bar.set_message(configuration.to_string());
        experiment.run(configuration, &bar)
    });
    let outcomes = outcomes.collect::<Result<_>>()?;
    bar.finish_and_clear();
    Ok(outcomes)
}

/// What was trained on what, in a sentence.
fn about(args: &Arguments, samples: &Samples, device: &Device) -> String {
    let data = match args.data {
        DataChoice::Movielens => "MovieLens-100K",
        DataChoice::Synthetic => "Synthetic clicks",
    };
    format!(
        "{data}: {} samples of {} fields, {:.1}% clicks; a table of {} rows x {}, packed rows on {}; {} seeds",
        samples.len(),
        samples.fields,
        100.0 * samples.clicks(),
        samples.rows,
        embedding::DIM,
        device.name(),
        args.seeds
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    qembed::io::replace(path, |file| file.write_all(text.as_bytes()))?;
    Ok(())
}
