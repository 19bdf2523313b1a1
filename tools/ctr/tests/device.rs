//! A training on the GPU, as `./tools/test` has it: the whole way from samples to figures, through the kernels.

use std::io::Write as _;
use std::process::Command;

use serde_json::Value;

/// What a run must reach: the planted model's own predictions have an AUC of about 0.8, chance has 0.5.
const LEAST_AUC: f64 = 0.68;

#[test]
fn a_small_training_on_the_gpu_predicts_clicks() {
    if let Err(qembed::Error::NoAdapter { .. }) = qembed::Session::new() {
        let required = std::env::var("QEMBED_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "QEMBED_REQUIRE_GPU=1, but there is no adapter");
        // Not `eprintln!`, which libtest hides where the test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no adapter");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let output = Command::new(env!("CARGO_BIN_EXE_qembed-ctr"))
        .args(["--data", "synthetic", "--samples", "20000", "--fields", "4"])
        .args([
            "--rows",
            "400",
            "--model",
            "fm",
            "--methods",
            "lpt-stochastic,alpt",
        ])
        .args([
            "--bits", "4", "--seeds", "1", "--epochs", "4", "--batch", "1000",
        ])
        .args(["--learning-rate", "0.01", "--device", "gpu", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let runs: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    for run in runs["runs"].as_array().unwrap() {
        let auc = run["auc_mean"].as_f64().unwrap();
        println!("{}: AUC {auc:.4}", run["method"]);
        assert!(auc >= LEAST_AUC, "{run}");
    }
}
