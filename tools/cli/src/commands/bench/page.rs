//! A record as one HTML page that needs nothing but itself.

use super::outcome::Record;
use super::plot::plots;
use super::report::{COLUMNS, RATIOS, cells, device, legend, ratios, skipped};
use crate::failure::Failure;
use crate::page::{Place, Table, escaped, figure, page};

/// The page.
pub fn html(record: &Record) -> Result<String, Failure> {
    const NOTHING: &str = "Nothing to draw here: no lookup was measured at several places.";
    let name = &record.machine.name;
    let failed = |error| Failure::Failed(format!("--html: a plot could not be drawn: {error}"));
    let plots = plots(record).map_err(failed)?;
    let plots = plots
        .iter()
        .map(|plot| figure(&plot.title, plot.svg.as_deref(), NOTHING));
    let mut body = format!(
        "<h1>qembed on {}</h1>\n<p>{}<br>\n{}, qembed {}.</p>\n",
        escaped(name),
        escaped(&device(record)),
        record.date,
        env!("CARGO_PKG_VERSION")
    );
    body.extend(plots);
    body.push_str(&format!(
        "<h2>All results</h2>\n{}<p>{}</p>\n",
        table(record),
        legend()
    ));
    body.push_str(&ratio_table(record));
    for line in skipped(record) {
        body.push_str(&format!("<p>{}</p>\n", escaped(&line)));
    }
    Ok(page(&format!("qembed bench: {name}"), &body))
}

/// A kernel's rows are set apart from those of the one before.
fn table(record: &Record) -> String {
    let mut table = Table::new(&COLUMNS, 0);
    let mut above = None;
    for row in &record.rows {
        // A baseline belongs to its lookup.
        let subject = row.subject.rival().unwrap_or(row.subject);
        let kernel = std::mem::discriminant(&subject);
        let place = match above.replace(kernel) == Some(kernel) {
            true => Place::Next,
            false => Place::First,
        };
        table.row(place, &cells(record, row));
    }
    table.finish()
}

fn ratio_table(record: &Record) -> String {
    let ratios = ratios(record);
    let Some((header, rows)) = ratios.split_first() else {
        return String::new();
    };
    let mut table = Table::new(header, 0);
    rows.iter().for_each(|row| table.row(Place::Next, row));
    format!(
        "<h2>Beside how others do it</h2>\n{}<p>{RATIOS}</p>\n",
        table.finish()
    )
}
