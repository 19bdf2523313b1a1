//! Arrays in NumPy's format.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use half::f16;
use npyz::{
    AutoSerialize, DType, Deserialize, Endianness, NpyFile, Order, TypeChar, WriterBuilder,
};

use super::floats::{Encoding, Floats};
use super::replace::replace;
use super::{file_error, os_error, read_error};
use crate::Result;

/// An array of any shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<T> {
    /// Length of every dimension.
    pub shape: Vec<usize>,
    /// The elements; the last dimension is next to itself.
    pub values: Vec<T>,
}

type Npy = NpyFile<BufReader<File>>;

/// Reads f4 or f2, widened to f32.
///
/// # Errors
/// [`crate::Error::File`].
pub fn read_floats(path: &Path) -> Result<Array<f32>> {
    let mut floats = open_floats(path)?;
    let values = floats.read(0, floats.shape.iter().product())?;
    row_major(path, floats.order, floats.shape, values)
}

/// An array of f4 or f2; its values stay on disk.
pub(super) fn open_floats(path: &Path) -> Result<Floats> {
    let npy = open(path)?;
    let encoding =
        encoding(&npy.dtype()).ok_or_else(|| wrong_type(path, &npy, "float32 or float16"))?;
    let (shape, order) = (shape(&npy), npy.order());
    let mut reader = npy.into_inner();
    let start = reader
        .stream_position()
        .map_err(|error| read_error(path, &error))?;
    Ok(Floats {
        path: path.to_owned(),
        file: reader.into_inner(),
        start,
        shape,
        encoding,
        order,
    })
}

/// How floats of a plain type are stored, where they are of 4 or 2 bytes.
fn encoding(dtype: &DType) -> Option<Encoding> {
    let DType::Plain(plain) = dtype else {
        return None;
    };
    match (plain.type_char(), plain.size_field(), plain.endianness()) {
        (TypeChar::Float, 4, Endianness::Little) => Some(Encoding::F32),
        (TypeChar::Float, 4, Endianness::Big) => Some(Encoding::F32BigEndian),
        (TypeChar::Float, 2, Endianness::Little) => Some(Encoding::F16),
        (TypeChar::Float, 2, Endianness::Big) => Some(Encoding::F16BigEndian),
        _ => None,
    }
}

/// Reads i4, i8 or u4.
///
/// # Errors
/// [`crate::Error::File`].
pub fn read_integers(path: &Path) -> Result<Array<i64>> {
    fn widen<T: Into<i64>>(array: Array<T>) -> Array<i64> {
        Array {
            shape: array.shape,
            values: array.values.into_iter().map(T::into).collect(),
        }
    }
    let npy = open(path)?;
    match kind(&npy.dtype()) {
        Some((TypeChar::Int, 4)) => read::<i32>(path, npy).map(widen),
        Some((TypeChar::Int, 8)) => read::<i64>(path, npy),
        Some((TypeChar::Uint, 4)) => read::<u32>(path, npy).map(widen),
        _ => Err(wrong_type(path, &npy, "int32, int64 or uint32")),
    }
}

/// Reads u1.
///
/// # Errors
/// [`crate::Error::File`].
pub fn read_bytes(path: &Path) -> Result<Array<u8>> {
    let npy = open(path)?;
    match kind(&npy.dtype()) {
        Some((TypeChar::Uint, 1)) => read(path, npy),
        _ => Err(wrong_type(path, &npy, "uint8")),
    }
}

/// Writes f4, row-major, whole or not at all.
///
/// # Errors
/// [`crate::Error::File`], also where `shape` is not that of `values`.
pub fn write_f32(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    write(path, shape, values)
}

/// Writes f2, as [`write_f32`].
///
/// # Errors
/// As [`write_f32`].
pub fn write_f16(path: &Path, shape: &[usize], values: &[f16]) -> Result<()> {
    write(path, shape, values)
}

/// Writes u1, as [`write_f32`].
///
/// # Errors
/// As [`write_f32`].
pub fn write_u8(path: &Path, shape: &[usize], values: &[u8]) -> Result<()> {
    write(path, shape, values)
}

fn write<T: AutoSerialize + Copy>(path: &Path, shape: &[usize], values: &[T]) -> Result<()> {
    let shape: Vec<_> = shape.iter().map(|&length| length as u64).collect();
    replace(path, |file| {
        let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
        let mut writer = options.writer(file).begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()
    })
}

