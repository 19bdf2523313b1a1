//! Checks every kernel against the reference.

use std::path::Path;

use qembed::verify::{self, Case, CpuEngine, GpuEngine};
use serde_json::json;

use crate::args::Verify;
use crate::device::{Device, Software};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Failed cases that are printed one by one.
const SHOWN: usize = 20;

/// Runs the command.
pub fn run(args: &Verify, terminal: &Terminal) -> Result<(), Failure> {
    let device = Device::open(args.device, Software::Welcome)?;
    let count = match &device {
        Device::Gpu(_) => verify::count::<GpuEngine<'_>>(&args.filter),
        Device::Cpu => verify::count::<CpuEngine>(&args.filter),
    };
    if count == 0 {
        let message = format!(
            "--filter: no case's name contains {:?}; a name is like lookup.q4h16.sum.unweighted.f32/dim64.rows61",
            args.filter
        );
        return Err(Failure::Usage(message));
    }
    let bar = terminal.progress("verifying", count as u64);
    let mut cases = Vec::with_capacity(count);
    let done = |case: Case| {
        bar.inc(1);
        cases.push(case);
    };
    match &device {
        Device::Gpu(session) => verify::run(&GpuEngine::new(session), &args.filter, done)?,
        Device::Cpu => verify::run(&CpuEngine, &args.filter, done)?,
    }
    bar.finish_and_clear();

    let failed: Vec<_> = cases
        .iter()
        .filter(|case| case.outcome.failure.is_some())
        .collect();
    for case in failed.iter().take(SHOWN) {
        let failure = case.outcome.failure.as_deref().unwrap_or_default();
        terminal.print(&format!("failed {}: {failure}", name(case)))?;
    }
    if failed.len() > SHOWN {
        terminal.print(&format!("and {} more", failed.len() - SHOWN))?;
    }
    if let Some(path) = &args.json {
        write_json(path, &device, &cases, failed.len())?;
    }
    terminal.print(&format!(
        "verified {} cases on {}: {} passed, {} failed",
        cases.len(),
        device.name(),
        cases.len() - failed.len(),
        failed.len()
    ))?;
    match failed.len() {
        0 => Ok(()),
        failed => Err(Failure::Failed(format!("{failed} cases failed"))),
    }
}

fn name(case: &Case) -> String {
    format!("{}/{}", case.label, case.shape)
}

fn write_json(path: &Path, device: &Device, cases: &[Case], failed: usize) -> Result<(), Failure> {
    let rows: Vec<_> = cases
        .iter()
        .map(|case| {
            json!({
                "name": name(case),
                "label": case.label,
                "shape": case.shape,
                "passed": case.outcome.failure.is_none(),
                // Infinite where bits differ, which JSON cannot say: null.
                "largest_error": case.outcome.largest,
                "failure": case.outcome.failure,
            })
        })
        .collect();
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "device": device.name(),
        "passed": cases.len() - failed,
        "failed": failed,
        "cases": rows,
    });
    qembed::io::replace(path, |file| {
        use std::io::Write as _;
        writeln!(file, "{report:#}")
    })?;
    Ok(())
}
