//! Order the positions of a batch by row: unique rows, segments, chunks.

use std::sync::Arc;

use super::arguments::{Dispatch, Range, Work, check_binding_size};
use super::kernels::Kernels;
use super::pipeline::Pipeline;
use super::scope::{alive, buffer, filled_buffer};
use crate::shader::{
    self, SORT_DIGIT_BITS, SORT_FEW_TILES, SORT_TILE, SORT_WORKGROUP, SortUniform,
};
use crate::{Error, Result};

/// Values of a digit, which are what is counted.
const DIGITS: u64 = SORT_WORKGROUP as u64;

/// The compiled kernels of a sort; see [`Kernels::sort`].
#[derive(Clone, Debug)]
pub struct Sort {
    kernels: Kernels,
    count: Arc<Pipeline>,
    scan: Arc<Pipeline>,
    scatter: Arc<Pipeline>,
    mark: Arc<Pipeline>,
    emit: Arc<Pipeline>,
}

/// Arguments of [`Sort::bind`].
#[derive(Clone, Debug)]
pub struct SortArgs<'a> {
    /// Number of keys.
    pub count: u32,
    /// Rows of the table; a key `>= rows` is dropped.
    pub rows: u32,
    /// `[count]` u32: the row of every position. Usage `STORAGE`; not read where `count` is 0.
    pub keys: wgpu::BufferBinding<'a>,
}

/// What a sort writes, and its scratch, for batches of at most so many positions.
///
/// The words are those of [`crate::reference::Sorted`]; behind what a batch needs they are left alone.
/// Usages `STORAGE` and `COPY_SRC`. One sort of a batch at a time: the next overwrites it.
#[derive(Clone, Debug)]
pub struct SortBuffers {
    kernels: Kernels,
    capacity: u32,
    positions: wgpu::Buffer,
    segments: wgpu::Buffer,
    chunks: wgpu::Buffer,
    ranks: wgpu::Buffer,
    totals: wgpu::Buffer,
    scratch: Scratch,
}

/// What only the sort's own kernels see.
#[derive(Clone, Debug)]
struct Scratch {
    /// The keys that belong to `SortBuffers::positions`.
    keys: wgpu::Buffer,
    /// Keys and positions of every other pass.
    other_keys: wgpu::Buffer,
    other_positions: wgpu::Buffer,
    /// `[tiles + 1, digits]`, the last for sums.
    counts: wgpu::Buffer,
}

/// A sort with its buffers, ready to be recorded any number of times.
#[derive(Clone, Debug)]
pub struct BoundSort {
    dispatches: Vec<Dispatch>,
}

impl BoundSort {
    /// Records the sort into the caller's pass: two dispatches for every 8 bits of `rows`, and two;
    /// three each for more than 131072 keys. Sets the pipeline and bind group 0.
    ///
    /// # Cost
    /// Allocates, compiles, submits and waits for nothing; cannot fail.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        for dispatch in &self.dispatches {
            dispatch.record(pass);
        }
    }

    pub(super) fn into_dispatches(self) -> Vec<Dispatch> {
        self.dispatches
    }
}

impl SortBuffers {
    /// The most positions of a batch.
    pub const MOST: u32 = 1 << 24;

