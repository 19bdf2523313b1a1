//! Two plots as SVG text: AUC against epochs, AUC against bits.
//!
//! Text takes the colour of the page that the plot stands in, and every other colour reads on white and
//! on black.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::configuration::Method;
use crate::outcome::Outcome;

/// Pixels of a plot, its legend included.
const SIZE: (u32, u32) = (960, 540);
/// Pixels of the legend's column.
const LEGEND: u32 = 180;
/// Pixels from one line of the legend to the next.
const LEGEND_LINE: i32 = 22;
/// Pixels from a marker's middle to its rim.
const RADIUS: f64 = 5.0;
/// Axes and grid.
const GREY: RGBColor = RGBColor(128, 128, 128);

/// What drawing into a string may fail with.
type Fault = DrawingAreaErrorKind<std::io::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line with a marker at every point.
struct Series {
    name: String,
    colour: RGBColor,
    /// Corners of its markers.
    corners: u32,
    points: Vec<(f64, f64)>,
}

/// What stands at the axes.
struct Axes<'a> {
    x: &'a str,
    y: &'a str,
    x_label: fn(&f64) -> String,
}

/// Mean AUC of the validation samples after every epoch, a line for every way and width.
pub fn against_epochs(outcomes: &[&Outcome]) -> Result<String, Fault> {
    let series = outcomes.iter().map(|outcome| {
        let configuration = &outcome.configuration;
        let epochs = (1..).map(f64::from);
        Series {
            name: format!("{} {}", configuration.method, configuration.width()),
            colour: colour(configuration.method),
            corners: corners(configuration.width()),
            points: epochs.zip(outcome.curve()).collect(),
        }
    });
    let axes = Axes {
        x: "epoch",
        y: "validation AUC, mean over seeds",
        x_label: |epoch| format!("{epoch:.0}"),
    };
    plot(&axes, &series.collect::<Vec<_>>())
}

/// Mean AUC of the test samples at every width, a line for every way; fp32 is level.
pub fn against_bits(outcomes: &[&Outcome]) -> Result<String, Fault> {
    let widths = outcomes
        .iter()
        .filter_map(|outcome| outcome.configuration.bits);
    let widths = widths.map(|bits| f64::from(bits.count()).log2());
    let (low, high) = extremes(widths).unwrap_or((1.0, 3.0));
    let series = Method::ALL.into_iter().map(|method| {
        let its = outcomes
            .iter()
            .filter(|one| one.configuration.method == method);
        let points = its.flat_map(|one| {
            let (auc, _) = one.auc();
            match one.configuration.bits {
                Some(bits) => vec![(f64::from(bits.count()).log2(), auc)],
                None => vec![(low, auc), (high, auc)],
            }
        });
        Series {
            name: method.to_string(),
            colour: colour(method),
            corners: 12,
            points: points.collect(),
        }
    });
    let axes = Axes {
        x: "bits (fp32: 32 at every place)",
        y: "test AUC, mean over seeds",
        x_label: width_label,
    };
    plot(&axes, &series.collect::<Vec<_>>())
}

/// Nothing between two widths.
fn width_label(log: &f64) -> String {
    match log.fract() {
        0.0 => log.exp2().to_string(),
        _ => String::new(),
    }
}

/// The baseline grey; contrast 3 or more with white and with black.
fn colour(method: Method) -> RGBColor {
    match method {
        Method::Fp32 => GREY,
        Method::LptNearest => RGBColor(203, 35, 74),
        Method::LptStochastic => RGBColor(2, 111, 215),
        Method::Alpt => RGBColor(5, 165, 120),
    }
}

/// Triangle, pentagon, and as good as a circle.
fn corners(width: u32) -> u32 {
    match width {
        2 => 3,
        4 => 5,
        _ => 12,
    }
}

/// The least and the largest.
fn extremes(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let low = values.clone().min_by(f64::total_cmp)?;
    Some((low, values.max_by(f64::total_cmp)?))
}

/// All values with room on both sides.
fn range(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    const ROOM: f64 = 0.05;
    const LEAST: f64 = 0.001;
    let (low, high) = extremes(values).unwrap_or((0.0, 1.0));
    let room = (ROOM * (high - low)).max(LEAST);
    low - room..high + room
}

/// A whole plot, its legend beside it.
fn plot(axes: &Axes<'_>, series: &[Series]) -> Result<String, Fault> {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    let (left, right) = root.split_horizontally(SIZE.0 - LEGEND);
    draw_series(&left, axes, series)?;
    draw_legend(&right, series)?;
    root.present()?;
    // They borrow the text.
    drop((left, right, root));
    Ok(text)
}

fn draw_series(area: &Area<'_>, axes: &Axes<'_>, series: &[Series]) -> Result<(), Fault> {
    let points = || series.iter().flat_map(|series| &series.points);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(
            range(points().map(|point| point.0)),
            range(points().map(|point| point.1)),
        )?;
    chart
        .configure_mesh()
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_labels(8)
        .x_label_formatter(&axes.x_label)
        .y_label_formatter(&|auc| format!("{auc:.3}"))
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 17))
        .axis_style(GREY)
        .bold_line_style(GREY.mix(0.3))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for series in series {
        let style = series.colour.stroke_width(2);
        let line = PathElement::new(series.points.clone(), style);
        chart.plotting_area().draw(&line)?;
        for &point in &series.points {
            let placed = EmptyElement::at(point) + marker(series, (0, 0));
            chart.plotting_area().draw(&placed)?;
        }
    }
    Ok(())
}

fn draw_legend(area: &Area<'_>, series: &[Series]) -> Result<(), Fault> {
    let style = ("sans-serif", 16).into_font();
    let drawn = series.iter().filter(|series| !series.points.is_empty());
    for (series, line) in drawn.zip(1..) {
        let y = line * LEGEND_LINE;
        let path = PathElement::new(vec![(0, y), (22, y)], series.colour.stroke_width(2));
        area.draw(&path)?;
        area.draw(&marker(series, (11, y)))?;
        area.draw(&Text::new(series.name.clone(), (30, y - 7), style.clone()))?;
    }
    Ok(())
}

fn marker(series: &Series, (x, y): (i32, i32)) -> Polygon<(i32, i32)> {
    let corner = |at| {
        let angle = f64::from(at) * std::f64::consts::TAU / f64::from(series.corners);
        let (sin, cos) = angle.sin_cos();
        let near = |distance: f64| distance.round() as i32;
        (x + near(RADIUS * sin), y - near(RADIUS * cos))
    };
    let corners: Vec<_> = (0..series.corners).map(corner).collect();
    Polygon::new(corners, series.colour.filled())
}
