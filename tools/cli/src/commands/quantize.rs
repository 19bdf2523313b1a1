//! Quantizes a matrix to a table file, in parts where it is large.

use std::ops::Range;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use qembed::io::{MatrixFile, TableFile, TableShape};
use qembed::{Error, Format, Method, PackedTable, Params};

use super::{file_problem, grouped};
use crate::args::{DeviceChoice, Quantize};
use crate::device::{Device, Software};
use crate::failure::Failure;
use crate::parameters::{check, tuned};
use crate::terminal::Terminal;

/// Values of one part, where memory would hold more: the progress bar moves, and the rest of the memory
/// stays free.
const PART_BYTES: u64 = 8 << 20;
/// Rows that the CPU quantizes together.
const ROWS_TOGETHER: u64 = 16;

/// A matrix on its way into a table.
struct Job<'a> {
    args: &'a Quantize,
    matrix: MatrixFile,
    format: Format,
    method: Method,
    device: Device,
    quantizing: Duration,
}

/// Runs the command.
pub fn run(args: &Quantize, terminal: &Terminal) -> Result<(), Failure> {
    let method = tuned(method(args)?, &args.parameters)?;
    refuse_what_centroids_lack(args, method)?;
    let format = format(args, method)?;
    check(method, format)?;
    let matrix = MatrixFile::open(&args.input, args.tensor.as_deref())?;
    let mut job = Job {
        args,
        matrix,
        format,
        method,
        device: device(args.device, method)?,
        quantizing: Duration::ZERO,
    };
    let bar = terminal.progress("quantizing", job.matrix.rows() as u64);
    // Shown at once: the first part of a slow method takes a while, kmeans-cls has but one.
    bar.enable_steady_tick(Duration::from_millis(100));
    let bytes = match method {
        Method::KmeansCls { .. } => job.whole()?,
        _ => job.in_parts(&bar)?,
    };
    bar.finish_and_clear();
    let (rows, dim) = (job.matrix.rows(), job.matrix.dim());
    terminal.print(&format!(
        "{}: {rows} rows x {dim}, {format}, {} bytes, {:.2} % of f32; quantized in {:.6} s on {}",
        args.output.display(),
        grouped(bytes),
        100.0 * bytes as f64 / (4.0 * rows as f64 * dim as f64),
        job.quantizing.as_secs_f64(),
        job.device.name(),
    ))
}

/// The method that was named, or the one that the rows are made by unless told otherwise.
fn method(args: &Quantize) -> Result<Method, Failure> {
    match (args.values.float, args.method) {
        (None, Some(Method::Cast)) => Err(Failure::Usage(
            "--method: cast writes floats; take --float in place of --bits".into(),
        )),
        (None, method) => Ok(method.unwrap_or_default()),
        (Some(_), None | Some(Method::Cast)) => Ok(Method::Cast),
        (Some(_), Some(method)) => Err(Failure::Usage(format!(
            "--method: {} writes codes; take --bits in place of --float, or leave it out",
            method.name()
        ))),
    }
}

fn format(args: &Quantize, method: Method) -> Result<Format, Failure> {
    match (args.values.float, args.values.bits) {
        (Some(float), _) => Ok(Format::Float(float.into())),
        (None, Some(bits)) => method
            .format(bits, args.params.map(Params::from))
            .map_err(|error| Failure::Usage(format!("--method {}: {error}", method.name()))),
        (None, None) => Err(Failure::Usage(
            "--bits or --float: one of them is needed".into(),
        )),
    }
}

/// Refuses flags that have no meaning with codebooks.
fn refuse_what_centroids_lack(args: &Quantize, method: Method) -> Result<(), Failure> {
    let name = method.name();
    match (method, args.params, args.device) {
        (Method::Kmeans { .. } | Method::KmeansCls { .. }, Some(_), _) => Err(Failure::Usage(
            format!("--params: the centroids of {name} are f16; leave it out"),
        )),
        (Method::KmeansCls { .. }, _, DeviceChoice::Gpu) => Err(Failure::Usage(format!(
            "--device: {name} runs on the CPU alone; take cpu or auto"
        ))),
        _ => Ok(()),
    }
}

