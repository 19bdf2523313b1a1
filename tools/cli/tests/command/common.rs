//! What the tests share: a folder, files to put into it, and the command.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use npyz::{AutoSerialize, WriterBuilder};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A folder that is gone afterwards.
pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn npy<T: AutoSerialize + Copy>(&self, name: &str, shape: &[u64], values: &[T]) -> PathBuf {
        let path = self.path(name);
        let file = std::fs::File::create(&path).unwrap();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape);
        let mut writer = options.writer(file).begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        path
    }

    pub fn safetensors(&self, name: &str, tensors: &[(&str, Dtype, &[usize], &[u8])]) -> PathBuf {
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
    pub fn table(&self) -> PathBuf {
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

    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

pub fn s(path: &Path) -> String {
    path.to_str().unwrap().into()
}

/// A finished command.
pub struct Ran {
    pub args: String,
    pub output: Output,
}

pub fn run(args: &[&str]) -> Ran {
    run_with(args, &[])
}

pub fn run_with(args: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qembed"));
    command.args(args).envs(environment.iter().copied());
    Ran {
        args: args.join(" "),
        output: command.output().unwrap(),
    }
}

impl Ran {
    pub fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// It worked and had nothing to complain about, nor had a graphics driver.
    pub fn succeeds(self) -> Self {
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
    pub fn fails(self, code: i32, texts: &[&str]) {
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

pub fn read_f32(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let file = npyz::NpyFile::new(std::fs::File::open(path).unwrap()).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

pub fn oracle(name: &str) -> (PathBuf, Vec<u8>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("tests/oracle").join(name);
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

/// Devices to try: the CPU, and the GPU where there is an adapter.
pub fn devices() -> Vec<&'static str> {
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
