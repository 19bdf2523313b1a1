//! The command, as a person runs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qembed-ctr"));
    command.args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A training of seconds, on the CPU.
fn small<'a>(json: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let size = ["--samples", "4000", "--fields", "3", "--rows", "120"];
    let course = ["--epochs", "2", "--batch", "256", "--device", "cpu"];
    let first = ["--data", "synthetic", "--json", json];
    [&first[..], &size, &course, more].concat()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_small_training_says_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (json, html) = (
        folder.path().join("out.json"),
        folder.path().join("out.html"),
    );
    let html_arg = html.to_str().unwrap();
    let grid = [
        "--model",
        "fm,dcn",
        "--bits",
        "8,2",
        "--seeds",
        "2",
        "--step-scale",
        "1,4",
    ];
    let args = [&grid[..], &["--html", html_arg]].concat();
    let output = run(&small(json.to_str().unwrap(), &args));
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());

    let runs = read(&json)["runs"].as_array().unwrap().clone();
    // fp32, and three methods at two widths from two scales of the steps; for two models.
    assert_eq!(runs.len(), 2 * (1 + 3 * 2 * 2));
    for run in &runs {
        let aucs: Vec<_> = run["auc"]
            .as_array()
            .unwrap()
            .iter()
            .map(|auc| auc.as_f64().unwrap())
            .collect();
        assert_eq!(aucs.len(), 2);
        let number = |key: &str| run[key].as_f64().unwrap();
        assert!((number("auc_mean") - (aucs[0] + aucs[1]) / 2.0).abs() < 1e-12);
        assert!(number("auc_mean") > 0.4 && number("auc_sd") >= 0.0);
        assert!(number("logloss_mean") > 0.0 && number("logloss_sd") >= 0.0);
        let row_bytes = match run["bits"].as_u64().unwrap() {
            32 => 64,
            8 => 20,
            2 => 8,
            bits => panic!("{bits} bits"),
        };
        assert_eq!(run["table_bytes"], 120 * row_bytes);
        let learns = run["method"] == "alpt";
        assert_eq!(number("steps_moved") > 0.0, learns, "{run}");
    }
    let page = std::fs::read_to_string(html).unwrap();
    assert_eq!(page.matches("<svg").count(), 2 * 2 * 2);
    assert!(page.ends_with("</html>\n"));
    let table = text(&output.stdout)
        .lines()
        .take_while(|line| !line.is_empty());
    assert_eq!(table.count(), 1 + runs.len());
}

/// However many trainings go on at a time.
#[test]
fn the_same_arguments_give_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = ["1", "3"].map(|threads| {
        let path = folder.path().join(threads);
        let grid = ["--methods", "fp32,alpt", "--bits", "4", "--seeds", "2"];
        let more = [&grid[..], &["--threads", threads]].concat();
        assert!(run(&small(path.to_str().unwrap(), &more)).status.success());
        read(&path)
    });
    assert_eq!(numbers[0], numbers[1]);
}

#[test]
fn what_is_wrong_is_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let json = json.to_str().unwrap();
    let nowhere = folder.path().join("none").join("out.json");
    let nowhere = nowhere.to_str().unwrap();
    let empty = folder.path().to_str().unwrap();
    let cases = [
        (
            2,
            vec!["--data", "synthetic", "--json", json, "--bits", "3"],
            "2, 4 and 8",
        ),
        (2, vec!["--data", "netflix", "--json", json], "netflix"),
        (
            2,
            vec!["--data", "synthetic", "--json", json, "--data-dir", empty],
            "--data-dir",
        ),
        (
            2,
            vec!["--data", "synthetic", "--json", json, "--step-scale", "0"],
            "--step-scale",
        ),
        (
            2,
            vec!["--data", "synthetic", "--json", json, "--html", json],
            "both --json and --html",
        ),
        (2, vec!["--data", "synthetic"], "--json"),
        (1, vec!["--data", "synthetic", "--json", nowhere], "none"),
        (
            1,
            vec!["--data", "movielens", "--json", json, "--data-dir", empty],
            "ml-100k.inter",
        ),
    ];
    for (code, args, words) in cases {
        let output = run(&args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(
            error.starts_with("qembed-ctr: ") && error.contains(words),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert!(run(&["--help"]).status.success());
}
