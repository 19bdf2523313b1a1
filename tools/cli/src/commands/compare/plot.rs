//! Two plots as SVG text: error against bytes, error against seconds.
//!
//! Text takes the colour of the page that the plot stands in, and every other colour reads on white and
//! on black.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use qembed::{Bits, Method};

use super::measure::{OnCpu, Outcome};

/// Pixels of a plot, its legend included.
const SIZE: (u32, u32) = (960, 540);
/// Pixels of the legend's column.
const LEGEND: u32 = 160;
/// Pixels from one line of the legend to the next.
const LEGEND_LINE: i32 = 22;
/// Pixels from a marker's middle to its rim.
const RADIUS: f64 = 6.0;
/// Axes and grid.
const GREY: RGBColor = RGBColor(128, 128, 128);
/// One colour for every method that writes codes: contrast 3 or more with white and with black, the baseline grey.
const COLOURS: [RGBColor; 14] = [
    GREY,
    RGBColor(203, 35, 74),
    RGBColor(5, 165, 120),
    RGBColor(156, 64, 191),
    RGBColor(155, 145, 0),
    RGBColor(2, 111, 215),
    RGBColor(235, 98, 2),
    RGBColor(10, 130, 130),
    RGBColor(226, 83, 174),
    RGBColor(68, 133, 2),
    RGBColor(138, 123, 254),
    RGBColor(152, 102, 0),
    RGBColor(7, 158, 200),
    RGBColor(176, 112, 104),
];

/// What drawing into a string may fail with.
type Fault = DrawingAreaErrorKind<std::io::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One method.
struct Series {
    name: &'static str,
    colour: RGBColor,
    points: Vec<Point>,
}

/// One method at one width.
struct Point {
    bits: Bits,
    x: f64,
    y: f64,
}

/// An axis of a plot.
struct Axis<'a, X> {
    range: X,
    title: &'a str,
}

/// Error against bytes per row, at every width; `None` where there is nothing above zero to draw.
pub fn against_bytes(outcomes: &[Outcome]) -> Result<Option<String>, Fault> {
    let series = series(outcomes, |cpu| cpu.row_bytes);
    let Some((low, high)) = extremes(&series, |point| point.x) else {
        return Ok(None);
    };
    let margin = 0.04 * high;
    let axis = Axis {
        range: low - margin..high + margin,
        title: "bytes per row",
    };
    plot(axis, &series).map(Some)
}

/// Error against seconds on the CPU, at one width; `None` as above.
pub fn against_seconds(outcomes: &[Outcome], bits: Bits) -> Result<Option<String>, Fault> {
    let mut series = series(outcomes, |cpu| cpu.seconds);
    for series in &mut series {
        series.points.retain(|point| point.bits == bits);
    }
    series.retain(|series| !series.points.is_empty());
    let Some((low, high)) = extremes(&series, |point| point.x) else {
        return Ok(None);
    };
    let ticks = Ticks::around(low, high);
    let axis = Axis {
        range: ticks.range.log_scale().with_key_points(ticks.values),
        title: "seconds on the CPU",
    };
    plot(axis, &series).map(Some)
}

/// The points of every method that has any. A logarithm has no place for zero.
fn series(outcomes: &[Outcome], x: impl Fn(&OnCpu) -> f64) -> Vec<Series> {
    let points_of = |method: Method| {
        let its = outcomes.iter().filter(move |o| o.pairing.method == method);
        its.filter_map(|outcome| {
            let cpu = outcome.cpu.as_ref()?;
            let (bits, x, y) = (outcome.pairing.bits, x(cpu), cpu.errors.whole);
            let drawable = x > 0.0 && y > 0.0 && y.is_finite();
            drawable.then_some(Point { bits, x, y })
        })
    };
    let all = Method::ALL.iter().copied().zip(COLOURS.into_iter().cycle());
    all.map(|(method, colour)| Series {
        name: method.name(),
        colour,
        points: points_of(method).collect(),
    })
    .filter(|series| !series.points.is_empty())
    .collect()
}

/// The least and the largest of a number of every point.
fn extremes(series: &[Series], of: impl Fn(&Point) -> f64) -> Option<(f64, f64)> {
    let values = || series.iter().flat_map(|series| &series.points).map(&of);
    let low = values().min_by(f64::total_cmp)?;
    Some((low, values().max_by(f64::total_cmp)?))
}

/// A whole plot, its legend beside it.
fn plot<X>(axis: Axis<'_, X>, series: &[Series]) -> Result<String, Fault>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    let (left, right) = root.split_horizontally(SIZE.0 - LEGEND);
    draw_series(&left, axis, series)?;
    draw_legend(&right, series)?;
    root.present()?;
    // They borrow the text.
    drop((left, right, root));
    Ok(text)
}

