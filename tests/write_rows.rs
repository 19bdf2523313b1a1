//! Rows of a live table, written in place: on the host and on the GPU (ring 4), and every error of it (ring 3, on
//! the noop device).

mod common;

use common::{Bench, Noop, gpu};
use qembed::gpu::{DequantizeArgs, Table, TableBuffers, TableDesc};
use qembed::verify::shapes::{self, Faults, Shape};
use qembed::wgpu::{BufferBinding, BufferUsages};
use qembed::{Bits, Error, Float, Format, PackedTable, Session};

const Q4: Format = Format::affine(Bits::B4);

fn table(format: Format, rows: u32, dim: u32, seed: u64) -> PackedTable {
    let shape = Shape {
        dim,
        rows,
        bags: vec![],
        faults: Faults::None,
    };
    shapes::table(&shape, format, seed).unwrap()
}

fn row_formats() -> impl Iterator<Item = Format> {
    Format::all().filter(|format| !matches!(format, Format::Blocks { .. }))
}

/// Where rows are written in a table of ten, and how many.
const PLACES: [(u32, u32); 7] = [(0, 1), (0, 10), (3, 4), (9, 1), (5, 5), (0, 0), (10, 0)];

/// Every row of `got` is that of `written` where it was written, else that of `before`.
fn assert_written(
    got: &PackedTable,
    before: &PackedTable,
    (first_row, written): (u32, &PackedTable),
) {
    let place = first_row..first_row + written.rows();
    for row in 0..before.rows() {
        let expected = match place.contains(&row) {
            true => written.row_words((row - first_row) as usize),
            false => before.row_words(row as usize),
        };
        let name = format!("{} row {row}, written {place:?}", before.format());
        assert_eq!(got.row_words(row as usize), expected, "{name}");
    }
    assert_eq!(got.rows(), before.rows());
}

#[test]
fn rows_on_the_host() {
    for format in row_formats() {
        let before = table(format, 10, 9, 1);
        for (first_row, rows) in PLACES {
            let written = table(format, rows, 9, 2);
            let mut after = before.clone();
            after.write_rows(first_row, &written).unwrap();
            assert_written(&after, &before, (first_row, &written));
        }
    }
}

#[test]
fn rows_of_a_session() {
    let Some(session) = gpu() else { return };
    for format in row_formats() {
        let before = table(format, 10, 9, 1);
        let live = session.upload(&before).unwrap();
        let mut expected = before.clone();
        for (first_row, rows) in PLACES {
            let written = table(format, rows, 9, 2 + u64::from(first_row));
            session.write_rows(&live, first_row, &written).unwrap();
            expected.write_rows(first_row, &written).unwrap();
            let got = session.gather(&live, &[0, 3, 9]).unwrap();
            let values = expected.dequantize();
            let rows = [0, 3, 9].map(|row| &values[9 * row..][..9]);
            assert_eq!(got, rows.concat(), "{format}");
            assert!(session.download(&live).unwrap() == expected, "{format}");
        }
    }
}

/// A table in the middle of the caller's own buffer: what lies around it stays, and what was bound before the rows
/// were written reads them.
#[test]
fn rows_in_an_arena() {
    const GUARD: u32 = 0x5e17_1e15;
    let Some(session) = gpu() else { return };
    let bench = Bench { session };
    for format in [Q4, Format::Float(Float::Bf16)] {
        let before = table(format, 10, 9, 1);
        let guard = [GUARD; 64];
        let arena = [&guard[..], before.words(), &guard].concat();
        let buffer = bench.buffer(&arena);
        let live = arena_table(session, &buffer, &before);
        let output = bench.buffer(&[0; 90]);
        let kernel = session.kernels().dequantize(format).unwrap();
        let args = DequantizeArgs {
            rows: 0..10,
            values: Some(output.as_entire_buffer_binding()),
        };
        let bound = kernel.bind(&live, args).unwrap();
        let assert_values = |table: &PackedTable| {
            bench.submit(|pass| bound.record(pass));
            let values = table.dequantize();
            assert_eq!(bench.read(&output), bytemuck::cast_slice::<_, u32>(&values));
        };
        assert_values(&before);
        let written = table(format, 3, 9, 2);
        live.write_rows(session.queue(), 4, &written).unwrap();
        let mut after = before.clone();
        after.write_rows(4, &written).unwrap();
        assert_values(&after);
        let expected = [&guard[..], after.words(), &guard].concat();
        assert!(bench.read(&buffer) == expected, "{format}");
    }
}

