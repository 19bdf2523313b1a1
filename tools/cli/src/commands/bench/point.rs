//! Where on the axes something is measured.

use super::scale::Scale;
use super::subject::{Axis, Subject};
use crate::args::Bench;

/// One value for every axis; 0 for an axis that a subject does not have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Rows of the table.
    pub rows: u32,
    /// Columns of the table.
    pub dim: u32,
    /// Bags of a batch; of a gather, indices.
    pub bags: u32,
    /// Indices of a bag.
    pub bag_length: u32,
    /// Exponent of Zipf's law.
    pub zipf: f64,
}

impl Point {
    /// Of what has no axis.
    pub const NOWHERE: Self = Self {
        rows: 0,
        dim: 0,
        bags: 0,
        bag_length: 0,
        zipf: 0.0,
    };

    /// Indices of a batch.
    pub fn indices(&self) -> u64 {
        u64::from(self.bags) * u64::from(self.bag_length.max(1))
    }
}

/// Values of every axis.
#[derive(Clone, Debug)]
struct Lists {
    rows: Vec<f64>,
    dims: Vec<f64>,
    /// None: as many as make a batch.
    bags: Vec<f64>,
    bag_lengths: Vec<f64>,
    zipfs: Vec<f64>,
}

impl Lists {
    fn of(&mut self, axis: Axis) -> &mut Vec<f64> {
        match axis {
            Axis::Rows => &mut self.rows,
            Axis::Dim => &mut self.dims,
            Axis::Bags => &mut self.bags,
            Axis::BagLength => &mut self.bag_lengths,
            Axis::Zipf => &mut self.zipfs,
        }
    }

    /// Every combination.
    fn points(&self, subject: &Subject, scale: &Scale) -> Vec<Point> {
        let mut points = vec![];
        for &rows in &self.rows {
            for &dim in &self.dims {
                for &bag_length in &self.bag_lengths {
                    let bags = match &self.bags[..] {
                        [] => &[f64::from(scale.bags(bag_length as u32))][..],
                        given => given,
                    };
                    for &bags in bags {
                        let point = |zipf: &f64| Point {
                            rows: rows as u32,
                            dim: dim as u32,
                            bags: bags as u32,
                            bag_length: bag_length as u32,
                            zipf: *zipf,
                        };
                        points.extend(self.zipfs.iter().map(point));
                    }
                }
            }
        }
        points.iter().map(|point| only(point, subject)).collect()
    }
}

/// The point without what changes nothing for a subject.
fn only(point: &Point, subject: &Subject) -> Point {
    let has = |axis| subject.has(axis);
    let or_none = |axis, value| if has(axis) { value } else { 0 };
    Point {
        rows: or_none(Axis::Rows, point.rows),
        dim: or_none(Axis::Dim, point.dim),
        bags: or_none(Axis::Bags, point.bags),
        bag_length: or_none(Axis::BagLength, point.bag_length),
        zipf: if has(Axis::Zipf) { point.zipf } else { 0.0 },
    }
}

/// Which points of the axes that nobody chose values for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// The usual one.
    Usual,
    /// Those that differ from it in one axis, too.
    Star,
}

/// Where a subject is measured: every combination of the values that were given, and of the other axes what
/// `sweep` says.
pub fn points(args: &Bench, subject: &Subject, (scale, sweep): (&Scale, Sweep)) -> Vec<Point> {
    const AXES: [Axis; 5] = [
        Axis::Rows,
        Axis::Dim,
        Axis::Bags,
        Axis::BagLength,
        Axis::Zipf,
    ];
    let wide = |numbers: &[u32]| numbers.iter().map(|x| f64::from(*x)).collect();
    let mut usual = Lists {
        rows: wide(&args.rows),
        dims: wide(&args.dim),
        bags: wide(&args.bags),
        bag_lengths: wide(&args.bag_length),
        zipfs: args.zipf.clone(),
    };
    // A gather's indices stand for themselves.
    if !subject.has(Axis::BagLength) {
        usual.bag_lengths = vec![1.0];
    }
    let mut arms = vec![];
    for axis in AXES {
        if usual.of(axis).is_empty() {
            let mut values = scale.sweep(axis, subject);
            let others = values.split_off(values.len().min(1));
            *usual.of(axis) = values;
            arms.push((axis, others));
        }
    }
    let mut points = usual.points(subject, scale);
    if sweep == Sweep::Star {
        for (axis, others) in arms {
            let mut arm = usual.clone();
            *arm.of(axis) = others;
            // Of bags there may be none: their number follows from that of indices then.
            if !arm.of(axis).is_empty() {
                points.extend(arm.points(subject, scale));
            }
        }
    }
    let mut once: Vec<Point> = vec![];
    for point in points {
        if !once.contains(&point) {
            once.push(point);
        }
    }
    once
}
