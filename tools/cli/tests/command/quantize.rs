//! Methods, their parameters, and matrices larger than the memory.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::common::{Folder, Ran, devices, oracle, read_f32, run, s};

/// Row by row, on every device.
const METHODS: [&str; 13] = [
    "asym",
    "sym",
    "gss",
    "aciq",
    "hist-approx",
    "hist-brute",
    "greedy",
    "greedy-torch",
    "greedy-paper",
    "lsq",
    "best",
    "kmeans",
    "absmax",
];

fn quantize(input: &Path, output: &Path, extra: &[&str]) -> Ran {
    let (input, output) = (s(input), s(output));
    let mut args = vec!["quantize", &input, "--output", &output];
    args.extend(extra);
    run(&args)
}

/// 41 rows x 64 of every kind.
fn matrix(folder: &Folder) -> PathBuf {
    let values: Vec<f32> = (0..41 * 64u32)
        .map(|i| ((i % 1009 * i % 7919) as f32 - 4000.0) / (1 + i / 64) as f32)
        .collect();
    folder.npy("matrix.npy", &[41, 64], &values)
}

#[test]
fn every_method_in_parts_and_on_every_device() {
    let folder = Folder::new();
    let input = matrix(&folder);
    for device in devices() {
        for method in METHODS {
            let bits = match method {
                "kmeans" | "absmax" => "4",
                _ => "3",
            };
            let mut extra = vec!["--method", method, "--bits", bits, "--device", device];
            // Cubic in its bins.
            if method == "hist-brute" {
                extra.extend(["--bins", "40"]);
            }
            let whole = folder.path("whole.safetensors");
            quantize(&input, &whole, &extra).succeeds();
            extra.extend(["--memory", "10KiB"]);
            let parts = folder.path("parts.safetensors");
            let told = quantize(&input, &parts, &extra).succeeds().stdout();
            let (_, after) = told.split_once("quantized in ").unwrap();
            let seconds: f64 = after.split(' ').next().unwrap().parse().unwrap();
            assert!(seconds > 0.0, "{told}");
            let read = |path| std::fs::read(path).unwrap();
            assert!(read(&whole) == read(&parts), "{method} on {device}");
            let told = run(&["inspect", &s(&parts)]).succeeds().stdout();
            assert!(told.contains(&format!("method {method}")), "{told}");
        }
    }
}

#[test]
fn parameters_of_other_methods_and_out_of_range() {
    let folder = Folder::new();
    let input = matrix(&folder);
    let output = folder.path("t.safetensors");
    for (extra, texts) in [
        (&["--bins", "9"][..], &["--bins: asym has none"][..]),
        (&["--ratio", "0.1"], &["--ratio: asym has none"]),
        (&["--iterations", "9"], &["--iterations: asym has none"]),
        (&["--blocks", "9"], &["--blocks: asym has none"]),
        (&["--method", "sqrt"], &["sqrt", "--method", "greedy-torch"]),
        (
            &["--method", "greedy", "--bins", "0"],
            &["--bins: needed 1 to 65536, got 0"],
        ),
        (
            &["--method", "hist-brute", "--bins", "1025"],
            &["--bins: needed 1 to 1024, got 1025"],
        ),
        (
            &["--method", "lsq", "--ratio", "1"],
            &["--ratio: needed above 0 and below 1, got 1"],
        ),
        (
            &["--method", "lsq", "--ratio", "-0.5"],
            &["--ratio: needed above 0 and below 1, got -0.5"],
        ),
        (
            &["--method", "greedy", "--ratio", "nan"],
            &["--ratio: needed above 0 and below 1, got NaN"],
        ),
        (
            &["--method", "kmeans", "--params", "f32"],
            &["--params: the centroids of kmeans are f16"],
        ),
        (
            &["--method", "kmeans-cls", "--blocks", "0"],
            &["--blocks: needed 1"],
        ),
        (&["--memory", "0"], &["--memory", "512MiB"]),
        (&["--memory", "many"], &["--memory", "512MiB"]),
        (
            &["--memory", "100"],
            &["--memory: one row takes 292 bytes, got 100"],
        ),
    ] {
        let mut args = vec!["--bits", "4", "--device", "cpu"];
        args.extend(extra);
        quantize(&input, &output, &args).fails(2, texts);
        assert!(!output.exists());
    }
    let eight = ["--bits", "8", "--method", "kmeans"];
    quantize(&input, &output, &eight).fails(2, &["--method kmeans", "codebook of 8 bits"]);
    let three = ["--bits", "3", "--method", "absmax"];
    quantize(&input, &output, &three).fails(2, &["--method absmax", "symmetric row of 3 bits"]);
}

