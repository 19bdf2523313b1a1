//! What came of an experiment, for files and for people.

mod page;
mod plot;

pub use page::html;

use serde_json::{Value, json};

use crate::configuration::Method;
use crate::measure::mean_and_deviation;
use crate::outcome::Outcome;

/// What [`cells`] holds.
const COLUMNS: [&str; 8] = [
    "model",
    "method",
    "bits",
    "step x",
    "AUC",
    "AUC - fp32",
    "log loss",
    "table bytes",
];

/// What stands where there is no number.
const NOTHING: &str = "-";

/// Every number.
pub fn json(outcomes: &[Outcome]) -> Value {
    json!({ "runs": outcomes.iter().map(json_run).collect::<Vec<_>>() })
}

fn json_run(outcome: &Outcome) -> Value {
    let configuration = &outcome.configuration;
    let (auc, log_loss) = (outcome.auc(), outcome.log_loss());
    json!({
        "model": configuration.model.name(),
        "method": configuration.method.name(),
        "bits": configuration.width(),
        "step_scale": configuration.step_scale,
        "auc": outcome.aucs(),
        "auc_mean": auc.0,
        "auc_sd": auc.1,
        "logloss_mean": log_loss.0,
        "logloss_sd": log_loss.1,
        "table_bytes": outcome.table_bytes(),
        "steps_moved": outcome.steps_moved(),
    })
}

/// The table, and what its columns mean.
pub fn text(outcomes: &[Outcome]) -> String {
    let header = COLUMNS.map(String::from);
    let rows = outcomes.iter().map(|outcome| cells(outcomes, outcome));
    let lines = aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>());
    format!("{lines}\n\n{}", legend())
}

/// What the columns mean.
fn legend() -> &'static str {
    "AUC and log loss: of the test samples at the epoch of the best validation AUC, mean and standard deviation over seeds.\n\
     AUC - fp32: mean over seeds of the difference to fp32 from the same seed, and its standard error.\n\
     Table bytes: those of the rows, without the optimizer's state."
}

/// One outcome, as every table shows it.
fn cells(outcomes: &[Outcome], outcome: &Outcome) -> [String; COLUMNS.len()] {
    let configuration = &outcome.configuration;
    let with_deviation = |(mean, deviation): (f64, f64)| format!("{mean:.4} ± {deviation:.4}");
    let difference =
        against_fp32(outcomes, outcome).map(|(mean, error)| format!("{mean:+.4} ± {error:.4}"));
    let scale = match configuration.method {
        Method::Fp32 => NOTHING.into(),
        _ => configuration.step_scale.to_string(),
    };
    [
        configuration.model.name().into(),
        configuration.method.name().into(),
        configuration.width().to_string(),
        scale,
        with_deviation(outcome.auc()),
        difference.unwrap_or_else(|| NOTHING.into()),
        with_deviation(outcome.log_loss()),
        outcome.table_bytes().to_string(),
    ]
}

/// How much larger the AUC is than that of fp32 from the same seed: the mean, and its standard error.
fn against_fp32(outcomes: &[Outcome], outcome: &Outcome) -> Option<(f64, f64)> {
    let model = outcome.configuration.model;
    let is_baseline = |one: &&Outcome| {
        (one.configuration.model, one.configuration.method) == (model, Method::Fp32)
    };
    let baseline = outcomes.iter().find(is_baseline)?;
    if outcome.configuration.method == Method::Fp32 {
        return None;
    }
    let pairs = outcome.aucs().into_iter().zip(baseline.aucs());
    let differences: Vec<_> = pairs.map(|(auc, full)| auc - full).collect();
    let (mean, deviation) = mean_and_deviation(&differences);
    Some((mean, deviation / (differences.len() as f64).sqrt()))
}

/// Lines of columns as wide as their widest cell: names on the left, numbers on the right.
fn aligned(rows: &[[String; COLUMNS.len()]]) -> String {
    let length = |cell: &String| cell.chars().count();
    let width = |column: usize| rows.iter().map(|row| length(&row[column])).max();
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; COLUMNS.len()]| {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;
    use crate::model::Model;
    use crate::outcome::Run;
    use crate::training::Trained;
    use qembed::Bits;

    fn outcome(method: Method, bits: Option<Bits>, aucs: [f64; 2]) -> Outcome {
        Outcome {
            configuration: Configuration {
                model: Model::Fm,
                method,
                bits,
                step_scale: 1.0,
            },
            runs: aucs
                .map(|auc| Run {
                    trained: Trained {
                        auc,
                        log_loss: 0.5,
                        validation: vec![],
                    },
                    table_bytes: 640,
                    steps_moved: 0.0,
                })
                .to_vec(),
        }
    }

    #[test]
    fn differences_are_those_of_seeds() {
        let outcomes = [
            outcome(Method::Fp32, None, [0.7, 0.8]),
            outcome(Method::Alpt, Some(Bits::B4), [0.6, 0.8]),
        ];
        assert_eq!(against_fp32(&outcomes, &outcomes[0]), None);
        let (mean, error) = against_fp32(&outcomes, &outcomes[1]).unwrap();
        assert!((mean + 0.05).abs() < 1e-12 && (error - 0.05).abs() < 1e-12);
        let lines: Vec<_> = text(&outcomes).lines().map(String::from).collect();
        assert_eq!(
            lines[2],
            "fm     alpt       4       1  0.7000 ± 0.1414  -0.0500 ± 0.0500  0.5000 ± 0.0000          640"
        );
        let run = &json(&outcomes)["runs"][0];
        assert_eq!((&run["bits"], &run["auc"][1]), (&json!(32), &json!(0.8)));
    }
}