/// Reads the header and checks that the file is as long as it says.
fn open(path: &Path) -> Result<Npy> {
    let file = File::open(path).map_err(|error| os_error(path, "cannot be read", &error))?;
    let unreadable = |error| os_error(path, "is not a npy file", &error);
    let bytes = file.metadata().map_err(unreadable)?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    check_header(path, &mut reader)?;
    let header = npyz::NpyHeader::from_reader(&mut reader).map_err(unreadable)?;
    if header.uses_pickled_array() {
        return Err(file_error(path, "holds Python objects; needed numbers"));
    }
    let start = reader.stream_position().map_err(unreadable)?;
    let item = header.dtype().num_bytes().unwrap_or(0) as u64;
    let elements = header
        .shape()
        .iter()
        .try_fold(1u64, |product, length| product.checked_mul(*length));
    let expected = elements.and_then(|elements| elements.checked_mul(item));
    match expected.and_then(|expected| expected.checked_add(start)) {
        Some(expected) if expected == bytes => Ok(NpyFile::with_header(header, reader)),
        Some(expected) => Err(file_error(
            path,
            format!(
                "is truncated or damaged: its header promises {expected} bytes, it has {bytes}"
            ),
        )),
        None => Err(file_error(path, "is damaged: its shape overflows")),
    }
}

/// Checks that the header is of an array of numbers, in size, nesting and shape, before it is parsed;
/// leaves the reader at the start. The parser allocates what a header claims, recurses without end, takes
/// time exponential in the nesting, and multiplies the shape without a check.
fn check_header(path: &Path, reader: &mut BufReader<File>) -> Result<()> {
    const MAGIC: &[u8] = b"\x93NUMPY";
    const LONGEST: u64 = 1 << 16;
    const DEEPEST: usize = 8;
    let mut start = [0; 12];
    let length = (&mut *reader).take(12).read(&mut start).unwrap_or(0);
    if length < 12 || !start.starts_with(MAGIC) {
        return Err(file_error(path, "is not a npy file"));
    }
    let (text_at, claimed) = match start[6] {
        1 => (10, u64::from(u16::from_le_bytes([start[8], start[9]]))),
        _ => (
            12,
            u64::from(u32::from_le_bytes([
                start[8], start[9], start[10], start[11],
            ])),
        ),
    };
    if claimed > LONGEST {
        let problem = format!(
            "is damaged: its header claims {claimed} bytes, more than any array of numbers"
        );
        return Err(file_error(path, problem));
    }
    let mut header = vec![];
    reader
        .seek(SeekFrom::Start(text_at))
        .and_then(|_| (&mut *reader).take(claimed).read_to_end(&mut header))
        .and_then(|_| reader.rewind())
        .map_err(|error| os_error(path, "cannot be read", &error))?;
    let opening = header.iter().filter(|byte| b"([{".contains(byte)).count();
    if opening > DEEPEST {
        return Err(file_error(
            path,
            "is damaged, or no array of numbers: its header is nested",
        ));
    }
    if !lengths_multiply(&header) {
        return Err(file_error(path, "is damaged: its shape overflows"));
    }
    Ok(())
}

/// Whether all numbers of a header are decimal and their product fits u64; the shape's are among them.
fn lengths_multiply(header: &[u8]) -> bool {
    let words = header.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    words
        .filter(|word| word.first().is_some_and(u8::is_ascii_digit))
        .map(|word| str::from_utf8(word).ok()?.parse::<u64>().ok())
        .try_fold(1u64, |product, number| product.checked_mul(number?.max(1)))
        .is_some()
}

fn read<T: Deserialize + Copy>(path: &Path, npy: Npy) -> Result<Array<T>> {
    let (shape, order) = (shape(&npy), npy.order());
    let values = npy.into_vec().map_err(|error| read_error(path, &error))?;
    row_major(path, order, shape, values)
}

fn shape(npy: &Npy) -> Vec<usize> {
    npy.shape().iter().map(|&length| length as usize).collect()
}

/// Values in the file's order as an array.
fn row_major<T: Copy>(
    path: &Path,
    order: Order,
    shape: Vec<usize>,
    values: Vec<T>,
) -> Result<Array<T>> {
    let values = match (order, &shape[..]) {
        (Order::C, _) | (Order::Fortran, [] | [_]) => values,
        (Order::Fortran, &[rows, columns]) => transposed(&values, rows, columns),
        (Order::Fortran, _) => {
            let problem = "is in Fortran order; save it with numpy.ascontiguousarray";
            return Err(file_error(path, problem));
        }
    };
    Ok(Array { shape, values })
}

/// Column-major to row-major.
fn transposed<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    let place = |at: usize| values[at % columns * rows + at / columns];
    (0..values.len()).map(place).collect()
}

/// Kind and bytes of a plain type.
fn kind(dtype: &DType) -> Option<(TypeChar, u64)> {
    match dtype {
        DType::Plain(plain) => Some((plain.type_char(), plain.size_field())),
        _ => None,
    }
}

fn wrong_type(path: &Path, npy: &Npy, needed: &str) -> crate::Error {
    let got = npy.dtype().descr();
    file_error(path, format!("holds {got}; needed {needed}"))
}
