//! Prints what a table file holds.

use qembed::io::TableFile;
use qembed::{Codebook, Format, Levels, PackedTable, Params};
use serde_json::{Value, json};

use super::grouped;
use crate::args::Inspect;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Characters shown of what a file says of its method.
const SHOWN: usize = 64;

/// Runs the command.
pub fn run(args: &Inspect, terminal: &Terminal) -> Result<(), Failure> {
    let file = TableFile::load(&args.table)?;
    let method: String = file.method.escape_debug().take(SHOWN).collect();
    let text = match args.json {
        true => format!("{:#}", json_of(&file.table, &method)),
        false => text_of(&file.table, &method),
    };
    terminal.print(&text)
}

fn json_of(table: &PackedTable, method: &str) -> Value {
    let format = table.format();
    let mut all = json!({
        "rows": table.rows(),
        "dim": table.dim(),
        "format": format.label(),
        "bits": format.width_bits(),
        "params": format.params().map(Params::name),
        "method": method,
        "row_bytes": format.row_bytes(table.dim()),
        "bytes": table.total_bytes(),
        "percent_of_f32": (percent_of_f32(table) * 100.0).round() / 100.0,
    });
    if let Some(blocks) = table.blocks() {
        all["blocks"] = json!(blocks.count());
        all["id_bits"] = json!(blocks.id_bits());
    }
    for (name, extremes) in ranges(table) {
        all[name] = json_extremes(extremes);
    }
    all
}

fn text_of(table: &PackedTable, method: &str) -> String {
    let (rows, dim, format) = (table.rows(), table.dim(), table.format());
    let ranges = ranges(table);
    let names: Vec<_> = ranges.iter().map(|(name, _)| *name).collect();
    let mut lines = vec![
        format!("table    {} rows x {dim}", grouped(rows.into())),
        format!(
            "format   {format}: {} of {} bits, {}method {method}",
            match format {
                Format::Symmetric { .. } => "signed codes",
                Format::Float(_) => "floats",
                _ => "codes",
            },
            format.width_bits(),
            match format.params() {
                Some(params) => format!("{} {}, ", params.name(), names.join(" and ")),
                None => String::new(),
            },
        ),
        format!(
            "size     {} bytes, {} a row, {:.2} % of f32",
            grouped(table.total_bytes()),
            format.row_bytes(dim),
            percent_of_f32(table)
        ),
    ];
    lines.extend(table.blocks().map(|blocks| {
        let count = grouped(blocks.count().into());
        format!("blocks   {count}, bits of a block id: {}", blocks.id_bits())
    }));
    let ranges = ranges.into_iter();
    lines.extend(ranges.map(|(name, extremes)| format!("{name:7}  {}", shown(extremes))));
    lines.join("\n")
}

/// Percent of the same rows in f32, codebooks and block ids counted; of one row where there are none.
fn percent_of_f32(table: &PackedTable) -> f64 {
    let (bytes, rows) = match table.rows() {
        0 => (table.format().row_bytes(table.dim()).into(), 1),
        rows => (table.total_bytes(), rows),
    };
    100.0 * bytes as f64 / (4.0 * f64::from(rows) * f64::from(table.dim()))
}

/// Smallest and largest of some numbers; `None` where there are no rows.
type Extremes = Option<[f32; 2]>;

/// The numbers beside the codes, or the floats, by name.
fn ranges(table: &PackedTable) -> Vec<(&'static str, Extremes)> {
    match table.format() {
        Format::Affine { .. } => {
            let rows = 0..table.rows() as usize;
            let headers = rows.filter_map(|row| table.row(row).header());
            let scale = headers.clone().map(|header| header.scale);
            let bias = headers.map(|header| header.bias);
            vec![("scale", extremes(scale)), ("bias", extremes(bias))]
        }
        Format::Symmetric { .. } => {
            let rows = 0..table.rows() as usize;
            let step = rows.filter_map(|row| table.row(row).step());
            vec![("step", extremes(step))]
        }
        Format::Float(_) => vec![("values", extremes(floats(table)))],
        _ => {
            let codebooks = codebooks(table);
            let centroids = codebooks
                .iter()
                .flat_map(|codebook| (0..codebook.count()).map(|code| codebook.value(code)));
            vec![("centroids", extremes(centroids))]
        }
    }
}

/// Every float as stored.
fn floats(table: &PackedTable) -> impl Iterator<Item = f32> + Clone {
    let rows = (0..table.rows() as usize).map(|row| table.row(row));
    rows.flat_map(|row| (0..table.dim() as usize).filter_map(move |column| row.float(column)))
}

/// The codebook of every block, or of every row.
fn codebooks(table: &PackedTable) -> Vec<Codebook<'_>> {
    if let Some(blocks) = table.blocks() {
        return (0..blocks.count())
            .map(|block| blocks.codebook(block))
            .collect();
    }
    let levels = (0..table.rows() as usize).map(|row| table.row(row).levels());
    levels
        .filter_map(|levels| match levels {
            Levels::Codebook(codebook) => Some(codebook),
            Levels::Affine(_) | Levels::Symmetric { .. } | Levels::Float(_) => None,
        })
        .collect()
}

/// NaN is above all, or below where it is negative.
fn extremes(values: impl Iterator<Item = f32> + Clone) -> Extremes {
    let low = values.clone().min_by(f32::total_cmp)?;
    let high = values.max_by(f32::total_cmp)?;
    Some([low, high])
}

/// JSON has no NaN and no infinity: they are strings.
fn json_extremes(extremes: Extremes) -> Value {
    let number = |x: f32| match x.is_finite() {
        true => json!(x),
        false => json!(x.to_string()),
    };
    extremes.map_or(Value::Null, |[low, high]| {
        json!([number(low), number(high)])
    })
}

fn shown(extremes: Extremes) -> String {
    match extremes {
        Some([low, high]) => format!("{low} to {high}"),
        None => "no rows".into(),
    }
}
