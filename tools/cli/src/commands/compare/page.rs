//! A comparison as one HTML page that needs nothing but itself.

use qembed::Bits;

use super::report::{COLUMNS, cells, devices, failures, legend, what, widths};
use super::{Comparison, plot};
use crate::failure::Failure;
use crate::page::{Place, Table, escaped, figure, page};

/// The page.
pub fn html(comparison: &Comparison<'_>) -> Result<String, Failure> {
    let title = comparison.input.display().to_string();
    let measured = format!(
        "{}. {}. qembed {}.",
        what(comparison),
        devices(comparison),
        env!("CARGO_PKG_VERSION")
    );
    let failures: String = failures(comparison)
        .map(|failure| format!("<p>{}</p>\n", escaped(&failure)))
        .collect();
    let body = format!(
        "<h1>Methods compared on {}</h1>\n<p>{}</p>\n{}<h2>All results</h2>\n{}<p>{}</p>\n{failures}",
        escaped(&title),
        escaped(&measured),
        plots(comparison)?,
        table(comparison),
        escaped(legend()).replace('\n', "<br>\n")
    );
    Ok(page(&format!("qembed compare: {title}"), &body))
}

fn plots(comparison: &Comparison<'_>) -> Result<String, Failure> {
    const NOTHING: &str = "Nothing to draw here: every method failed, or left no error.";
    let outcomes = &comparison.outcomes;
    let failed = |error| Failure::Failed(format!("--html: a plot could not be drawn: {error}"));
    let sizes = plot::against_bytes(outcomes).map_err(failed)?;
    let mut text = figure("Error against size", sizes.as_deref(), NOTHING);
    if let Some(bits) = timed_width(&widths(comparison)) {
        let times = plot::against_seconds(outcomes, bits).map_err(failed)?;
        let title = format!("Error against time at {} bits", bits.count());
        text.push_str(&figure(&title, times.as_deref(), NOTHING));
    }
    Ok(text)
}

/// 4 bits where they were compared, else the widest.
fn timed_width(widths: &[Bits]) -> Option<Bits> {
    let four = widths.iter().find(|bits| **bits == Bits::B4);
    four.or(widths.last()).copied()
}

/// The first row of a width is set apart.
fn table(comparison: &Comparison<'_>) -> String {
    let header: Vec<_> = ["bits", "rows are"].into_iter().chain(COLUMNS).collect();
    let mut table = Table::new(&header, 2);
    let mut above = None;
    for outcome in &comparison.outcomes {
        let bits = outcome.pairing.bits;
        let place = match above.replace(bits) == Some(bits) {
            true => Place::Next,
            false => Place::First,
        };
        let rows_are = [bits.count().to_string(), outcome.pairing.format.to_string()];
        let cells: Vec<_> = rows_are
            .into_iter()
            .chain(cells(comparison, outcome))
            .collect();
        table.row(place, &cells);
    }
    table.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_4_bits_or_the_widest() {
        assert_eq!(timed_width(&Bits::ALL), Some(Bits::B4));
        assert_eq!(timed_width(&[Bits::B2, Bits::B8]), Some(Bits::B8));
        assert_eq!(timed_width(&[]), None);
    }
}