/// Axes, a line for every method, and a marker for every width.
fn draw_series<X>(area: &Area<'_>, axis: Axis<'_, X>, series: &[Series]) -> Result<(), Fault>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let (low, high) = extremes(series, |point| point.y).unwrap_or((1.0, 1.0));
    let ticks = Ticks::around(low, high);
    let y = ticks.range.log_scale().with_key_points(ticks.values);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(axis.range, y)?;
    chart
        .configure_mesh()
        .x_desc(axis.title)
        .y_desc("error, |X - X'| / |X|")
        .x_label_formatter(&tick_label)
        .y_label_formatter(&tick_label)
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 17))
        .axis_style(GREY)
        .bold_line_style(GREY.mix(0.3))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for series in series {
        let line = series.points.iter().map(|point| (point.x, point.y));
        let line = PathElement::new(line.collect::<Vec<_>>(), series.colour.stroke_width(2));
        chart.plotting_area().draw(&line)?;
    }
    // Above all lines.
    for series in series {
        for point in &series.points {
            let marker = marker(point.bits, (0, 0), series.colour);
            let placed = EmptyElement::at((point.x, point.y)) + marker;
            chart.plotting_area().draw(&placed)?;
        }
    }
    Ok(())
}

/// A tick as a person would write it, without what sums of f64 leave behind.
fn tick_label(value: &f64) -> String {
    match value.abs() {
        small if small > 0.0 && small < 1e-6 => format!("{value:e}"),
        _ => ((value * 1e9).round() / 1e9).to_string(),
    }
}

/// Which colour is which method, and which marker which width.
fn draw_legend(area: &Area<'_>, series: &[Series]) -> Result<(), Fault> {
    let style = ("sans-serif", 16).into_font();
    let mut y = LEGEND_LINE;
    for series in series {
        let line = vec![(0, y), (22, y)];
        area.draw(&PathElement::new(line, series.colour.stroke_width(4)))?;
        area.draw(&Text::new(series.name, (30, y - 7), style.clone()))?;
        y += LEGEND_LINE;
    }
    y += LEGEND_LINE / 2;
    for bits in Bits::ALL {
        let points = series.iter().flat_map(|series| &series.points);
        if points.into_iter().any(|point| point.bits == bits) {
            area.draw(&marker(bits, (11, y), GREY))?;
            let text = format!("{} bits", bits.count());
            area.draw(&Text::new(text, (30, y - 7), style.clone()))?;
            y += LEGEND_LINE;
        }
    }
    Ok(())
}

/// A regular polygon for every width: triangle, diamond, pentagon, and as good as a circle.
fn marker(bits: Bits, (x, y): (i32, i32), colour: RGBColor) -> Polygon<(i32, i32)> {
    let corners = match bits {
        Bits::B2 => 3,
        Bits::B3 => 4,
        Bits::B4 => 5,
        _ => 12,
    };
    let corner = |at| {
        let angle = f64::from(at) * std::f64::consts::TAU / f64::from(corners);
        let (sin, cos) = angle.sin_cos();
        let near = |distance: f64| distance.round() as i32;
        (x + near(RADIUS * sin), y - near(RADIUS * cos))
    };
    Polygon::new(
        (0..corners).map(corner).collect::<Vec<_>>(),
        colour.filled(),
    )
}

/// A logarithmic axis that begins and ends at a tick.
struct Ticks {
    range: Range<f64>,
    values: Vec<f64>,
}

impl Ticks {
    /// At multiples of the powers of ten, fewer the more decades there are. The ends leave room for a
    /// marker.
    fn around(low: f64, high: f64) -> Self {
        const ROOM: f64 = 1.08;
        let (low, high) = (low / ROOM, high * ROOM);
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let steps: &[f64] = match high / low {
            ..=10.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
            ..=1000.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let decades = first..=last;
        let mut values: Vec<_> = decades
            .flat_map(|decade| steps.iter().map(move |step| times_power(*step, decade)))
            .collect();
        // All but the last tick below and the first above.
        let below = values.iter().filter(|tick| **tick <= low).count();
        values.drain(..below.saturating_sub(1));
        let above = values.iter().filter(|tick| **tick >= high).count();
        values.truncate(values.len() + 1 - above.max(1));
        let ends = (values.first(), values.last());
        Self {
            range: *ends.0.unwrap_or(&low)..*ends.1.unwrap_or(&high),
            values,
        }
    }
}

/// `step * 10^decade`, divided where the power is below one: the number that a person would type.
fn times_power(step: f64, decade: i32) -> f64 {
    match decade < 0 {
        true => step / 10f64.powi(-decade),
        false => step * 10f64.powi(decade),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_begins_and_ends_at_a_tick() {
        let ticks = Ticks::around(0.03, 0.4);
        assert_eq!(ticks.values, [0.02, 0.05, 0.1, 0.2, 0.5]);
        assert_eq!(ticks.range, 0.02..0.5);
        let narrow = Ticks::around(0.09, 0.13).values;
        assert_eq!(narrow, [0.08, 0.09, 0.1, 0.15]);
        assert_eq!(Ticks::around(3.0, 3.0).values, [2.0, 3.0, 4.0]);
        let wide = Ticks::around(0.0002, 300.0).values;
        assert_eq!(wide, [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]);
    }

    #[test]
    fn ticks_are_written_short() {
        let label = |value: f64| tick_label(&value);
        assert_eq!(
            [label(0.1 + 0.2), label(40.0), label(0.0)],
            ["0.3", "40", "0"]
        );
        assert_eq!(label(times_power(5.0, -8)), "5e-8");
    }

    #[test]
    fn every_method_has_a_colour() {
        let writes_codes = |method: &&Method| method.format(Bits::B4, None).is_ok();
        let coded = Method::ALL.iter().filter(writes_codes).count();
        assert_eq!(COLOURS.len(), coded);
        assert_eq!(Method::ALL[coded..], [Method::Cast]);
    }
}