/// Blocks of rows are clustered on the CPU alone.
fn device(choice: DeviceChoice, method: Method) -> Result<Device, Failure> {
    Ok(match (choice, method) {
        (DeviceChoice::Auto, Method::KmeansCls { .. }) => Device::Cpu,
        _ => Device::open(choice, Software::Avoided)?,
    })
}

impl Job<'_> {
    /// Quantizes and writes part after part; gives the bytes of the table.
    fn in_parts(&mut self, bar: &ProgressBar) -> Result<u64, Failure> {
        let (rows, dim) = (self.matrix.rows(), self.matrix.dim());
        let part = self.rows_of_a_part()?;
        let shape = TableShape {
            format: self.format,
            rows,
            dim,
            method: self.method.name(),
        };
        let output = &self.args.output;
        TableFile::save_in_parts(output, &shape, |writer| {
            for start in (0..rows).step_by(part) {
                let end = (start + part).min(rows);
                writer.append(&self.part(start..end)?)?;
                bar.set_position(end as u64);
            }
            Ok(())
        })
        .map_err(|error| self.about_input(error))?;
        Ok(rows as u64 * u64::from(self.format.row_bytes(dim as u32)))
    }

    /// Quantizes all rows at once and writes them; gives the bytes of the table.
    fn whole(&mut self) -> Result<u64, Failure> {
        // The values and their copy in order, twice the centres of the blocks, of which there may be as many as
        // rows, and the table as often.
        let copies = match self.method {
            Method::KmeansCls {
                blocks: Some(_), ..
            } => 4,
            _ => 3,
        };
        let needed = self.bytes_of_a_row(copies) * self.matrix.rows() as u64;
        if needed > self.args.memory {
            let problem = format!(
                "{} takes all rows at once, about {} MiB; raise --memory",
                self.method.name(),
                needed.div_ceil(1 << 20)
            );
            return Err(file_problem(&self.args.input, problem));
        }
        let rows = 0..self.matrix.rows();
        let table = self.part(rows).map_err(|error| self.about_input(error))?;
        let bytes = table.total_bytes();
        let method = self.method.name().into();
        TableFile { table, method }.save(&self.args.output)?;
        Ok(bytes)
    }

    fn part(&mut self, rows: Range<usize>) -> Result<PackedTable, Error> {
        let dim = self.matrix.dim();
        let values = self.matrix.read_rows(rows.clone())?;
        let start = Instant::now();
        let table = self
            .device
            .quantize(&values, dim, self.format, self.method)
            .map_err(|error| moved(error, rows.start))?;
        self.quantizing += start.elapsed();
        Ok(table)
    }

    /// Rows that fit the memory at once.
    fn rows_of_a_part(&self) -> Result<usize, Failure> {
        let copies = match self.device {
            Device::Cpu => 1,
            // On the host, on their way, and on a device that may share the host's memory.
            Device::Gpu(_) => 3,
        };
        let row = self.bytes_of_a_row(copies);
        let fitting = self.args.memory / row;
        if fitting == 0 {
            return Err(Failure::Usage(format!(
                "--memory: one row takes {row} bytes, got {}",
                self.args.memory
            )));
        }
        let comfortable = (PART_BYTES / (4 * self.matrix.dim() as u64)).max(1);
        let rows = match fitting.min(comfortable) {
            rows if rows < ROWS_TOGETHER => rows,
            rows => rows - rows % ROWS_TOGETHER,
        };
        Ok(rows as usize)
    }

    /// Bytes of so many copies of a row's values, and of the packed row.
    fn bytes_of_a_row(&self, copies: u64) -> u64 {
        let dim = self.matrix.dim();
        copies * (4 * dim as u64 + u64::from(self.format.row_bytes(dim as u32)))
    }

    /// What is wrong with the values is about the input; a file's error names its file already.
    fn about_input(&self, error: Error) -> Failure {
        match error {
            error @ Error::File { .. } => Failure::from(error),
            error => Failure::about(&self.args.input, error),
        }
    }
}

/// An error whose rows count from the beginning of the matrix, not of the part.
fn moved(mut error: Error, start: usize) -> Error {
    if let Error::NotFinite { row, .. }
    | Error::HeaderRange { row, .. }
    | Error::StepRange { row, .. }
    | Error::CentroidRange { row, .. }
    | Error::FloatRange { row, .. }
    | Error::Unfinished { row } = &mut error
    {
        *row += start;
    }
    error
}
