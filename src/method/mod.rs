//! How a row's levels are chosen: the methods and their parameters.

mod constants;

pub use constants::{Clip, bin_errors, clip, cut};

use crate::format::{Bits, Format, Params};
use crate::{Error, Result};

/// How scale and bias, the step, or the centroids of a codebook, are chosen; or that the values stay floats.
///
/// Sources: Guan et al. 2019, "Post-Training 4-bit Quantization on Embedding Tables", and the operators of
/// PyTorch and Caffe2 that grew out of it. `docs/accuracy.md` compares them.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum Method {
    /// From the row's minimum to its maximum, as PyTorch and FBGEMM do it.
    #[default]
    Asym,
    /// From `-max|x|` to `max|x|`.
    Sym,
    /// From `-t` to `t`, with `t` found by golden-section search on the squared error.
    Gss,
    /// Analytical clipping around the mean, for a normal or a Laplace distribution, whichever promises
    /// less error (Banner et al. 2018).
    Aciq,
    /// Shrinks the range of a histogram step by step until its estimated error grows (Caffe2's
    /// non-linear norm minimization).
    HistApprox {
        /// Bins of the histogram.
        bins: u32,
    },
    /// The best range of a histogram by its estimated error; cubic in the number of bins (Caffe2's norm
    /// minimization).
    HistBrute {
        /// Bins of the histogram.
        bins: u32,
    },
    /// Narrows the range from whichever end costs less and keeps the best range it passes.
    Greedy(Search),
    /// The same walk, with the choice that PyTorch and Caffe2 make of it: the best strict local
    /// optimum, else the full range; byte for byte that of PyTorch.
    GreedyTorch(Search),
    /// The same walk, with the choice of the paper's pseudo-code: an end moves where a step makes a new
    /// best, so that the range may be one that was never tried.
    GreedyPaper(Search),
    /// Least squares: from [`Method::Greedy`] and from [`Method::Asym`], alternates codes and the scale and
    /// bias that fit them best, as long as the error falls; the better of the two.
    Lsq {
        /// The search that it starts from.
        search: Search,
        /// The most alternations.
        iterations: u32,
    },
    /// Least squares from [`Method::Greedy`] and from sixteen ranges, the full one and narrower ones: the best
    /// of all.
    Best {
        /// The search that the first start comes from.
        search: Search,
        /// The most alternations from each start.
        iterations: u32,
    },
    /// Centroids of each row's values: on the CPU the optimum by dynamic programming, on a GPU
    /// Lloyd's algorithm from equally spaced centroids.
    Kmeans {
        /// The most iterations of Lloyd's algorithm.
        iterations: u32,
    },
    /// Rows in blocks by k-means, and one codebook for the values of a block. On the CPU alone; its time
    /// grows as rows times blocks, with the usual number of blocks as the square of the rows.
    KmeansCls {
        /// Number of blocks; `None`: as many as make the table as large as with `scale` and `bias` in f16.
        blocks: Option<u32>,
        /// The most iterations of the k-means over rows.
        iterations: u32,
    },
    /// Symmetric rows whose step takes the largest magnitude to the largest code: what training starts from.
    /// [`crate::PackedTable::with_steps`] takes steps that are known already.
    Absmax,
    /// Rows of floats: every value rounded once, to nearest even; f32 keeps every bit.
    Cast,
}

/// Parameters of the greedy search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Steps that the full range is divided into.
    pub bins: u32,
    /// How much of the full range the search may give up, above 0 and below 1.
    pub ratio: f64,
}

impl Default for Search {
    /// PyTorch's: 200 bins, ratio 0.16.
    fn default() -> Self {
        Self {
            bins: 200,
            ratio: 0.16,
        }
    }
}

impl Search {
    /// Steps that the range keeps at least, as PyTorch truncates them.
    pub(crate) fn kept_bins(self) -> u32 {
        (f64::from(self.bins) * (1.0 - self.ratio)) as u32
    }

    /// Steps that the range keeps at least, as the paper has them.
    pub(crate) fn kept_bins_exactly(self) -> f32 {
        (f64::from(self.bins) * (1.0 - self.ratio)) as f32
    }

