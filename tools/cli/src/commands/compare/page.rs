//! A comparison as one HTML page that needs nothing but itself.

use std::fmt::Write as _;

use qembed::Bits;

use super::measure::Outcome;
use super::report::{COLUMNS, cells, devices, failures, legend, what, widths};
use super::{Comparison, plot};
use crate::failure::Failure;

/// The browser's own colours, light or dark as the person has them.
const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
h1, p { overflow-wrap: anywhere; }
figure { margin: 0; overflow-x: auto; }
svg { max-width: 100%; height: auto; }
svg text { fill: currentColor; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.6rem; text-align: right; white-space: nowrap; }
th:nth-child(3), td:nth-child(3) { text-align: left; }
thead th, tbody tr.first td { border-top: 1px solid #808080; }
";

/// The page.
pub fn html(comparison: &Comparison<'_>) -> Result<String, Failure> {
    let title = escaped(&comparison.input.display().to_string());
    let measured = escaped(&format!(
        "{}. {}. qembed {}.",
        what(comparison),
        devices(comparison),
        env!("CARGO_PKG_VERSION")
    ));
    let failures: String = failures(comparison)
        .map(|failure| format!("<p>{}</p>\n", escaped(&failure)))
        .collect();
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>qembed compare: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Methods compared on {title}</h1>\n<p>{measured}</p>\n{}\
         <h2>All results</h2>\n<div class=\"wide\">\n{}</div>\n<p>{}</p>\n{failures}</body>\n</html>\n",
        plots(comparison)?,
        table(comparison),
        escaped(legend()).replace('\n', "<br>\n")
    ))
}

fn plots(comparison: &Comparison<'_>) -> Result<String, Failure> {
    let outcomes = &comparison.outcomes;
    let failed = |error| Failure::Failed(format!("--html: a plot could not be drawn: {error}"));
    let sizes = plot::against_bytes(outcomes).map_err(failed)?;
    let mut text = figure("Error against size", sizes);
    if let Some(bits) = timed_width(&widths(comparison)) {
        let times = plot::against_seconds(outcomes, bits).map_err(failed)?;
        let title = format!("Error against time at {} bits", bits.count());
        text.push_str(&figure(&title, times));
    }
    Ok(text)
}

/// 4 bits where they were compared, else the widest.
fn timed_width(widths: &[Bits]) -> Option<Bits> {
    let four = widths.iter().find(|bits| **bits == Bits::B4);
    four.or(widths.last()).copied()
}

fn figure(title: &str, svg: Option<String>) -> String {
    let body = match svg {
        Some(svg) => format!("<figure role=\"img\" aria-label=\"{title}\">\n{svg}</figure>"),
        None => "<p>Nothing to draw here: every method failed, or left no error.</p>".into(),
    };
    format!("<h2>{title}</h2>\n{body}\n")
}

fn table(comparison: &Comparison<'_>) -> String {
    let mut text = String::from("<table>\n<thead>\n<tr>");
    let header = ["bits", "rows are"].into_iter().chain(COLUMNS);
    text.extend(header.map(|name| format!("<th scope=\"col\">{name}</th>")));
    text.push_str("</tr>\n</thead>\n<tbody>\n");
    let mut above = None;
    for outcome in &comparison.outcomes {
        let first = above.replace(outcome.pairing.bits) != Some(outcome.pairing.bits);
        row(&mut text, comparison, outcome, first);
    }
    text.push_str("</tbody>\n</table>\n");
    text
}

/// One line of the table; the first of a width is set apart.
fn row(text: &mut String, comparison: &Comparison<'_>, outcome: &Outcome, first: bool) {
    let class = if first { " class=\"first\"" } else { "" };
    let (bits, format) = (outcome.pairing.bits.count(), outcome.pairing.format);
    // Writing to a string cannot fail.
    let _ = write!(text, "<tr{class}><td>{bits}</td><td>{format}</td>");
    let cells = cells(comparison, outcome);
    text.extend(cells.map(|cell| format!("<td>{}</td>", escaped(&cell))));
    text.push_str("</tr>\n");
}

/// Text that a browser shows as it is, in an element or in an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' => safe.push('?'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_markup() {
        assert_eq!(
            escaped("<b a=\"1\" c='2'>&\u{1b}"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;?"
        );
    }

    #[test]
    fn times_are_of_4_bits_or_the_widest() {
        assert_eq!(timed_width(&Bits::ALL), Some(Bits::B4));
        assert_eq!(timed_width(&[Bits::B2, Bits::B8]), Some(Bits::B8));
        assert_eq!(timed_width(&[]), None);
    }
}
