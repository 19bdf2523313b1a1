//! What the command computes.

use std::path::PathBuf;

use half::f16;
use npyz::WriterBuilder;
use safetensors::{Dtype, SafeTensors};

use crate::common::{Folder, devices, oracle, read_f32, run, s};

/// PyTorch's bytes come out of quantize and export, and go back in through import.
#[test]
fn quantize_export_import() {
    let (input, bytes) = oracle("bag_1_n100_d12.safetensors");
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let folder = Folder::new();
    for device in devices() {
        for bits in ["8", "4", "2"] {
            let table = s(&folder.path("t.safetensors"));
            let rows = folder.path("rows.npy");
            run(&[
                "quantize",
                &s(&input),
                "--tensor",
                "weights",
                "--bits",
                bits,
                "--device",
                device,
                "--output",
                &table,
            ])
            .succeeds();
            run(&[
                "export",
                &table,
                "--layout",
                "pytorch",
                "--output",
                &s(&rows),
            ])
            .succeeds();
            let file = npyz::NpyFile::new(std::fs::File::open(&rows).unwrap()).unwrap();
            let exported: Vec<u8> = file.into_vec().unwrap();
            let pytorch = expected.tensor(&format!("rows{bits}")).unwrap();
            assert!(exported == pytorch.data(), "{bits} bits on the {device}");

            let again = s(&folder.path("again.safetensors"));
            run(&[
                "import",
                &s(&rows),
                "--layout",
                "pytorch",
                "--bits",
                bits,
                "--dim",
                "12",
                "--output",
                &again,
            ])
            .succeeds();
            let tensor = |path: &str| {
                let bytes = std::fs::read(path).unwrap();
                SafeTensors::deserialize(&bytes)
                    .unwrap()
                    .tensor("rows")
                    .unwrap()
                    .data()
                    .to_vec()
            };
            assert!(tensor(&table) == tensor(&again));
        }
    }
}