    fn new(kernels: &Kernels, capacity: u32) -> Result<Self> {
        if capacity > Self::MOST {
            return Err(Error::Shape {
                argument: "capacity",
                needed: format!("at most {} positions", Self::MOST),
                got: capacity.to_string(),
            });
        }
        alive(kernels.device())?;
        let words = |name, words: u64| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            buffer(kernels.device(), name, 4 * words, usage)
        };
        let slots = u64::from(capacity);
        // A segment for every position; the pair behind them needs room only where no row comes twice.
        check_binding_size("segments", 8 * slots, kernels.limits())?;
        Ok(Self {
            kernels: kernels.clone(),
            capacity,
            positions: words("positions", slots)?,
            segments: words("segments", 2 * (slots + 1))?,
            chunks: words("chunks", slots + 1)?,
            ranks: words("ranks", slots)?,
            totals: words("totals", 4)?,
            scratch: Scratch {
                keys: words("sorted keys", slots)?,
                other_keys: words("sorted keys", slots)?,
                other_positions: words("positions", slots)?,
                counts: words("counts", DIGITS * (u64::from(tiles(capacity)) + 1))?,
            },
        })
    }

    /// The most positions that they hold.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// `[capacity]`: positions ordered by row, then by position; the dropped last.
    pub fn positions(&self) -> &wgpu::Buffer {
        &self.positions
    }

    /// `[capacity + 1, 2]`: row and first chunk of every segment, then `u32::MAX` and the number of chunks.
    pub fn segments(&self) -> &wgpu::Buffer {
        &self.segments
    }

    /// `[capacity + 1]`: the first slot of every chunk, then the number of kept slots.
    pub fn chunks(&self) -> &wgpu::Buffer {
        &self.chunks
    }

    /// `[capacity]`: the segment of every position, [`crate::training::NO_SEGMENT`] where it is dropped.
    pub fn ranks(&self) -> &wgpu::Buffer {
        &self.ranks
    }

    /// `[4]`: segments, chunks, kept slots, 0.
    pub fn totals(&self) -> &wgpu::Buffer {
        &self.totals
    }

    /// Bytes of device memory that they take.
    pub fn bytes(&self) -> u64 {
        let Scratch {
            keys,
            other_keys,
            other_positions,
            counts,
        } = &self.scratch;
        let scratch = [keys, other_keys, other_positions, counts].into_iter();
        let outputs = self.outputs().map(|(_, buffer)| buffer);
        outputs
            .into_iter()
            .chain(scratch)
            .map(wgpu::Buffer::size)
            .sum()
    }

    pub(super) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// The buffers that the caller can see.
    pub(super) fn outputs(&self) -> [(&'static str, &wgpu::Buffer); 5] {
        [
            ("positions", &self.positions),
            ("segments", &self.segments),
            ("chunks", &self.chunks),
            ("ranks", &self.ranks),
            ("totals", &self.totals),
        ]
    }
}

impl Kernels {
    /// Buffers for sorts of at most `capacity` positions.
    ///
    /// # Errors
    /// [`Error::Shape`] for more than [`SortBuffers::MOST`] positions; [`Error::Limit`] where the device cannot
    /// bind 8 bytes for every position; [`Error::OutOfMemory`]; [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates `32 * capacity + 28` bytes, 1024 for every 2048 positions begun, and 1024 more. Compiles, submits and
    /// waits for nothing.
    pub fn sort_buffers(&self, capacity: u32) -> Result<SortBuffers> {
        SortBuffers::new(self, capacity)
    }
}

/// Tiles that so many slots fill; one where there are none, which writes the sentinels.
fn tiles(slots: u32) -> u32 {
    slots.div_ceil(SORT_TILE).max(1)
}

/// Passes that order keys from 0 to `rows`.
fn passes(rows: u32) -> u32 {
    let bits = u32::BITS - rows.leading_zeros();
    bits.div_ceil(SORT_DIGIT_BITS).max(1)
}

impl Sort {
    pub(super) fn new(kernels: Kernels) -> Result<Self> {
        Ok(Self {
            count: kernels.pipeline(&shader::sort_count())?,
            scan: kernels.pipeline(&shader::sort_scan())?,
            scatter: kernels.pipeline(&shader::sort_scatter())?,
            mark: kernels.pipeline(&shader::sort_mark())?,
            emit: kernels.pipeline(&shader::sort_emit())?,
            kernels,
        })
    }

    /// Checks every argument and binds them.
    ///
    /// # Errors
    /// [`Error::Shape`] for buffers of other kernels and more keys than they hold; what is wrong with the range of
    /// `keys`, [`Error::Aliased`] where it lies in one of `buffers`; [`Error::Limit`] where the device
    /// cannot bind the segments; [`Error::DeviceLost`].
    ///
    /// # Cost
    /// Allocates as many bind groups as there are dispatches (see [`BoundSort::record`]), and a uniform of 16
    /// bytes for every 8 bits of `rows` and one more.
    /// Compiles, submits and waits for nothing.
    pub fn bind(&self, buffers: &SortBuffers, args: SortArgs<'_>) -> Result<BoundSort> {
        self.check(buffers, &args)?;
        let mut dispatches = vec![];
        if args.count > 0 {
            for pass in 0..passes(args.rows) {
                dispatches.extend(self.bind_pass(buffers, &args, pass)?);
            }
        }
        dispatches.extend(self.bind_segments(buffers, &args)?);
        Ok(BoundSort { dispatches })
    }

