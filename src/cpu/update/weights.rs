//! Gradients of weights: a bag's gradient times each of its rows.

use pulp::NullaryFnOnce;

use super::super::lanes::{LANES, Lanes, add, div, mul};
use super::decode::decode;
use super::occurrences::Bags;
use super::optimizer::load;
use super::task::{run, split_front};
use crate::PackedTable;

/// Columns that are worth a task of their own.
const SMALLEST: usize = 1 << 16;

/// What every task reads.
pub(super) struct Products<'a> {
    pub(super) table: &'a PackedTable,
    pub(super) bags: Bags<'a>,
    pub(super) gradient: &'a [f32],
}

impl Products<'_> {
    /// `sum over columns of gradient[bag] * value[row]` of every position, in parallel over bags, none of
    /// which is bad; 0 where the index is bad or the position lies in no bag, NaN where it is not finite.
    pub(super) fn all(&self, positions: usize) -> Vec<f32> {
        let mut out = vec![0.0; positions];
        let mut rest = &mut out[..];
        let mut tasks = vec![];
        let bags: Vec<_> = self.bags.iter().collect();
        let dim = self.table.dim() as usize;
        let per_bag = positions.div_ceil(bags.len().max(1)).max(1) * dim;
        let mut done = 0;
        for bags in bags.chunks(SMALLEST.div_ceil(per_bag)) {
            let (begin, end) = (bags[0].1.start, bags[bags.len() - 1].1.end);
            split_front(&mut rest, begin - done);
            tasks.push(Task {
                products: self,
                bags,
                first: begin,
                out: split_front(&mut rest, end - begin),
            });
            done = end;
        }
        run(tasks);
        out
    }
}

/// Some bags and their positions, from the first on.
struct Task<'a> {
    products: &'a Products<'a>,
    bags: &'a [(usize, std::ops::Range<usize>)],
    first: usize,
    out: &'a mut [f32],
}

impl NullaryFnOnce for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Products {
            table,
            bags,
            gradient: gradients,
        } = self.products;
        let dim = table.dim() as usize;
        let mut gradient = vec![Lanes::splat(0.0); dim.div_ceil(LANES)];
        let mut values = gradient.clone();
        for (bag, positions) in self.bags {
            load(&gradients[bag * dim..][..dim], &mut gradient);
            let divisor = bags.divisor(*bag);
            for position in positions.clone() {
                let row = bags.indices()[position];
                if row < table.rows() {
                    let words = table.row_words(row as usize);
                    decode(words, table.format(), dim, &mut values);
                    let product = mul(product(&gradient, &values), div(1.0, divisor));
                    let finite = product.is_finite();
                    self.out[position - self.first] = if finite { product } else { f32::NAN };
                }
            }
        }
    }
}

/// In 16 partial sums by column.
#[inline(always)]
fn product(gradient: &[Lanes], values: &[Lanes]) -> f32 {
    let mut sums = Lanes::splat(0.0);
    for (g, w) in gradient.iter().zip(values) {
        sums = sums.zip(g.zip(*w, mul), add);
    }
    sums.sum()
}
