//! A record as JSON, and as text for a terminal.

use serde_json::{Value, json};

use super::outcome::{Ratio, Record, Row, Skipped};
use super::point::Point;
use super::scale::Pace;
use super::subject::{Axis, Subject};
use crate::commands::grouped;

/// What [`cells`] holds.
pub const COLUMNS: [&str; 11] = [
    "label",
    "rows",
    "dim",
    "bags",
    "length",
    "zipf",
    "median us",
    "min us",
    "a second",
    "of copy",
    "sectors",
];

/// What stands where there is no number.
const NOTHING: &str = "-";

/// The whole record.
pub fn json(record: &Record) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "date": record.date,
        "device": record.machine.json(),
        "threads": record.threads,
        "timed_by": record.clock.name(),
        "copy_bytes_per_s": record.copy_rate,
        "quick": record.pace == Pace::Quick,
        "optimized": !cfg!(debug_assertions),
        "rows": record.rows.iter().map(|row| json_row(record, row)).collect::<Vec<_>>(),
        "ratios": record.ratios().iter().map(json_ratio).collect::<Vec<_>>(),
        "skipped": record.skipped.iter().map(json_skipped).collect::<Vec<_>>(),
    })
}

/// `null` wherever something does not apply.
fn json_row(record: &Record, row: &Row) -> Value {
    let mut value = json_point(&row.subject, &row.point);
    let (timing, traffic) = (&row.timing, &row.traffic);
    value["device"] = json!(record.machine.name);
    value["threads"] = json!(record.threads);
    value["timed_by"] = json!(record.clock.name());
    value["runs"] = json!(timing.runs());
    value["iterations"] = json!(timing.repetitions);
    value["median_s"] = json!(timing.median());
    value["min_s"] = json!(timing.least());
    value["max_s"] = json!(timing.most());
    value["lookups_per_s"] = json!(row.lookups_per_second());
    value["items"] = json!(row.subject.item());
    value["items_per_s"] = json!(row.items_per_second());
    value["bytes"] = json!(traffic.bytes);
    value["fraction_of_copy"] = json!(row.fraction_of_copy(record.copy_rate));
    value["sector_bytes"] = json!(traffic.sector_bytes);
    value["sector_fraction_of_copy"] = json!(row.sector_fraction_of_copy(record.copy_rate));
    value
}

fn json_point(subject: &Subject, point: &Point) -> Value {
    let number = |axis, value: f64| subject.has(axis).then_some(value);
    let whole = |axis, value: u32| subject.has(axis).then_some(value);
    json!({
        "label": subject.label(),
        "rows": whole(Axis::Rows, point.rows),
        "dim": whole(Axis::Dim, point.dim),
        "bags": whole(Axis::Bags, point.bags),
        "bag_length": whole(Axis::BagLength, point.bag_length),
        "zipf": number(Axis::Zipf, point.zipf),
    })
}

fn json_ratio(ratio: &Ratio<'_>) -> Value {
    let mut value = json_point(&ratio.rival.subject, &ratio.rival.point);
    value["baseline"] = json!(ratio.baseline.subject.label());
    value["ratio"] = json!(ratio.times);
    value
}

fn json_skipped(skipped: &Skipped) -> Value {
    let mut value = json_point(&skipped.subject, &skipped.point);
    value["reason"] = json!(skipped.reason);
    value
}

/// Where it was measured, a table, the ratios, and what was skipped.
pub fn text(record: &Record) -> String {
    let header = COLUMNS.map(String::from);
    let rows = record.rows.iter().map(|row| cells(record, row));
    let table: Vec<_> = std::iter::once(header).chain(rows).collect();
    let mut parts = vec![device(record), String::new(), aligned(&table)];
    parts.extend(["", legend()].map(String::from));
    let ratios = ratios(record);
    if !ratios.is_empty() {
        parts.extend([String::new(), aligned(&ratios), RATIOS.into()]);
    }
    parts.extend(skipped(record));
    parts.join("\n")
}

/// What the table of ratios says.
pub const RATIOS: &str =
    "Times as fast as each baseline: its median divided by qembed's, measured in turn.";

/// Where it was measured, how, and the limit.
pub fn device(record: &Record) -> String {
    let threads = match record.threads {
        None => String::new(),
        Some(1) => ", 1 thread".into(),
        Some(threads) => format!(", {threads} threads"),
    };
    format!(
        "{}{threads}; timed by {}. A copy moves {:.2} GB/s here.",
        record.machine.line(),
        record.clock.name(),
        record.copy_rate / 1e9
    )
}

