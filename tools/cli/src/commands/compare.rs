//! Compares every method at every width on a sample of rows: what each leaves of the values, what it
//! takes to store, and how long it takes.

mod measure;
mod page;
mod plot;
mod report;
mod sample;

use std::path::Path;

use qembed::wgpu::DeviceType;
use qembed::{Bits, Method};

use super::{file_problem, write};
use crate::args::{Compare, DeviceChoice};
use crate::device::{Device, Software};
use crate::failure::Failure;
use crate::terminal::Terminal;
use measure::{Outcome, Pairing, measure};
use sample::Sample;

/// What was compared, where, and what came of it.
struct Comparison<'a> {
    /// The file, as the person named it.
    input: &'a Path,
    /// The tensor, where one was named.
    tensor: Option<&'a str>,
    /// The rows that were taken.
    sample: Sample,
    /// Threads that the CPU's times are of.
    cpu_threads: usize,
    /// The adapter that the GPU's times are of.
    adapter: Option<String>,
    /// By width, then in the order of the methods.
    outcomes: Vec<Outcome>,
}

/// Runs the command.
pub fn run(args: &Compare, terminal: &Terminal) -> Result<(), Failure> {
    let pairings = pairings(&args.methods, &args.bits)?;
    let spinner = terminal.spinner("reading");
    let tensor = args.tensor.as_deref();
    let sample = Sample::read(&args.input, tensor, args.rows as usize)?;
    spinner.finish_and_clear();
    // A software adapter is welcome: its rows are compared with the CPU's, and its name is told.
    let device = Device::open(DeviceChoice::Auto, Software::Welcome)?;
    let outcomes = measure_all(pairings, &sample, &device, terminal);
    let comparison = Comparison {
        input: &args.input,
        tensor,
        sample,
        cpu_threads: cpu_threads(),
        adapter: adapter(&device),
        outcomes,
    };
    refuse_failed(&comparison)?;
    if let Some(path) = &args.json {
        write(path, &format!("{:#}\n", report::json(&comparison)))?;
    }
    if let Some(path) = &args.html {
        write(path, &page::html(&comparison)?)?;
    }
    terminal.print(&report::text(&comparison))
}

/// Every method at every width, once each, where such rows exist.
fn pairings(methods: &[Method], widths: &[Bits]) -> Result<Vec<Pairing>, Failure> {
    let methods = match methods {
        [] => Method::ALL,
        chosen => chosen,
    };
    let mut widths = widths.to_vec();
    widths.sort();
    widths.dedup();
    let mut pairings: Vec<Pairing> = vec![];
    let mut refused = None;
    for bits in widths {
        for &method in methods {
            let known = |pairing: &Pairing| (pairing.method, pairing.bits) == (method, bits);
            match method.format(bits, None) {
                Ok(_) if pairings.iter().any(known) => {}
                Ok(format) => pairings.push(Pairing {
                    method,
                    bits,
                    format,
                }),
                Err(error) => refused = Some(error),
            }
        }
    }
    match refused {
        Some(error) if pairings.is_empty() => {
            Err(Failure::Usage(format!("--methods and --bits: {error}")))
        }
        _ => Ok(pairings),
    }
}

fn measure_all(
    pairings: Vec<Pairing>,
    sample: &Sample,
    device: &Device,
    terminal: &Terminal,
) -> Vec<Outcome> {
    let session = match device {
        Device::Gpu(session) => Some(session.as_ref()),
        Device::Cpu => None,
    };
    let bar = terminal.progress("comparing", pairings.len() as u64);
    let mut outcomes = Vec::with_capacity(pairings.len());
    for pairing in pairings {
        let (name, bits) = (pairing.method.name(), pairing.bits.count());
        bar.set_message(format!("{name}, {bits} bits"));
        outcomes.push(measure(pairing, sample, session));
        bar.inc(1);
    }
    bar.finish_and_clear();
    outcomes
}

/// One pairing that failed is a line of the report; all of them are a failure.
fn refuse_failed(comparison: &Comparison<'_>) -> Result<(), Failure> {
    let outcomes = &comparison.outcomes;
    match outcomes.iter().find_map(Outcome::failed) {
        Some(first) if outcomes.iter().all(|outcome| outcome.cpu.is_none()) => {
            let problem = format!("nothing could be quantized; {first}");
            Err(file_problem(comparison.input, problem))
        }
        _ => Ok(()),
    }
}

/// The threads that the library quantizes on: as many as rayon's pool has unless a program sets it up.
fn cpu_threads() -> usize {
    let chosen = std::env::var("RAYON_NUM_THREADS").ok();
    let chosen = chosen.and_then(|text| text.parse().ok());
    chosen.filter(|&threads| threads > 0).unwrap_or_else(|| {
        let available = std::thread::available_parallelism();
        available.map_or(1, usize::from)
    })
}

/// Name and driver of the adapter, and whether it is a CPU that plays GPU.
fn adapter(device: &Device) -> Option<String> {
    let Device::Gpu(session) = device else {
        return None;
    };
    let software = match session.adapter().device_type {
        DeviceType::Cpu => ", a software adapter",
        _ => "",
    };
    Some(format!("{}{software}", device.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairings_go_by_width_and_none_comes_twice() {
        let methods = [Method::Sym, Method::Asym, Method::Sym];
        let pairings = pairings(&methods, &[Bits::B8, Bits::B2, Bits::B8]).unwrap();
        let names: Vec<_> = pairings.iter().map(Pairing::to_string).collect();
        assert_eq!(
            names,
            [
                "sym at 2 bits",
                "asym at 2 bits",
                "sym at 8 bits",
                "asym at 8 bits"
            ]
        );
    }

    #[test]
    fn pairings_that_do_not_exist_are_left_out() {
        let kmeans = Method::Kmeans { iterations: 1 };
        assert_eq!(pairings(&[kmeans], &Bits::ALL).unwrap().len(), 3);
        let refused = pairings(&[kmeans], &[Bits::B8]).err().unwrap();
        assert_eq!(refused.code(), 2);
    }
}
