//! A lookup as a caller without buffers asks for it, checked in one place for every device.

#[cfg(feature = "session")]
use std::borrow::Cow;
#[cfg(feature = "session")]
use std::ops::Range;

use half::f16;

use crate::spec::check_weighting;
use crate::{Error, LookupStatus, Output, Pooling, Result, Weighting};

/// What a bad index or a bad bag does to a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OutOfRange {
    /// It is an error.
    #[default]
    Error,
    /// It contributes nothing; [`Looked::status`] counts it.
    Skip,
}

/// Arguments of [`crate::Session::lookup`] and [`crate::cpu::lookup`].
#[derive(Clone, Copy, Debug)]
pub struct LookupRequest<'a> {
    /// How bags are pooled.
    pub pooling: Pooling,
    /// Rows to look up.
    pub indices: &'a [u32],
    /// Where bags begin, bags + 1 entries; `None` for a gather, needed by the others.
    pub offsets: Option<&'a [u32]>,
    /// One weight for every index.
    pub weights: Option<&'a [f32]>,
    /// Type of the output.
    pub output: Output,
    /// What bad indices and bad bags do.
    pub out_of_range: OutOfRange,
}

/// A part of a request: some of its output rows.
#[cfg(feature = "session")]
pub(crate) struct Part<'a> {
    pub(crate) indices: &'a [u32],
    pub(crate) offsets: Option<Cow<'a, [u32]>>,
    pub(crate) weights: Option<&'a [f32]>,
    /// Where its indices begin in those of the whole.
    first_position: usize,
}

#[cfg(feature = "session")]
impl<'a> LookupRequest<'a> {
    /// The arguments of a range of output rows; `offsets` are those that [`check_request`] gave.
    /// Bags keep their positions in the whole of the indices, a gather takes its own.
    pub(crate) fn part(&self, offsets: Option<&'a [u32]>, rows: Range<usize>) -> Part<'a> {
        match offsets {
            None => self.positions(rows, None),
            Some(offsets) => {
                let offsets = Cow::Borrowed(&offsets[rows.start..=rows.end]);
                self.positions(0..self.indices.len(), Some(offsets))
            }
        }
    }

    /// The same with no more indices than the bags span.
    pub(crate) fn part_alone(&self, offsets: Option<&'a [u32]>, rows: Range<usize>) -> Part<'a> {
        let Some(offsets) = offsets else {
            return self.part(None, rows);
        };
        let offsets = &offsets[rows.start..=rows.end];
        let bags = offsets.windows(2);
        let bags = bags.filter_map(|ends| bag_positions(ends, self.indices.len()));
        let span = bags.reduce(joined).unwrap_or(0..0);
        // An end outside the span is of bags that are none, and they stay so: this one is beyond all indices.
        let within = |end: &u32| match span.contains(end) || *end == span.end {
            true => end - span.start,
            false => u32::MAX,
        };
        let offsets = offsets.iter().map(within).collect();
        self.positions(
            span.start as usize..span.end as usize,
            Some(Cow::Owned(offsets)),
        )
    }

    /// A part with these positions of the whole.
    fn positions(&self, positions: Range<usize>, offsets: Option<Cow<'a, [u32]>>) -> Part<'a> {
        Part {
            first_position: positions.start,
            indices: &self.indices[positions.clone()],
            offsets,
            weights: self.weights.map(|weights| &weights[positions]),
        }
    }

    /// Cuts a range of bags so that each part spans at most so many positions; a bag is never cut.
    pub(crate) fn cut(&self, offsets: &[u32], bags: Range<u32>, most: u64) -> Vec<Range<u32>> {
        let mut parts = vec![];
        let mut first = bags.start;
        let mut span = None;
        for bag in bags.clone() {
            let ends = &offsets[bag as usize..][..2];
            let Some(own) = bag_positions(ends, self.indices.len()) else {
                continue;
            };
            let all = span.map_or(own.clone(), |span| joined(span, own.clone()));
            let fits = first == bag || all.len() as u64 <= most;
            if !fits {
                parts.push(first..bag);
                first = bag;
            }
            span = Some(if fits { all } else { own });
        }
        parts.push(first..bags.end);
        parts
    }
}

/// The positions of a bag, unless its ends decrease or pass the indices.
#[cfg(feature = "session")]
fn bag_positions(ends: &[u32], indices: usize) -> Option<Range<u32>> {
    (ends[0] <= ends[1] && ends[1] as usize <= indices).then(|| ends[0]..ends[1])
}

/// The positions from the first to the last of both.
#[cfg(feature = "session")]
fn joined(one: Range<u32>, other: Range<u32>) -> Range<u32> {
    one.start.min(other.start)..one.end.max(other.end)
}

#[cfg(feature = "session")]
impl Part<'_> {
    /// Indices of the longest bag that is one; `None` in a gather.
    pub(crate) fn longest_bag(&self) -> Option<u64> {
        let bags = self.offsets.as_ref()?.windows(2);
        let bags = bags.filter_map(|ends| bag_positions(ends, self.indices.len()));
        bags.map(|positions| positions.len() as u64).max()
    }

    /// The part's status in positions and bags of the whole, whose row `first` it begins with.
    pub(crate) fn status_in_whole(&self, mut status: LookupStatus, first: u32) -> LookupStatus {
        if status.bad_indices > 0 {
            status.first_position += self.first_position as u32;
        }
        if status.bad_bags > 0 {
            status.first_bag += first;
        }
        status
    }
}

/// Result of [`crate::Session::lookup`] and [`crate::cpu::lookup`].
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// `[bags, dim]` (a gather: `[indices, dim]`), row-major; of a batch, what its places say.
    pub values: Values,
    /// Bad indices and bad bags.
    pub status: LookupStatus,
}

/// Values of either type.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// f32.
    F32(Vec<f32>),
    /// f16.
    F16(Vec<f16>),
}