/// Whatever part a row lies in, it is named as the row of the file.
#[test]
fn what_is_wrong_with_the_rows() {
    let folder = Folder::new();
    let output = folder.path("t.safetensors");
    let mut values: Vec<f32> = (0..64 * 8).map(|i| i as f32).collect();
    values[50 * 8 + 3] = f32::NAN;
    let nan = folder.npy("nan.npy", &[64, 8], &values);
    values[50 * 8 + 3] = 90000.0;
    let large = folder.npy("large.npy", &[64, 8], &values);
    for device in devices() {
        for (method, memory) in [("lsq", "1KiB"), ("lsq", "1GiB"), ("kmeans", "1KiB")] {
            let extra = ["--bits", "2", "--device", device, "--memory", memory];
            let extra = [&extra[..], &["--method", method]].concat();
            quantize(&nan, &output, &extra).fails(1, &["nan.npy: row 50, column 3 holds NaN"]);
        }
        for method in ["sym", "kmeans"] {
            let extra = ["--bits", "2", "--device", device, "--method", method];
            let texts = ["large.npy: row 50 spans 4e2 to 9e4", "f16"];
            quantize(&large, &output, &extra).fails(1, &texts);
        }
    }
    assert!(!output.exists());
}

#[test]
fn blocks_of_rows() {
    let folder = Folder::new();
    let input = matrix(&folder);
    let output = folder.path("t.safetensors");
    let cls = ["--bits", "2", "--method", "kmeans-cls"];
    let with = |extra: &[&'static str]| [&cls[..], extra].concat();
    quantize(&input, &output, &with(&["--blocks", "7"])).succeeds();
    let told = run(&["inspect", &s(&output), "--json"]).succeeds().stdout();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["blocks"], &told["id_bits"]), (&7.into(), &3.into()));
    // 41 rows of 16 bytes, 7 codebooks of 8, 41 ids of 3 bits in whole words.
    assert_eq!(told["bytes"], 41 * 16 + 7 * 8 + 16);
    quantize(&input, &output, &with(&["--blocks", "42"])).fails(
        1,
        &["matrix.npy: blocks: needed at most as many as rows (41), got 42"],
    );
    quantize(&input, &output, &with(&["--memory", "9KiB"])).fails(
        1,
        &["matrix.npy: kmeans-cls takes all rows at once", "--memory"],
    );
    quantize(&input, &output, &with(&["--device", "gpu"]))
        .fails(2, &["--device: kmeans-cls runs on the CPU alone"]);
    // It is read like any other, but nobody else's rows hold it.
    let back = s(&folder.path("back.npy"));
    run(&["dequantize", &s(&output), "--output", &back]).succeeds();
    let export = ["export", &s(&output), "--layout", "tbe", "--output", &back];
    run(&export).fails(
        1,
        &["a codebook in another library's rows is not supported"],
    );
}

/// A step of 0.25 and signed codes: what inspect says of them, and that they are read like any other rows.
#[test]
fn symmetric_rows() {
    let folder = Folder::new();
    let values = [1.75f32, -0.5, 0.25, 0.0, -3.5, 0.5, 1.0, 0.0];
    let input = folder.npy("values.npy", &[2, 4], &values);
    let output = folder.path("t.safetensors");
    let back = folder.path("back.npy");
    for device in devices() {
        let extra = ["--bits", "4", "--method", "absmax", "--device", device];
        quantize(&input, &output, &extra).succeeds();
        let told = run(&["inspect", &s(&output)]).succeeds().stdout();
        assert!(
            told.contains("format   s4h16: signed codes of 4 bits, f16 step, method absmax"),
            "{told}"
        );
        assert!(told.contains("step     0.25 to 0.5"), "{told}");
        let json = run(&["inspect", &s(&output), "--json"]).succeeds().stdout();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["format"], "s4h16");
        assert_eq!(json["step"], serde_json::json!([0.25, 0.5]));
        assert_eq!(
            (&json["scale"], &json["centroids"]),
            (&().into(), &().into())
        );
        let to = s(&back);
        run(&[
            "dequantize",
            &s(&output),
            "--output",
            &to,
            "--device",
            device,
        ])
        .succeeds();
        assert_eq!(read_f32(&back), (vec![2, 4], values.to_vec()));
        let export = [
            "export",
            &s(&output),
            "--layout",
            "pytorch",
            "--output",
            &to,
        ];
        run(&export).fails(1, &["a signed code in another library's rows"]);
        let wide = folder.npy("wide.npy", &[1, 2], &[0.0f32, 1e6]);
        let extra = ["--bits", "2", "--method", "absmax", "--device", device];
        let texts = [
            "wide.npy: row 0 spans 0e0 to 1e6",
            "its step",
            "(--params f32)",
        ];
        quantize(&wide, &folder.path("no.safetensors"), &extra).fails(1, &texts);
    }
}

