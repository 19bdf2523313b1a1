//! Bags of many tables pooled at once.

use std::sync::Arc;

use super::arguments::{
    Dispatch, Range, Work, check_binding_size, held, missing, read_range, status_range,
};
use super::kernels::Kernels;
use super::lookup::{BoundLookup, Counts, LookupArgs};
use super::pipeline::Pipeline;
use super::scope::filled_buffer;
use super::{Arena, ArenaTable};
use crate::batched::Placed;
use crate::format::id_bits;
use crate::shader::{
    self, BatchedKernel, BatchedPlan, BatchedUniform, CountsWords, FeatureWords, Parts,
};
use crate::{Error, Feature, IndexType, LookupStatus, Output, Place, Result, Weighting};

/// Which batched lookup.
#[derive(Clone, Copy, Debug)]
pub struct BatchedSpec<'a> {
    /// What is looked up.
    pub features: &'a [Feature],
    /// Where each feature's rows go in the output; `None` for `[bags, sum of dims]`, feature beside feature.
    pub places: Option<&'a [Place]>,
    /// With or without weights.
    pub weighting: Weighting,
    /// Type of the output.
    pub output: Output,
    /// Type of indices and offsets.
    pub index: IndexType,
}

/// A compiled lookup in many tables; see [`Kernels::batched`].
#[derive(Clone, Debug)]
pub struct BatchedLookup {
    kernels: Kernels,
    arena: Arena,
    placed: Placed,
    /// One for every feature; `first_group` depends on the bags.
    words: Vec<FeatureWords>,
    kernel: BatchedKernel,
    pipeline: Arc<Pipeline>,
}

/// What the bound ranges hold.
struct Extent {
    /// Bags of a feature.
    bags: u64,
    /// Bags of a feature whose offsets there are: the output may hold fewer.
    offset_bags: u64,
    indices: u64,
}

impl Kernels {
    /// The lookup of a batch in the tables of an arena; compiled at the first call for what the batch needs, then cached.
    ///
    /// # Errors
    /// [`Error::Shape`] for an arena of other kernels, a feature that names a table that is not there, places of
    /// another number than features, with a stride below the table's dim, or where f16 rows would share words;
    /// [`Error::Unsupported`] for a gather and a weighted max; [`Error::Limit`] for more features than a binding holds;
    /// [`Error::Device`], [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Compiles a kernel for what the features have (widths, floats, centroids, maxima, remaps) at the first call for it.
    pub fn batched(&self, arena: &Arena, spec: BatchedSpec<'_>) -> Result<BatchedLookup> {
        BatchedLookup::new(self, arena, spec, self.tuning().batched_plan())
    }

    /// [`Kernels::batched`] by a plan of the caller's choice: to measure, and to verify.
    ///
    /// # Errors
    /// Those of [`Kernels::batched`].
    pub fn batched_by(
        &self,
        arena: &Arena,
        spec: BatchedSpec<'_>,
        plan: BatchedPlan,
    ) -> Result<BatchedLookup> {
        BatchedLookup::new(self, arena, spec, plan)
    }
}

impl BatchedLookup {
    fn new(
        kernels: &Kernels,
        arena: &Arena,
        spec: BatchedSpec<'_>,
        plan: BatchedPlan,
    ) -> Result<Self> {
        kernels.check_owner("arena", arena.kernels())?;
        let features = spec.features.len() as u64;
        let features_bytes = features * size_of::<FeatureWords>() as u64;
        check_binding_size("features", features_bytes, kernels.limits())?;
        let tables = arena.tables();
        let dims: Vec<_> = tables.iter().map(|table| table.desc.dim).collect();
        let kind = (spec.weighting, spec.output);
        let placed = Placed::new(&dims, spec.features, spec.places, kind)?;
        let words: Vec<_> = std::iter::zip(spec.features, &placed.places)
            .map(|(feature, place)| {
                let mut words = feature_words(&tables[feature.table], feature, place);
                words.tile = plan.tile(&words);
                words
            })
            .collect();
        let kernel = BatchedKernel {
            weighting: spec.weighting,
            output: spec.output,
            index: spec.index,
            plan,
            parts: words.iter().fold(Parts::default(), Parts::with),
        };
        Ok(Self {
            kernels: kernels.clone(),
            arena: arena.clone(),
            placed,
            words,
            kernel,
            pipeline: kernels.pipeline(&shader::batched(&kernel))?,
        })
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.words.len()
    }