impl Values {
    /// None yet.
    #[cfg(feature = "session")]
    pub(crate) fn new(output: Output) -> Self {
        match output {
            Output::F32 => Self::F32(vec![]),
            Output::F16 => Self::F16(vec![]),
        }
    }

    /// Takes in so many elements of an output's words; the first f32 ones stay where they are.
    #[cfg(feature = "session")]
    pub(crate) fn extend(&mut self, words: Vec<u32>, elements: usize) {
        match self {
            Self::F32(values) if values.is_empty() => {
                *values = bytemuck::cast_vec(words);
                values.truncate(elements);
            }
            Self::F32(values) => values.extend(&bytemuck::cast_slice(&words)[..elements]),
            Self::F16(values) => values.extend(&bytemuck::cast_slice(&words)[..elements]),
        }
    }

    /// The values as f32; exact.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            Self::F16(values) => values.into_iter().map(f16::to_f32).collect(),
        }
    }
}

/// Checks what the host sees; gives the number of output rows, and the offsets that are read.
pub(crate) fn check_request<'a>(request: &LookupRequest<'a>) -> Result<(u32, Option<&'a [u32]>)> {
    check_weighting(request.pooling, Weighting::of(request.weights))?;
    let indices = request.indices.len();
    check_weights(request.weights, indices)?;
    match (request.pooling, request.offsets) {
        (Pooling::None, None) => Ok((check_count("indices", indices)?, None)),
        (Pooling::None, Some(_)) => Err(Error::Shape {
            argument: "offsets",
            needed: "None for a gather".into(),
            got: "offsets".into(),
        }),
        (_, Some([])) | (_, None) => Err(Error::Shape {
            argument: "offsets",
            needed: "bags + 1 entries, at least one, to pool".into(),
            got: "none".into(),
        }),
        (_, Some(offsets)) => {
            if request.out_of_range == OutOfRange::Error {
                check_ends(offsets, indices)?;
            }
            check_count("indices", indices)?;
            let bags = check_count("offsets", offsets.len() - 1)?;
            Ok((bags, Some(offsets)))
        }
    }
}

/// Refuses weights of another number than indices.
pub(crate) fn check_weights(weights: Option<&[f32]>, indices: usize) -> Result<()> {
    match weights {
        Some(weights) if weights.len() != indices => Err(Error::Shape {
            argument: "weights",
            needed: format!("{indices}, one for every index"),
            got: weights.len().to_string(),
        }),
        _ => Ok(()),
    }
}

/// Refuses more entries than 32 bits count.
pub(crate) fn check_count(argument: &'static str, entries: usize) -> Result<u32> {
    u32::try_from(entries).map_err(|_| Error::Shape {
        argument,
        needed: format!("at most {} entries", u32::MAX),
        got: entries.to_string(),
    })
}

/// Refuses offsets, of which there is one at least, that leave indices before the first bag or after the last.
pub(crate) fn check_ends(offsets: &[u32], indices: usize) -> Result<()> {
    let last = offsets.len().saturating_sub(2);
    let ends = [
        (0, offsets[0] == 0),
        (last, offsets[offsets.len() - 1] as usize == indices),
    ];
    match ends.into_iter().find(|(_, good)| !good) {
        None => Ok(()),
        Some((bag, _)) => Err(bad_bag(offsets, bag, indices)),
    }
}

fn bad_bag(offsets: &[u32], bag: usize, indices: usize) -> Error {
    Error::Offsets {
        bag,
        begin: offsets[bag],
        end: offsets[(bag + 1).min(offsets.len() - 1)],
        indices,
    }
}

/// Turns what was counted into an error; `rows` says how many the table has whose index is at a position.
pub(crate) fn refuse(
    status: &LookupStatus,
    (indices, offsets): (&[u32], Option<&[u32]>),
    rows: impl FnOnce(usize) -> u32,
) -> Result<()> {
    if let (1.., Some(offsets)) = (status.bad_bags, offsets) {
        let bag = status.first_bag as usize;
        let (begin, end) = (offsets[bag], offsets[bag + 1]);
        if begin > end || end as usize > indices.len() {
            return Err(bad_bag(offsets, bag, indices.len()));
        }
        return Err(Error::Unsupported {
            what: format!("bag {bag} with its {} indices", end - begin),
            instead: "the driver ended its walk early; split the bag or use the CPU",
        });
    }
    if status.bad_indices > 0 {
        let position = status.first_position as usize;
        return Err(Error::IndexOutOfRange {
            position,
            index: indices[position],
            rows: rows(position),
        });
    }
    Ok(())
}
