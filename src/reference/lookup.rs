//! Look rows up and pool them.

use super::dequantize::row_value;
use super::exact;
use crate::spec::{LookupStatus, Output, Pooling, Weighting, check_weighting};
use crate::{Error, Levels, PackedTable, Result, Row};

/// Arguments of [`lookup`].
#[derive(Clone, Copy, Debug)]
pub struct LookupArgs<'a> {
    /// How bags are pooled.
    pub pooling: Pooling,
    /// Rows to look up.
    pub indices: &'a [u32],
    /// Where bags begin, bags + 1 entries; `None` for a gather, needed by the others.
    pub offsets: Option<&'a [u32]>,
    /// One weight for every index.
    pub weights: Option<&'a [f32]>,
}

/// What a lookup gives, with what its error bound needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Pooled {
    /// The output `[bags, dim]` (`[indices, dim]` for [`Pooling::None`]), in f64.
    pub output: Vec<f64>,
    /// `sum |w| * (|scale * code| + |bias|)` of every element, divided like the output; of symmetric rows
    /// `|step * code|`, of others the magnitude of the centroid or of the float.
    pub magnitude: Vec<f64>,
    /// What flushing subnormals may cost an element: 2^-126 for every operation, times the factor
    /// that the operation's result still meets; divided like the output.
    pub flushed: Vec<f64>,
    /// Indices in the bag of every output row.
    pub terms: Vec<u32>,
    /// Bad indices and bad bags.
    pub status: LookupStatus,
}

impl Pooled {
    /// How far an element of a sum or a mean may lie from `output`, elementwise.
    ///
    /// `2^-23 * (n + 2) * magnitude + flushed`, and for f16 the rounding `2^-11 |y| + 2^-25`; derived
    /// in `docs/accuracy.md`. It presumes that no sum of magnitudes, before a mean is divided, passes
    /// the largest f32.
    pub fn bound(&self, element: usize, output: Output) -> f64 {
        let dim = self.output.len() / self.terms.len().max(1);
        let n = f64::from(self.terms[element / dim]);
        let f32_bound =
            f64::from(f32::EPSILON) * (n + 2.0) * self.magnitude[element] + self.flushed[element];
        match output {
            Output::F32 => f32_bound,
            Output::F16 => f32_bound + self.output[element].abs() / 2048.0 + 0.5f64.powi(25),
        }
    }
}

/// `output[b, c] = pool over k in offsets[b]..offsets[b+1] of weights[k] * value(indices[k], c)`
///
/// Sums in f64; a gather and a max are exact f32 values. A bad index contributes nothing, is
/// counted once and stays in the divisor of mean; a bag whose offsets decrease or pass the end is
/// zeros as a whole and counted; an empty bag is zeros.
///
/// # Errors
/// [`Error::Unsupported`] for a weighted max, [`Error::Shape`] where `weights` and `indices` have
/// different lengths, where pooling has no offsets or an empty list of them, and where a gather has
/// any.
pub fn lookup(table: &PackedTable, args: LookupArgs<'_>) -> Result<Pooled> {
    let bags = check(&args)?;
    let mut out = Pooled {
        output: Vec::with_capacity(bags * table.dim() as usize),
        magnitude: Vec::with_capacity(bags * table.dim() as usize),
        flushed: Vec::with_capacity(bags * table.dim() as usize),
        terms: Vec::with_capacity(bags),
        status: LookupStatus::CLEAR,
    };
    for bag in 0..bags {
        let (begin, end) = match (args.pooling, args.offsets) {
            (Pooling::None, _) | (_, None) => (bag, bag + 1),
            (_, Some(offsets)) => (offsets[bag] as usize, offsets[bag + 1] as usize),
        };
        let positions = if begin > end || end > args.indices.len() {
            out.status.bad_bags = out.status.bad_bags.wrapping_add(1);
            out.status.first_bag = out.status.first_bag.min(bag as u32);
            0..0
        } else {
            begin..end
        };
        pool(table, &args, positions, &mut out);
    }
    Ok(out)
}

