//! Prints what a table file holds.

use qembed::PackedTable;
use qembed::io::TableFile;
use serde_json::json;

use super::{grouped, percent_of_f32};
use crate::args::Inspect;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Characters shown of what a file says of its method.
const SHOWN: usize = 64;

/// Runs the command.
pub fn run(args: &Inspect, terminal: &Terminal) -> Result<(), Failure> {
    let file = TableFile::load(&args.table)?;
    let method: String = file.method.escape_debug().take(SHOWN).collect();
    let table = &file.table;
    let format = table.format();
    let row_bytes = format.row_bytes(table.dim());
    let percent = percent_of_f32(row_bytes, table.dim());
    let (scale, bias) = ranges(table);
    let text = match args.json {
        true => format!(
            "{:#}",
            json!({
                "rows": table.rows(),
                "dim": table.dim(),
                "format": format.label(),
                "bits": format.bits().count(),
                "params": format.params().name(),
                "method": method,
                "row_bytes": row_bytes,
                "bytes": table.bytes().len(),
                "percent_of_f32": (percent * 100.0).round() / 100.0,
                "scale": json_extremes(scale),
                "bias": json_extremes(bias),
            })
        ),
        false => [
            format!(
                "table    {} rows x {}",
                grouped(table.rows().into()),
                table.dim()
            ),
            format!(
                "format   {format}: codes of {} bits, {} scale and bias, method {}",
                format.bits().count(),
                format.params().name(),
                method
            ),
            format!(
                "size     {} bytes, {row_bytes} a row, {percent:.2} % of f32",
                grouped(table.bytes().len() as u64)
            ),
            format!("scale    {}", shown(scale)),
            format!("bias     {}", shown(bias)),
        ]
        .join("\n"),
    };
    terminal.print(&text)
}

/// Smallest and largest scale, and bias; `None` where there are no rows.
type Extremes = Option<[f32; 2]>;

fn ranges(table: &PackedTable) -> (Extremes, Extremes) {
    let headers = || (0..table.rows() as usize).map(|row| table.row(row).header());
    let scale = headers().map(|header| header.scale);
    let bias = headers().map(|header| header.bias);
    (extremes(scale), extremes(bias))
}

/// NaN is above all, or below where it is negative.
fn extremes(values: impl Iterator<Item = f32> + Clone) -> Extremes {
    let low = values.clone().min_by(f32::total_cmp)?;
    let high = values.max_by(f32::total_cmp)?;
    Some([low, high])
}

/// JSON has no NaN and no infinity: they are strings.
fn json_extremes(extremes: Extremes) -> serde_json::Value {
    let number = |x: f32| match x.is_finite() {
        true => json!(x),
        false => json!(x.to_string()),
    };
    extremes.map_or(serde_json::Value::Null, |[low, high]| {
        json!([number(low), number(high)])
    })
}

fn shown(extremes: Extremes) -> String {
    match extremes {
        Some([low, high]) => format!("{low} to {high}"),
        None => "no rows".into(),
    }
}