    /// Steps after which the walk ends wherever it is. Where a step is not much larger than the distance
    /// of the values' neighbours in f32 it is rounded, to nothing even, and the walk would not end.
    pub(crate) fn most_steps(self) -> u32 {
        let given_up = self.bins.saturating_sub(self.kept_bins());
        given_up.saturating_mul(2).saturating_add(2)
    }
}

/// The most bins of a histogram.
const MAX_HISTOGRAM_BINS: u32 = 1024;
/// The most bins of a search, and the most iterations.
const MAX_STEPS: u32 = 1 << 16;

impl Method {
    /// Every method with the parameters that it has unless told otherwise.
    pub const ALL: &[Self] = {
        let search = Search {
            bins: 200,
            ratio: 0.16,
        };
        &[
            Self::Asym,
            Self::Sym,
            Self::Gss,
            Self::Aciq,
            Self::HistApprox { bins: 200 },
            Self::HistBrute { bins: 200 },
            Self::Greedy(search),
            Self::GreedyTorch(search),
            Self::GreedyPaper(search),
            Self::Lsq {
                search,
                iterations: 20,
            },
            Self::Best {
                search,
                iterations: 20,
            },
            Self::Kmeans { iterations: 20 },
            Self::KmeansCls {
                blocks: None,
                iterations: 10,
            },
            Self::Absmax,
            Self::Cast,
        ]
    };

    /// Its name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asym => "asym",
            Self::Sym => "sym",
            Self::Gss => "gss",
            Self::Aciq => "aciq",
            Self::HistApprox { .. } => "hist-approx",
            Self::HistBrute { .. } => "hist-brute",
            Self::Greedy(_) => "greedy",
            Self::GreedyTorch(_) => "greedy-torch",
            Self::GreedyPaper(_) => "greedy-paper",
            Self::Lsq { .. } => "lsq",
            Self::Best { .. } => "best",
            Self::Kmeans { .. } => "kmeans",
            Self::KmeansCls { .. } => "kmeans-cls",
            Self::Absmax => "absmax",
            Self::Cast => "cast",
        }
    }

    /// The format that it writes at a width: codebooks for the k-means methods, a step of type `params` for
    /// [`Method::Absmax`], else scale and bias of that type (`None`: [`Params::default_for`]).
    ///
    /// # Errors
    /// [`Error::Unsupported`] for codebooks of 8 bits, for `params` where there are codebooks, for
    /// symmetric rows of 3 bits, and for [`Method::Cast`], which writes no codes but [`Format::Float`].
    pub fn format(self, bits: Bits, params: Option<Params>) -> Result<Format> {
        let format = match (self, params) {
            (Self::Kmeans { .. }, None) => Format::Codebook { bits },
            (Self::KmeansCls { .. }, None) => Format::Blocks { bits },
            (Self::Kmeans { .. } | Self::KmeansCls { .. }, Some(_)) => {
                return Err(Error::Unsupported {
                    what: format!("a type of scale and bias with {}", self.name()),
                    instead: "its centroids are f16; leave it out",
                });
            }
            (Self::Cast, _) => {
                return Err(Error::Unsupported {
                    what: format!("cast to codes of {} bits", bits.count()),
                    instead: "it writes rows of floats; take f32, f16 or bf16",
                });
            }
            (Self::Absmax, params) => Format::Symmetric {
                bits,
                params: params.unwrap_or(Params::default_for(bits)),
            },
            (_, None) => Format::affine(bits),
            (_, Some(params)) => Format::Affine { bits, params },
        };
        format.check().map(|()| format)
    }

    /// Refuses parameters out of range, and a format that the method does not write.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Unsupported`].
    pub fn check(self, format: Format) -> Result<()> {
        match self {
            Self::Asym | Self::Sym | Self::Gss | Self::Aciq | Self::Absmax | Self::Cast => {}
            Self::HistApprox { bins } | Self::HistBrute { bins } => {
                check_between("bins", bins, 1, MAX_HISTOGRAM_BINS)?;
            }
            Self::Greedy(search) | Self::GreedyTorch(search) | Self::GreedyPaper(search) => {
                check_search(search)?;
            }
            Self::Lsq { search, iterations } | Self::Best { search, iterations } => {
                check_search(search)?;
                check_between("iterations", iterations, 0, MAX_STEPS)?;
            }
            Self::Kmeans { iterations } => check_between("iterations", iterations, 0, MAX_STEPS)?,
            Self::KmeansCls { blocks, iterations } => {
                check_between("blocks", blocks.unwrap_or(1), 1, u32::MAX)?;
                check_between("iterations", iterations, 0, MAX_STEPS)?;
            }
        }
        let fits = match self {
            Self::Kmeans { .. } => matches!(format, Format::Codebook { .. }),
            Self::KmeansCls { .. } => matches!(format, Format::Blocks { .. }),
            Self::Absmax => matches!(format, Format::Symmetric { .. }),
            Self::Cast => matches!(format, Format::Float(_)),
            _ => matches!(format, Format::Affine { .. }),
        };
        if !fits {
            return Err(Error::Unsupported {
                what: format!("{} into rows of {format}", self.name()),
                instead: match format {
                    Format::Float(_) => "rows of floats are made by cast",
                    _ if self == Self::Cast => "it writes rows of floats; take f32, f16 or bf16",
                    _ => "take the format of Method::format",
                },
            });
        }
        format.check()
    }
}

