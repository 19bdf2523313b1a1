//! The main job on a real table: quantize, look up, pool, check, and show what it costs in quality.

use half::f16;
use qembed::verify::compare;
use qembed::verify::shapes::Random;
use qembed::{
    Bits, Format, LookupRequest, Method, OutOfRange, Output, PackedTable, Pooling, cpu, reference,
};

use super::{grouped, percent_of_f32};
use crate::args::Demo;
use crate::device::{Device, Software, Uploaded};
use crate::failure::Failure;
use crate::measure;
use crate::terminal::Terminal;

const MODEL: &[u8] = include_bytes!("../../data/minilm-words-2048.safetensors");
const WORDS: &str = include_str!("../../data/minilm-words-2048.txt");

/// Bags of the timed lookup, and indices in each.
const BAGS: u32 = 1024;
const BAG_LENGTH: u32 = 32;
/// Words whose neighbours are shown, and how many.
const ASKED: [&str; 4] = ["king", "water", "computer", "doctor"];
const NEIGHBOURS: usize = 5;

/// The table that ships with qembed.
struct Words {
    words: Vec<&'static str>,
    dim: usize,
    values: Vec<f32>,
}

/// What one format came to.
struct Measured {
    name: String,
    bytes: u64,
    percent: f64,
    error: f64,
    lookups_per_second: f64,
    fraction_of_copy: f64,
    largest_error: f64,
    values: Vec<f32>,
}

