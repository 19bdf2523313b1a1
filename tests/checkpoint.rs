//! Files: runs of training that are saved and resumed, and what is refused.
#![cfg(feature = "io")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::training::{bags, bits, random_table, symmetric, symmetric_format};
use proptest::prelude::*;
use qembed::cpu::Training;
use qembed::io::{CheckpointFile, TableFile};
use qembed::training::{
    BadInput, Boundary, Checkpoint, GradientScale, Granularity, LearnedSteps, Optimizer,
    Parameters, Rounding, TrainingSpec,
};
use qembed::verify::shapes::Random;
use qembed::{Bits, Error, Format, Params, Pooling, Result};
use safetensors::SafeTensors;

const ROWS: usize = 11;
const DIM: usize = 6;
const S4H16: Format = symmetric_format(Bits::B4, Params::F16);

/// A folder that is gone afterwards, and a path in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    (folder, path)
}

/// A run of each kind: headers frozen and refreshed, a step learned for every row and for the table.
fn runs(optimizer: Optimizer) -> [(Format, TrainingSpec); 4] {
    let lpt = TrainingSpec {
        weight_decay: 0.01,
        ..TrainingSpec::lpt(optimizer, 0xfedc_ba98_7654_3210)
    };
    let learned = LearnedSteps {
        optimizer,
        ..LearnedSteps::default()
    };
    let table = LearnedSteps {
        granularity: Granularity::Table,
        boundary: Boundary::Inclusive,
        gradient_scale: GradientScale::Fixed(0.1),
        weight_decay: 0.125,
        ..learned
    };
    let refreshed = TrainingSpec {
        parameters: Parameters::Refreshed,
        rounding: Rounding::Nearest,
        bad_input: BadInput::Skip,
        table: u32::MAX,
        ..lpt
    };
    let learns = |learned| TrainingSpec {
        learned: Some(learned),
        ..lpt
    };
    [
        (Format::affine(Bits::B8), lpt),
        (Format::affine(Bits::B2), refreshed),
        (S4H16, learns(learned)),
        (symmetric_format(Bits::B8, Params::F32), learns(table)),
    ]
}

/// A step of a run: three bags of random rows, pooled by their mean.
fn take_step(training: &mut Training, number: u64) {
    let mut random = Random::new(number);
    let indices: Vec<u32> = (0..9).map(|_| random.below(ROWS as u32)).collect();
    let batch = bags(Pooling::Mean, &indices, &[0, 4, 4, 9]);
    let mut gradient = || -> Vec<f32> { (0..3 * DIM).map(|_| random.signed()).collect() };
    match training.checkpoint().spec.learned {
        None => drop(training.backward_update(&batch, &gradient(), 0.02).unwrap()),
        Some(_) => {
            training.backward_stage(&batch, &gradient(), 0.02).unwrap();
            training.backward_steps(&batch, &gradient(), 0.002).unwrap();
        }
    }
}

/// Equal, also where floats have more than one zero or NaN.
fn assert_same(a: &Checkpoint, b: &Checkpoint) {
    assert_eq!((a.spec, a.number), (b.spec, b.number));
    assert_eq!(
        (a.table.format(), a.table.dim()),
        (b.table.format(), b.table.dim())
    );
    assert_eq!(a.table.words(), b.table.words());
    assert_eq!(bits(&a.state), bits(&b.state));
    assert_eq!(bits(&a.step_state), bits(&b.step_state));
}

#[test]
fn a_run_that_was_saved_goes_on_bit_for_bit() {
    let (folder, path) = place();
    for optimizer in Optimizer::ALL {
        for (format, spec) in runs(optimizer) {
            let table = random_table(format, (ROWS, DIM), &mut Random::new(6));
            let mut through = Training::new(table, spec).unwrap();
            (0..4).for_each(|number| take_step(&mut through, number));
            CheckpointFile::save(&path, through.checkpoint()).unwrap();
            let loaded = CheckpointFile::load(&path).unwrap();
            assert_same(&loaded, through.checkpoint());
            let mut resumed = Training::resume(loaded).unwrap();
            (4..9).for_each(|number| take_step(&mut through, number));
            (4..9).for_each(|number| take_step(&mut resumed, number));
            assert_same(resumed.checkpoint(), through.checkpoint());
            assert_eq!(resumed.checkpoint().number, 9);
        }
    }
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "temporary files are left");
}

