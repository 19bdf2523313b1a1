//! Measures how fast every kernel is on this device: beside a copy, and beside how others do it.

mod batch;
mod check;
mod cpu;
mod gpu;
mod machine;
mod outcome;
mod page;
mod plan;
mod platform;
mod plot;
mod point;
mod ready;
mod recommender;
mod refusal;
mod report;
mod rows;
mod scale;
mod subject;
mod tables;
mod traffic;
mod updates;

use std::time::Duration;

use indicatif::ProgressBar;
use qembed::wgpu::{DeviceType, Features};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::write;
use crate::args::Bench;
use crate::device::{Device, Software};
use crate::failure::Failure;
use crate::measure::{GpuClock, Timing, alternate};
use crate::terminal::Terminal;
use machine::Machine;
use outcome::{Record, Row, Skipped};
use plan::{Engine, Group, plan};
use platform::Platform;
use ready::Ready;
use refusal::Refusal;
use scale::Scale;
use subject::Subject;

/// Runs the command.
pub fn run(args: &Bench, terminal: &Terminal) -> Result<(), Failure> {
    // A filter that selects nothing is told before a device is opened.
    plan(args, &Scale::QUICK, Engine::Gpu)?;
    let device = Device::with_features(args.device, Software::Avoided, Features::TIMESTAMP_QUERY)?;
    let pool = pool(args, &device)?;
    let platform = match &device {
        Device::Gpu(session) => Platform::Gpu(session, GpuClock::new(session)?),
        Device::Cpu => Platform::Cpu(&pool),
    };
    let scale = scale(args, &device);
    let groups = plan(args, &scale, platform.engine())?;
    let record = measure(&groups, (&platform, &device), &scale, terminal)?;
    if let Some(path) = &args.json {
        write(path, &format!("{:#}\n", report::json(&record)))?;
    }
    if let Some(path) = &args.html {
        write(path, &page::html(&record)?)?;
    }
    terminal.print(&report::text(&record))
}

/// The threads of the CPU's engine.
fn pool(args: &Bench, device: &Device) -> Result<ThreadPool, Failure> {
    if let (Some(_), Device::Gpu(_)) = (args.threads, device) {
        let name = device.name();
        let message = format!("--threads: needed the CPU, got {name}; add --device cpu");
        return Err(Failure::Usage(message));
    }
    // 0: as many as the machine runs at once, or as RAYON_NUM_THREADS says.
    let threads = args.threads.unwrap_or(0) as usize;
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Failure::Failed(format!("--threads: {error}")))
}

fn scale(args: &Bench, device: &Device) -> Scale {
    let mut scale = match device {
        _ if args.quick => Scale::QUICK,
        Device::Gpu(session) if session.adapter().device_type != DeviceType::Cpu => Scale::HARDWARE,
        Device::Gpu(_) => Scale::SOFTWARE,
        Device::Cpu => Scale::CPU,
    };
    scale.effort.repetitions = args.iterations;
    scale
}

/// Measures group after group, between two measurements of the copy.
fn measure(
    groups: &[Group],
    (platform, device): (&Platform<'_>, &Device),
    scale: &Scale,
    terminal: &Terminal,
) -> Result<Record, Failure> {
    let subjects: usize = groups.iter().map(|group| group.subjects.len()).sum();
    let bar = terminal.progress("copy", subjects as u64 + 2);
    bar.enable_steady_tick(Duration::from_millis(100));
    let before = copy(platform, scale)?;
    bar.inc(1);
    let (mut rows, mut skipped) = (vec![], vec![]);
    for group in groups {
        measure_group(group, (platform, scale), &bar, (&mut rows, &mut skipped))?;
    }
    bar.set_message("copy");
    let after = copy(platform, scale)?;
    bar.finish_and_clear();
    Ok(Record {
        machine: Machine::of(device),
        threads: platform.threads(),
        clock: platform.clock(),
        copy_rate: 2.0 * scale.copy_bytes as f64 / before.and(after).median(),
        date: machine::now(),
        pace: scale.pace,
        rows,
        skipped,
    })
}

/// Times the copy that everything is held against.
fn copy(platform: &Platform<'_>, scale: &Scale) -> Result<Timing, Failure> {
    let nowhere = point::Point::NOWHERE;
    match platform.prepare(&Subject::Copy, (&nowhere, scale)) {
        Ok(ready) => Ok(crate::measure::alone(ready.run, scale.effort)?),
        Err(Refusal::Skip(reason)) => Err(Failure::Failed(format!("copy: {reason}"))),
        Err(Refusal::Fail(failure)) => Err(failure),
    }
}

/// Checks all subjects of a group and times them in turn.
fn measure_group(
    group: &Group,
    (platform, scale): (&Platform<'_>, &Scale),
    bar: &ProgressBar,
    (rows, skipped): (&mut Vec<Row>, &mut Vec<Skipped>),
) -> Result<(), Failure> {
    let point = group.point;
    let mut prepared: Vec<(Subject, Ready<'_>)> = vec![];
    for subject in &group.subjects {
        bar.set_message(subject.label());
        match platform.prepare(subject, (&point, scale)) {
            Ok(ready) => prepared.push((*subject, ready)),
            Err(Refusal::Skip(reason)) => skipped.push(Skipped {
                subject: *subject,
                point,
                reason,
            }),
            Err(Refusal::Fail(failure)) => return Err(failure),
        }
    }
    let runs = prepared.iter_mut().map(|(_, ready)| &mut ready.run);
    let timings = alternate(&mut runs.collect::<Vec<_>>(), scale.effort)?;
    for ((subject, ready), timing) in prepared.into_iter().zip(timings) {
        let Ready {
            traffic,
            items,
            after,
            ..
        } = ready;
        match after() {
            Ok(()) => rows.push(Row {
                subject,
                point,
                timing,
                traffic,
                items,
            }),
            Err(Refusal::Skip(reason)) => skipped.push(Skipped {
                subject,
                point,
                reason,
            }),
            Err(Refusal::Fail(failure)) => return Err(failure),
        }
    }
    bar.inc(group.subjects.len() as u64);
    Ok(())
}
