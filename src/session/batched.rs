//! Many tables at once.

use half::f16;

use super::Session;
use crate::batched::{check_ends, check_lengths, refuse};
use crate::gpu::{Arena, BatchedSpec, Counts, LookupArgs};
use crate::request::{Looked, Values};
use crate::{
    BatchedRequest, BatchedTable, Error, IndexType, LookupStatus, OutOfRange, Output, PackedTable,
    Result,
};

impl Session {
    /// Copies the tables of a batch to the device, into one buffer.
    ///
    /// # Errors
    /// [`Error::Remap`] for an entry that is no row, [`Error::Shape`] for an empty remap; [`Error::Limit`] where one
    /// binding cannot hold all tables, [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn upload_arena(&self, tables: &[BatchedTable<'_>]) -> Result<Arena, Error> {
        self.kernels.upload_arena(&self.queue, tables)
    }

    /// Writes rows over those of a table of an arena from `first_row` on; every later call sees them.
    ///
    /// # Errors
    /// Those of [`Arena::write_rows`].
    pub fn write_arena_rows(
        &self,
        arena: &Arena,
        (table, first_row): (usize, u32),
        rows: &PackedTable,
    ) -> Result<()> {
        self.kernels.check_arena(arena)?;
        arena.write_rows(&self.queue, (table, first_row), rows)
    }

    /// Any batched lookup, in one dispatch; zeros where no feature has its place.
    ///
    /// # Errors
    /// [`Error::Shape`] where a feature names a table that is not there, where `offsets` does not have the same number
    /// of bags for every feature, for places that do not fit, and for an arena of another session;
    /// [`Error::Unsupported`] for a gather, a weighted max and a bag longer than the driver walks;
    /// [`Error::IndexOutOfRange`] and [`Error::Offsets`] unless they are to be skipped; [`Error::Limit`] where one
    /// binding does not hold the output, [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn batched(&self, arena: &Arena, request: BatchedRequest<'_>) -> Result<Looked> {
        let kernel = self.kernels.batched(
            arena,
            BatchedSpec {
                features: request.features,
                places: request.places,
                weighting: request.weighting(),
                output: request.output,
                index: IndexType::U32,
            },
        )?;
        let features = request.features.len();
        let (indices, offsets) = (request.indices, request.offsets);
        let bags = check_lengths(features, indices.len(), offsets, request.weights)? as u32;
        if request.out_of_range == OutOfRange::Error {
            check_ends(&request)?;
        }
        let elements = kernel.output_elements(bags);
        let output = self.buffer("output", elements * request.output.bytes())?;
        let indices = self.filled("indices", bytemuck::cast_slice(indices))?;
        let offsets = self.filled("offsets", bytemuck::cast_slice(offsets))?;
        let weights = request
            .weights
            .map(|weights| self.filled("weights", bytemuck::cast_slice(weights)))
            .transpose()?;
        let status = self.filled("status", bytemuck::bytes_of(&LookupStatus::CLEAR))?;
        let bound = kernel.bind(LookupArgs {
            counts: Counts::Host {
                bags,
                indices: request.indices.len() as u32,
            },
            indices: Some(indices.as_entire_buffer_binding()),
            offsets: Some(offsets.as_entire_buffer_binding()),
            weights: weights
                .as_ref()
                .map(|buffer| buffer.as_entire_buffer_binding()),
            output: Some(output.as_entire_buffer_binding()),
            status: Some(status.as_entire_buffer_binding()),
        })?;
        self.submit(|pass| bound.record(pass))?;
        let words = self.read(&status, 0, size_of::<LookupStatus>() as u64)?;
        let status: LookupStatus = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words));
        if request.out_of_range == OutOfRange::Error {
            refuse(&status, &request, |table| arena.tables()[table].indices())?;
        }
        let words = self.read(&output, 0, elements * request.output.bytes())?;
        let values = match request.output {
            Output::F32 => Values::F32(bytemuck::cast_vec(words)),
            Output::F16 => {
                Values::F16(bytemuck::cast_slice::<u32, f16>(&words)[..elements as usize].to_vec())
            }
        };
        Ok(Looked { values, status })
    }
}
