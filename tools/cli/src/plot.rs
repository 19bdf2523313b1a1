//! Plots as SVG text: lines with markers, and a legend beside them.
//!
//! Text takes the colour of the page that the plot stands in, and every other colour reads on white and
//! on black.

mod axis;

pub use axis::Axis;
use plotters::coord::Shift;
use plotters::prelude::*;

/// Pixels of a plot, its legend included.
const SIZE: (u32, u32) = (960, 540);
/// Pixels of the legend's column where its names are short.
const LEGEND: u32 = 160;
/// Pixels that a letter of the legend takes at the most.
const LETTER: u32 = 9;
/// Pixels from one line of the legend to the next.
const LEGEND_LINE: i32 = 22;
/// Pixels from a marker's middle to its rim.
const RADIUS: f64 = 6.0;
/// Axes and grid.
const GREY: RGBColor = RGBColor(128, 128, 128);
/// Contrast 3 or more with white and with black; the first is grey.
pub const COLOURS: [RGBColor; 14] = [
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
pub type Fault = DrawingAreaErrorKind<std::io::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A plot.
pub struct Plot {
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// Lines, in the order of the legend.
    pub series: Vec<Series>,
    /// What markers of so many corners stand for.
    pub markers: Vec<(u32, String)>,
}

/// A line.
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Of line and markers.
    pub colour: RGBColor,
    /// From left to right.
    pub points: Vec<Point>,
}

/// A marker on a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Corners of the marker.
    pub corners: u32,
}

impl Plot {
    /// The plot as text.
    pub fn svg(&self) -> Result<String, Fault> {
        let mut text = String::new();
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        let (left, right) = root.split_horizontally(SIZE.0 - self.legend_width());
        self.draw_series(&left)?;
        self.draw_legend(&right)?;
        root.present()?;
        // They borrow the text.
        drop((left, right, root));
        Ok(text)
    }

    /// As wide as the longest name, up to half of the plot.
    fn legend_width(&self) -> u32 {
        let letters = self.series.iter().map(|series| series.name.len() as u32);
        let longest = letters.max().unwrap_or(0);
        (30 + LETTER * longest).clamp(LEGEND, SIZE.0 / 2)
    }

    /// Axes, every line, and then all markers, above the lines.
    fn draw_series(&self, area: &Area<'_>) -> Result<(), Fault> {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .x_desc(&self.x.title)
            .y_desc(&self.y.title)
            .x_label_formatter(&axis::label)
            .y_label_formatter(&axis::label)
            .label_style(("sans-serif", 16))
            .axis_desc_style(("sans-serif", 17))
            .axis_style(GREY)
            .bold_line_style(GREY.mix(0.3))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for series in &self.series {
            let line = series.points.iter().map(|point| (point.x, point.y));
            let line = PathElement::new(line.collect::<Vec<_>>(), series.colour.stroke_width(2));
            chart.plotting_area().draw(&line)?;
        }
        for series in &self.series {
            for point in &series.points {
                let marker = marker(point.corners, (0, 0), series.colour);
                let placed = EmptyElement::at((point.x, point.y)) + marker;
                chart.plotting_area().draw(&placed)?;
            }
        }
        Ok(())
    }

    /// Which colour is which line, and which marker is what.
    fn draw_legend(&self, area: &Area<'_>) -> Result<(), Fault> {
        let style = ("sans-serif", 16).into_font();
        let mut y = LEGEND_LINE;
        for series in &self.series {
            let line = vec![(0, y), (22, y)];
            area.draw(&PathElement::new(line, series.colour.stroke_width(4)))?;
            area.draw(&Text::new(series.name.clone(), (30, y - 7), style.clone()))?;
            y += LEGEND_LINE;
        }
        y += LEGEND_LINE / 2;
        for (corners, name) in &self.markers {
            area.draw(&marker(*corners, (11, y), GREY))?;
            area.draw(&Text::new(name.clone(), (30, y - 7), style.clone()))?;
            y += LEGEND_LINE;
        }
        Ok(())
    }
}

/// A regular polygon; one of twelve corners is as good as a circle.
fn marker(corners: u32, (x, y): (i32, i32), colour: RGBColor) -> Polygon<(i32, i32)> {
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
