//! Many tables at once.

use super::Session;
use crate::batched::refuse;
use crate::gpu::{Arena, BatchedSpec, Counts, LookupArgs};
use crate::request::{Looked, Values};
use crate::{
    BatchedRequest, BatchedTable, IndexType, LookupStatus, OutOfRange, PackedTable, Result,
    Weighting,
};

impl Session {
    /// Copies the tables of a batch to the device, into one buffer.
    ///
    /// # Errors
    /// [`crate::Error::Remap`] for an entry that is no row, [`crate::Error::Shape`] for an empty remap;
    /// [`crate::Error::Limit`] where one binding cannot hold all tables, [`crate::Error::OutOfMemory`],
    /// [`crate::Error::DeviceLost`].
    pub fn upload_arena(&self, tables: &[BatchedTable<'_>]) -> Result<Arena> {
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
        self.kernels.check_owner("arena", arena.kernels())?;
        arena.write_rows(&self.queue, (table, first_row), rows)
    }

    /// Any batched lookup, in one dispatch; zeros where no feature has its place.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where a feature names a table that is not there, where `offsets` does not have the same
    /// number of bags for every feature, for places that do not fit, and for an arena of another session;
    /// [`crate::Error::Unsupported`] for a gather, a weighted max and a bag longer than the driver walks;
    /// [`crate::Error::IndexOutOfRange`] and [`crate::Error::Offsets`] unless they are to be skipped;
    /// [`crate::Error::Limit`] where one binding does not hold the output, [`crate::Error::OutOfMemory`],
    /// [`crate::Error::DeviceLost`].
    pub fn batched(&self, arena: &Arena, request: BatchedRequest<'_>) -> Result<Looked> {
        let kernel = self.kernels.batched(
            arena,
            BatchedSpec {
                features: request.features,
                places: request.places,
                weighting: Weighting::of(request.weights),
                output: request.output,
                index: IndexType::U32,
            },
        )?;
        let bags = request.check()? as u32;
        let output_bytes = kernel.output_bytes(bags.into());
        let output = self.buffer("output", output_bytes)?;
        let indices = self.filled("indices", bytemuck::cast_slice(request.indices))?;
        let offsets = self.filled("offsets", bytemuck::cast_slice(request.offsets))?;
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
        let words = self.read(&output, 0, output_bytes)?;
        let mut values = Values::new(request.output);
        values.extend(words, kernel.output_elements(bags) as usize);
        Ok(Looked { values, status })
    }
}