#[test]
fn the_same_run_gives_the_same_file() {
    let (_folder, path) = place();
    let (format, spec) = runs(Optimizer::ADAM)[2];
    let table = random_table(format, (ROWS, DIM), &mut Random::new(6));
    let run = Checkpoint::start(table, spec);
    let save = || {
        CheckpointFile::save(&path, &run).unwrap();
        std::fs::read(&path).unwrap()
    };
    assert_eq!(save(), save());
}

/// The file of `docs/formats.md`, by any reader of the format.
#[test]
fn a_file_says_everything() {
    let (_folder, path) = place();
    let table = symmetric(S4H16, &[(0.5, &[1, -1]), (0.25, &[7, -8]), (1.0, &[0, 2])]);
    let learned = LearnedSteps {
        optimizer: Optimizer::Momentum { momentum: 0.9 },
        gradient_scale: GradientScale::Fixed(0.125),
        ..LearnedSteps::default()
    };
    let spec = TrainingSpec {
        weight_decay: 5e-8,
        table: 3,
        ..TrainingSpec::alpt(Optimizer::ADAM, learned, u64::MAX)
    };
    let mut run = Checkpoint::start(table, spec);
    run.number = 700;
    run.state = (0..12).map(|at| at as f32).collect();
    run.step_state = vec![-0.0, 1e-45, 3.0];
    CheckpointFile::save(&path, &run).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        (format!("{:?}", tensor.dtype()), tensor.shape().to_vec())
    };
    assert_eq!(shape("rows"), ("U8".into(), vec![3, 8]));
    assert_eq!(shape("state"), ("F32".into(), vec![3, 4]));
    assert_eq!(shape("step_state"), ("F32".into(), vec![3, 1]));
    assert_eq!(file.tensor("rows").unwrap().data(), run.table.bytes());
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut entries: Vec<_> = metadata.metadata().clone().unwrap().into_iter().collect();
    entries.sort();
    let entries: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(
        entries.join(" "),
        "bad_input=refuse beta1=0.9 beta2=0.999 bits=4 boundary=strict dim=2 epsilon=1e-8 \
         format=qembed-checkpoint gradient_scale=fixed gradient_scale_value=0.125 kind=symmetric \
         learned_steps=row number=700 optimizer=adam parameters=frozen params=f16 \
         rounding=stochastic seed=18446744073709551615 step_momentum=0.9 step_optimizer=momentum \
         step_weight_decay=0.0 table=3 version=1 weight_decay=5e-8"
    );
    assert_same(&CheckpointFile::load(&path).unwrap(), &run);
}

#[test]
fn tables_without_rows_and_state_survive() {
    let (_folder, path) = place();
    for (format, spec) in runs(Optimizer::Sgd)
        .into_iter()
        .chain(runs(Optimizer::ADAM))
    {
        for rows in [0, 1] {
            let mut words = random_table(format, (1, DIM), &mut Random::new(1))
                .words()
                .to_vec();
            words.truncate(words.len() * rows);
            let table = qembed::PackedTable::from_words(format, DIM, words).unwrap();
            let run = Checkpoint::start(table, spec);
            CheckpointFile::save(&path, &run).unwrap();
            assert_same(&CheckpointFile::load(&path).unwrap(), &run);
        }
    }
}

// What is refused.

/// An error of this file with this text.
#[track_caller]
fn refused<T>(path: &Path, result: Result<T>, text: &str) {
    let error = result.err().expect("it was taken");
    assert_eq!(error.to_string(), format!("{}: {text}", path.display()));
    assert!(matches!(error, Error::File { .. }));
}

/// A run of ALPT whose file is damaged in what follows.
fn alpt() -> Checkpoint {
    let (format, spec) = runs(Optimizer::ADAM)[2];
    let table = random_table(format, (ROWS, DIM), &mut Random::new(6));
    Checkpoint::start(table, spec)
}

/// The bytes of its file with another header: `change` has all of its text.
fn with_header(bytes: &[u8], change: impl Fn(String) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    let changed = change(header.clone());
    assert_ne!(changed, header, "nothing was changed");
    let length = (changed.len() as u64).to_le_bytes();
    [&length[..], changed.as_bytes(), &bytes[8 + header.len()..]].concat()
}

