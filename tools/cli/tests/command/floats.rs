//! Tables of floats: made, read, and refused where there must be codes.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

use crate::common::{Folder, devices, read_f32, run, s};

fn cast(input: &Path, output: &Path, extra: &[&str]) {
    let (input, output) = (s(input), s(output));
    let args = ["quantize", &input, "--output", &output];
    run(&[&args[..], extra].concat()).succeeds();
}

/// The data of the tensor `rows`.
fn rows(table: &Path) -> Vec<u8> {
    let bytes = std::fs::read(table).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensor("rows").unwrap().data().to_vec()
}

/// Five rows of three columns.
fn matrix(folder: &Folder) -> PathBuf {
    let values: Vec<f32> = (0..15).map(|i| i as f32 / 4.0 - 2.0).collect();
    folder.npy("w.npy", &[5, 3], &values)
}

#[test]
fn floats_are_made_looked_up_and_dequantized() {
    let folder = Folder::new();
    let input = matrix(&folder);
    let (_, expected) = read_f32(&input);
    let (table, output) = (folder.path("t.safetensors"), folder.path("y.npy"));
    let indices = s(&folder.npy("i.npy", &[3], &[4i64, 0, 4]));
    let offsets = s(&folder.npy("o.npy", &[3], &[0i64, 2, 3]));
    for device in devices() {
        for (float, row_bytes) in [("f32", 12), ("f16", 8), ("bf16", 8)] {
            let on = ["--float", float, "--device", device];
            // In one part, and row by row.
            cast(&input, &table, &on);
            let whole = std::fs::read(&table).unwrap();
            cast(
                &input,
                &table,
                &[&on[..], &["--memory", "72", "--method", "cast"]].concat(),
            );
            assert!(
                std::fs::read(&table).unwrap() == whole,
                "{float} on the {device}"
            );
            assert_eq!(rows(&table).len(), 5 * row_bytes);

            let (file, to) = (s(&table), s(&output));
            let values = |args: &[&str]| {
                let last = ["--device", device, "--output", &to];
                run(&[args, &last[..]].concat()).succeeds();
                read_f32(&output).1
            };
            assert_eq!(values(&["dequantize", &file]), expected);
            let pooled = values(&[
                "lookup",
                &file,
                "--indices",
                &indices,
                "--offsets",
                &offsets,
            ]);
            let sum = |column: usize| expected[12 + column] + expected[column];
            assert_eq!(pooled[..3], [sum(0), sum(1), sum(2)]);
            assert_eq!(pooled[3..], expected[12..]);
        }
    }
}

/// What a model holds as floats of 16 bits stays as it is, subnormals too.
#[test]
fn floats_of_a_model_keep_their_bits() {
    let folder = Folder::new();
    let table = folder.path("t.safetensors");
    for (dtype, float, words) in [
        (
            Dtype::F16,
            "f16",
            [0x3c00u16, 0x8000, 0x0001, 0x83ff, 0x7bff, 0x0400],
        ),
        (
            Dtype::BF16,
            "bf16",
            [0x3f80, 0x8000, 0x0001, 0x807f, 0x7f7f, 0x0080],
        ),
    ] {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let input = folder.safetensors("m.safetensors", &[("a", dtype, &[3, 2], &bytes)]);
        for device in devices() {
            cast(&input, &table, &["--float", float, "--device", device]);
            assert_eq!(rows(&table), bytes, "{float} on the {device}");
        }
    }
}

#[test]
fn inspect_tells_floats() {
    let folder = Folder::new();
    let table = folder.path("t.safetensors");
    cast(&matrix(&folder), &table, &["--float", "bf16"]);
    let text = run(&["inspect", &s(&table)]).succeeds().stdout();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "table    5 rows x 3",
            "format   bf16: floats of 16 bits, method cast",
            "size     40 bytes, 8 a row, 66.67 % of f32",
            "values   -2 to 1.5",
        ]
    );
    let json = run(&["inspect", &s(&table), "--json"]).succeeds().stdout();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["format"], &json["bits"]),
        (&"bf16".into(), &16.into())
    );
    assert!(json["params"].is_null());
    assert_eq!(json["values"], serde_json::json!([-2.0, 1.5]));
}

#[test]
fn codes_and_floats_do_not_go_together() {
    let folder = Folder::new();
    let (input, output) = (s(&matrix(&folder)), s(&folder.path("t.safetensors")));
    let fails = |extra: &[&str], texts: &[&str]| {
        let args = ["quantize", &input, "--output", &output];
        run(&[&args[..], extra].concat()).fails(2, texts);
    };
    fails(&[], &["--bits", "--float"]);
    fails(&["--bits", "4", "--float", "f16"], &["--bits", "--float"]);
    fails(&["--float", "f64"], &["f64", "bf16"]);
    fails(
        &["--float", "f16", "--params", "f16"],
        &["--float", "--params"],
    );
    fails(
        &["--float", "f16", "--bins", "9"],
        &["--bins: cast has none"],
    );
    fails(
        &["--float", "f16", "--method", "lsq"],
        &["--method: lsq writes codes; take --bits in place of --float"],
    );
    fails(
        &["--bits", "4", "--method", "cast"],
        &["--method: cast writes floats; take --float in place of --bits"],
    );
}

#[test]
fn what_floats_cannot_be() {
    let folder = Folder::new();
    let table = folder.path("t.safetensors");
    let output = s(&folder.path("out"));
    let large = s(&folder.npy("l.npy", &[2, 2], &[0.0f32, 1.0, -70000.0, 70000.0]));
    for device in devices() {
        let args = ["quantize", &large, "--float", "f16", "--output", &output];
        run(&[&args[..], &["--device", device]].concat()).fails(
            1,
            &[
                "l.npy: row 1 spans -7e4 to 7e4: f16 cannot hold it",
                "(--float f32)",
            ],
        );
    }
    cast(&matrix(&folder), &table, &["--float", "f32"]);
    let args = [
        "export",
        &s(&table),
        "--layout",
        "pytorch",
        "--output",
        &output,
    ];
    run(&args).fails(
        1,
        &["t.safetensors: holds floats; other libraries' rows have codes"],
    );
    let indices = s(&folder.npy("i.npy", &[1], &[5i64]));
    let args = [
        "lookup",
        &s(&table),
        "--indices",
        &indices,
        "--output",
        &output,
    ];
    run(&args).fails(1, &["position 0 holds 5"]);
}
