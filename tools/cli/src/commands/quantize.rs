//! Quantizes a matrix to a table file.

use qembed::io::{TableFile, read_matrix};
use qembed::{Format, Params};

use super::{grouped, percent_of_f32};
use crate::args::Quantize;
use crate::device::{Device, Software};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command.
pub fn run(args: &Quantize, terminal: &Terminal) -> Result<(), Failure> {
    let spinner = terminal.spinner("reading");
    let matrix = read_matrix(&args.input, args.tensor.as_deref())?;
    let params = args
        .params
        .map_or(Params::default_for(args.bits), Params::from);
    let format = Format::Affine {
        bits: args.bits,
        params,
    };
    spinner.set_message("quantizing");
    let device = Device::open(args.device, Software::Avoided)?;
    let method = args.method.into();
    let table = device
        .quantize(&matrix.values, matrix.dim, format, method)
        .map_err(|error| Failure::about(&args.input, error))?;
    spinner.set_message("writing");
    let method = qembed::Method::name(method).to_string();
    let file = TableFile { table, method };
    file.save(&args.output)?;
    spinner.finish_and_clear();
    let row_bytes = format.row_bytes(matrix.dim as u32);
    terminal.print(&format!(
        "{}: {} rows x {}, {format}, {} bytes, {:.2} % of f32; quantized on {}",
        args.output.display(),
        matrix.rows,
        matrix.dim,
        grouped(matrix.rows as u64 * u64::from(row_bytes)),
        percent_of_f32(row_bytes, matrix.dim as u32),
        device.name(),
    ))?;
    Ok(())
}