/// Runs the command.
pub fn run(args: &Demo, terminal: &Terminal) -> Result<(), Failure> {
    let words = read_words()?;
    let device = Device::open(args.device, Software::Welcome)?;
    let rows = words.words.len();
    terminal.print(&format!(
        "A real table: {} English words x {} f32, {} bytes, from all-MiniLM-L6-v2.\nDevice: {}\n",
        rows,
        words.dim,
        grouped(4 * words.values.len() as u64),
        device.name()
    ))?;
    let (indices, offsets) = batch(rows as u32);
    let bar = terminal.progress("measuring", 1 + Bits::ALL.len() as u64);
    let copy_rate = match &device {
        Device::Gpu(session) => measure::copy_rate(session)?,
        Device::Cpu => measure::copy_rate_of_memory()?,
    };
    bar.inc(1);
    let mut measured = vec![];
    for bits in [Bits::B8, Bits::B4, Bits::B2] {
        measured.push(measure(
            &device, &words, bits, &indices, &offsets, copy_rate,
        )?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    terminal.print(&table(&measured))?;
    terminal.print(&format!(
        "\nA lookup is one index; {BAGS} bags of {BAG_LENGTH} were summed. A copy on this device moves {:.1} GB/s.\n\
         Error: |X - X'| / |X|, Frobenius. Check: every sum against the reference, in units of its bound (at most 1).\n",
        copy_rate / 1e9
    ))?;
    terminal.print(&neighbours(&words, &measured))?;
    Ok(())
}

fn read_words() -> Result<Words, Failure> {
    let damaged = |error| Failure::Failed(format!("the built-in table: {error}"));
    let file = safetensors::SafeTensors::deserialize(MODEL).map_err(damaged)?;
    let tensor = file.tensor("word_embeddings").map_err(damaged)?;
    let halves = tensor.data().chunks_exact(2);
    Ok(Words {
        words: WORDS.lines().collect(),
        dim: tensor.shape()[1],
        values: halves
            .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
    })
}

/// Bags of random words.
fn batch(rows: u32) -> (Vec<u32>, Vec<u32>) {
    let mut random = Random::new(1);
    let indices = (0..BAGS * BAG_LENGTH).map(|_| random.below(rows)).collect();
    let offsets = (0..=BAGS).map(|bag| bag * BAG_LENGTH).collect();
    (indices, offsets)
}

fn measure(
    device: &Device,
    words: &Words,
    bits: Bits,
    indices: &[u32],
    offsets: &[u32],
    copy_rate: f64,
) -> Result<Measured, Failure> {
    let format = Format::affine(bits);
    let packed = device.quantize(&words.values, words.dim, format, Method::Asym)?;
    if packed != PackedTable::quantize(&words.values, words.dim, format, Method::Asym)? {
        return Err(Failure::Failed(format!(
            "{format}: the device's rows are not the reference's"
        )));
    }
    let uploaded = device.upload(&packed)?;
    let request = LookupRequest {
        pooling: Pooling::Sum,
        indices,
        offsets: Some(offsets),
        weights: None,
        output: Output::F32,
        out_of_range: OutOfRange::Error,
    };
    let sums = uploaded.lookup(request)?.values.into_f32();
    let expected = reference::lookup(
        &packed,
        reference::LookupArgs {
            pooling: Pooling::Sum,
            indices,
            offsets: Some(offsets),
            weights: None,
        },
    )?;
    let outcome = compare::lookup(&expected, Pooling::Sum, Output::F32, &sums);
    if let Some(failure) = outcome.failure {
        return Err(Failure::Failed(format!("{format}: {failure}")));
    }
    let seconds = match &uploaded {
        Uploaded::Gpu(session, table) => measure::lookup_seconds(session, table, indices, offsets)?,
        Uploaded::Cpu(table) => measure::median_seconds(|repetitions| {
            for _ in 0..repetitions {
                std::hint::black_box(cpu::lookup(table, request)?);
            }
            Ok(())
        })?,
    };
    let values = uploaded.dequantize()?;
    let row_bytes = format.row_bytes(packed.dim());
    Ok(Measured {
        name: format!("{} bits", bits.count()),
        bytes: packed.bytes().len() as u64,
        percent: percent_of_f32(row_bytes, packed.dim()),
        error: normalised_error(&words.values, &values),
        lookups_per_second: indices.len() as f64 / seconds,
        fraction_of_copy: moved_bytes(&packed, indices, offsets) / seconds / copy_rate,
        largest_error: outcome.largest,
        values,
    })
}

/// Bytes that a sum must move: rows with header and padding, indices, offsets, output.
fn moved_bytes(table: &PackedTable, indices: &[u32], offsets: &[u32]) -> f64 {
    let row_bytes = table.format().row_bytes(table.dim()) as usize;
    let output = 4 * (offsets.len() - 1) * table.dim() as usize;
    (indices.len() * (row_bytes + 4) + 4 * offsets.len() + output) as f64
}

/// `|x - y| / |x|`, Frobenius.
fn normalised_error(x: &[f32], y: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x).powi(2);
    let difference: f64 = x.iter().zip(y).map(|(x, y)| square(x - y)).sum();
    let whole: f64 = x.iter().map(|x| square(*x)).sum();
    (difference / whole).sqrt()
}

fn table(measured: &[Measured]) -> String {
    let mut lines = vec![format!(
        "{:8} {:>11} {:>9} {:>7} {:>9} {:>11} {:>8} {:>7}",
        "", "bytes", "% of f32", "smaller", "error", "lookups/s", "of copy", "check"
    )];
    lines.extend(measured.iter().map(|m| {
        format!(
            "{:8} {:>11} {:>9.2} {:>6.2}x {:>9.5} {:>11} {:>7.1}% {:>7.3}",
            m.name,
            grouped(m.bytes),
            m.percent,
            100.0 / m.percent,
            m.error,
            grouped(m.lookups_per_second as u64),
            100.0 * m.fraction_of_copy,
            m.largest_error
        )
    }));
    lines.join("\n")
}

/// The nearest words of a few words, before and after.
fn neighbours(words: &Words, measured: &[Measured]) -> String {
    let mut lines = vec!["Nearest words, before and after:".to_string()];
    let original = ("f32", &words.values);
    let after = measured.iter().map(|m| (m.name.as_str(), &m.values));
    let versions: Vec<_> = std::iter::once(original).chain(after).collect();
    for word in ASKED {
        let Some(row) = words.words.iter().position(|candidate| *candidate == word) else {
            continue;
        };
        for (i, (name, values)) in versions.iter().enumerate() {
            let asked = if i == 0 { word } else { "" };
            let nearest = nearest(values, words.dim, row);
            let nearest: Vec<_> = nearest.into_iter().map(|row| words.words[row]).collect();
            lines.push(format!("  {asked:10} {name:7} {}", nearest.join(", ")));
        }
    }
    lines.join("\n")
}

/// The rows with the largest cosine to one row, itself left out.
fn nearest(values: &[f32], dim: usize, row: usize) -> Vec<usize> {
    let norm = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
    let asked = &values[row * dim..][..dim];
    let mut cosines: Vec<_> = values
        .chunks_exact(dim)
        .map(|candidate| {
            let product: f32 = asked.iter().zip(candidate).map(|(x, y)| x * y).sum();
            product / norm(candidate)
        })
        .enumerate()
        .filter(|(candidate, _)| *candidate != row)
        .collect();
    cosines.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    cosines
        .into_iter()
        .take(NEIGHBOURS)
        .map(|(row, _)| row)
        .collect()
}
