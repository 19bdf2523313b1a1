//! What the command says of inputs that cannot be.

use std::path::Path;

use safetensors::Dtype;

use crate::common::{Folder, devices, run, s};

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
            "bits5.safetensors",
            "\"bits\":\"4\"",
            "\"bits\":\"5\"",
            "2, 3, 4 or 8",
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
