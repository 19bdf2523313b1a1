//! Looks rows up and pools them.

use std::path::Path;

use qembed::io::{TableFile, npy};
use qembed::{LookupRequest, OutOfRange, Pooling, Values};

use super::file_problem;
use crate::args::{Lookup, OutOfRangeChoice, PoolingChoice};
use crate::device::{Device, Software};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command.
pub fn run(args: &Lookup, terminal: &Terminal) -> Result<(), Failure> {
    let pooling = pooling(args)?;
    let out_of_range = match args.out_of_range {
        OutOfRangeChoice::Error => OutOfRange::Error,
        OutOfRangeChoice::Skip => OutOfRange::Skip,
    };
    let spinner = terminal.spinner("looking up");
    let table = TableFile::load(&args.table)?.table;
    let indices = read_indices(&args.indices, out_of_range)?;
    let offsets = args.offsets.as_deref();
    let offsets = offsets
        .map(|path| read_offsets(path, out_of_range))
        .transpose()?;
    let weights = args.weights.as_deref().map(read_weights).transpose()?;
    if let (Some(path), Some(weights)) = (&args.weights, &weights)
        && weights.len() != indices.len()
    {
        let problem = format!(
            "holds {} weights, {} holds {} indices; one for each is needed",
            weights.len(),
            args.indices.display(),
            indices.len()
        );
        return Err(file_problem(path, problem));
    }

    let device = Device::open(args.device, Software::Avoided)?;
    let request = LookupRequest {
        pooling,
        indices: &indices,
        offsets: offsets.as_deref(),
        weights: weights.as_deref(),
        output: args.dtype.into(),
        out_of_range,
    };
    let looked = device
        .upload(&table)
        .and_then(|table| table.lookup(request))
        .map_err(|error| named(args, error))?;
    let dim = table.dim() as usize;
    let rows = match &offsets {
        Some(offsets) => offsets.len() - 1,
        None => indices.len(),
    };
    match &looked.values {
        Values::F32(values) => npy::write_f32(&args.output, &[rows, dim], values)?,
        Values::F16(values) => npy::write_f16(&args.output, &[rows, dim], values)?,
    }
    spinner.finish_and_clear();
    let mut text = format!(
        "{}: {rows} rows x {dim}, {}; on {}",
        args.output.display(),
        qembed::Output::from(args.dtype).name(),
        device.name()
    );
    if looked.status != qembed::LookupStatus::CLEAR {
        text += &format!(
            "; skipped {} bad indices and {} bad bags",
            looked.status.bad_indices, looked.status.bad_bags
        );
    }
    terminal.print(&text)
}

/// The pooling asked for, or what the presence of offsets means.
fn pooling(args: &Lookup) -> Result<Pooling, Failure> {
    let usage = |message: &str| Err(Failure::Usage(message.into()));
    match (args.pooling, &args.offsets) {
        (None, Some(_)) => Ok(Pooling::Sum),
        (None | Some(PoolingChoice::None), None) => Ok(Pooling::None),
        (Some(PoolingChoice::None), Some(_)) => {
            usage("--offsets: pooling none has no bags; leave the offsets out or pool")
        }
        (Some(_), None) => usage("--pooling: pooling needs bags; give --offsets"),
        (Some(PoolingChoice::Max), Some(_)) if args.weights.is_some() => usage(
            "--weights: a weighted max is not supported; leave the weights out or pool by sum or mean",
        ),
        (Some(pooling), Some(_)) => Ok(pooling.into()),
    }
}

/// Indices as u32.
fn read_indices(path: &Path, out_of_range: OutOfRange) -> Result<Vec<u32>, Failure> {
    let values = read_list(path)?.into_iter().enumerate();
    values
        .map(|(position, value)| checked(path, position, value, out_of_range, "row"))
        .collect()
}

/// Offsets as u32.
fn read_offsets(path: &Path, out_of_range: OutOfRange) -> Result<Vec<u32>, Failure> {
    let values = read_list(path)?;
    if values.is_empty() {
        return Err(file_problem(
            path,
            "is empty; offsets have bags + 1 entries",
        ));
    }
    let values = values.into_iter().enumerate();
    values
        .map(|(position, value)| checked(path, position, value, out_of_range, "offset"))
        .collect()
}

/// What no u32 holds is an error, or, where what is out of range is skipped, u32::MAX: no row of any
/// table, and beyond the end of any bag.
fn checked(
    path: &Path,
    position: usize,
    value: i64,
    out_of_range: OutOfRange,
    what: &str,
) -> Result<u32, Failure> {
    match (u32::try_from(value), out_of_range) {
        (Ok(value), _) => Ok(value),
        (Err(_), OutOfRange::Skip) => Ok(u32::MAX),
        (Err(_), OutOfRange::Error) => {
            let problem = format!(
                "position {position} holds {value}, which is no {what} (--out-of-range skip)"
            );
            Err(file_problem(path, problem))
        }
    }
}

fn read_list(path: &Path) -> Result<Vec<i64>, Failure> {
    let array = npy::read_integers(path)?;
    one_dimension(path, &array.shape)?;
    Ok(array.values)
}

fn read_weights(path: &Path) -> Result<Vec<f32>, Failure> {
    let array = npy::read_floats(path)?;
    one_dimension(path, &array.shape)?;
    Ok(array.values)
}

fn one_dimension(path: &Path, shape: &[usize]) -> Result<(), Failure> {
    match shape {
        [_] => Ok(()),
        _ => Err(file_problem(
            path,
            format!("needs one dimension, has {}: {shape:?}", shape.len()),
        )),
    }
}

/// Says which file is at fault: that of a bad index, that of a bad bag, or the table.
fn named(args: &Lookup, error: qembed::Error) -> Failure {
    use qembed::Error::{IndexOutOfRange, Offsets, Unsupported};
    let path = match (&error, &args.offsets) {
        (IndexOutOfRange { .. }, _) => &args.indices,
        (Offsets { .. } | Unsupported { .. }, Some(offsets)) => offsets,
        _ => &args.table,
    };
    Failure::about(path, error)
}
