//! Every method at every width on a sample of rows.

use std::path::{Path, PathBuf};

use qembed::{Bits, Method};
use serde_json::Value;

use crate::common::{Folder, devices, run, run_with, s};

/// Rows of a bell-shaped distribution, the same every time.
fn random_rows(folder: &Folder, name: &str, rows: usize, dim: usize) -> PathBuf {
    let mut state = 1u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let mut value = || (0..4).map(|_| uniform()).sum();
    let values: Vec<f32> = (0..rows * dim).map(|_| value()).collect();
    folder.npy(name, &[rows as u64, dim as u64], &values)
}

/// Runs `compare` and reads its JSON.
fn compare(folder: &Folder, input: &Path, extra: &[&str]) -> Value {
    let json = s(&folder.path("report.json"));
    let args = ["compare", &s(input), "--json", &json];
    run(&[&args[..], extra].concat()).succeeds();
    read_json(Path::new(&json))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The result of one method at one width.
fn result<'a>(report: &'a Value, method: &str, bits: u32) -> &'a Value {
    let mut results = report["results"].as_array().unwrap().iter();
    let found = results.find(|result| result["method"] == method && result["bits"] == bits);
    found.unwrap_or_else(|| panic!("{method} at {bits} bits is missing"))
}

fn error(report: &Value, method: &str, bits: u32) -> f64 {
    result(report, method, bits)["error"].as_f64().unwrap()
}

#[test]
fn every_method_at_every_width() {
    let folder = Folder::new();
    let input = random_rows(&folder, "w.npy", 12, 24);
    let report = compare(&folder, &input, &[]);
    assert_eq!(report["input"], s(&input));
    for (name, number) in [("rows", 12), ("sampled", 12), ("dim", 24)] {
        assert_eq!(report[name], number, "{name}");
    }
    let mut expected = 0;
    for &method in Method::ALL {
        let name = method.name();
        let exists = |bits: &Bits| method.format(*bits, None).is_ok();
        let widths: Vec<_> = Bits::ALL.into_iter().filter(exists).collect();
        let errors = widths.iter().map(|bits| error(&report, name, bits.count()));
        let errors: Vec<_> = errors.collect();
        assert!(
            errors.is_sorted_by(|narrow, wide| narrow > wide),
            "{name}: {errors:?}"
        );
        expected += widths.len();
    }
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), expected);
    assert!(results.iter().all(|result| result["failure"].is_null()));
    assert!(
        results
            .iter()
            .all(|result| result["cpu_seconds"].as_f64().unwrap() > 0.0)
    );
    // Each keeps the better one of what it started from, as far as f32 tells.
    const ROUNDING: f64 = 1.0 + 1e-5;
    for bits in [2, 3, 4, 8] {
        let [asym, greedy, lsq] = ["asym", "greedy", "lsq"].map(|name| error(&report, name, bits));
        assert!(greedy <= asym * ROUNDING, "{bits} bits: {greedy} {asym}");
        assert!(lsq <= greedy * ROUNDING, "{bits} bits: {lsq} {greedy}");
    }
    let asym = result(&report, "asym", 4);
    assert_eq!(asym["format"], "q4h16");
    assert_eq!(asym["row_bytes"], 16.0);
    assert_eq!(asym["percent_of_f32"], 16.67);
}

/// The kernels write the CPU's rows; k-means takes another way there, or none.
#[test]
fn the_gpu_is_compared_with_the_cpu() {
    let folder = Folder::new();
    let input = random_rows(&folder, "w.npy", 9, 10);
    let methods = "asym,lsq,kmeans,kmeans-cls,absmax";
    let report = compare(&folder, &input, &["--methods", methods, "--bits", "4"]);
    let gpu = devices().contains(&"gpu");
    assert_eq!(report["adapter"].is_string(), gpu);
    for (name, there) in [
        ("asym", gpu),
        ("lsq", gpu),
        ("kmeans", gpu),
        ("kmeans-cls", false),
        ("absmax", gpu),
    ] {
        let result = result(&report, name, 4);
        assert_eq!(result["gpu_seconds"].is_f64(), there, "{name}");
        assert_eq!(result["gpu_error"].is_f64(), there, "{name}");
        assert_eq!(result["gpu_matches_cpu"].is_boolean(), there, "{name}");
        if there && name != "kmeans" {
            assert_eq!(result["gpu_matches_cpu"], true, "{name}");
            assert_eq!(result["gpu_error"], result["error"], "{name}");
        }
    }
}

/// Machines without an adapter compare on the CPU alone.
#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_the_cpu_is_measured() {
    let folder = Folder::new();
    let input = s(&random_rows(&folder, "w.npy", 3, 8));
    let json = folder.path("report.json");
    let environment = [
        ("VK_DRIVER_FILES", "/no/such/driver"),
        ("VK_ICD_FILENAMES", "/no/such/driver"),
        ("RAYON_NUM_THREADS", "1"),
    ];
    let output = s(&json);
    let args = ["compare", &input, "--methods", "asym", "--json", &output];
    let text = run_with(&args, &environment).succeeds().stdout();
    assert!(text.contains("CPU: 1 thread; GPU: no adapter"), "{text}");
    let report = read_json(&json);
    assert_eq!(report["cpu_threads"], 1);
    assert!(report["adapter"].is_null());
    assert!(result(&report, "asym", 4)["gpu_matches_cpu"].is_null());
}

