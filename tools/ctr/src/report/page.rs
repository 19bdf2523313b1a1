//! An experiment as one HTML page that needs nothing but itself.

use super::{COLUMNS, cells, legend, plot};
use crate::failure::{Failure, Result};
use crate::model::Model;
use crate::outcome::Outcome;

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
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
thead th { border-top: 1px solid #808080; border-bottom: 1px solid #808080; }
";

/// The page; `about` says what was trained on what.
pub fn html(about: &str, outcomes: &[Outcome]) -> Result<String> {
    let about = escaped(about);
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>qembed-ctr</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Ways to train a table, compared</h1>\n<p>{about}. qembed {}.</p>\n{}\
         <h2>All results</h2>\n<div class=\"wide\">\n{}</div>\n<p>{}</p>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        figures(outcomes)?,
        table(outcomes),
        escaped(legend()).replace('\n', "<br>\n")
    ))
}

/// Two plots for every model and every scale of the first steps.
fn figures(outcomes: &[Outcome]) -> Result<String> {
    let failed = |error| Failure::Failed(format!("--html: a plot could not be drawn: {error}"));
    let mut text = String::new();
    for (model, scale) in groups(outcomes) {
        let of = |scale: f64| match scale {
            1.0 => model.name().to_string(),
            scale => format!("{}, first steps x {scale}", model.name()),
        };
        let of_group: Vec<_> = outcomes
            .iter()
            .filter(|one| is_of(one, model, scale))
            .collect();
        let title = format!("AUC against epochs: {}", of(scale));
        text.push_str(&figure(
            &title,
            &plot::against_epochs(&of_group).map_err(failed)?,
        ));
        let title = format!("AUC against bits: {}", of(scale));
        text.push_str(&figure(
            &title,
            &plot::against_bits(&of_group).map_err(failed)?,
        ));
    }
    Ok(text)
}

/// Every model with every scale, once.
fn groups(outcomes: &[Outcome]) -> Vec<(Model, f64)> {
    let mut groups = vec![];
    for outcome in outcomes {
        let configuration = &outcome.configuration;
        let group = (configuration.model, configuration.step_scale);
        // Without packed rows there is no scale, but that of 1.
        let is_packed = configuration.bits.is_some();
        let is_alone = outcomes.iter().all(|one| one.configuration.bits.is_none());
        if (is_packed || is_alone) && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// What has no steps stands beside every scale of them.
fn is_of(outcome: &Outcome, model: Model, scale: f64) -> bool {
    let configuration = &outcome.configuration;
    configuration.model == model
        && (configuration.bits.is_none() || configuration.step_scale == scale)
}

fn figure(title: &str, svg: &str) -> String {
    format!("<h2>{title}</h2>\n<figure role=\"img\" aria-label=\"{title}\">\n{svg}</figure>\n")
}

fn table(outcomes: &[Outcome]) -> String {
    let line = |tag: &str, cells: &[String]| {
        let cells = cells
            .iter()
            .map(|cell| format!("<{tag}>{}</{}>", escaped(cell), &tag[..2]));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let header = line("th scope=\"col\"", &COLUMNS.map(String::from));
    let rows = outcomes
        .iter()
        .map(|outcome| line("td", &cells(outcomes, outcome)));
    let rows: String = rows.collect();
    format!("<table>\n<thead>\n{header}</thead>\n<tbody>\n{rows}</tbody>\n</table>\n")
}

/// Text that a browser shows as it is, in an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
