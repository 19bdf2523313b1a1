//! Files: matrices read in parts, tables of every kind, and what is refused.
#![cfg(feature = "io")]

use std::path::{Path, PathBuf};

use qembed::half::{bf16, f16};
use qembed::io::{
    Matrix, MatrixFile, TableFile, TableShape, TableWriter, npy, read_matrix, replace,
};
use qembed::{Bits, Blocks, Error, Float, Format, PackedTable, Params, Result};
use safetensors::tensor::{SafeTensors, TensorView};
use safetensors::{Dtype, serialize};

/// A folder that is gone afterwards.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// A npy file of version 1, byte by byte.
fn npy_bytes(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let dict = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
    let length = (dict.len() + 11).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{dict:0$}\n", length - 1).as_bytes());
    bytes.extend(data);
    bytes
}

type Tensors<'a> = [(&'a str, Dtype, &'a [usize], &'a [u8])];
type Entries<'a> = [(&'a str, &'a str)];

fn safetensors_bytes(tensors: &Tensors<'_>, metadata: &Entries<'_>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), data).unwrap(),
        )
    });
    let entries = metadata
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    let entries = (!metadata.is_empty()).then(|| entries.collect());
    serialize(views, entries).unwrap()
}

/// An error of this file with this text.
#[track_caller]
fn refused<T>(path: &Path, result: Result<T>, text: &str) {
    let error = result.err().expect("it was taken");
    let expected = format!("{}: {text}", path.display());
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, Error::File { .. }));
}

// Matrices.

/// Small whole numbers, which every type holds.
fn value(row: usize, column: usize) -> f32 {
    ((row * 31 + column * 7) % 255) as f32 - 127.0
}

fn values(rows: usize, dim: usize) -> Vec<f32> {
    let at = |at: usize| value(at / dim, at % dim);
    (0..rows * dim).map(at).collect()
}

type Encode<'a> = &'a dyn Fn(f32) -> Vec<u8>;

/// One matrix in every type and order that can be read.
fn matrices(folder: &Folder, rows: usize, dim: usize) -> Vec<PathBuf> {
    let by_row = values(rows, dim);
    let by_column: Vec<_> = (0..rows * dim)
        .map(|at| value(at % rows, at / rows))
        .collect();
    let bytes = |values: &[f32], encode: Encode<'_>| -> Vec<u8> {
        values.iter().flat_map(|x| encode(*x)).collect()
    };
    let mut files = vec![];
    let encodings: [(&str, Encode<'_>); 4] = [
        ("'<f4'", &|x| x.to_le_bytes().into()),
        ("'>f4'", &|x| x.to_be_bytes().into()),
        ("'<f2'", &|x| f16::from_f32(x).to_le_bytes().into()),
        ("'>f2'", &|x| f16::from_f32(x).to_be_bytes().into()),
    ];
    for (at, (descr, encode)) in encodings.into_iter().enumerate() {
        for (fortran, values) in [(false, &by_row), (true, &by_column)] {
            let shape = format!("({rows}, {dim})");
            let data = bytes(values, encode);
            let name = format!("{at}-{fortran}.npy");
            files.push(folder.file(&name, &npy_bytes(descr, fortran, &shape, &data)));
        }
    }
    let encodings: [(Dtype, Encode<'_>); 3] = [
        (Dtype::F32, &|x| x.to_le_bytes().into()),
        (Dtype::F16, &|x| f16::from_f32(x).to_le_bytes().into()),
        (Dtype::BF16, &|x| bf16::from_f32(x).to_le_bytes().into()),
    ];
    for (dtype, encode) in encodings {
        let data = bytes(&by_row, encode);
        // Others before and behind it.
        let tensors: &Tensors<'_> = &[
            ("a", dtype, &[3], &data[..3 * dtype.bitsize() / 8]),
            ("m", dtype, &[rows, dim], &data),
            ("z", dtype, &[1], &data[..dtype.bitsize() / 8]),
        ];
        let name = format!("{dtype:?}.safetensors");
        files.push(folder.file(&name, &safetensors_bytes(tensors, &[])));
    }
    files
}

fn tensor_of(path: &Path) -> Option<&'static str> {
    (path.extension().unwrap() == "safetensors").then_some("m")
}