#[test]
fn rows_are_those_of_the_file() {
    let folder = Folder::new();
    // All rows are constant, and exact, but for one of the sample and one beside it.
    let mut values = vec![0.5f32; 10 * 4];
    values[6 * 4..7 * 4].copy_from_slice(&[0.0, 0.4, 0.5, 1.0]);
    values[7 * 4] = f32::NAN;
    let input = folder.npy("w.npy", &[10, 4], &values);
    let few = ["--rows", "5", "--methods", "asym", "--bits", "2,2"];
    let report = compare(&folder, &input, &few);
    assert_eq!(report["rows"], 10);
    assert_eq!(report["sampled"], 5);
    assert_eq!(report["results"].as_array().unwrap().len(), 1);
    let asym = result(&report, "asym", 2);
    assert_eq!(asym["worst_row"], 6);
    assert!(asym["worst_row_error"].as_f64() > asym["error"].as_f64());

    run(&["compare", &s(&input)]).fails(1, &["w.npy", "row 7, column 0", "NaN"]);
    values[4 * 4 + 1] = f32::INFINITY;
    let input = s(&folder.npy("w.npy", &[10, 4], &values));
    let few = [&["compare", &input][..], &few].concat();
    run(&few).fails(1, &["w.npy", "row 4, column 1", "inf"]);
}

#[test]
fn zeros_have_no_error() {
    let folder = Folder::new();
    let input = folder.npy("zeros.npy", &[3, 4], &[0.0f32; 12]);
    let html = s(&folder.path("page.html"));
    let methods = ["--methods", "asym,greedy", "--html", &html];
    let report = compare(&folder, &input, &methods);
    for bits in [2, 3, 4, 8] {
        assert_eq!(error(&report, "asym", bits), 0.0);
        assert_eq!(result(&report, "greedy", bits)["worst_row_error"], 0.0);
    }
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("Nothing to draw") && !page.contains("<svg"));
}

/// f16 cannot hold this row's scale: a line of the report, and a failure where nothing else is left.
#[test]
fn a_method_that_fails_does_not_end_the_others() {
    let folder = Folder::new();
    let values = [0.0f32, 1.0, 0.0, 1.0, -3e6, 3e6];
    let input = folder.npy("wide.npy", &[3, 2], &values);
    let report = compare(&folder, &input, &["--methods", "asym", "--bits", "4,8"]);
    let failed = result(&report, "asym", 4);
    assert!(failed["error"].is_null());
    assert!(failed["failure"].as_str().unwrap().contains("row 2 spans"));
    assert!(result(&report, "asym", 8)["failure"].is_null());
    let json = folder.path("none.json");
    let args = ["compare", &s(&input), "--methods", "asym", "--bits", "4"];
    run(&[&args[..], &["--json", &s(&json)]].concat())
        .fails(1, &["wide.npy", "asym at 4 bits", "row 2 spans"]);
    assert!(!json.exists());
}

#[test]
fn the_table_marks_the_best() {
    let folder = Folder::new();
    let input = s(&random_rows(&folder, "w.npy", 6, 16));
    let args = ["compare", &input, "--methods", "asym,sym", "--bits", "2,4"];
    let text = run(&args).succeeds().stdout();
    for expected in [
        "6 of 6 rows x 16",
        "2 bits\n",
        "4 bits\n",
        "worst row",
        "% of f32",
        "CPU: ",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(text.matches("* 0.").count(), 2, "{text}");
    assert!(
        !text.contains("3 bits") && !text.contains("greedy"),
        "{text}"
    );
}

#[test]
fn the_page_needs_nothing_but_itself() {
    const NAMESPACE: &str = "http://www.w3.org/2000/svg";
    let folder = Folder::new();
    let name = if cfg!(unix) { "<b>&'\".npy" } else { "w.npy" };
    let input = s(&random_rows(&folder, name, 6, 16));
    let html = s(&folder.path("page.html"));
    let methods = ["--methods", "asym,greedy,kmeans-cls", "--html", &html];
    run(&[&["compare", &input][..], &methods].concat()).succeeds();
    let page = std::fs::read_to_string(&html).unwrap();
    assert_eq!(page.matches("<svg").count(), 2);
    assert_eq!(
        page.matches("http").count(),
        page.matches(NAMESPACE).count()
    );
    for foreign in ["<script", "<link", "<img", "src=", "url(", "@import", "<b>"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for expected in [
        "6 of 6 rows x 16",
        "color-scheme: light dark",
        "kmeans-cls",
        "Error against time at 4 bits",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    if cfg!(unix) {
        assert!(page.contains("&lt;b&gt;&amp;&#39;&quot;.npy"));
    }
    assert_eq!(folder.names().len(), 2, "{:?}", folder.names());
}

#[test]
fn usage() {
    let folder = Folder::new();
    let input = s(&random_rows(&folder, "w.npy", 2, 4));
    let fails = |extra: &[&str], texts: &[&str]| {
        run(&[&["compare", &input][..], extra].concat()).fails(2, texts);
    };
    fails(&["--bits", "5"], &["--bits", "5"]);
    fails(&["--bits", "4,"], &["--bits"]);
    fails(&["--rows", "0"], &["--rows", "0"]);
    fails(
        &["--methods", "asym,nonsense"],
        &["--methods", "nonsense", "greedy-torch"],
    );
    let kmeans = ["--methods", "kmeans", "--bits", "8"];
    fails(&kmeans, &["--methods and --bits", "8 bits"]);
    fails(&["--json", &input], &["w.npy", "both input and output"]);
    let one = s(&folder.path("one"));
    fails(
        &["--json", &one, "--html", &one],
        &["both --json and --html"],
    );
    assert_eq!(folder.names(), ["w.npy"]);
    run(&["compare", &s(&folder.path("none.npy"))]).fails(1, &["none.npy"]);
}
