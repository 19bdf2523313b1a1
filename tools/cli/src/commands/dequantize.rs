//! Turns a table file back into f32 rows.

use qembed::io::{TableFile, npy};

use crate::args::Dequantize;
use crate::device::{Device, Software};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command.
pub fn run(args: &Dequantize, terminal: &Terminal) -> Result<(), Failure> {
    let spinner = terminal.spinner("dequantizing");
    let table = TableFile::load(&args.table)?.table;
    let device = Device::open(args.device, Software::Avoided)?;
    let values = device
        .upload(&table)
        .and_then(|table| table.dequantize())
        .map_err(|error| Failure::about(&args.table, error))?;
    let shape = [table.rows() as usize, table.dim() as usize];
    npy::write_f32(&args.output, &shape, &values)?;
    spinner.finish_and_clear();
    let [rows, dim] = shape;
    terminal.print(&format!(
        "{}: {rows} rows x {dim}, f32; on {}",
        args.output.display(),
        device.name()
    ))?;
    Ok(())
}
