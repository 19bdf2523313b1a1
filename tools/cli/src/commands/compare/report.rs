//! A comparison as JSON, and as text for a terminal.

use qembed::{Bits, Method};
use serde_json::{Value, json};

use super::Comparison;
use super::measure::{OnCpu, OnGpu, Outcome};
use crate::commands::grouped;

/// What [`cells`] holds.
pub const COLUMNS: [&str; 10] = [
    "method",
    "error",
    "vs asym",
    "worst row",
    "its error",
    "bytes/row",
    "% of f32",
    "CPU s",
    "GPU s",
    "GPU rows",
];

/// What stands where there is no number.
const NOTHING: &str = "-";

/// The whole comparison.
pub fn json(comparison: &Comparison<'_>) -> Value {
    json!({
        "input": comparison.input.display().to_string(),
        "rows": comparison.sample.rows_in_file,
        "sampled": comparison.sample.places.len(),
        "dim": comparison.sample.dim,
        "cpu_threads": comparison.cpu_threads,
        "adapter": comparison.adapter,
        "results": comparison.outcomes.iter().map(json_result).collect::<Vec<_>>(),
    })
}

/// `null` wherever something was not measured.
fn json_result(outcome: &Outcome) -> Value {
    let (pairing, cpu, gpu) = (&outcome.pairing, &outcome.cpu, &outcome.gpu);
    let of_cpu = |number: fn(&OnCpu) -> f64| cpu.as_ref().map(number);
    json!({
        "method": pairing.method.name(),
        "bits": pairing.bits.count(),
        "format": pairing.format.label(),
        "error": of_cpu(|cpu| cpu.errors.whole),
        "worst_row": cpu.as_ref().map(|cpu| cpu.errors.worst_row),
        "worst_row_error": of_cpu(|cpu| cpu.errors.worst_row_error),
        "row_bytes": of_cpu(|cpu| cpu.row_bytes),
        "percent_of_f32": of_cpu(|cpu| (cpu.percent_of_f32 * 100.0).round() / 100.0),
        "cpu_seconds": of_cpu(|cpu| cpu.seconds),
        "gpu_seconds": gpu.as_ref().map(|gpu| gpu.seconds),
        "gpu_matches_cpu": gpu.as_ref().map(|gpu| gpu.same),
        "gpu_error": gpu.as_ref().map(|gpu| gpu.error),
        "failure": outcome.failure,
    })
}

/// What was measured and where, one table for every width, and what the columns mean.
pub fn text(comparison: &Comparison<'_>) -> String {
    let mut parts = vec![what(comparison), devices(comparison)];
    for bits in widths(comparison) {
        let title = format!("\n{} bits", bits.count());
        let header = COLUMNS.map(String::from);
        let rows = at_width(comparison, bits).map(|outcome| cells(comparison, outcome));
        parts.push(title);
        parts.push(aligned(
            &std::iter::once(header).chain(rows).collect::<Vec<_>>(),
        ));
    }
    parts.push(format!("\n{}", legend()));
    parts.extend(failures(comparison));
    parts.join("\n")
}

/// The matrix, and how much of it was taken.
pub fn what(comparison: &Comparison<'_>) -> String {
    let sample = &comparison.sample;
    let tensor = comparison.tensor.map(|name| format!(", tensor {name}"));
    format!(
        "{}{}: {} of {} rows x {}, evenly spaced",
        comparison.input.display(),
        tensor.unwrap_or_default(),
        grouped(sample.places.len() as u64),
        grouped(sample.rows_in_file as u64),
        sample.dim
    )
}

/// What the seconds were taken on.
pub fn devices(comparison: &Comparison<'_>) -> String {
    let threads = match comparison.cpu_threads {
        1 => "1 thread".into(),
        threads => format!("{threads} threads"),
    };
    let adapter = comparison.adapter.as_deref().unwrap_or("no adapter");
    format!("CPU: {threads}; GPU: {adapter}")
}

/// What the columns mean.
pub fn legend() -> &'static str {
    "Error: |X - X'| / |X|, Frobenius; * is the least of its width. Rows are counted from 0.\n\
     Bytes per row: those of the table, shared codebooks included, divided by the rows taken.\n\
     Seconds: one run on the rows taken; on the GPU with the copy to it, without compiling.\n\
     GPU rows: whether they are the CPU's, byte for byte; kmeans takes another way on the GPU."
}

/// Every failure, with the name of its method and width.
pub fn failures(comparison: &Comparison<'_>) -> impl Iterator<Item = String> {
    let failed = comparison.outcomes.iter().filter_map(Outcome::failed);
    failed.map(|failure| format!("failed: {failure}"))
}

/// The widths that were compared, narrowest first.
pub fn widths(comparison: &Comparison<'_>) -> Vec<Bits> {
    let mut widths: Vec<_> = comparison.outcomes.iter().map(|o| o.pairing.bits).collect();
    widths.dedup();
    widths
}

/// The outcomes of one width.
fn at_width<'a>(
    comparison: &'a Comparison<'_>,
    bits: Bits,
) -> impl Iterator<Item = &'a Outcome> + Clone {
    let outcomes = comparison.outcomes.iter();
    outcomes.filter(move |outcome| outcome.pairing.bits == bits)
}

/// One outcome, as every table shows it.
pub fn cells(comparison: &Comparison<'_>, outcome: &Outcome) -> [String; COLUMNS.len()] {
    let name = outcome.pairing.method.name();
    let Some(cpu) = &outcome.cpu else {
        let mut cells = [NOTHING; COLUMNS.len()].map(String::from);
        cells[0] = name.into();
        cells[1] = "failed".into();
        return cells;
    };
    let error = cpu.errors.whole;
    let peers = at_width(comparison, outcome.pairing.bits);
    let errors = peers.clone().filter_map(whole_error);
    let best = errors.min_by(f64::total_cmp) == Some(error);
    let mut asym = peers.filter(|peer| peer.pairing.method == Method::Asym);
    let asym = asym.find_map(whole_error).filter(|asym| *asym > 0.0);
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    let gpu = outcome.gpu.as_ref();
    [
        name.into(),
        format!("{}{error:.6}", if best { "* " } else { "" }),
        or_nothing(asym.map(|asym| format!("{:.3}", error / asym))),
        cpu.errors.worst_row.to_string(),
        format!("{:.6}", cpu.errors.worst_row_error),
        format!("{:.2}", cpu.row_bytes),
        format!("{:.2}", cpu.percent_of_f32),
        format!("{:.5}", cpu.seconds),
        or_nothing(gpu.map(|gpu| format!("{:.5}", gpu.seconds))),
        or_nothing(gpu.map(agreement)),
    ]
}

fn whole_error(outcome: &Outcome) -> Option<f64> {
    outcome.cpu.as_ref().map(|cpu| cpu.errors.whole)
}

fn agreement(gpu: &OnGpu) -> String {
    match gpu.same {
        true => "same".into(),
        false => "differ".into(),
    }
}

/// Lines of columns as wide as their widest cell: names on the left, numbers on the right.
fn aligned(rows: &[[String; COLUMNS.len()]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; COLUMNS.len()]| {
        let numbers = row.iter().zip(widths).skip(1);
        let numbers: String = numbers
            .map(|(cell, width)| format!("  {cell:>width$}"))
            .collect();
        format!("{:width$}{numbers}", row[0], width = widths[0])
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