/// What the columns mean.
pub fn legend() -> &'static str {
    "A second: lookups, rows or positions, of a copy bytes. Of copy: bytes that must move (rows with header and \
     padding, indices, offsets, output), each touched once for every index, over the median, as a part of what a \
     copy moves in that time; sectors: the same of the 32-byte sectors that they lie in. \
     Every answer was checked before it was timed."
}

/// One line for everything that was skipped.
pub fn skipped(record: &Record) -> Vec<String> {
    let line = |skipped: &Skipped| {
        let label = skipped.subject.label();
        let place = place(&skipped.subject, &skipped.point);
        format!("skipped {label}{place}: {}", skipped.reason)
    };
    record.skipped.iter().map(line).collect()
}

/// Where something was measured, in words.
fn place(subject: &Subject, point: &Point) -> String {
    let parts = [
        (Axis::Rows, format!("{} rows", point.rows)),
        (Axis::Dim, format!("dim {}", point.dim)),
        (Axis::Bags, format!("{} bags", point.bags)),
        (Axis::BagLength, format!("length {}", point.bag_length)),
        (Axis::Zipf, format!("Zipf {}", point.zipf)),
    ];
    let parts = parts.into_iter().filter(|(axis, _)| subject.has(*axis));
    let parts: Vec<_> = parts.map(|(_, text)| text).collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(" ({})", parts.join(", ")),
    }
}

/// One row, as every table shows it.
pub fn cells(record: &Record, row: &Row) -> [String; COLUMNS.len()] {
    let [rows, dim, bags, length, zipf] = axes(&row.subject, &row.point);
    let microseconds = |seconds: f64| format!("{:.1}", 1e6 * seconds);
    let percent = |fraction: f64| format!("{:.1} %", 100.0 * fraction);
    [
        row.subject.label(),
        rows,
        dim,
        bags,
        length,
        zipf,
        microseconds(row.timing.median()),
        microseconds(row.timing.least()),
        grouped(row.items_per_second() as u64),
        percent(row.fraction_of_copy(record.copy_rate)),
        percent(row.sector_fraction_of_copy(record.copy_rate)),
    ]
}

fn axes(subject: &Subject, point: &Point) -> [String; 5] {
    let cell = |axis, text: String| match subject.has(axis) {
        true => text,
        false => NOTHING.into(),
    };
    [
        cell(Axis::Rows, grouped(point.rows.into())),
        cell(Axis::Dim, point.dim.to_string()),
        cell(Axis::Bags, grouped(point.bags.into())),
        cell(Axis::BagLength, point.bag_length.to_string()),
        cell(Axis::Zipf, point.zipf.to_string()),
    ]
}

/// A line for every lookup that has baselines, a column for each of them; the first line names the columns.
pub fn ratios(record: &Record) -> Vec<Vec<String>> {
    let ratios = record.ratios();
    let mut names: Vec<String> = vec![];
    let mut rivals: Vec<&Row> = vec![];
    for ratio in &ratios {
        let name = name(ratio);
        if !names.contains(&name) {
            names.push(name);
        }
        if !rivals.iter().any(|rival| std::ptr::eq(*rival, ratio.rival)) {
            rivals.push(ratio.rival);
        }
    }
    if rivals.is_empty() {
        return vec![];
    }
    let header = COLUMNS[..6].iter().map(|name| name.to_string());
    let lines = rivals.into_iter().map(|rival| {
        let of = |wanted: &String| {
            let same =
                |ratio: &&Ratio<'_>| std::ptr::eq(ratio.rival, rival) && name(ratio) == *wanted;
            let found = ratios.iter().find(same);
            found.map_or(NOTHING.into(), |ratio| format!("{:.2} x", ratio.times))
        };
        let place = axes(&rival.subject, &rival.point);
        let line = std::iter::once(rival.subject.label()).chain(place);
        line.chain(names.iter().map(of)).collect()
    });
    let header = header.chain(names.iter().cloned()).collect();
    std::iter::once(header).chain(lines).collect()
}

/// A baseline's name, of any width.
fn name(ratio: &Ratio<'_>) -> String {
    match ratio.baseline.subject {
        Subject::Baseline(baseline, _) => format!("baseline.{}", baseline.name()),
        _ => ratio.baseline.subject.label(),
    }
}

/// Lines of columns as wide as their widest cell: labels on the left, numbers on the right.
fn aligned<T: AsRef<[String]>>(rows: &[T]) -> String {
    let columns = rows.first().map_or(0, |row| row.as_ref().len());
    let width = |column: usize| rows.iter().map(|row| row.as_ref()[column].len()).max();
    let widths: Vec<_> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let line = |row: &T| {
        let cells = row.as_ref().iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| match at {
            0 => format!("{cell:width$}"),
            _ => format!("  {cell:>width$}"),
        });
        cells.collect::<String>()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