    fn check(&self, buffers: &SortBuffers, args: &SortArgs<'_>) -> Result<()> {
        if !self.kernels.is(&buffers.kernels) {
            return Err(Error::Shape {
                argument: "buffers",
                needed: "buffers made with these kernels or a clone of them".into(),
                got: "some made with others".into(),
            });
        }
        if args.count > buffers.capacity {
            return Err(Error::Shape {
                argument: "count",
                needed: format!("at most {} (the buffers' capacity)", buffers.capacity),
                got: args.count.to_string(),
            });
        }
        let mut written = buffers.outputs().into_iter();
        match written.find(|(_, buffer)| *buffer == args.keys.buffer) {
            None => Ok(()),
            Some((name, _)) => Err(Error::Aliased {
                argument: name,
                other: "keys",
                overlap: "a buffer",
                remedy: "the sort would overwrite its keys; use another one",
            }),
        }
    }

    /// The dispatches that order pairs by one digit.
    fn bind_pass(
        &self,
        buffers: &SortBuffers,
        args: &SortArgs<'_>,
        pass: u32,
    ) -> Result<Vec<Dispatch>> {
        let scratch = &buffers.scratch;
        let given = Range::storage(
            "keys",
            &args.keys,
            4 * u64::from(args.count),
            self.kernels.limits(),
        )?;
        let ordered = (&scratch.keys, &buffers.positions);
        let other = (&scratch.other_keys, &scratch.other_positions);
        // The last pass writes the positions that the caller sees.
        let (from, to) = match (passes(args.rows) - pass) % 2 {
            1 => (other, ordered),
            _ => (ordered, other),
        };
        let [keys, positions] = match pass {
            // A slot is its own position.
            0 => [given.clone(), given.renamed("positions")],
            _ => [
                Range::whole("keys", from.0),
                Range::whole("positions", from.1),
            ],
        };
        let uniform = self.uniform(args, pass * SORT_DIGIT_BITS)?;
        let ranges = [
            Range::whole("sort", &uniform),
            keys,
            Range::whole("counts", &scratch.counts),
            positions,
            Range::whole("to_keys", to.0),
            Range::whole("to_positions", to.1),
        ];
        self.dispatches([&self.count, &self.scatter], &ranges, args, DIGITS)
    }

    /// The dispatches that find segments and chunks in what is in order.
    fn bind_segments(&self, buffers: &SortBuffers, args: &SortArgs<'_>) -> Result<Vec<Dispatch>> {
        let scratch = &buffers.scratch;
        let most_segments = args.count.min(args.rows);
        let segments = Range::storage(
            "segments",
            &buffers.segments.as_entire_buffer_binding(),
            8 * (u64::from(most_segments) + 1),
            self.kernels.limits(),
        )?;
        let uniform = self.uniform(args, 0)?;
        let ranges = [
            Range::whole("sort", &uniform),
            Range::whole("keys", &scratch.keys),
            Range::whole("counts", &scratch.counts),
            Range::whole("positions", &buffers.positions),
            segments,
            Range::whole("chunks", &buffers.chunks),
            Range::whole("ranks", &buffers.ranks),
            Range::whole("totals", &buffers.totals),
        ];
        // Segments and chunks are counted.
        self.dispatches([&self.mark, &self.emit], &ranges, args, 2)
    }

    fn uniform(&self, args: &SortArgs<'_>, shift: u32) -> Result<wgpu::Buffer> {
        let uniform = SortUniform {
            count: args.count,
            rows: args.rows,
            tiles: tiles(args.count),
            shift,
        };
        filled_buffer(
            self.kernels.device(),
            "qembed.sort",
            wgpu::BufferUsages::UNIFORM,
            bytemuck::bytes_of(&uniform),
        )
    }

    /// A kernel that counts kinds of things in every tile and one that wants their sums, with the sums
    /// between them where there are too many tiles for the latter.
    fn dispatches(
        &self,
        [counts, wants]: [&Arc<Pipeline>; 2],
        ranges: &[Range<'_>],
        args: &SortArgs<'_>,
        kinds: u64,
    ) -> Result<Vec<Dispatch>> {
        let tiles = tiles(args.count);
        let mut steps = vec![(counts, u64::from(tiles)), (wants, u64::from(tiles))];
        if tiles > SORT_FEW_TILES {
            steps.insert(1, (&self.scan, kinds));
        }
        let dispatch = |(pipeline, groups)| {
            let work = Work::groups("count", groups)?;
            Dispatch::new(self.kernels.device(), pipeline, ranges, work)
        };
        steps.into_iter().map(dispatch).collect()
    }
}
