//! Writes a table's rows in another library's layout.

use qembed::io::{TableFile, npy};
use qembed::{Layout, Narrow, RowAlignment};

use super::file_problem;
use crate::args::{Export, LayoutChoice};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// What FBGEMM pads rows to on a GPU.
const DEFAULT_ALIGNMENT: u32 = 16;

/// Runs the command.
pub fn run(args: &Export, terminal: &Terminal) -> Result<(), Failure> {
    let layout = match (args.layout, args.row_alignment) {
        (LayoutChoice::Pytorch, None) => Layout::PyTorch,
        (LayoutChoice::Pytorch, Some(_)) => {
            let message = "--row-alignment: pytorch rows have no padding; leave it out";
            return Err(Failure::Usage(message.into()));
        }
        (LayoutChoice::Tbe, alignment) => Layout::Tbe {
            row_alignment: RowAlignment::try_from(alignment.unwrap_or(DEFAULT_ALIGNMENT))
                .map_err(|_| Failure::Usage("--row-alignment: needed 1, 4 or 16".into()))?,
        },
    };
    let narrow = match args.narrow {
        true => Narrow::Round,
        false => Narrow::Refuse,
    };
    let table = TableFile::load(&args.table)?.table;
    let bits = table.format().bits().ok_or_else(|| {
        let problem = "holds floats; other libraries' rows have codes, quantize makes some";
        file_problem(&args.table, problem)
    })?;
    let bytes = table
        .export(layout, narrow)
        .map_err(|error| Failure::about(&args.table, error))?;
    let row_bytes = layout.row_bytes(bits, table.dim()) as usize;
    npy::write_u8(&args.output, &[table.rows() as usize, row_bytes], &bytes)?;
    terminal.print(&format!(
        "{}: {} rows of {row_bytes} bytes",
        args.output.display(),
        table.rows()
    ))?;
    Ok(())
}