fn check_search(search: Search) -> Result<()> {
    check_between("bins", search.bins, 1, MAX_STEPS)?;
    if !(search.ratio > 0.0 && search.ratio < 1.0) {
        return Err(Error::Shape {
            argument: "ratio",
            needed: "above 0 and below 1".into(),
            got: search.ratio.to_string(),
        });
    }
    if search.kept_bins() == 0 {
        return Err(Error::Shape {
            argument: "bins",
            needed: format!(
                "at least {}, so that a ratio of {} keeps one",
                (1.0 / (1.0 - search.ratio)).ceil(),
                search.ratio
            ),
            got: search.bins.to_string(),
        });
    }
    Ok(())
}

fn check_between(argument: &'static str, got: u32, least: u32, most: u32) -> Result<()> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(Error::Shape {
        argument,
        needed: format!("{least} to {most}"),
        got: got.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Float;

    #[test]
    fn every_method_has_a_name_and_takes_its_own_format() {
        let names: std::collections::BTreeSet<_> = Method::ALL.iter().map(|m| m.name()).collect();
        assert_eq!(names.len(), Method::ALL.len());
        for &method in Method::ALL {
            let format = match method {
                Method::Cast => Format::Float(Float::Bf16),
                method => method.format(Bits::B4, None).unwrap(),
            };
            method.check(format).unwrap();
        }
    }

    #[test]
    fn floats_are_cast_and_nothing_else_is() {
        let refused = |method: Method, format| method.check(format).unwrap_err().to_string();
        for format in Format::all() {
            let float = matches!(format, Format::Float(_));
            assert_eq!(Method::Cast.check(format).is_ok(), float, "{format}");
        }
        assert_eq!(
            refused(Method::Asym, Format::Float(Float::F16)),
            "asym into rows of f16 is not supported: rows of floats are made by cast"
        );
        assert_eq!(
            refused(Method::Cast, Format::affine(Bits::B4)),
            "cast into rows of q4h16 is not supported: it writes rows of floats; take f32, f16 or bf16"
        );
        assert_eq!(
            Method::Cast.format(Bits::B4, None).unwrap_err().to_string(),
            "cast to codes of 4 bits is not supported: it writes rows of floats; take f32, f16 or bf16"
        );
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let format = Format::affine(Bits::B4);
        let refused = |method: Method| method.check(format).unwrap_err().to_string();
        let search = |bins, ratio| Method::Greedy(Search { bins, ratio });
        assert_eq!(refused(search(0, 0.5)), "bins: needed 1 to 65536, got 0");
        for ratio in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
            let error = refused(search(10, ratio));
            assert_eq!(
                error,
                format!("ratio: needed above 0 and below 1, got {ratio}")
            );
        }
        assert_eq!(
            refused(Method::HistBrute { bins: 0 }),
            "bins: needed 1 to 1024, got 0"
        );
        assert_eq!(
            refused(search(1, 0.16)),
            "bins: needed at least 2, so that a ratio of 0.16 keeps one, got 1"
        );
        let kmeans = Method::Kmeans { iterations: 1 };
        assert!(refused(kmeans).contains("kmeans into rows of q4h16 is not supported"));
    }

    #[test]
    fn pytorch_keeps_168_of_200_bins() {
        let search = Search::default();
        assert_eq!((search.kept_bins(), search.most_steps()), (168, 66));
    }
}