    /// Elements of an output that holds so many bags of every feature.
    pub fn output_elements(&self, bags: u32) -> u64 {
        self.placed.elements(bags.into())
    }

    /// Bytes of an output that holds so many bags of every feature; as many as there can be where they are more.
    pub(crate) fn output_bytes(&self, bags: u64) -> u64 {
        let elements = self.placed.elements(bags);
        elements.saturating_mul(self.kernel.output.bytes())
    }

    /// Checks every argument and binds them, in the terms of [`LookupArgs`]:
    /// `counts` are the bags per feature and the indices of all features; `offsets` has `features * bags + 1` entries,
    /// all bags of a feature before those of the next; `output` has [`BatchedLookup::output_elements`] elements, of which
    /// those that are in nobody's place are left alone; `status` numbers bags as `offsets` does.
    ///
    /// The lookup is one dispatch, none where there are no bags or no features, and then no range is needed; counts on the device cost no other, but
    /// the grid is that of the bags which the ranges hold. Bags beyond those that the output holds are left out; `offsets`
    /// lies as the counts say all the same.
    ///
    /// # Errors
    /// [`Error::Shape`] for ranges that are missing, or given and not read; [`Error::BufferTooSmall`], also where
    /// `offsets` has too few entries for the features; [`Error::BufferUsage`], [`Error::Misaligned`],
    /// [`Error::Aliased`], [`Error::Limit`]; [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates a bind group, 80 bytes for every feature, 16 to 24 bytes, and where there is no status, 16 bytes of
    /// scratch. Compiles, submits and waits for nothing.
    pub fn bind(&self, args: LookupArgs<'_>) -> Result<BoundLookup> {
        if args.weights.is_some() && self.kernel.weighting == Weighting::Unweighted {
            return Err(Error::Shape {
                argument: "weights",
                needed: "None for an unweighted batch".into(),
                got: "a range".into(),
            });
        }
        let nothing = BoundLookup::of(vec![]);
        if self.words.is_empty() {
            return Ok(nothing);
        }
        let extent = self.extent(&args)?;
        if extent.bags == 0 {
            return Ok(nothing);
        }
        let own;
        let counts = match &args.counts {
            Counts::Host { bags, indices } => {
                let (bags, indices) = (*bags, *indices);
                let usage = wgpu::BufferUsages::STORAGE;
                let words = CountsWords { bags, indices };
                let words = bytemuck::bytes_of(&words);
                own = filled_buffer(self.kernels.device(), "qembed.counts", usage, words)?;
                Range::whole("requested", &own)
            }
            Counts::Device(given) => {
                let bytes = size_of::<CountsWords>() as u64;
                Range::storage("counts", given, bytes, self.kernels.limits())?.renamed("requested")
            }
        };
        let dispatch = self.dispatch(&args, &extent, counts)?;
        Ok(BoundLookup::of(vec![dispatch]))
    }