#[test]
fn parts_are_what_the_whole_is() {
    // Rows and columns longer than what is decoded at once.
    for (rows, dim) in [(5, 3), (1, 8), (9, 1), (70_000, 3), (9, 8192)] {
        let folder = Folder::new();
        let expected = values(rows, dim);
        for path in matrices(&folder, rows, dim) {
            let tensor = tensor_of(&path);
            let whole = read_matrix(&path, tensor).unwrap();
            let values = expected.clone();
            assert!(whole == Matrix { rows, dim, values }, "{}", path.display());
            let mut file = MatrixFile::open(&path, tensor).unwrap();
            assert_eq!((file.rows(), file.dim()), (rows, dim));
            let step = rows.div_ceil(4);
            let mut starts: Vec<_> = (0..rows).step_by(step).collect();
            starts.reverse();
            for start in starts {
                let end = rows.min(start + step);
                let part = file.read_rows(start..end).unwrap();
                assert!(
                    part == expected[start * dim..end * dim],
                    "{}",
                    path.display()
                );
            }
            assert_eq!(file.read_rows(rows..rows).unwrap(), [0.0; 0]);
        }
    }
}

#[test]
fn the_bits_of_special_values_survive() {
    let folder = Folder::new();
    let special = [
        f32::NAN.to_bits(),
        0xff80_0000,
        0x8000_0000,
        1,
        0x7f7f_ffff,
        0xffc0_0001,
    ];
    let data: Vec<u8> = special.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let path = folder.file("w.npy", &npy_bytes("'<f4'", false, "(2, 3)", &data));
    let values = read_matrix(&path, None).unwrap().values;
    assert_eq!(
        values.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
        special
    );
}

#[test]
fn rows_that_are_not_there_are_an_error() {
    let folder = Folder::new();
    #[expect(clippy::reversed_empty_ranges, reason = "it must not panic")]
    let ranges = [0..6, 6..7, 3..2, 0..usize::MAX, usize::MAX..usize::MAX];
    for path in matrices(&folder, 5, 3) {
        let mut file = MatrixFile::open(&path, tensor_of(&path)).unwrap();
        for range in &ranges {
            let error = file.read_rows(range.clone()).unwrap_err();
            let expected = format!("rows: needed a range within 0..5, got {range:?}");
            assert_eq!(error.to_string(), expected);
        }
    }
}

/// The file is as long as its header says when it is opened, and is cut then.
#[test]
fn a_file_that_is_cut_while_it_is_read_is_an_error() {
    let folder = Folder::new();
    for path in matrices(&folder, 5, 3) {
        let mut file = MatrixFile::open(&path, tensor_of(&path)).unwrap();
        let length = path.metadata().unwrap().len();
        let cut = std::fs::File::options().write(true).open(&path).unwrap();
        cut.set_len(length - 10).unwrap();
        let text = "became shorter while it was read; try again";
        refused(&path, file.read_rows(0..5), text);
        cut.set_len(0).unwrap();
        refused(&path, file.read_rows(0..1), text);
        assert_eq!(file.read_rows(1..1).unwrap(), [0.0; 0]);
    }
}

