//! A run of training in a safetensors file: its table, the state of its optimizers, and string metadata that
//! says everything else (`docs/formats.md`).

use std::io::Write;
use std::path::Path;

use safetensors::Dtype;

use super::checkpoint_metadata::CheckpointMetadata;
use super::file_error;
use super::replace::replace;
use super::safetensors_file::SafetensorsFile;
use super::tensors::{Tensor, check_tensors, read_rows, read_words, write_header};
use crate::training::Checkpoint;
use crate::{PackedTable, Result};

/// Saves and loads a run between two steps; what is loaded goes on bit for bit.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointFile;

impl CheckpointFile {
    /// Writes a checkpoint, whole or not at all. The same run gives the same bytes.
    ///
    /// # Errors
    /// [`crate::Error::Shape`], [`crate::Error::Unsupported`] and [`crate::Error::Step`] for a run that could not
    /// be resumed, before anything is written; [`crate::Error::File`].
    ///
    /// # Examples
    /// ```no_run
    /// use qembed::cpu::Training;
    /// use qembed::io::CheckpointFile;
    /// # fn resume(training: Training) -> qembed::Result<()> {
    /// CheckpointFile::save("run.safetensors".as_ref(), training.checkpoint())?;
    /// let training = Training::resume(CheckpointFile::load("run.safetensors".as_ref())?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn save(path: &Path, run: &Checkpoint) -> Result<()> {
        run.check()?;
        let metadata = CheckpointMetadata::of(run);
        let tensors = tensors(&metadata, run.table.rows());
        replace(path, |file| {
            write_header(file, metadata.to_json(), &tensors)?;
            file.write_all(run.table.bytes())?;
            file.write_all(bytemuck::cast_slice(&run.state))?;
            file.write_all(bytemuck::cast_slice(&run.step_state))
        })
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`crate::Error::File`] where it cannot be read, is no checkpoint, where metadata and tensors
    /// disagree, and where no run could go on from it.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let mut file = SafetensorsFile::open(path)?;
        let entries = file.metadata.metadata().clone().unwrap_or_default();
        let metadata = CheckpointMetadata::read(path, entries)?;
        let (format, dim) = (metadata.format, metadata.dim);
        let rows = read_rows(path, &file, (format, dim))?;
        check_tensors(path, &file, rows, &tensors(&metadata, rows))?;
        let words = read_words(&mut file, "rows")?;
        let problem = |error| file_error(path, error);
        let run = Checkpoint {
            spec: metadata.spec,
            number: metadata.number,
            table: PackedTable::from_words(format, dim as usize, words).map_err(problem)?,
            state: read_floats(&mut file, "state")?,
            step_state: read_floats(&mut file, "step_state")?,
        };
        run.check().map_err(problem)?;
        Ok(run)
    }
}

/// The tensors in the order of their data: all are whole words.
fn tensors(metadata: &CheckpointMetadata, rows: u32) -> [Tensor; 3] {
    let CheckpointMetadata {
        format, dim, spec, ..
    } = metadata;
    let (steps, step_len) = spec.learned.map_or((0, 0), |learned| {
        (learned.count(rows), learned.optimizer.state_len(1))
    });
    let tensor = |name, dtype, rows: u32, len: u32| Tensor {
        name,
        dtype,
        shape: vec![rows.into(), len.into()],
    };
    [
        tensor("rows", Dtype::U8, rows, format.row_bytes(*dim)),
        tensor("state", Dtype::F32, rows, spec.optimizer.state_len(*dim)),
        tensor("step_state", Dtype::F32, steps, step_len),
    ]
}

/// A tensor of f32, bit for bit.
fn read_floats(file: &mut SafetensorsFile<'_>, name: &str) -> Result<Vec<f32>> {
    let words = read_words(file, name)?;
    Ok(words.into_iter().map(f32::from_bits).collect())
}
