//! The command as a person runs it: what it computes, and what it says when something is wrong.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use half::f16;
use npyz::{AutoSerialize, WriterBuilder};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// A folder that is gone afterwards.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn npy<T: AutoSerialize + Copy>(&self, name: &str, shape: &[u64], values: &[T]) -> PathBuf {
        let path = self.path(name);
        let file = std::fs::File::create(&path).unwrap();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape);
        let mut writer = options.writer(file).begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        path
    }

    fn safetensors(&self, name: &str, tensors: &[(&str, Dtype, &[usize], &[u8])]) -> PathBuf {
        let path = self.path(name);
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (
                *name,
                TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
            )
        });
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        path
    }

    /// A table of 4 bits, 5 rows x 8, and its path.
    fn table(&self) -> PathBuf {
        let values: Vec<f32> = (0..40).map(|i| i as f32 / 8.0 - 2.0).collect();
        let input = self.npy("weights.npy", &[5, 8], &values);
        let output = self.path("table.safetensors");
        run(&[
            "quantize",
            &s(&input),
            "--bits",
            "4",
            "--output",
            &s(&output),
        ])
        .succeeds();
        output
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn s(path: &Path) -> String {
    path.to_str().unwrap().into()
}

/// A finished command.
struct Ran {
    args: String,
    output: Output,
}

fn run(args: &[&str]) -> Ran {
    run_with(args, &[])
}

fn run_with(args: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qembed"));
    command.args(args).envs(environment.iter().copied());
    Ran {
        args: args.join(" "),
        output: command.output().unwrap(),
    }
}

impl Ran {
    fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// It worked and had nothing to complain about, nor had a graphics driver.
    fn succeeds(self) -> Self {
        assert_eq!(
            self.output.status.code(),
            Some(0),
            "{}: {}",
            self.args,
            self.stderr()
        );
        assert_eq!(self.stderr(), "", "{}", self.args);
        self
    }

    /// It failed with this code and one line that holds every one of these texts.
    fn fails(self, code: i32, texts: &[&str]) {
        let stderr = self.stderr();
        assert_eq!(
            self.output.status.code(),
            Some(code),
            "{}: {stderr}",
            self.args
        );
        assert_eq!(stderr.lines().count(), 1, "{}: {stderr}", self.args);
        assert!(stderr.starts_with("qembed: "), "{}: {stderr}", self.args);
        for text in texts {
            assert!(
                stderr.contains(text),
                "{}: {stderr:?} lacks {text:?}",
                self.args
            );
        }
    }
}

fn read_f32(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let file = npyz::NpyFile::new(std::fs::File::open(path).unwrap()).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

fn oracle(name: &str) -> (PathBuf, Vec<u8>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("tests/oracle").join(name);
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

/// Devices to try: the CPU, and the GPU where there is an adapter.
fn devices() -> Vec<&'static str> {
    let info = run(&["info", "--json"]).succeeds().stdout();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    match info["adapters"].as_array().unwrap().is_empty() {
        true => {
            let required = std::env::var("QEMBED_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "QEMBED_REQUIRE_GPU=1, but there is no adapter");
            // Not `eprintln!`, which libtest hides where the test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED on the GPU: no adapter");
            vec!["cpu"]
        }
        false => vec!["cpu", "gpu"],
    }
}

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

#[test]
fn usage_is_exit_code_2_and_one_line() {
    run(&["quantize"]).fails(2, &["--bits", "--output"]);
    run(&["quantize", "x.npy", "--bits", "3", "--output", "t"]).fails(2, &["--bits", "2, 4 or 8"]);
    run(&["nonsense"]).fails(2, &["nonsense"]);
    run(&[]).fails(2, &["a command is missing"]);
    run(&["verify", "--device", "tpu"]).fails(2, &["--device"]);
    let help = run(&["--help"]).succeeds().stdout();
    assert!(help.contains("quantize") && help.contains("verify"));
    run(&["--version"]).succeeds();
}

/// `quantize` of an input that cannot be: one line, exit code 1, nothing left behind.
fn quantize_fails(folder: &Folder, input: &Path, extra: &[&str], texts: &[&str]) {
    let output = s(&folder.path("out.safetensors"));
    let before = folder.names().len();
    for device in devices() {
        let args = [
            "quantize",
            &s(input),
            "--bits",
            "4",
            "--device",
            device,
            "--output",
            &output,
        ];
        run(&[&args[..], extra].concat()).fails(1, texts);
    }
    assert_eq!(folder.names().len(), before, "{:?}", folder.names());
}

#[test]
fn inputs_that_cannot_be_read() {
    let folder = Folder::new();
    quantize_fails(
        &folder,
        &folder.path("none.npy"),
        &[],
        &["none.npy", "No such file"],
    );
    let other = folder.path("w.txt");
    std::fs::write(&other, "text").unwrap();
    quantize_fails(&folder, &other, &[], &["w.txt", "neither"]);

    let good = folder.npy("good.npy", &[4, 8], &[0.5f32; 32]);
    let bytes = std::fs::read(&good).unwrap();
    for length in [0, 5, 40, bytes.len() - 1] {
        let cut = folder.path("cut.npy");
        std::fs::write(&cut, &bytes[..length]).unwrap();
        quantize_fails(&folder, &cut, &[], &["cut.npy"]);
    }
    let data = [0u8; 64];
    let good = folder.safetensors("good.safetensors", &[("a", Dtype::F32, &[4, 4], &data)]);
    let bytes = std::fs::read(&good).unwrap();
    for length in [0, 5, 40, bytes.len() - 1] {
        let cut = folder.path("cut.safetensors");
        std::fs::write(&cut, &bytes[..length]).unwrap();
        quantize_fails(&folder, &cut, &[], &["cut.safetensors"]);
    }
    let huge = folder.path("huge.safetensors");
    std::fs::write(&huge, [0xff; 64]).unwrap();
    quantize_fails(&folder, &huge, &[], &["huge.safetensors"]);
    for (length, text) in [
        (0xffff_ffffu32, vec![b' '; 20]),
        (5000, vec![b'('; 5000]),
        (60, vec![b'{'; 60]),
    ] {
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(text);
        let hostile = folder.path("hostile.npy");
        std::fs::write(&hostile, bytes).unwrap();
        quantize_fails(&folder, &hostile, &[], &["hostile.npy", "is damaged"]);
    }
    let noise = folder.path("noise.npy");
    std::fs::write(&noise, [0x93; 256]).unwrap();
    quantize_fails(&folder, &noise, &[], &["noise.npy"]);
}

#[test]
fn inputs_of_the_wrong_shape_or_type() {
    let folder = Folder::new();
    let flat = folder.npy("flat.npy", &[8], &[0.5f32; 8]);
    quantize_fails(&folder, &flat, &[], &["flat.npy", "two dimensions"]);
    let cube = folder.npy("cube.npy", &[2, 2, 2], &[0.5f32; 8]);
    quantize_fails(&folder, &cube, &[], &["cube.npy", "two dimensions"]);
    let empty = folder.npy("empty.npy", &[0, 8], &[0.5f32; 0]);
    quantize_fails(&folder, &empty, &[], &["empty.npy", "empty"]);
    let double = folder.npy("double.npy", &[1, 2], &[0.5f64; 2]);
    quantize_fails(&folder, &double, &[], &["double.npy", "f8", "float32"]);
    let wide = folder.npy("wide.npy", &[1, 8193], &[0.5f32; 8193]);
    quantize_fails(&folder, &wide, &[], &["wide.npy", "1 to 8192"]);
    let int = folder.safetensors("int.safetensors", &[("a", Dtype::I32, &[1, 2], &[0; 8])]);
    quantize_fails(
        &folder,
        &int,
        &[],
        &["int.safetensors", "I32", "needed F32"],
    );
    let flat = folder.safetensors("flat.safetensors", &[("a", Dtype::F32, &[2], &[0; 8])]);
    quantize_fails(&folder, &flat, &[], &["flat.safetensors", "two dimensions"]);

    let tensors: [(&str, _, &[usize], &[u8]); 2] = [
        ("one", Dtype::F32, &[1, 2], &[0; 8]),
        ("two", Dtype::F32, &[1, 2], &[0; 8]),
    ];
    let two = folder.safetensors("two.safetensors", &tensors);
    quantize_fails(
        &folder,
        &two,
        &[],
        &["two.safetensors", "--tensor", "one, two"],
    );
    quantize_fails(
        &folder,
        &two,
        &["--tensor", "three"],
        &["two.safetensors", "three", "one, two"],
    );
    let array = folder.npy("array.npy", &[1, 2], &[0.5f32; 2]);
    quantize_fails(
        &folder,
        &array,
        &["--tensor", "a"],
        &["array.npy", "--tensor"],
    );
}

#[test]
fn values_that_cannot_be_quantized() {
    let folder = Folder::new();
    for (bad, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let input = folder.npy("bad.npy", &[2, 3], &[0.0, 1.0, 2.0, 3.0, bad, 5.0]);
        quantize_fails(&folder, &input, &[], &["row 1, column 1", name]);
    }
    let input = folder.npy("wide.npy", &[2, 2], &[0.0f32, 1.0, -70000.0, 70000.0]);
    quantize_fails(&folder, &input, &[], &["row 1", "--params f32"]);
    let output = s(&folder.path("out.safetensors"));
    run(&[
        "quantize",
        &s(&input),
        "--bits",
        "4",
        "--params",
        "f32",
        "--output",
        &output,
    ])
    .succeeds();
}

/// `lookup` of what cannot be looked up.
fn lookup_fails(folder: &Folder, table: &str, code: i32, extra: &[&str], texts: &[&str]) {
    let output = s(&folder.path("y.npy"));
    let before = folder.names().len();
    for device in devices() {
        let args = ["lookup", table, "--device", device, "--output", &output];
        run(&[&args[..], extra].concat()).fails(code, texts);
    }
    assert_eq!(folder.names().len(), before, "{:?}", folder.names());
}

#[test]
fn lookups_that_cannot_be() {
    let folder = Folder::new();
    let table = s(&folder.table());
    let indices = s(&folder.npy("i.npy", &[3], &[0i64, 1, 2]));
    let with = |name: &str, offsets: &[i64]| s(&folder.npy(name, &[offsets.len() as u64], offsets));
    let fails = |offsets: &str, texts: &[&str]| {
        lookup_fails(
            &folder,
            &table,
            1,
            &["--indices", &indices, "--offsets", offsets],
            texts,
        );
    };
    fails(
        &with("decrease.npy", &[0, 2, 1, 3]),
        &["decrease.npy", "bag 1 spans 2..1"],
    );
    fails(
        &with("above.npy", &[1, 3]),
        &["above.npy", "bag 0 spans 1..3", "start at 0"],
    );
    fails(
        &with("past.npy", &[0, 4]),
        &["past.npy", "bag 0 spans 0..4", "(3)"],
    );
    fails(
        &with("short.npy", &[0, 1, 2]),
        &["short.npy", "bag 1 spans 1..2", "(3)"],
    );
    fails(
        &with("negative.npy", &[0, -2, 3]),
        &["negative.npy", "position 1 holds -2"],
    );
    fails(&with("none.npy", &[]), &["none.npy", "empty"]);

    for (name, index) in [
        ("large.npy", 5i64),
        ("minus.npy", -1),
        ("huge.npy", 1 << 33),
    ] {
        let bad = s(&folder.npy(name, &[2], &[0, index]));
        lookup_fails(
            &folder,
            &table,
            1,
            &["--indices", &bad],
            &[name, "position 1", &index.to_string()],
        );
    }
    let floats = s(&folder.npy("floats.npy", &[2], &[0.0f32; 2]));
    lookup_fails(
        &folder,
        &table,
        1,
        &["--indices", &floats],
        &["floats.npy", "needed int32"],
    );
    let square = s(&folder.npy("square.npy", &[1, 2], &[0i32; 2]));
    lookup_fails(
        &folder,
        &table,
        1,
        &["--indices", &square],
        &["square.npy", "one dimension"],
    );

    let weights = s(&folder.npy("weights2.npy", &[2], &[1.0f32; 2]));
    let args = ["--indices", &indices, "--weights", &weights];
    lookup_fails(
        &folder,
        &table,
        1,
        &args,
        &["weights2.npy", "2 weights", "3 indices"],
    );

    let pooled = ["--indices", &indices, "--pooling", "sum"];
    lookup_fails(&folder, &table, 2, &pooled, &["--pooling", "--offsets"]);
    let offsets = with("offsets.npy", &[0, 3]);
    let gathered = [
        "--indices",
        &indices,
        "--offsets",
        &offsets,
        "--pooling",
        "none",
    ];
    lookup_fails(&folder, &table, 2, &gathered, &["--offsets"]);
    let max = [
        &["--indices", &indices, "--offsets", &offsets][..],
        &["--pooling", "max", "--weights", &weights],
    ];
    lookup_fails(&folder, &table, 2, &max.concat(), &["--weights", "max"]);
}

#[test]
fn table_files_that_disagree_with_themselves() {
    let folder = Folder::new();
    let table = folder.table();
    let indices = s(&folder.npy("i.npy", &[1], &[0i32]));
    let sound = std::fs::read(&table).unwrap();
    let replaced = |name: &str, from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = sound
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap();
        let mut bytes = sound.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let path = folder.path(name);
        std::fs::write(&path, bytes).unwrap();
        s(&path)
    };
    for (name, from, to, says) in [
        (
            "bits.safetensors",
            "\"bits\":\"4\"",
            "\"bits\":\"8\"",
            "needs U8 rows of 12 bytes",
        ),
        (
            "bits3.safetensors",
            "\"bits\":\"4\"",
            "\"bits\":\"3\"",
            "2, 4 or 8",
        ),
        (
            "dim.safetensors",
            "\"dim\":\"8\"",
            "\"dim\":\"9\"",
            "needs U8 rows of 12 bytes",
        ),
        (
            "dim0.safetensors",
            "\"dim\":\"8\"",
            "\"dim\":\"0\"",
            "1 to 8192",
        ),
        ("params.safetensors", "\"f16\"", "\"f64\"", "not f16 or f32"),
        (
            "version.safetensors",
            "\"version\":\"1\"",
            "\"version\":\"9\"",
            "version",
        ),
        (
            "format.safetensors",
            "\"qembed\"",
            "\"pickle\"",
            "no table file",
        ),
        ("name.safetensors", "\"rows\"", "\"cows\"", "no tensor rows"),
        (
            "shape.safetensors",
            "[5,8]",
            "[8,5]",
            "needs U8 rows of 8 bytes",
        ),
    ] {
        let damaged = replaced(name, from, to);
        lookup_fails(
            &folder,
            &damaged,
            1,
            &["--indices", &indices],
            &[name, says],
        );
        run(&["inspect", &damaged]).fails(1, &[name, says]);
    }
    let short = folder.path("short.safetensors");
    std::fs::write(&short, &sound[..sound.len() - 3]).unwrap();
    run(&["inspect", &s(&short)]).fails(1, &["short.safetensors", "truncated"]);
    let model = folder.safetensors("model.safetensors", &[("a", Dtype::F32, &[1, 2], &[0; 8])]);
    run(&["inspect", &s(&model)]).fails(1, &["model.safetensors", "no table file"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = Folder::new();
    let input = s(&folder.npy("w.npy", &[1, 2], &[0.5f32; 2]));
    let quantize = |output: &str| run(&["quantize", &input, "--bits", "4", "--output", output]);
    let missing = s(&folder.path("no/such/folder/t.safetensors"));
    quantize(&missing).fails(
        1,
        &["no/such/folder/t.safetensors", "its folder does not exist"],
    );
    quantize(&s(folder.0.path())).fails(1, &["not a regular file"]);
    let (under, names) = (s(&folder.path("w.npy/t.safetensors")), folder.names());
    quantize(&under).fails(1, &["w.npy/t.safetensors", "cannot be written"]);
    assert_eq!(folder.names(), names);
}

/// A failed command leaves the file that was there; a good one replaces it whole.
#[test]
fn an_existing_output_is_replaced_whole_or_not_at_all() {
    let folder = Folder::new();
    let output = folder.path("t.safetensors");
    std::fs::write(&output, "precious").unwrap();
    let bad = s(&folder.npy("bad.npy", &[1, 2], &[f32::NAN, 0.0]));
    run(&["quantize", &bad, "--bits", "4", "--output", &s(&output)]).fails(1, &["NaN"]);
    assert_eq!(std::fs::read(&output).unwrap(), b"precious");
    let good = s(&folder.npy("good.npy", &[1, 2], &[1.0f32, 0.0]));
    run(&["quantize", &good, "--bits", "4", "--output", &s(&output)]).succeeds();
    run(&["inspect", &s(&output)]).succeeds();
    let mut names = folder.names();
    names.sort();
    assert_eq!(names, ["bad.npy", "good.npy", "t.safetensors"]);
}

/// A new file has the permissions that the umask leaves, an old one keeps its own; links are followed.
#[cfg(unix)]
#[test]
fn permissions_and_links() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let input = folder.npy("good.npy", &[1, 2], &[1.0f32, 0.0]);
    let (output, link) = (
        folder.path("t.safetensors"),
        folder.path("link.safetensors"),
    );
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let quantize = |output: &Path| {
        run(&[
            "quantize",
            &s(&input),
            "--bits",
            "4",
            "--output",
            &s(output),
        ])
        .succeeds();
    };
    quantize(&output);
    assert_eq!(mode(&output), mode(&input));
    std::fs::set_permissions(&output, PermissionsExt::from_mode(0o640)).unwrap();
    std::fs::write(&output, "old").unwrap();
    std::os::unix::fs::symlink(&output, &link).unwrap();
    quantize(&link);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(mode(&output), 0o640);
    run(&["inspect", &s(&output)]).succeeds();
}

/// Without an adapter `gpu` fails, and `auto` takes the CPU. A choice that fits no adapter is no reason
/// to take another device.
#[test]
fn without_an_adapter() {
    #[cfg(target_os = "linux")]
    {
        let none = [
            ("VK_DRIVER_FILES", "/no/such/driver"),
            ("VK_ICD_FILENAMES", "/no/such/driver"),
        ];
        run_with(&["verify", "--device", "gpu", "--filter", "dim33"], &none)
            .fails(1, &["no GPU adapter found", "mesa-vulkan-drivers"]);
        let info = run_with(&["info"], &none).succeeds().stdout();
        assert!(info.contains("no graphics adapter"), "{info}");
        let ran = run_with(
            &["verify", "--filter", "q2h32.max.unweighted.f16/dim33."],
            &none,
        );
        let text = ran.succeeds().stdout();
        assert!(text.contains("on the CPU"), "{text}");
    }
    let mistyped = [("WGPU_ADAPTER_NAME", "nope")];
    for device in ["auto", "gpu"] {
        run_with(
            &["verify", "--device", device, "--filter", "dim33"],
            &mistyped,
        )
        .fails(1, &["adapter found with WGPU_ADAPTER_NAME=nope"]);
    }
    run_with(&["info"], &mistyped).succeeds();
}

/// A disk that is full is an error, on standard output too.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let command = format!("{} info > /dev/full", env!("CARGO_BIN_EXE_qembed"));
    let output = Command::new("bash")
        .args(["-c", &command])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"));
}

/// An output that is an input would be gone.
#[test]
fn an_input_is_not_overwritten() {
    let folder = Folder::new();
    let table = s(&folder.table());
    let input = s(&folder.path("weights.npy"));
    let before = std::fs::read(&input).unwrap();
    run(&["quantize", &input, "--bits", "4", "--output", &input])
        .fails(2, &["weights.npy", "both"]);
    run(&["dequantize", &table, "--output", &table]).fails(2, &["table.safetensors", "both"]);
    assert_eq!(std::fs::read(&input).unwrap(), before);
}

/// A person who ends the command finds nothing half-written.
#[cfg(unix)]
#[test]
fn an_interrupted_command_leaves_nothing_behind() {
    let folder = Folder::new();
    let input = folder.npy("w.npy", &[40_000, 64], &vec![0.5f32; 40_000 * 64]);
    let table = s(&folder.path("t.safetensors"));
    run(&["quantize", &s(&input), "--bits", "8", "--output", &table]).succeeds();
    let before = folder.names().len();
    let output = folder.path("x.npy");
    for delay in [0, 10, 20, 40, 60, 80, 120, 160] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qembed"))
            .args([
                "dequantize",
                &table,
                "--device",
                "cpu",
                "--output",
                &s(&output),
            ])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        let interrupt = format!("kill -INT {} 2>/dev/null || true", child.id());
        Command::new("bash")
            .args(["-c", &interrupt])
            .status()
            .unwrap();
        child.wait().unwrap();
        let whole = output.exists();
        let names = folder.names();
        assert_eq!(names.len(), before + usize::from(whole), "{names:?}");
        let _ = std::fs::remove_file(&output);
    }
}

/// A reader that goes away early is no error.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_panic() {
    let command = format!(
        "set -o pipefail; {} info | true",
        env!("CARGO_BIN_EXE_qembed")
    );
    let output = Command::new("bash")
        .args(["-c", &command])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