/// The same table gives the same file, byte for byte, on every device.
#[test]
fn files_are_reproducible() {
    let (input, _) = oracle("pack_d96.safetensors");
    let folder = Folder::new();
    let mut files = vec![];
    for device in devices().into_iter().chain(["cpu"]) {
        let table = folder.path("t.safetensors");
        run(&[
            "quantize",
            &s(&input),
            "--tensor",
            "weights",
            "--bits",
            "2",
            "--device",
            device,
            "--output",
            &s(&table),
        ])
        .succeeds();
        files.push(std::fs::read(&table).unwrap());
    }
    assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn lookups_by_hand() {
    let folder = Folder::new();
    let values = [
        1.0f32, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0, -1.0, -2.0, -3.0, -4.0,
    ];
    let input = folder.npy("w.npy", &[3, 4], &values);
    let table = s(&folder.path("t.safetensors"));
    run(&[
        "quantize",
        &s(&input),
        "--bits",
        "2",
        "--params",
        "f32",
        "--output",
        &table,
    ])
    .succeeds();
    let indices = s(&folder.npy("i.npy", &[3], &[0i64, 1, 2]));
    let offsets = s(&folder.npy("o.npy", &[4], &[0i32, 2, 2, 3]));
    let weights = s(&folder.npy("w.npy", &[3], &[1.0f32, 0.5, -1.0]));
    let output = folder.path("y.npy");
    let written = s(&output);
    for device in devices() {
        let common = [
            "lookup",
            &table,
            "--indices",
            &indices,
            "--device",
            device,
            "--output",
            &written,
        ];
        let lookup = |extra: &[&str]| {
            run(&[&common[..], extra].concat()).succeeds();
            read_f32(&output)
        };
        assert_eq!(lookup(&[]), (vec![3, 4], values.to_vec()));
        let sum = vec![
            11.0, 22.0, 33.0, 44.0, 0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -4.0,
        ];
        assert_eq!(lookup(&["--offsets", &offsets]), (vec![3, 4], sum));
        let (_, mean) = lookup(&["--offsets", &offsets, "--pooling", "mean"]);
        assert_eq!(mean[..4], [5.5, 11.0, 16.5, 22.0]);
        let (_, max) = lookup(&["--offsets", &offsets, "--pooling", "max"]);
        assert_eq!(max[..4], [10.0, 20.0, 30.0, 40.0]);
        let (_, weighted) = lookup(&["--offsets", &offsets, "--weights", &weights]);
        assert_eq!(weighted[..4], [6.0, 12.0, 18.0, 24.0]);
        assert_eq!(weighted[8..], [1.0, 2.0, 3.0, 4.0]);

        run(&[&common[..], &["--dtype", "f16"]].concat()).succeeds();
        let file = npyz::NpyFile::new(std::fs::File::open(&output).unwrap()).unwrap();
        let halves: Vec<f16> = file.into_vec().unwrap();
        assert_eq!(halves, values.map(f16::from_f32));
    }
    let unsigned = s(&folder.npy("u.npy", &[2], &[2u32, 0]));
    run(&[
        "lookup",
        &table,
        "--indices",
        &unsigned,
        "--output",
        &written,
    ])
    .succeeds();
    assert_eq!(read_f32(&output).1[..4], [-1.0, -2.0, -3.0, -4.0]);
}

#[test]
fn what_is_out_of_range_is_skipped_when_told() {
    let folder = Folder::new();
    let table = s(&folder.table());
    let indices = s(&folder.npy("i.npy", &[4], &[1i64, -1, 5, 1 << 40]));
    let offsets = s(&folder.npy("o.npy", &[4], &[0i64, 1, -1, 4]));
    let output = folder.path("y.npy");
    for device in devices() {
        let ran = run(&[
            "lookup",
            &table,
            "--indices",
            &indices,
            "--offsets",
            &offsets,
            "--out-of-range",
            "skip",
            "--device",
            device,
            "--output",
            &s(&output),
        ])
        .succeeds();
        assert!(
            ran.stdout()
                .contains("skipped 0 bad indices and 2 bad bags"),
            "{}",
            ran.stdout()
        );
        let (shape, values) = read_f32(&output);
        assert_eq!(shape, [3, 8]);
        assert!(values[..8].iter().any(|x| *x != 0.0));
        assert_eq!(values[8..], [0.0; 16]);
        let sound = s(&folder.npy("sound.npy", &[2], &[0i64, 4]));
        let ran = run(&[
            "lookup",
            &table,
            "--indices",
            &indices,
            "--offsets",
            &sound,
            "--out-of-range",
            "skip",
            "--device",
            device,
            "--output",
            &s(&output),
        ])
        .succeeds();
        assert!(
            ran.stdout()
                .contains("skipped 3 bad indices and 0 bad bags"),
            "{}",
            ran.stdout()
        );
        assert_eq!(read_f32(&output).1, values[..8]);
    }
}

#[test]
fn inputs_of_every_type_and_order() {
    let folder = Folder::new();
    let values = [0.5f32, -1.0, 2.0, 4.0, 8.0, -0.25];
    let halves: Vec<u8> = values
        .iter()
        .flat_map(|x| f16::from_f32(*x).to_le_bytes())
        .collect();
    let brains: Vec<u8> = values
        .iter()
        .flat_map(|x| half::bf16::from_f32(*x).to_le_bytes())
        .collect();
    let singles: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let inputs = [
        folder.safetensors("f16.safetensors", &[("a", Dtype::F16, &[2, 3], &halves)]),
        folder.safetensors("bf16.safetensors", &[("a", Dtype::BF16, &[2, 3], &brains)]),
        folder.safetensors("f32.safetensors", &[("a", Dtype::F32, &[2, 3], &singles)]),
        folder.npy("f4.npy", &[2, 3], &values),
        folder.npy("f2.npy", &[2, 3], &values.map(f16::from_f32)),
        fortran(&folder),
    ];
    let output = s(&folder.path("t.safetensors"));
    let back = folder.path("x.npy");
    for input in inputs {
        run(&["quantize", &s(&input), "--bits", "8", "--output", &output]).succeeds();
        run(&["dequantize", &output, "--output", &s(&back)]).succeeds();
        let (shape, got) = read_f32(&back);
        assert_eq!(shape, [2, 3]);
        let close = values.iter().zip(&got).all(|(x, y)| (x - y).abs() < 0.02);
        assert!(close, "{}: {got:?}", input.display());
    }
}

/// The same values, column-major.
fn fortran(folder: &Folder) -> PathBuf {
    let path = folder.path("fortran.npy");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[2, 3])
        .order(npyz::Order::Fortran)
        .writer(file)
        .begin_nd()
        .unwrap();
    writer.extend([0.5f32, 4.0, -1.0, 8.0, 2.0, -0.25]).unwrap();
    writer.finish().unwrap();
    path
}