#[test]
fn metadata_that_says_no_run_is_refused() {
    let (_folder, path) = place();
    CheckpointFile::save(&path, &alpt()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let optimizers = "not sgd or momentum or adagrad or rowwise-adagrad or adam";
    let no_number =
        |key: &str, text: &str| format!("its metadata {key:?} is {text:?}, not a number");
    let cases = [
        ("format", "qembed", "is no checkpoint of a training".into()),
        (
            "version",
            "2",
            "has version \"2\" and kind \"symmetric\"; this qembed reads version \"1\", kinds affine, symmetric, codebook, blocks, float".into(),
        ),
        ("bits", "5", "bits: needed 2, 3, 4 or 8, got 5".into()),
        ("params", "f64", "its metadata \"params\" is \"f64\", not f16 or f32".into()),
        ("dim", "0", "dim: needed 1 to 8192, got 0".into()),
        ("number", "-1", no_number("number", "-1")),
        ("number", "4294967296", no_number("number", "4294967296")),
        ("seed", "18446744073709551616", no_number("seed", "18446744073709551616")),
        ("table", "one", no_number("table", "one")),
        ("weight_decay", "5%", no_number("weight_decay", "5%")),
        ("weight_decay", "nan", "weight decay: needed 0e0 to 3.4028235e38, got NaN".into()),
        ("step_weight_decay", "inf", "weight decay: needed 0e0 to 3.4028235e38, got inf".into()),
        ("optimizer", "lion", format!("its metadata \"optimizer\" is \"lion\", {optimizers}")),
        ("step_optimizer", "", format!("its metadata \"step_optimizer\" is \"\", {optimizers}")),
        ("beta1", "1.0", "beta1: needed 0e0 to 9.9999994e-1, got 1".into()),
        ("step_epsilon", "", no_number("step_epsilon", "")),
        ("step_epsilon", "0.0", "epsilon: needed 1.1754944e-38 to 3.4028235e38, got 0".into()),
        (
            "parameters",
            "thawed",
            "its metadata \"parameters\" is \"thawed\", not frozen or refreshed or given".into(),
        ),
        (
            "parameters",
            "refreshed",
            "refreshing the step of symmetric rows is not supported: freeze it, give it, or learn it; or take affine rows".into(),
        ),
        (
            "rounding",
            "up",
            "its metadata \"rounding\" is \"up\", not stochastic or nearest".into(),
        ),
        ("bad_input", "", "its metadata \"bad_input\" is \"\", not refuse or skip".into()),
        (
            "learned_steps",
            "column",
            "its metadata \"learned_steps\" is \"column\", not none or row or table".into(),
        ),
        ("boundary", "", "its metadata \"boundary\" is \"\", not strict or inclusive".into()),
        (
            "gradient_scale",
            "two",
            "its metadata \"gradient_scale\" is \"two\", not one or dim or batch-dim or fixed".into(),
        ),
        ("gradient_scale", "fixed", no_number("gradient_scale_value", "")),
    ];
    let replaced = |key: &str, value: Option<&str>| {
        with_header(&bytes, |header| {
            let start = header.find(&format!("\"{key}\":\"")).unwrap();
            let length = header[start..].find([',', '}']).unwrap();
            match value {
                Some(value) => {
                    let entry = format!("\"{key}\":\"{value}\"");
                    [&header[..start], &entry, &header[start + length..]].concat()
                }
                // The comma behind it too; the last key is never asked for.
                None => [&header[..start], &header[start + length + 1..]].concat(),
            }
        })
    };
    for (key, value, text) in cases {
        std::fs::write(&path, replaced(key, Some(value))).unwrap();
        refused(&path, CheckpointFile::load(&path), &text);
        if value.is_empty() {
            // A key that is missing is empty.
            std::fs::write(&path, replaced(key, None)).unwrap();
            refused(&path, CheckpointFile::load(&path), &text);
        }
    }
}

#[test]
fn tensors_of_another_shape_are_refused() {
    let (_folder, path) = place();
    CheckpointFile::save(&path, &alpt()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let cases = [
        (
            "[11,8]",
            "[22,4]",
            "its metadata (s4h16, dim 6) needs U8 rows of 8 bytes, the tensor is U8 [22, 4]",
        ),
        (
            "\"U8\"",
            "\"I8\"",
            "its metadata (s4h16, dim 6) needs U8 rows of 8 bytes, the tensor is I8 [11, 8]",
        ),
        (
            "[11,12]",
            "[12,11]",
            "its metadata and 11 rows need state F32 [11, 12], the tensor is F32 [12, 11]",
        ),
        (
            "[11,2]",
            "[22]",
            "its metadata and 11 rows need step_state F32 [11, 2], the tensor is F32 [22]",
        ),
        (
            "\"step_state\"",
            "\"step_stats\"",
            "has no tensor step_state; it has rows, state, step_stats",
        ),
        (
            "\"learned_steps\":\"row\"",
            "\"learned_steps\":\"table\"",
            "its metadata and 11 rows need step_state F32 [1, 2], the tensor is F32 [11, 2]",
        ),
        (
            "\"optimizer\":\"adam\"",
            "\"optimizer\":\"sgd\"",
            "its metadata and 11 rows need state F32 [11, 0], the tensor is F32 [11, 12]",
        ),
    ];
    for (from, to, text) in cases {
        let changed = with_header(&bytes, |header| header.replacen(from, to, 1));
        std::fs::write(&path, changed).unwrap();
        refused(&path, CheckpointFile::load(&path), text);
    }
}

#[test]
fn steps_that_are_none_are_refused() {
    let (_folder, path) = place();
    let run = alpt();
    CheckpointFile::save(&path, &run).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The step of row 1, whose row has 8 bytes.
    let rows = bytes.len() - 4 * (run.state.len() + run.step_state.len()) - 8 * ROWS;
    bytes[rows + 8..][..2].copy_from_slice(&0x8000u16.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let text =
        "row 1: -0e0 is no step of an f16 header; steps are positive and finite, no subnormal f32";
    refused(&path, CheckpointFile::load(&path), text);
}

#[test]
fn other_files_are_refused() {
    let (folder, path) = place();
    let error = CheckpointFile::load(&path).unwrap_err().to_string();
    let text = format!("{}: cannot be read: ", path.display());
    assert!(error.starts_with(&text), "{error}");
    let run = alpt();
    let table = TableFile {
        table: run.table.clone(),
        method: "import".into(),
    };
    table.save(&path).unwrap();
    refused(
        &path,
        CheckpointFile::load(&path),
        "is no checkpoint of a training",
    );
    CheckpointFile::save(&path, &run).unwrap();
    refused(
        &path,
        TableFile::load(&path),
        "is no table file: quantize makes one",
    );
    let codebooks = Format::Codebook { bits: Bits::B4 };
    let words = vec![0; 2 * codebooks.row_words(6) as usize];
    let run = Checkpoint {
        table: qembed::PackedTable::from_words(codebooks, 6, words).unwrap(),
        ..run
    };
    // Nothing that could not be resumed is saved, and nothing is left of the attempt.
    let other = folder.path().join("other");
    let error = CheckpointFile::save(&other, &run).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("training c4 rows is not supported"),
        "{error}"
    );
    let run = Checkpoint {
        state: vec![],
        ..alpt()
    };
    let error = CheckpointFile::save(&other, &run).unwrap_err();
    assert_eq!(error.to_string(), "state: needed 132 numbers, got 0");
    assert!(!other.exists());
}

#[test]
fn a_file_that_ends_early_is_refused() {
    let (_folder, path) = place();
    CheckpointFile::save(&path, &alpt()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = CheckpointFile::load(&path).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{length}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Damage anywhere gives an error of the file or a run that can go on, never a panic.
    #[test]
    fn damage_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
        let (_folder, path) = place();
        let whole = WHOLE.get_or_init(|| {
            CheckpointFile::save(&path, &alpt()).unwrap();
            std::fs::read(&path).unwrap()
        });
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        std::fs::write(&path, &bytes).unwrap();
        match CheckpointFile::load(&path) {
            Ok(run) => prop_assert!(Training::resume(run).is_ok()),
            Err(error) => prop_assert!(matches!(error, Error::File { .. }), "{}", error),
        }
    }

    /// Every constant comes back bit for bit.
    #[test]
    fn floats_come_back_bit_for_bit(
        momentum in any::<u32>().prop_map(|bits| f32::from_bits(bits % 0x3f80_0000)),
        epsilon in (0x0080_0000u32..0x7f80_0000).prop_map(f32::from_bits),
        weight_decay in (0u32..0x7f80_0000).prop_map(f32::from_bits),
        seed in any::<u64>(),
    ) {
        let (_folder, path) = place();
        let learned = LearnedSteps {
            optimizer: Optimizer::Momentum { momentum },
            gradient_scale: GradientScale::Fixed(weight_decay),
            weight_decay,
            ..LearnedSteps::default()
        };
        let adam = Optimizer::Adam { beta1: momentum, beta2: momentum, epsilon };
        let spec = TrainingSpec { weight_decay, ..TrainingSpec::alpt(adam, learned, seed) };
        let run = Checkpoint::start(symmetric(S4H16, &[(1.0, &[1])]), spec);
        CheckpointFile::save(&path, &run).unwrap();
        prop_assert_eq!(CheckpointFile::load(&path).unwrap(), run);
    }
}