/// Appends one row of output.
fn pool(
    table: &PackedTable,
    args: &LookupArgs<'_>,
    positions: std::ops::Range<usize>,
    out: &mut Pooled,
) {
    let divisor = match args.pooling {
        Pooling::Mean => positions.len().max(1) as f64,
        Pooling::None | Pooling::Sum | Pooling::Max => 1.0,
    };
    let mut terms = Vec::new();
    for position in positions.clone() {
        let index = args.indices[position];
        if index < table.rows() {
            let weight = args.weights.map(|weights| weights[position]);
            terms.push((table.row(index as usize), weight));
        } else {
            out.status.bad_indices = out.status.bad_indices.wrapping_add(1);
            out.status.first_position = out.status.first_position.min(position as u32);
        }
    }
    for column in 0..table.dim() as usize {
        let values = terms
            .iter()
            .map(|&(row, weight)| (row_value(row, column), weight));
        let output = match args.pooling {
            Pooling::None => values
                .map(|(x, w)| gathered(x, w))
                .next()
                .unwrap_or(0.0)
                .into(),
            Pooling::Max => values.map(|(x, _)| x).reduce(larger).unwrap_or(0.0).into(),
            Pooling::Sum | Pooling::Mean => {
                let terms = values.map(|(x, w)| f64::from(x) * f64::from(w.unwrap_or(1.0)));
                // Not `sum()`, which makes -0 of nothing.
                terms.fold(0.0, |sum, term| sum + term) / divisor
            }
        };
        out.output.push(output);
        let magnitude = terms
            .iter()
            .map(|&(row, weight)| magnitude(row, column, weight));
        out.magnitude.push(magnitude.sum::<f64>() / divisor);
        let flushed = terms
            .iter()
            .map(|&(row, weight)| flushed(row, column, weight));
        out.flushed
            .push(f64::from(f32::MIN_POSITIVE) + flushed.sum::<f64>() / divisor);
    }
    out.terms.push(positions.len() as u32);
}

/// `|w| * (|scale * code| + |bias|)`, `|w| * |step * code|`, `|w| * |centroid|`, or `|w| * |float|`
fn magnitude(row: Row<'_>, column: usize, weight: Option<f32>) -> f64 {
    let value = match row.levels() {
        Levels::Affine(header) => {
            let product = f64::from(header.scale) * f64::from(row.code(column));
            product.abs() + f64::from(header.bias).abs()
        }
        Levels::Symmetric { step } => (f64::from(step) * f64::from(row.signed_code(column))).abs(),
        Levels::Codebook(codebook) => f64::from(codebook.value(row.code(column))).abs(),
        Levels::Float(_) => f64::from(row_value(row, column)).abs(),
    };
    f64::from(weight.unwrap_or(1.0)).abs() * value
}

/// The value may be flushed before it meets the weight, the weight before it meets the value, and
/// their product, the chunk's sum and the total as they are.
fn flushed(row: Row<'_>, column: usize, weight: Option<f32>) -> f64 {
    let weight = f64::from(weight.unwrap_or(1.0)).abs();
    let value = f64::from(row_value(row, column)).abs();
    f64::from(f32::MIN_POSITIVE) * (weight + value + 3.0)
}

/// One row times its weight, rounded once.
fn gathered(value: f32, weight: Option<f32>) -> f32 {
    match weight {
        Some(weight) => exact::mul(value, exact::input(weight)),
        None => value,
    }
}

/// The larger value, +0 above -0; NaN is larger than anything.
fn larger(a: f32, b: f32) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (true, _) => a,
        (false, true) => b,
        (false, false) if a.total_cmp(&b).is_gt() => a,
        (false, false) => b,
    }
}

/// Checks lengths; gives the number of output rows.
fn check(args: &LookupArgs<'_>) -> Result<usize> {
    check_weighting(args.pooling, Weighting::of(args.weights))?;
    if let Some(weights) = args.weights
        && weights.len() != args.indices.len()
    {
        return Err(Error::Shape {
            argument: "weights",
            needed: format!("{}, one for every index", args.indices.len()),
            got: weights.len().to_string(),
        });
    }
    match (args.pooling, args.offsets) {
        (Pooling::None, None) => Ok(args.indices.len()),
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
        (_, Some(offsets)) => Ok(offsets.len() - 1),
    }
}
