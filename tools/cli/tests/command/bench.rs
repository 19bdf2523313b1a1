//! How fast every kernel is, and against what.

use std::path::Path;

use serde_json::Value;

use crate::common::{Folder, devices, run, run_with, s};

const SUM: &str = "lookup.q4h16.sum.unweighted.f32";
/// A place that takes no time.
const TINY: [&str; 13] = [
    "--rows",
    "50",
    "--dim",
    "16",
    "--bags",
    "6",
    "--bag-length",
    "3",
    "--zipf",
    "0",
    "--iterations",
    "1",
    "--quick",
];

/// Runs `bench` and reads its JSON.
fn bench(folder: &Folder, args: &[&str]) -> Value {
    let json = folder.path("bench.json");
    let path = s(&json);
    run(&[&["bench", "--json", &path][..], args].concat()).succeeds();
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

fn tiny(folder: &Folder, device: &str, filter: &str) -> Value {
    let args = ["--device", device, "--filter", filter];
    bench(folder, &[&args[..], &TINY].concat())
}

fn rows(report: &Value) -> &Vec<Value> {
    report["rows"].as_array().unwrap()
}

fn labels(report: &Value) -> Vec<&str> {
    let labels = rows(report)
        .iter()
        .map(|row| row["label"].as_str().unwrap());
    labels.collect()
}

#[test]
fn every_number_is_written() {
    let folder = Folder::new();
    for device in devices() {
        let report = tiny(&folder, device, SUM);
        assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
        let date = report["date"].as_str().unwrap();
        assert!(date.len() == 20 && date.ends_with('Z'), "{date}");
        assert!(report["copy_bytes_per_s"].as_f64().unwrap() > 0.0);
        for key in ["adapter", "backend", "type"] {
            assert!(report["device"][key].is_string(), "{key}");
        }
        assert_eq!(report["device"]["driver"].is_string(), device == "gpu");
        let clocks = ["GPU timestamps", "wall clock"];
        let clock = report["timed_by"].as_str().unwrap();
        assert!(clocks.contains(&clock) && (device == "gpu" || clock == clocks[1]));
        assert_eq!(report["skipped"], serde_json::json!([]));

        let [row] = &rows(&report)[..] else {
            panic!("{report}");
        };
        for (key, number) in [
            ("rows", 50.0),
            ("dim", 16.0),
            ("bags", 6.0),
            ("bag_length", 3.0),
            ("zipf", 0.0),
            ("iterations", 1.0),
            // 18 rows of 12 bytes, their indices, 7 offsets, 6 sums of 16.
            ("bytes", 18.0 * (12.0 + 4.0) + 28.0 + 6.0 * 64.0),
        ] {
            assert_eq!(row[key].as_f64(), Some(number), "{key}");
        }
        assert_eq!(row["label"], SUM);
        assert_eq!(row["device"], report["device"]["adapter"]);
        assert_eq!(row["threads"].is_u64(), device == "cpu");
        let number = |key: &str| row[key].as_f64().unwrap();
        let (least, median, most) = (number("min_s"), number("median_s"), number("max_s"));
        assert!(0.0 < least && least <= median && median <= most);
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
        assert!(near(number("lookups_per_s"), 18.0 / median));
        let copied = report["copy_bytes_per_s"].as_f64().unwrap() * median;
        assert!(near(number("fraction_of_copy"), number("bytes") / copied));
        assert!(number("sector_bytes") > number("bytes"));
        let sectors = number("sector_fraction_of_copy");
        assert!(near(sectors, number("sector_bytes") / copied));
    }
}

#[test]
fn every_axis_takes_one_value_or_several() {
    let folder = Folder::new();
    let axes = [
        ("rows", "40,50"),
        ("dim", "7,16"),
        ("bags", "2,3"),
        ("bag-length", "1,4"),
        ("zipf", "0,1.05"),
    ];
    let mut args = vec!["--device", "cpu", "--iterations", "1", "--filter", SUM];
    let flags: Vec<_> = axes.iter().map(|(name, _)| format!("--{name}")).collect();
    for (flag, (_, values)) in flags.iter().zip(axes) {
        args.extend([flag, values]);
    }
    let report = bench(&folder, &args);
    assert_eq!(rows(&report).len(), 32);
    for (name, values) in axes {
        for value in values.split(',') {
            let value: f64 = value.parse().unwrap();
            let same = |row: &&Value| row[name.replace('-', "_")].as_f64() == Some(value);
            assert_eq!(rows(&report).iter().filter(same).count(), 16, "{name}");
        }
    }
}

/// One of each kernel on each device, every weighting, output and way to decode among them.
#[test]
fn kernels_of_every_kind() {
    let folder = Folder::new();
    for device in devices() {
        let filter = "copy,lookup.c3.none.weighted.f16,lookup.b2.max.unweighted.f16,lookup.s8h16.mean.weighted.f32,\
                      dequantize.q3h32,quantize.q8h16.sym,quantize.c4.kmeans,update.q4h32.adam.refreshed,\
                      update.s2h16.sgd.given";
        let report = tiny(&folder, device, filter);
        let mut expected: Vec<_> = filter.split(',').collect();
        let mut got = labels(&report);
        expected.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, expected, "{device}");
        for row in rows(&report) {
            let label = row["label"].as_str().unwrap();
            let has = |key: &str| !row[key].is_null();
            assert_eq!(has("lookups_per_s"), label.starts_with("lookup"), "{label}");
            assert!(row["items_per_s"].as_f64().unwrap() > 0.0, "{label}");
            let gather = label.contains(".none.");
            let batch = label.starts_with("lookup") || label.starts_with("update");
            assert_eq!(has("bag_length"), batch && !gather, "{label}");
            assert_eq!(has("rows"), label != "copy", "{label}");
        }
    }
}

