//! Plots of a record: against dim, against the length of bags, against Zipf's exponent.

use super::outcome::{Record, Row};
use super::subject::{Axis as Of, Subject, sum_of};
use crate::plot::{Axis, COLOURS, Fault, Plot, Point, Series};

/// Lines of a plot at the most: as many as there are colours.
const MOST_SERIES: usize = COLOURS.len();

/// A plot under its title.
pub struct Titled {
    /// What is plotted, and where the other axes stand.
    pub title: String,
    /// `None` where nothing varies.
    pub svg: Option<String>,
}

/// What a plot shows upwards.
struct Upwards {
    name: &'static str,
    of: fn(&Record, &Row) -> f64,
}

const FRACTION: Upwards = Upwards {
    name: "percent of a copy",
    of: |record, row| 100.0 * row.fraction_of_copy(record.copy_rate),
};
const THROUGHPUT: Upwards = Upwards {
    name: "lookups a second",
    of: |_, row| row.items_per_second(),
};

/// The plots of a page.
pub fn plots(record: &Record) -> Result<Vec<Titled>, Fault> {
    let wanted = [
        (Of::Dim, "dim", FRACTION, "Fraction of a copy against dim"),
        (
            Of::BagLength,
            "indices of a bag",
            THROUGHPUT,
            "Throughput against bag length",
        ),
        (
            Of::Zipf,
            "exponent of Zipf's law",
            THROUGHPUT,
            "Throughput against skew",
        ),
    ];
    let plots = wanted.into_iter().map(|(axis, name, upwards, title)| {
        let (place, series) = series(record, axis, &upwards);
        Ok(Titled {
            title: format!("{title}{place}"),
            svg: drawn(series, (name, upwards.name))?,
        })
    });
    plots.collect()
}

/// Where a row stands on an axis.
fn value(row: &Row, axis: Of) -> f64 {
    match axis {
        Of::Rows => row.point.rows.into(),
        Of::Dim => row.point.dim.into(),
        Of::Bags => row.point.bags.into(),
        Of::BagLength => row.point.bag_length.into(),
        Of::Zipf => row.point.zipf,
    }
}

/// The other axes, which are the same for every point of a plot; the number of bags follows from their length.
fn others(row: &Row, axis: Of) -> Vec<(Of, f64)> {
    let all = [Of::Rows, Of::Dim, Of::BagLength, Of::Zipf].into_iter();
    all.filter(|other| *other != axis)
        .map(|other| (other, value(row, other)))
        .collect()
}

/// Where the other axes stand, in words, and a line for every label that has several points there.
///
/// Of all places that one which has most points is taken.
fn series(record: &Record, axis: Of, upwards: &Upwards) -> (String, Vec<Series>) {
    let drawable = |row: &&Row| row.lookups_per_second().is_some() && row.subject.has(axis);
    let rows: Vec<_> = record.rows.iter().filter(drawable).collect();
    let mut best: (usize, Option<Vec<(Of, f64)>>) = (0, None);
    for row in &rows {
        let place = others(row, axis);
        let mut labels: Vec<(Subject, Vec<&Row>)> = vec![];
        for other in rows.iter().filter(|row| others(row, axis) == place) {
            collect(&mut labels, other);
        }
        let points = labels
            .iter()
            .map(|(_, rows)| rows.len())
            .filter(|count| *count > 1);
        let points: usize = points.sum();
        if points > best.0 {
            best = (points, Some(place));
        }
    }
    let Some(place) = best.1 else {
        return (String::new(), vec![]);
    };
    let mut labels = vec![];
    for row in rows.iter().filter(|row| others(row, axis) == place) {
        collect(&mut labels, row);
    }
    labels.retain(|(_, rows)| rows.len() > 1);
    labels.sort_by_key(|(subject, _)| subject.rival().is_some());
    let colours = COLOURS.into_iter();
    let series = labels.into_iter().zip(colours).take(MOST_SERIES);
    let series = series.map(|((subject, mut rows), colour)| {
        rows.sort_by(|a, b| value(a, axis).total_cmp(&value(b, axis)));
        let point = |row: &&Row| Point {
            x: value(row, axis),
            y: (upwards.of)(record, row),
            corners: corners(&subject),
        };
        Series {
            name: name(&subject),
            colour,
            points: rows.iter().map(point).collect(),
        }
    });
    (words(&place), series.collect())
}

fn collect<'a>(labels: &mut Vec<(Subject, Vec<&'a Row>)>, row: &'a Row) {
    match labels
        .iter_mut()
        .find(|(subject, _)| *subject == row.subject)
    {
        Some((_, rows)) => rows.push(row),
        None => labels.push((row.subject, vec![row])),
    }
}

fn words(place: &[(Of, f64)]) -> String {
    let words = place.iter().map(|(axis, value)| match axis {
        Of::Rows => format!("{} rows", crate::commands::grouped(*value as u64)),
        Of::Dim => format!("dim {value}"),
        Of::Bags => format!("{value} bags"),
        Of::BagLength => format!("bags of {value}"),
        Of::Zipf => format!("Zipf {value}"),
    });
    format!(" ({})", words.collect::<Vec<_>>().join(", "))
}

/// The format alone of the lookup that everything is swept for, else the label.
fn name(subject: &Subject) -> String {
    match subject {
        Subject::Lookup(spec, None) if *spec == sum_of(spec.format) => spec.format.to_string(),
        subject => subject.label(),
    }
}

/// Circles for lookups, triangles for baselines.
fn corners(subject: &Subject) -> u32 {
    match subject {
        Subject::Baseline(..) => 3,
        _ => 12,
    }
}

fn drawn(series: Vec<Series>, (x, y): (&str, &str)) -> Result<Option<String>, Fault> {
    let all = |of: fn(&Point) -> f64| -> Vec<f64> {
        let points = series.iter().flat_map(|series| &series.points);
        points.map(of).collect()
    };
    let (x, y) = (
        Axis::at(x, &all(|point| point.x)),
        Axis::from_zero(y, &all(|point| point.y)),
    );
    let (Some(x), Some(y)) = (x, y) else {
        return Ok(None);
    };
    let markers = vec![(12, "qembed".into()), (3, "baseline".into())];
    let there = |(corners, _): &(u32, String)| {
        let mut points = series.iter().flat_map(|series| &series.points);
        points.any(|point| point.corners == *corners)
    };
    let markers = markers.into_iter().filter(there).collect();
    let plot = Plot {
        x,
        y,
        series,
        markers,
    };
    plot.svg().map(Some)
}