#[test]
fn matrices_that_are_none() {
    let folder = Folder::new();
    let check = |name: &str, bytes: &[u8], text: &str| {
        let path = folder.file(name, bytes);
        refused(&path, MatrixFile::open(&path, None), text);
        refused(&path, read_matrix(&path, None), text);
    };
    let f4 = |shape: &str, bytes: usize| npy_bytes("'<f4'", false, shape, &vec![0; bytes]);
    check("w.txt", b"text", "is neither .safetensors nor .npy");
    check("a.npy", b"text", "is not a npy file");
    check(
        "a.npy",
        &f4("(8,)", 32),
        "needs two dimensions (rows, dim), has 1: [8]",
    );
    check(
        "a.npy",
        &npy_bytes("'<f4'", true, "(2, 2, 2)", &[0; 32]),
        "needs two dimensions (rows, dim), has 3: [2, 2, 2]",
    );
    check("a.npy", &f4("(0, 8)", 0), "is empty: its shape is [0, 8]");
    check("a.npy", &f4("(8, 0)", 0), "is empty: its shape is [8, 0]");
    check(
        "a.npy",
        &f4("(1, 8193)", 4 * 8193),
        "dim: needed 1 to 8192, got 8193",
    );
    check(
        "a.npy",
        &f4("(2, 2)", 15),
        "is truncated or damaged: its header promises 144 bytes, it has 143",
    );
    check(
        "a.npy",
        &npy_bytes("'<f8'", false, "(1, 2)", &[0; 16]),
        "holds '<f8'; needed float32 or float16",
    );
    let overflows = "is damaged: its shape overflows";
    for shape in [
        "(4294967296, 4294967296)",
        "(9223372036854775808, 4)",
        "(4611686018427387904, 1)",
        "(0, 9223372036854775808, 2)",
        "(0xffffffffffffffff, 4)",
    ] {
        check("a.npy", &f4(shape, 0), overflows);
    }
    let f32s = |shape: &[usize], bytes: usize| {
        safetensors_bytes(&[("a", Dtype::F32, shape, &vec![0; bytes])], &[])
    };
    let name = "a.safetensors";
    check(
        name,
        &f32s(&[2], 8),
        "needs two dimensions (rows, dim), has 1: [2]",
    );
    check(name, &f32s(&[0, 2], 0), "is empty: its shape is [0, 2]");
    check(
        name,
        &f32s(&[1, 8193], 4 * 8193),
        "dim: needed 1 to 8192, got 8193",
    );
    check(
        name,
        b"",
        "is no safetensors file: it ends before its header",
    );
    check(name, &safetensors_bytes(&[], &[]), "holds no tensors");
    let two: &Tensors<'_> = &[
        ("a", Dtype::F32, &[1, 1], &[0; 4]),
        ("b", Dtype::I32, &[1, 1], &[0; 4]),
    ];
    let bytes = safetensors_bytes(two, &[]);
    check(
        name,
        &bytes,
        "holds several tensors; choose with --tensor: a, b",
    );
    let path = folder.file(name, &bytes);
    let open = |tensor| MatrixFile::open(&path, Some(tensor));
    refused(&path, open("c"), "has no tensor c; it has a, b");
    refused(&path, open("b"), "holds I32; needed F32, F16 or BF16");
    let path = folder.file("a.npy", &f4("(1, 1)", 4));
    let opened = MatrixFile::open(&path, Some("a"));
    refused(&path, opened, "holds one array; leave --tensor out");
}

/// Data that looks like a part of the header is none, behind headers of both lengths.
#[test]
fn data_is_not_taken_for_the_header() {
    let folder = Folder::new();
    for text in [*b"9x((((((", *b"[[[[[[[[", *b"99999999"] {
        let short = npy_bytes("'<f4'", false, "(1, 2)", &text);
        // Version 2: four bytes of length in place of two.
        let long = [b"\x93NUMPY\x02\x00", &short[8..10], &[0; 2], &short[10..]].concat();
        let expected = [text[..4].try_into(), text[4..].try_into()];
        let expected = expected.map(|bytes| f32::from_le_bytes(bytes.unwrap()));
        for bytes in [short, long] {
            let path = folder.file("w.npy", &bytes);
            assert_eq!(read_matrix(&path, None).unwrap().values, expected);
        }
    }
}

#[test]
fn lists_of_floats_and_integers() {
    let folder = Folder::new();
    let path = folder.file(
        "w.npy",
        &npy_bytes("'>f2'", true, "(2,)", &[0x3c, 0, 0xc0, 0]),
    );
    let array = npy::read_floats(&path).unwrap();
    assert_eq!((array.shape, array.values), (vec![2], vec![1.0, -2.0]));
    let path = folder.file(
        "s.npy",
        &npy_bytes("'<f4'", false, "()", &[0, 0, 0x80, 0x3f]),
    );
    let array = npy::read_floats(&path).unwrap();
    assert_eq!((array.shape, array.values), (vec![], vec![1.0]));
    let data = [1u8, 2, 3, 4, 5, 6];
    let path = folder.file("b.npy", &npy_bytes("'|u1'", true, "(2, 3)", &data));
    let array = npy::read_bytes(&path).unwrap();
    assert_eq!(
        (array.shape, array.values),
        (vec![2, 3], vec![1, 3, 5, 2, 4, 6])
    );
    let path = folder.file("i.npy", &npy_bytes("'>i4'", false, "(1,)", &[0xff; 4]));
    assert_eq!(npy::read_integers(&path).unwrap().values, [-1]);
}

// Tables.

/// Words of all kinds; a table's file does not care what they mean.
fn words(count: usize, seed: u32) -> Vec<u32> {
    let word = |at: u32| (at + seed).wrapping_mul(0x9e37_79b9).rotate_left(at % 32);
    (0..count as u32).map(word).collect()
}