fn arena_table(session: &Session, buffer: &qembed::wgpu::Buffer, packed: &PackedTable) -> Table {
    let desc = TableDesc {
        format: packed.format(),
        rows: packed.rows(),
        dim: packed.dim(),
    };
    let rows = BufferBinding {
        buffer,
        offset: 256,
        size: None,
    };
    Table::from_buffers(session.kernels(), desc, TableBuffers { rows, blocks: None }).unwrap()
}

/// The error of writing rows to a table of ten rows of dim 8, the same on the host and on the device.
fn refused(first_row: u32, written: &PackedTable) -> Error {
    let noop = Noop::new();
    let mut host = table(Q4, 10, 8, 1);
    let live = noop.kernels.upload(&noop.queue, &host).unwrap();
    let error = live
        .write_rows(&noop.queue, first_row, written)
        .unwrap_err();
    let before = host.clone();
    let other = host.write_rows(first_row, written).unwrap_err();
    assert_eq!(error.to_string(), other.to_string());
    assert!(host == before);
    noop.submit(|_| ());
    error
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let text = |first_row, written: &PackedTable| refused(first_row, written).to_string();
    let needed = "rows: needed q4h16 rows of dim 8, as the table has, got";
    assert_eq!(
        text(0, &table(Format::affine(Bits::B8), 1, 8, 1)),
        format!("{needed} q8h32 rows of dim 8")
    );
    assert_eq!(
        text(0, &table(Q4, 1, 9, 1)),
        format!("{needed} q4h16 rows of dim 9")
    );
    let needed = "rows: needed rows within 0..10, got";
    for (first_row, rows) in [
        (10, 1),
        (8, 3),
        (0, 11),
        (11, 0),
        (u32::MAX, 1),
        (u32::MAX, 0),
    ] {
        assert_eq!(
            text(first_row, &table(Q4, rows, 8, 1)),
            format!("{needed} {rows} from row {first_row} on")
        );
    }
}

#[test]
fn rows_that_share_codebooks_are_refused() {
    let noop = Noop::new();
    let format = Format::Blocks { bits: Bits::B4 };
    let mut host = table(format, 10, 8, 1);
    let live = noop.kernels.upload(&noop.queue, &host).unwrap();
    let written = table(format, 2, 8, 2);
    let text = "writing rows that share codebooks is not supported: make the table anew: codebooks and block ids \
                belong to the whole of it";
    let error = live.write_rows(&noop.queue, 0, &written).unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(host.write_rows(0, &written).unwrap_err().to_string(), text);
}

/// The caller's own memory needs a usage that looking up does not need.
#[test]
fn a_buffer_that_nothing_is_copied_to_is_refused() {
    let noop = Noop::new();
    let written = table(Q4, 2, 8, 1);
    let desc = TableDesc {
        format: Q4,
        rows: 10,
        dim: 8,
    };
    let live = |usage| {
        let buffer = noop.buffer(desc.bytes(), usage);
        let rows = buffer.as_entire_buffer_binding();
        Table::from_buffers(&noop.kernels, desc, TableBuffers { rows, blocks: None }).unwrap()
    };
    let error = live(BufferUsages::STORAGE)
        .write_rows(&noop.queue, 3, &written)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: the buffer lacks the usage COPY_DST; add it where the buffer is created"
    );
    let copied = live(BufferUsages::STORAGE | BufferUsages::COPY_DST);
    copied.write_rows(&noop.queue, 8, &written).unwrap();
    noop.submit(|_| ());
}

#[test]
fn a_lost_device_is_said_to_be_lost() {
    let noop = Noop::new();
    let live = noop
        .kernels
        .upload(&noop.queue, &table(Q4, 10, 8, 1))
        .unwrap();
    noop.device.destroy();
    let error = live
        .write_rows(&noop.queue, 0, &table(Q4, 1, 8, 2))
        .unwrap_err();
    assert!(matches!(error, Error::DeviceLost), "{error}");
}

#[test]
fn a_table_of_another_session_is_refused() {
    let Some(session) = gpu() else { return };
    let other = Session::new().unwrap();
    let live = other.upload(&table(Q4, 10, 8, 1)).unwrap();
    let error = session
        .write_rows(&live, 0, &table(Q4, 1, 8, 2))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: needed one made with these kernels or a clone of them, got one made with others"
    );
}