/// Baselines are right, stand beside qembed's lookup on the same batch, and are kernels of a GPU.
#[test]
fn baselines() {
    let folder = Folder::new();
    if devices().contains(&"gpu") {
        // Odd dims too: rows whose last word is not full.
        for dim in ["16", "13"] {
            let mut args = [&["--device", "gpu", "--filter", "baseline"][..], &TINY].concat();
            args[7] = dim;
            let report = bench(&folder, &args);
            let ratios = report["ratios"].as_array().unwrap();
            assert_eq!((rows(&report).len(), ratios.len()), (11 + 4, 11));
            for ratio in ratios {
                let of = |label: &Value| {
                    let mut rows = rows(&report).iter();
                    let row = rows.find(|row| row["label"] == *label).unwrap();
                    row["median_s"].as_f64().unwrap()
                };
                let expected = of(&ratio["baseline"]) / of(&ratio["label"]);
                let ratio = ratio["ratio"].as_f64().unwrap();
                assert!((ratio / expected - 1.0).abs() < 1e-9);
            }
        }
        let sorted = tiny(&folder, "gpu", "sort");
        assert_eq!(labels(&sorted), ["sort"]);
    }
    let report = tiny(&folder, "cpu", "baseline.row,sort");
    assert_eq!(labels(&report), [SUM]);
    let skipped = report["skipped"].as_array().unwrap();
    let reasons: Vec<_> = skipped
        .iter()
        .map(|row| row["reason"].as_str().unwrap())
        .collect();
    assert_eq!(skipped.len(), 2);
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("kernels of a GPU")),
        "{reasons:?}"
    );
}

#[test]
fn threads_are_those_that_were_asked_for() {
    let folder = Folder::new();
    for threads in ["1", "3"] {
        let args = ["--device", "cpu", "--threads", threads, "--filter", SUM];
        let report = bench(&folder, &[&args[..], &TINY].concat());
        assert_eq!(report["threads"].to_string(), threads);
        assert_eq!(rows(&report)[0]["threads"].to_string(), threads);
    }
    if devices().contains(&"gpu") {
        let args = [
            "bench",
            "--device",
            "gpu",
            "--threads",
            "2",
            "--filter",
            SUM,
        ];
        run(&args).fails(2, &["--threads", "--device cpu"]);
    }
}

/// `auto` without a GPU is the CPU.
#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_the_cpu_is_measured() {
    let none = [
        ("VK_DRIVER_FILES", "/no/such/driver"),
        ("VK_ICD_FILENAMES", "/no/such/driver"),
    ];
    let args = [&["bench", "--filter", SUM][..], &TINY].concat();
    let text = run_with(&args, &none).succeeds().stdout();
    assert!(text.contains("cpu, ") && text.contains("threads"), "{text}");
    assert!(text.contains(SUM) && text.contains("wall clock"), "{text}");
}

/// A place that is too large is told, and the others are measured.
#[test]
fn what_does_not_fit_is_skipped() {
    let folder = Folder::new();
    for device in devices() {
        let args = [
            "--device",
            device,
            "--filter",
            SUM,
            "--rows",
            "50,4294967295",
        ];
        let rest = [
            "--dim",
            "8192",
            "--bags",
            "2",
            "--bag-length",
            "2",
            "--zipf",
            "0",
        ];
        let report = bench(
            &folder,
            &[&args[..], &rest, &["--iterations", "1"]].concat(),
        );
        assert_eq!(rows(&report).len(), 1);
        let skipped = &report["skipped"][0];
        assert_eq!(skipped["rows"], u32::MAX);
        let reason = skipped["reason"].as_str().unwrap();
        assert!(
            reason.contains("MiB") || reason.contains("limit"),
            "{reason}"
        );
    }
    let many = [
        "--bags",
        "4294967295",
        "--bag-length",
        "2",
        "--rows",
        "9",
        "--dim",
        "8",
    ];
    let args = [
        &["bench", "--device", "cpu", "--filter", SUM, "--zipf", "0"][..],
        &many,
    ];
    let text = run(&args.concat()).succeeds().stdout();
    assert!(text.contains("skipped") && text.contains("2^32"), "{text}");
}