    fn dispatch(
        &self,
        args: &LookupArgs<'_>,
        extent: &Extent,
        counts: Range<'_>,
    ) -> Result<Dispatch> {
        let device = self.kernels.device();
        let limits = self.kernels.limits();
        let (features, work) = self.grid(extent.bags)?;
        let features = filled_buffer(
            device,
            "qembed.features",
            wgpu::BufferUsages::STORAGE,
            bytemuck::cast_slice(&features),
        )?;
        let batch = filled_buffer(
            device,
            "qembed.batch",
            wgpu::BufferUsages::UNIFORM,
            bytemuck::bytes_of(&BatchedUniform {
                features: self.words.len() as u32,
                bags: extent.bags as u32,
                indices: extent.indices as u32,
                offset_bags: extent.offset_bags as u32,
            }),
        )?;
        let mut scratch = None;
        let clear = bytemuck::bytes_of(&LookupStatus::CLEAR);
        let status = status_range(&self.kernels, args.status.as_ref(), clear, &mut scratch)?;
        let stand_in = Range::whole("features", &features);
        let read = |name, binding, bytes| read_range(name, binding, bytes, &stand_in, limits);
        let index_bytes = self.kernel.index.bytes();
        let offsets = self.words.len() as u64 * extent.offset_bags + 1;
        let weights = match self.kernel.weighting {
            Weighting::Unweighted => 0,
            Weighting::Weighted => extent.indices,
        };
        let output = args.output.as_ref().ok_or_else(|| missing("output"))?;
        let output_bytes = self.output_bytes(extent.bags);
        check_binding_size("output", output_bytes, limits)?;
        let ranges = [
            Range::whole("batch", &batch),
            counts,
            self.arena.range(),
            read(
                "indices",
                args.indices.as_ref(),
                index_bytes * extent.indices,
            )?,
            read("offsets", args.offsets.as_ref(), index_bytes * offsets)?,
            read("weights", args.weights.as_ref(), 4 * weights)?,
            Range::storage("output", output, output_bytes, limits)?,
            status,
            stand_in.clone(),
        ];
        Dispatch::new(device, &self.pipeline, &ranges, work)
    }

    /// Every feature with its first workgroup, and how many there are.
    fn grid(&self, bags: u64) -> Result<(Vec<FeatureWords>, Work)> {
        let workgroup = self.kernel.plan.workgroup();
        let mut features = self.words.clone();
        let mut groups = 0u64;
        for feature in &mut features {
            feature.first_group = groups as u32;
            let lanes = bags * u64::from(feature.dim.div_ceil(feature.tile));
            groups += lanes.div_ceil(workgroup.into());
        }
        // Kernels count lanes in 32 bits, those of a grid that was folded to a whole last row too.
        let most = u64::from(u32::MAX / workgroup - shader::GRID_WIDTH);
        if groups > most {
            return Err(Error::Limit {
                argument: "output",
                name: "workgroups whose lanes 32 bits count",
                needed: groups,
                available: most,
            });
        }
        Ok((features, Work::groups("output", groups)?))
    }

    /// What the caller says that the ranges hold, or what they do where the counts come from the device.
    fn extent(&self, args: &LookupArgs<'_>) -> Result<Extent> {
        if let Counts::Host { bags, indices } = args.counts {
            return Ok(Extent {
                bags: bags.into(),
                offset_bags: bags.into(),
                indices: indices.into(),
            });
        }
        // At least one bag of every feature, so that what is bound does something.
        let limits = self.kernels.limits();
        let features = self.words.len() as u64;
        let kernel = &self.kernel;
        let indices = args.held_indices(kernel.index, kernel.weighting, limits)?;
        let needed = (kernel.index.bytes(), features + 1);
        let offsets = held("offsets", &args.offsets, needed, limits)?;
        let bags = (offsets - 1) / features;
        let one_bag = self.output_bytes(1).div_ceil(4);
        let words = held("output", &args.output, (4, one_bag), limits)?;
        let elements = 4 * words / kernel.output.bytes();
        Ok(Extent {
            bags: bags.min(self.placed.bags(elements)),
            offset_bags: bags,
            indices,
        })
    }
}

/// What the kernel is told of a feature, but for what depends on the plan and the bags.
fn feature_words(table: &ArenaTable, feature: &Feature, place: &Place) -> FeatureWords {
    let desc = table.desc;
    let blocks = table.blocks.map(|blocks| (blocks.count, blocks.first_word));
    let (blocks, first_codebook) = blocks.unwrap_or_default();
    let remap = table.remap.map(|remap| (remap.len, remap.first_word));
    let (remap_len, first_remap) = remap.unwrap_or_default();
    FeatureWords {
        rows: desc.rows,
        blocks,
        id_bits: id_bits(blocks),
        first_word: table.first_word,
        first_codebook,
        first_remap,
        remap_len,
        output_first: place.first,
        output_stride: place.stride,
        ..FeatureWords::of(desc.format, desc.dim, feature.pooling)
    }
}
