//! Reads rows in another library's layout.

use qembed::io::{TableFile, npy};
use qembed::{Layout, PackedTable};

use super::file_problem;
use crate::args::{Import, LayoutChoice};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command.
pub fn run(args: &Import, terminal: &Terminal) -> Result<(), Failure> {
    let dim = u32::try_from(args.dim)
        .ok()
        .filter(|dim| qembed::DIM_RANGE.contains(dim))
        .ok_or_else(|| {
            let range = qembed::DIM_RANGE;
            Failure::Usage(format!(
                "--dim: needed {} to {}",
                range.start(),
                range.end()
            ))
        })?;
    let array = npy::read_bytes(&args.rows)?;
    let [rows, row_bytes] = array.shape[..] else {
        let problem = format!(
            "needs two dimensions (rows, bytes of a row), has {:?}",
            array.shape
        );
        return Err(file_problem(&args.rows, problem));
    };
    let layout = match args.layout {
        LayoutChoice::Pytorch => Layout::PyTorch,
        LayoutChoice::Tbe => Layout::tbe_of_length(args.bits, dim, row_bytes)
            .map_err(|error| file_problem(&args.rows, error))?,
    };
    let needed = layout.row_bytes(args.bits, dim) as usize;
    if row_bytes != needed {
        let bits = args.bits.count();
        let problem =
            format!("has rows of {row_bytes} bytes; {bits} bits and dim {dim} need {needed}");
        return Err(file_problem(&args.rows, problem));
    }
    let table = PackedTable::import(layout, args.bits, args.dim, &array.values)?;
    let format = table.format();
    let method = "import".into();
    TableFile { table, method }.save(&args.output)?;
    terminal.print(&format!(
        "{}: {rows} rows x {dim}, {format}",
        args.output.display()
    ))?;
    Ok(())
}