#[test]
fn the_page_needs_nothing_but_itself() {
    const NAMESPACE: &str = "http://www.w3.org/2000/svg";
    let folder = Folder::new();
    let html = folder.path("page.html");
    let path = s(&html);
    let filter =
        "lookup.q4h16.sum.unweighted.f32,lookup.q8h16.sum.unweighted.f32,dequantize.q4h16,sort";
    let args = [
        "bench", "--device", "cpu", "--filter", filter, "--html", &path,
    ];
    let dims = [
        "--rows",
        "50",
        "--bags",
        "2",
        "--iterations",
        "1",
        "--dim",
        "8,16",
        "--bag-length",
        "1,2",
    ];
    run(&[&args[..], &dims, &["--zipf", "0,1.5"]].concat()).succeeds();
    let page = std::fs::read_to_string(&html).unwrap();
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(
        page.matches("http").count(),
        page.matches(NAMESPACE).count()
    );
    for foreign in ["<script", "<link", "<img", "src=", "url(", "@import"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for expected in [
        "color-scheme: light dark",
        "Fraction of a copy against dim (50 rows",
        "Throughput against bag length",
        "Throughput against skew",
        "dequantize.q4h16",
        "skipped sort",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    // One place: nothing to draw.
    let single = ["bench", "--device", "cpu", "--filter", SUM, "--html", &path];
    run(&[&single[..], &TINY].concat()).succeeds();
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("Nothing to draw") && !page.contains("<svg"));
    assert_eq!(folder.names(), ["page.html"]);
}

#[test]
fn usage() {
    let folder = Folder::new();
    let fails = |args: &[&str], texts: &[&str]| {
        run(&[&["bench", "--device", "cpu"][..], args].concat()).fails(2, texts);
    };
    fails(
        &["--filter", "lokup.q4h16.sum.unweighted.f32"],
        &["--filter", "lokup", SUM],
    );
    fails(
        &["--filter", "baseline.elment"],
        &["near ones: baseline.element"],
    );
    fails(&["--filter", ""], &["--filter", "no label"]);
    fails(&["--iterations", "0"], &["--iterations", "0"]);
    fails(&["--dim", "0"], &["--dim", "1..=8192"]);
    fails(&["--dim", "32,8193"], &["--dim", "8193"]);
    fails(&["--rows", "0"], &["--rows"]);
    fails(&["--bags", "0"], &["--bags"]);
    fails(&["--bag-length", "0"], &["--bag-length"]);
    fails(&["--threads", "0"], &["--threads"]);
    for zipf in ["-1", "nan", "inf", "x"] {
        fails(&["--zipf", zipf], &["--zipf", "from 0 to 16"]);
    }
    let one = s(&folder.path("one"));
    fails(
        &["--json", &one, "--html", &one],
        &["both --json and --html"],
    );
    assert!(folder.names().is_empty());
}

/// Known before anything is measured: this would take minutes.
#[test]
fn an_output_that_cannot_be_written() {
    let folder = Folder::new();
    let missing = s(&folder.path("no/folder/bench.json"));
    for flag in ["--json", "--html"] {
        run(&["bench", flag, &missing]).fails(1, &["no/folder", "its folder does not exist"]);
    }
    let old = folder.path("old.json");
    std::fs::write(&old, "precious").unwrap();
    let args = ["bench", "--filter", "nothing", "--json", &s(&old)];
    run(&args).fails(2, &["--filter"]);
    assert_eq!(std::fs::read(&old).unwrap(), b"precious");
}

/// A person who ends the command finds nothing half-written.
#[cfg(unix)]
#[test]
fn an_interrupted_bench_leaves_nothing_behind() {
    use std::process::{Command, Stdio};
    let folder = Folder::new();
    let json = s(&folder.path("bench.json"));
    for delay in [0, 50, 200] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qembed"))
            .args(["bench", "--device", "cpu", "--json", &json])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        let interrupt = format!("kill -INT {}", child.id());
        Command::new("bash")
            .args(["-c", &interrupt])
            .status()
            .unwrap();
        child.wait().unwrap();
        assert!(!Path::new(&json).exists());
        assert!(folder.names().is_empty(), "{:?}", folder.names());
    }
}

#[test]
fn quick_is_quick() {
    let folder = Folder::new();
    let args = [
        "--quick",
        "--device",
        "cpu",
        "--iterations",
        "1",
        "--rows",
        "100",
        "--dim",
        "8",
    ];
    let report = bench(&folder, &args);
    assert_eq!(report["quick"], true);
    let labels = labels(&report);
    for kernel in ["copy", "lookup", "dequantize", "quantize", "update"] {
        assert!(
            labels.iter().any(|label| label.starts_with(kernel)),
            "{kernel}"
        );
    }
    assert_eq!(report["skipped"], serde_json::json!([]));
}