fn table(format: Format, rows: usize, dim: usize, seed: u32) -> PackedTable {
    let words = words(rows * format.row_words(dim as u32) as usize, seed);
    let Format::Blocks { bits } = format else {
        return PackedTable::from_words(format, dim, words).unwrap();
    };
    let count = seed as usize % 7 + 1;
    let ids: Vec<_> = (0..rows).map(|row| (row * 5 % count) as u32).collect();
    let codebooks = self::words(count << (bits.count() - 1), seed);
    let blocks = Blocks::new(bits, codebooks, &ids).unwrap();
    PackedTable::from_blocks(dim, words, blocks).unwrap()
}

fn saved(path: &Path, table: PackedTable) -> Vec<u8> {
    let method = "by hand, \"größer\"".into();
    let file = TableFile { table, method };
    file.save(path).unwrap();
    let bytes = std::fs::read(path).unwrap();
    assert!(TableFile::load(path).unwrap() == file);
    bytes
}

#[test]
fn tables_of_every_format_survive() {
    let folder = Folder::new();
    let path = folder.path("t.safetensors");
    for format in Format::all() {
        for (rows, dim) in [(0, 1), (1, 1), (5, 11), (33, 64), (2, 8192)] {
            for seed in [0, 1, 4] {
                let bytes = saved(&path, table(format, rows, dim, seed));
                assert!(bytes == saved(&path, table(format, rows, dim, seed)));
                let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                assert_eq!(length % 8, 0, "{format}");
                let file = SafeTensors::deserialize(&bytes).unwrap();
                let rows_tensor = file.tensor("rows").unwrap();
                let row_bytes = format.row_bytes(dim as u32) as usize;
                assert_eq!(rows_tensor.dtype(), Dtype::U8);
                assert_eq!(rows_tensor.shape(), [rows, row_bytes]);
            }
        }
    }
}

/// What stands before the data, and the data's first byte.
fn split(bytes: &[u8]) -> (&str, &[u8]) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(length);
    (str::from_utf8(header).unwrap().trim_end(), data)
}

#[test]
fn files_byte_by_byte() {
    let folder = Folder::new();
    let path = folder.path("t.safetensors");
    let save = |table, method: &str| {
        let method = method.into();
        TableFile { table, method }.save(&path).unwrap();
        std::fs::read(&path).unwrap()
    };
    let affine = PackedTable::from_words(Format::affine(Bits::B4), 8, vec![1, 2, 3, 4]).unwrap();
    let bytes = save(affine, "asym");
    let (header, data) = split(&bytes);
    assert_eq!(
        header,
        concat!(
            r#"{"__metadata__":{"bits":"4","dim":"8","format":"qembed","kind":"affine","#,
            r#""method":"asym","params":"f16","version":"1"},"#,
            r#""rows":{"data_offsets":[0,16],"dtype":"U8","shape":[2,8]}}"#
        )
    );
    assert_eq!(data, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);

    let symmetric = Format::Symmetric {
        bits: Bits::B8,
        params: Params::F32,
    };
    let table = PackedTable::from_words(symmetric, 3, vec![0x3e80_0000, 0x0001_ff80]).unwrap();
    let bytes = save(table, "absmax");
    let (header, data) = split(&bytes);
    assert_eq!(
        header,
        concat!(
            r#"{"__metadata__":{"bits":"8","dim":"3","format":"qembed","kind":"symmetric","#,
            r#""method":"absmax","params":"f32","version":"1"},"#,
            r#""rows":{"data_offsets":[0,8],"dtype":"U8","shape":[1,8]}}"#
        )
    );
    // As int8: the codes -128, -1 and 1, and padding.
    assert_eq!(data, [0, 0, 0x80, 0x3e, 0x80, 0xff, 0x01, 0]);

    let codebook = Format::Codebook { bits: Bits::B3 };
    let table = PackedTable::from_words(codebook, 10, (1..=5).collect()).unwrap();
    let bytes = save(table, "kmeans");
    let (header, data) = split(&bytes);
    assert_eq!(
        header,
        concat!(
            r#"{"__metadata__":{"bits":"3","dim":"10","format":"qembed","kind":"codebook","#,
            r#""method":"kmeans","params":"f16","version":"1"},"#,
            r#""rows":{"data_offsets":[0,20],"dtype":"U8","shape":[1,20]}}"#
        )
    );
    assert_eq!(data[..8], [1, 0, 0, 0, 2, 0, 0, 0]);

    let blocks = Blocks::new(Bits::B2, (0x11..0x17).collect(), &[2, 0, 1]).unwrap();
    let table = PackedTable::from_blocks(5, vec![7, 8, 9], blocks).unwrap();
    let bytes = save(table, "kmeans-cls");
    let (header, data) = split(&bytes);
    assert_eq!(
        header,
        concat!(
            r#"{"__metadata__":{"bits":"2","blocks":"3","dim":"5","format":"qembed","kind":"blocks","#,
            r#""method":"kmeans-cls","params":"f16","version":"1"},"#,
            r#""block_ids":{"data_offsets":[36,40],"dtype":"U8","shape":[4]},"#,
            r#""codebooks":{"data_offsets":[12,36],"dtype":"F16","shape":[3,4]},"#,
            r#""rows":{"data_offsets":[0,12],"dtype":"U8","shape":[3,4]}}"#
        )
    );
    assert_eq!(data[12..16], [0x11, 0, 0, 0]);
    assert_eq!(data[36..], [0b01_00_10, 0, 0, 0]);
}

