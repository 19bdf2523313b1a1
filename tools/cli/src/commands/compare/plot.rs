//! Two plots: error against bytes, error against seconds.

use qembed::{Bits, Method};

use super::measure::{OnCpu, Outcome};
use crate::plot::{Axis, COLOURS, Fault, Plot, Point, Series};

/// Error against bytes per row, at every width; `None` where there is nothing above zero to draw.
pub fn against_bytes(outcomes: &[Outcome]) -> Result<Option<String>, Fault> {
    let points = points(outcomes, |cpu| cpu.row_bytes);
    let x = Axis::linear("bytes per row", &all(&points, |point| point.x));
    drawn(points, x)
}

/// Error against seconds on the CPU, at one width; `None` as above.
pub fn against_seconds(outcomes: &[Outcome], bits: Bits) -> Result<Option<String>, Fault> {
    let mut points = points(outcomes, |cpu| cpu.seconds);
    for (_, points) in &mut points {
        points.retain(|(width, _)| *width == bits);
    }
    let x = Axis::logarithmic("seconds on the CPU", &all(&points, |point| point.x));
    drawn(points, x)
}

/// A method, and a point for every width that has one.
type Of = (Method, Vec<(Bits, Point)>);

/// The points of every method. A logarithm has no place for zero.
fn points(outcomes: &[Outcome], x: impl Fn(&OnCpu) -> f64) -> Vec<Of> {
    let points_of = |method: Method| {
        let its = outcomes.iter().filter(move |o| o.pairing.method == method);
        its.filter_map(|outcome| {
            let cpu = outcome.cpu.as_ref()?;
            let (bits, x, y) = (outcome.pairing.bits, x(cpu), cpu.errors.whole);
            let corners = corners(bits);
            let drawable = x > 0.0 && y > 0.0 && y.is_finite();
            drawable.then_some((bits, Point { x, y, corners }))
        })
    };
    let all = Method::ALL.iter();
    all.map(|method| (*method, points_of(*method).collect()))
        .collect()
}

/// A number of every point.
fn all(points: &[Of], of: impl Fn(&Point) -> f64) -> Vec<f64> {
    let all = points.iter().flat_map(|(_, points)| points);
    all.map(|(_, point)| of(point)).collect()
}

/// One colour for every method, one marker for every width.
fn drawn(points: Vec<Of>, x: Option<Axis>) -> Result<Option<String>, Fault> {
    let y = Axis::logarithmic("error, |X - X'| / |X|", &all(&points, |point| point.y));
    let (Some(x), Some(y)) = (x, y) else {
        return Ok(None);
    };
    let there = |bits: &Bits| {
        let mut all = points.iter().flat_map(|(_, points)| points);
        all.any(|(width, _)| width == bits)
    };
    let widths = Bits::ALL.into_iter().filter(there);
    let markers = widths.map(|bits| (corners(bits), format!("{} bits", bits.count())));
    let markers = markers.collect();
    let colours = COLOURS.into_iter().cycle();
    let series = points.into_iter().zip(colours);
    let series = series.map(|((method, points), colour)| Series {
        name: method.name().into(),
        colour,
        points: points.into_iter().map(|(_, point)| point).collect(),
    });
    let series = series.filter(|series| !series.points.is_empty()).collect();
    let plot = Plot {
        x,
        y,
        series,
        markers,
    };
    plot.svg().map(Some)
}

/// Triangle, diamond, pentagon, and as good as a circle.
fn corners(bits: Bits) -> u32 {
    match bits {
        Bits::B2 => 3,
        Bits::B3 => 4,
        Bits::B4 => 5,
        _ => 12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_colour() {
        let writes_codes = |method: &&Method| method.format(Bits::B4, None).is_ok();
        let coded = Method::ALL.iter().filter(writes_codes).count();
        assert_eq!(COLOURS.len(), coded);
        assert_eq!(Method::ALL[coded..], [Method::Cast]);
    }
}