#[test]
fn inspect_tells_the_size_to_two_decimals() {
    let folder = Folder::new();
    for (dim, percent) in [(128u64, "13.28 %"), (64, "14.06 %")] {
        let input = folder.npy("w.npy", &[2, dim], &vec![0.5f32; 2 * dim as usize]);
        let table = s(&folder.path("t.safetensors"));
        run(&["quantize", &s(&input), "--bits", "4", "--output", &table]).succeeds();
        let text = run(&["inspect", &table]).succeeds().stdout();
        assert!(text.contains(percent), "{text}");
        let json = run(&["inspect", &table, "--json"]).succeeds().stdout();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["dim"], dim);
        assert_eq!(json["format"], "q4h16");
        assert_eq!(json["method"], "asym");
        assert_eq!(json["bias"], serde_json::json!([0.5, 0.5]));
    }
}

#[test]
fn tbe_rows_of_every_alignment() {
    let folder = Folder::new();
    let table = s(&folder.table());
    let rows = folder.path("rows.npy");
    let again = s(&folder.path("again.safetensors"));
    for (alignment, row_bytes) in [(Some("1"), 8), (Some("4"), 8), (Some("16"), 16), (None, 16)] {
        let mut args = vec!["export", &table, "--layout", "tbe"];
        let rows_path = s(&rows);
        args.extend(["--output", &rows_path]);
        args.extend(
            alignment
                .iter()
                .flat_map(|alignment| ["--row-alignment", alignment]),
        );
        run(&args).succeeds();
        let file = npyz::NpyFile::new(std::fs::File::open(&rows).unwrap()).unwrap();
        assert_eq!(file.shape(), [5, row_bytes]);
        run(&[
            "import", &rows_path, "--layout", "tbe", "--bits", "4", "--dim", "8", "--output",
            &again,
        ])
        .succeeds();
        let data = |path: &str| {
            let bytes = std::fs::read(path).unwrap();
            SafeTensors::deserialize(&bytes)
                .unwrap()
                .tensor("rows")
                .unwrap()
                .data()
                .to_vec()
        };
        assert!(data(&table) == data(&again));
    }
    run(&[
        "import",
        &s(&rows),
        "--layout",
        "tbe",
        "--bits",
        "4",
        "--dim",
        "9",
        "--output",
        &again,
    ])
    .succeeds();
    run(&[
        "import",
        &s(&rows),
        "--layout",
        "tbe",
        "--bits",
        "4",
        "--dim",
        "64",
        "--output",
        &again,
    ])
    .fails(1, &["rows.npy", "36, 36 or 48 bytes"]);
    run(&[
        "import",
        &s(&rows),
        "--layout",
        "pytorch",
        "--bits",
        "4",
        "--dim",
        "8",
        "--output",
        &again,
    ])
    .fails(1, &["rows.npy", "rows of 16 bytes", "need 8"]);
}

#[test]
fn narrowing_is_asked_for() {
    let folder = Folder::new();
    let input = folder.npy(
        "w.npy",
        &[2, 4],
        &[0.0f32, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 1e8],
    );
    let table = s(&folder.path("t.safetensors"));
    let rows = folder.path("rows.npy");
    let rows_path = s(&rows);
    run(&["quantize", &s(&input), "--bits", "8", "--output", &table]).succeeds();
    let export = ["export", &table, "--layout", "tbe", "--output", &rows_path];
    run(&export).fails(1, &["--narrow"]);
    run(&[&export[..], &["--narrow"]].concat()).fails(1, &["row 1", "f16 cannot hold the scale"]);
    assert!(!rows.exists());
}

#[test]
fn verify_runs_writes_json_and_fails_on_nothing() {
    let folder = Folder::new();
    for device in devices() {
        let json = folder.path("v.json");
        let filter = "q4h16.mean.weighted.f16/dim33";
        let ran = run(&[
            "verify",
            "--filter",
            filter,
            "--device",
            device,
            "--json",
            &s(&json),
        ])
        .succeeds();
        let text = ran.stdout();
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("verified 2 cases on "), "{last}");
        assert!(last.ends_with(": 2 passed, 0 failed"), "{last}");
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        let cases = report["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 2);
        assert!(
            cases
                .iter()
                .all(|case| case["largest_error"].as_f64().unwrap() <= 1.0)
        );
    }
    run(&["verify", "--filter", "no such case"]).fails(2, &["--filter", "no such case"]);
}

#[test]
fn demo_shows_sizes_errors_and_neighbours() {
    for device in devices() {
        let text = run(&["demo", "--device", device]).succeeds().stdout();
        for expected in [
            "2048 English words",
            "4 bits",
            "12.76",
            "of copy",
            "queen, prince, royal",
        ] {
            assert!(text.contains(expected), "{text}");
        }
    }
}