/// 12.5 % of the codes and an f16 header: the paper's size of INT4 tables.
#[test]
fn inspect_tells_the_papers_size() {
    let folder = Folder::new();
    for (dim, percent) in [(64, "14.06 % of f32"), (128, "13.28 % of f32")] {
        let values = vec![0.5f32; 3 * dim];
        let input = folder.npy("values.npy", &[3, dim as u64], &values);
        let output = folder.path("t.safetensors");
        let told = quantize(&input, &output, &["--bits", "4", "--method", "lsq"]).succeeds();
        assert!(told.stdout().contains(percent));
        let inspected = run(&["inspect", &s(&output)]).succeeds().stdout();
        assert!(inspected.contains(percent), "{inspected}");
    }
}

/// The command gives PyTorch's own greedy rows.
#[test]
fn greedy_torch_is_pytorchs() {
    let folder = Folder::new();
    let (input, bytes) = oracle("pack_minilm.safetensors");
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let output = folder.path("t.safetensors");
    let rows = folder.path("rows.npy");
    for (bits, tensor) in [("4", "rows4_greedy"), ("2", "rows2_greedy")] {
        for device in devices() {
            let extra = ["--tensor", "weights", "--bits", bits, "--device", device];
            let method = ["--method", "greedy-torch"];
            quantize(&input, &output, &[&extra[..], &method].concat()).succeeds();
            let (table, to) = (s(&output), s(&rows));
            run(&["export", &table, "--layout", "pytorch", "--output", &to]).succeeds();
            let got = npyz::NpyFile::new(std::fs::File::open(&rows).unwrap()).unwrap();
            let got: Vec<u8> = got.into_vec().unwrap();
            let expected = file.tensor(tensor).unwrap();
            assert!(got == expected.data(), "{bits} bits on {device}");
        }
    }
}

/// The highest memory of a command, in bytes, as Linux counts it.
#[cfg(target_os = "linux")]
fn peak(args: &[&str]) -> u64 {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qembed"));
    let mut child = command
        .args(args)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let done = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(1024 * kilobytes.unwrap_or(0));
        if let Some(done) = child.try_wait().unwrap() {
            break done;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    assert!(done.success());
    peak
}

/// A matrix of zeros, 64 columns, that takes no room on the disk: the values are a hole in the file.
#[cfg(target_os = "linux")]
fn sparse(folder: &Folder, rows: u64) -> String {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 64), }}");
    header += &" ".repeat(117 - header.len());
    let path = folder.path(&format!("{rows}.npy"));
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(b"\x93NUMPY\x01\x00\x76\x00").unwrap();
    writeln!(file, "{header}").unwrap();
    file.set_len(128 + rows * 64 * 4).unwrap();
    s(&path)
}

/// 256 MiB of values through 16 MiB of memory.
#[cfg(target_os = "linux")]
#[test]
fn a_matrix_larger_than_the_memory() {
    let folder = Folder::new();
    let output = s(&folder.path("t.safetensors"));
    let peak_of = |rows| {
        let input = sparse(&folder, rows);
        let work = ["--bits", "4", "--device", "cpu", "--memory", "16MiB"];
        peak(&[&["quantize", &input, "--output", &output][..], &work].concat())
    };
    let (small, large) = (peak_of(16), peak_of(1 << 20));
    // Beside the rows: the writer's buffer of 1 MiB, the threads' stacks and the allocator's slack.
    let allowed = (16 << 20) + (8 << 20);
    assert!(
        large < small + allowed,
        "{} KiB, a small matrix {} KiB",
        large / 1024,
        small / 1024
    );
    let told = run(&["inspect", &output]).succeeds().stdout();
    assert!(told.contains("1,048,576 rows x 64"), "{told}");
}
