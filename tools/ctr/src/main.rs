//! The `qembed-ctr` command.

mod args;
mod configuration;
mod data;
mod device;
mod embedding;
mod experiment;
mod failure;
mod measure;
mod model;
mod one_thread;
mod outcome;
mod random;
mod report;
mod terminal;
mod threads;
mod training;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, DataChoice};
use configuration::configurations;
use data::{Samples, movielens, synthetic};
use device::Device;
use experiment::Experiment;
use failure::{Failure, Result};
use outcome::Outcome;
use terminal::Terminal;

fn main() -> ExitCode {
    let mut terminal = Terminal::plain();
    let ended = match Arguments::try_parse() {
        Ok(args) => {
            one_thread::begin();
            terminal = Terminal::quiet();
            run(&args, &terminal)
        }
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
    refuse_one_file_twice(args)?;
    for output in [Some(&args.json), args.html.as_ref()].into_iter().flatten() {
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

/// The second file would replace the first.
fn refuse_one_file_twice(args: &Arguments) -> Result<()> {
    let place = |path: &Path| {
        let known = path.canonicalize();
        known.or_else(|_| std::path::absolute(path)).ok()
    };
    match &args.html {
        Some(html) if place(html) == place(&args.json) => {
            let path = html.display();
            let message = format!("{path}: is both --json and --html; choose another for one");
            Err(Failure::Usage(message))
        }
        _ => Ok(()),
    }
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
    let experiment = Experiment::new(args, samples, device);
    let configurations = configurations(args);
    let seeds = 0..u64::from(args.seeds);
    let jobs = configurations
        .iter()
        .flat_map(|one| seeds.clone().map(|seed| (*one, seed)));
    let jobs: Vec<_> = jobs.collect();
    let bar = terminal.progress(jobs.len() as u64);
    let runs = threads::each(&jobs, args.threads(), |&(configuration, seed)| {
        bar.set_message(configuration.to_string());
        let run = experiment.run(configuration, seed);
        bar.inc(1);
        run
    });
    let runs = runs?;
    bar.finish_and_clear();
    let of_seeds = runs.chunks(args.seeds as usize);
    let outcomes = configurations.into_iter().zip(of_seeds);
    let outcomes = outcomes.map(|(configuration, runs)| Outcome {
        configuration,
        runs: runs.to_vec(),
    });
    Ok(outcomes.collect())
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