#[test]
fn files_of_floats_byte_by_byte() {
    let folder = Folder::new();
    let path = folder.path("t.safetensors");
    // Rows of 1 and -2.5; of 16 bits with a third column, 0.5, and half a word of zeros.
    for (float, bits, dim, words, bytes) in [
        (
            Float::F32,
            32,
            2,
            vec![0x3f80_0000, 0xc020_0000],
            [0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0],
        ),
        (
            Float::F16,
            16,
            3,
            vec![0xc100_3c00, 0x0000_3800],
            [0, 0x3c, 0, 0xc1, 0, 0x38, 0, 0],
        ),
        (
            Float::Bf16,
            16,
            3,
            vec![0xc020_3f80, 0x0000_3f00],
            [0x80, 0x3f, 0x20, 0xc0, 0, 0x3f, 0, 0],
        ),
    ] {
        let table = PackedTable::from_words(Format::Float(float), dim, words).unwrap();
        let method = "cast".into();
        TableFile { table, method }.save(&path).unwrap();
        let file = std::fs::read(&path).unwrap();
        let (header, data) = split(&file);
        let name = float.name();
        assert_eq!(
            header,
            format!(
                concat!(
                    r#"{{"__metadata__":{{"bits":"{}","dim":"{}","format":"qembed","kind":"float","#,
                    r#""method":"cast","params":"{}","version":"1"}},"#,
                    r#""rows":{{"data_offsets":[0,8],"dtype":"U8","shape":[1,8]}}}}"#
                ),
                bits, dim, name
            )
        );
        assert_eq!(data, bytes, "{name}");
    }
}

/// A file of these tensors, with metadata that is sound but for some entries.
fn load(
    path: &Path,
    tensors: &Tensors<'_>,
    sound: &Entries<'_>,
    others: &Entries<'_>,
) -> Result<TableFile> {
    let kept = sound
        .iter()
        .filter(|(key, _)| others.iter().all(|(other, _)| other != key));
    let metadata: Vec<_> = kept.chain(others).copied().collect();
    std::fs::write(path, safetensors_bytes(tensors, &metadata)).unwrap();
    TableFile::load(path)
}

#[test]
fn affine_and_codebook_tables_that_cannot_be() {
    let folder = Folder::new();
    let sound = [
        ("format", "qembed"),
        ("version", "1"),
        ("kind", "affine"),
        ("bits", "4"),
        ("params", "f16"),
        ("dim", "8"),
    ];
    let path = folder.path("t.safetensors");
    let load = |tensors: &Tensors<'_>, others: &Entries<'_>| load(&path, tensors, &sound, others);
    let rows: &Tensors<'_> = &[("rows", Dtype::U8, &[2, 8], &[0; 16])];
    assert_eq!(load(rows, &[]).unwrap().method, "");
    let three = load(rows, &[("bits", "3")]).unwrap();
    assert_eq!(three.table.format().label(), "q3h16");

    let kinds = "this qembed reads version \"1\", kinds affine, symmetric, codebook, blocks, float";
    let kind = format!("has version \"1\" and kind \"groups\"; {kinds}");
    let version = format!("has version \"2\" and kind \"affine\"; {kinds}");
    let three = "a symmetric row of 3 bits is not supported: take 2, 4 or 8 bits, or affine rows";
    let too_wide = "a codebook of 8 bits (256 centroids, 512 bytes) is not supported: take 2, 3 or 4 bits, or affine rows";
    let cases: &[(&Entries<'_>, &str)] = &[
        (&[("format", "")], "is no table file: quantize makes one"),
        (&[("kind", "groups"), ("bits", "x")], &kind),
        (&[("version", "2")], &version),
        (&[("bits", "5")], "bits: needed 2, 3, 4 or 8, got 5"),
        (
            &[("bits", "")],
            "its metadata \"bits\" is \"\", not a number",
        ),
        (
            &[("dim", "-1")],
            "its metadata \"dim\" is \"-1\", not a number",
        ),
        (&[("dim", "0")], "dim: needed 1 to 8192, got 0"),
        (
            &[("params", "f64")],
            "its metadata \"params\" is \"f64\", not f16 or f32",
        ),
        (
            &[("bits", "8")],
            "its metadata (q8h16, dim 8) needs U8 rows of 12 bytes, the tensor is U8 [2, 8]",
        ),
        (
            &[("kind", "codebook")],
            "its metadata (c4, dim 8) needs U8 rows of 36 bytes, the tensor is U8 [2, 8]",
        ),
        (
            &[("kind", "codebook"), ("params", "f32")],
            "its metadata \"params\" is \"f32\", not f16",
        ),
        (&[("kind", "symmetric"), ("bits", "3")], three),
        (
            &[("kind", "symmetric"), ("bits", "8"), ("params", "f32")],
            "its metadata (s8h32, dim 8) needs U8 rows of 12 bytes, the tensor is U8 [2, 8]",
        ),
        (
            &[("kind", "float"), ("params", "q4")],
            "its metadata \"params\" is \"q4\", not f32 or f16 or bf16",
        ),
        (
            &[("kind", "float")],
            "its metadata \"bits\" is \"4\"; f16 has 16",
        ),
        (
            &[("kind", "float"), ("params", "bf16"), ("bits", "32")],
            "its metadata \"bits\" is \"32\"; bf16 has 16",
        ),
        (
            &[("kind", "float"), ("bits", "16")],
            "its metadata (f16, dim 8) needs U8 rows of 16 bytes, the tensor is U8 [2, 8]",
        ),
        (&[("kind", "codebook"), ("bits", "8")], too_wide),
        (&[("kind", "blocks"), ("bits", "8")], too_wide),
        (
            &[("kind", "blocks")],
            "its metadata \"blocks\" is \"\", not a number",
        ),
    ];
    for (others, text) in cases {
        refused(&path, load(rows, others), text);
    }
    let cows = load(&[("cows", Dtype::U8, &[2, 8], &[0; 16])], &[]);
    refused(&path, cows, "has no tensor rows; it has cows");
    let signed = load(&[("rows", Dtype::I8, &[2, 8], &[0; 16])], &[]);
    let text = "its metadata (q4h16, dim 8) needs U8 rows of 8 bytes, the tensor is I8 [2, 8]";
    refused(&path, signed, text);
}

#[test]
fn tables_of_blocks_that_cannot_be() {
    let folder = Folder::new();
    let sound = [
        ("format", "qembed"),
        ("version", "1"),
        ("kind", "blocks"),
        ("bits", "2"),
        ("params", "f16"),
        ("dim", "16"),
        ("blocks", "3"),
    ];
    let path = folder.path("t.safetensors");
    let load = |tensors: &Tensors<'_>, others: &Entries<'_>| load(&path, tensors, &sound, others);
    let rows = ("rows", Dtype::U8, &[3, 4][..], &[0; 12][..]);
    let codebooks = ("codebooks", Dtype::F16, &[3, 4][..], &[0; 24][..]);
    let ids = ("block_ids", Dtype::U8, &[4][..], &[0b01_00_10, 0, 0, 0][..]);
    let table = load(&[rows, codebooks, ids], &[]).unwrap().table;
    let blocks = table.blocks().unwrap();
    assert_eq!([0, 1, 2].map(|row| blocks.id(row)), [2, 0, 1]);

    let bad_id = ("block_ids", Dtype::U8, &[4][..], &[0b00_11_00, 0, 0, 0][..]);
    let more_ids = ("block_ids", Dtype::U8, &[8][..], &[0; 8][..]);
    let signed_ids = ("block_ids", Dtype::I8, &[4][..], &[0; 4][..]);
    let other_codebooks = ("codebooks", Dtype::BF16, &[3, 4][..], &[0; 24][..]);
    let long_codebooks = ("codebooks", Dtype::F16, &[2, 6][..], &[0; 24][..]);
    let no_codebooks = ("codebooks", Dtype::F16, &[0, 4][..], &[][..]);
    let no_ids = ("block_ids", Dtype::U8, &[0][..], &[][..]);
    let cases: &[(&Tensors<'_>, &Entries<'_>, &str)] = &[
        (
            &[rows, codebooks, bad_id],
            &[],
            "block ids: needed below 3, the number of codebooks, got 3",
        ),
        (
            &[rows, codebooks, more_ids],
            &[],
            "its metadata and 3 rows need block_ids U8 [4], the tensor is U8 [8]",
        ),
        (
            &[rows, codebooks, signed_ids],
            &[],
            "its metadata and 3 rows need block_ids U8 [4], the tensor is I8 [4]",
        ),
        (
            &[rows, other_codebooks, ids],
            &[],
            "its metadata and 3 rows need codebooks F16 [3, 4], the tensor is BF16 [3, 4]",
        ),
        (
            &[rows, long_codebooks, ids],
            &[],
            "its metadata and 3 rows need codebooks F16 [3, 4], the tensor is F16 [2, 6]",
        ),
        (
            &[rows, codebooks, ids],
            &[("blocks", "4294967295")],
            "its metadata and 3 rows need codebooks F16 [4294967295, 4], the tensor is F16 [3, 4]",
        ),
        (
            &[rows, no_codebooks, no_ids],
            &[("blocks", "0")],
            "codebooks: needed a multiple of 2 words, at least one codebook, got 0",
        ),
        (
            &[rows, codebooks],
            &[],
            "has no tensor block_ids; it has codebooks, rows",
        ),
        (
            &[rows, ids],
            &[],
            "has no tensor codebooks; it has block_ids, rows",
        ),
        (
            &[rows, codebooks, ids],
            &[("params", "f32")],
            "its metadata \"params\" is \"f32\", not f16",
        ),
    ];
    for (tensors, others, text) in cases {
        refused(&path, load(tensors, others), text);
    }
}

// Tables in parts.

/// Appends rows of a table, as a table each.
fn append(
    file: &mut TableWriter<'_>,
    whole: &PackedTable,
    rows: std::ops::Range<usize>,
) -> Result<()> {
    let words = rows.flat_map(|row| whole.row_words(row)).copied().collect();
    file.append(&PackedTable::from_words(
        whole.format(),
        whole.dim() as usize,
        words,
    )?)
}

#[test]
fn a_file_in_parts_is_that_of_the_whole() {
    let folder = Folder::new();
    let formats = Format::all().filter(|format| !matches!(format, Format::Blocks { .. }));
    for format in formats {
        let whole = table(format, 100, 33, 1);
        let method = "asym";
        let (path, parts) = (folder.path("t.safetensors"), folder.path("p.safetensors"));
        let file = TableFile {
            table: whole.clone(),
            method: method.into(),
        };
        file.save(&path).unwrap();
        let shape = TableShape {
            format,
            rows: 100,
            dim: 33,
            method,
        };
        for ends in [&[100][..], &[1, 2, 2, 50, 100], &[0, 99, 100, 100]] {
            TableFile::save_in_parts(&parts, &shape, |file| {
                let mut start = 0;
                for &end in ends {
                    append(file, &whole, start..end)?;
                    start = end;
                }
                Ok(())
            })
            .unwrap();
            assert!(std::fs::read(&path).unwrap() == std::fs::read(&parts).unwrap());
        }
    }
    assert_eq!(folder.names(), ["p.safetensors", "t.safetensors"]);
}

#[test]
fn a_table_in_parts_may_have_no_rows() {
    let folder = Folder::new();
    let path = folder.path("t.safetensors");
    let format = Format::affine(Bits::B4);
    let shape = TableShape {
        format,
        rows: 0,
        dim: 8,
        method: "",
    };
    TableFile::save_in_parts(&path, &shape, |_| Ok(())).unwrap();
    assert_eq!(TableFile::load(&path).unwrap().table.rows(), 0);
}

/// Neither a new file nor a change to the one that was there.
#[test]
fn a_part_that_fails_leaves_everything_as_it_was() {
    let folder = Folder::new();
    let old = folder.file("old.safetensors", b"precious");
    let format = Format::affine(Bits::B4);
    let whole = table(format, 10, 8, 1);
    let shape = TableShape {
        format,
        rows: 10,
        dim: 8,
        method: "asym",
    };
    type Write<'a> = &'a dyn Fn(&mut TableWriter<'_>) -> Result<()>;
    let cases: [(Write<'_>, &str); 6] = [
        (
            &|file| {
                append(file, &whole, 0..5)?;
                Err(Error::NarrowingRefused)
            },
            "the table has f32 headers, the layout f16 ones; allow narrowing or quantize with f16 headers",
        ),
        (
            &|file| append(file, &whole, 0..9),
            "parts: needed 10 rows, got 9",
        ),
        (&|_| Ok(()), "parts: needed 10 rows, got 0"),
        (
            &|file| {
                append(file, &whole, 0..9)?;
                append(file, &whole, 8..10)
            },
            "part: needed at most 1 rows, the rest of 10, got 2",
        ),
        (
            &|file| file.append(&table(Format::affine(Bits::B2), 1, 8, 1)),
            "part: needed q4h16 rows of dim 8, got q2h16 rows of dim 8",
        ),
        (
            &|file| file.append(&table(format, 1, 9, 1)),
            "part: needed q4h16 rows of dim 8, got q4h16 rows of dim 9",
        ),
    ];
    for (write, text) in cases {
        for path in [&old, &folder.path("new.safetensors")] {
            let error = TableFile::save_in_parts(path, &shape, write).unwrap_err();
            assert_eq!(error.to_string(), text);
            assert_eq!(folder.names(), ["old.safetensors"]);
            assert_eq!(std::fs::read(&old).unwrap(), b"precious");
        }
    }
}

/// A part that was refused may be followed by one that fits.
#[test]
fn a_refused_part_counts_for_nothing() {
    let folder = Folder::new();
    let path = folder.path("t.safetensors");
    let format = Format::affine(Bits::B4);
    let whole = table(format, 10, 8, 1);
    let shape = TableShape {
        format,
        rows: 10,
        dim: 8,
        method: "asym",
    };
    TableFile::save_in_parts(&path, &shape, |file| {
        append(file, &whole, 0..6)?;
        append(file, &whole, 0..6).unwrap_err();
        append(file, &whole, 6..10)
    })
    .unwrap();
    assert!(TableFile::load(&path).unwrap().table == whole);
}

#[test]
fn shapes_that_no_table_has_are_refused_before_the_work() {
    let folder = Folder::new();
    let format = Format::affine(Bits::B4);
    let sound = TableShape {
        format,
        rows: 1,
        dim: 8,
        method: "",
    };
    let bits = Bits::B8;
    let cases = [
        (
            TableShape { dim: 0, ..sound },
            "dim: needed 1 to 8192, got 0",
        ),
        (
            TableShape {
                rows: 1 << 32,
                ..sound
            },
            "rows: needed at most 4294967295, got 4294967296",
        ),
        (
            TableShape {
                format: Format::Blocks { bits: Bits::B4 },
                ..sound
            },
            "a table of shared codebooks in parts is not supported: write it whole with TableFile::save",
        ),
        (
            TableShape {
                format: Format::Codebook { bits },
                ..sound
            },
            "a codebook of 8 bits (256 centroids, 512 bytes) is not supported: take 2, 3 or 4 bits, or affine rows",
        ),
    ];
    for (shape, text) in cases {
        let path = folder.path("t.safetensors");
        let saved = TableFile::save_in_parts(&path, &shape, |_| panic!("it was called"));
        assert_eq!(saved.unwrap_err().to_string(), text);
    }
    let path = folder.path("no/t.safetensors");
    let saved = TableFile::save_in_parts(&path, &sound, |_| panic!("it was called"));
    refused(&path, saved, "cannot be written: its folder does not exist");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn what_ends_a_replacement_is_told() {
    let folder = Folder::new();
    let path = folder.path("file");
    let burns = replace(&path, |_| Err(std::io::Error::other("the disk burns")));
    refused(&path, burns, "cannot be written: the disk burns");
    let lost = replace(&path, |_| Err(std::io::Error::other(Error::DeviceLost)));
    assert!(matches!(lost, Err(Error::DeviceLost)));
    assert_eq!(folder.names(), [""; 0]);
}
