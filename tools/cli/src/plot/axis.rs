//! Axes, and where their ticks are.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// An axis of a plot.
#[derive(Clone)]
pub struct Axis {
    pub(super) title: String,
    spacing: Spacing,
    range: Range<f64>,
    ticks: Vec<f64>,
}

/// How numbers become distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    /// By their differences.
    Linear,
    /// By their ratios.
    Logarithmic,
}

impl Axis {
    /// A linear axis with room around these values; `None` where there are none.
    pub fn linear(title: &str, values: &[f64]) -> Option<Self> {
        let (low, high) = extremes(values)?;
        let margin = 0.04 * high;
        Some(Self::between(title, low - margin, high + margin))
    }

    /// A linear axis from 0 to above the largest of these values; `None` where there are none above 0.
    pub fn from_zero(title: &str, values: &[f64]) -> Option<Self> {
        let (_, high) = extremes(values)?;
        (high > 0.0).then(|| Self::between(title, 0.0, 1.06 * high))
    }

    fn between(title: &str, low: f64, high: f64) -> Self {
        Self {
            title: title.into(),
            spacing: Spacing::Linear,
            range: low..high,
            ticks: steps(low, high),
        }
    }

    /// A logarithmic axis that begins and ends at a tick; `None` where there are no values, or not above 0.
    pub fn logarithmic(title: &str, values: &[f64]) -> Option<Self> {
        let (low, high) = extremes(values)?;
        (low > 0.0).then(|| {
            let (range, ticks) = around(low, high);
            Self {
                title: title.into(),
                spacing: Spacing::Logarithmic,
                range,
                ticks,
            }
        })
    }

    /// An axis with a tick at each of these values and nowhere else: logarithmic where all are above 0 and the
    /// largest is more than twice the smallest.
    pub fn at(title: &str, values: &[f64]) -> Option<Self> {
        let (low, high) = extremes(values)?;
        let mut ticks = values.to_vec();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let (spacing, range) = match low > 0.0 && high > 2.0 * low {
            true => {
                let room = (high / low).powf(0.04);
                (Spacing::Logarithmic, low / room..high * room)
            }
            false => {
                let room = 0.04 * (high - low).max(high.abs()).max(1e-9);
                (Spacing::Linear, low - room..high + room)
            }
        };
        Some(Self {
            title: title.into(),
            spacing,
            range,
            ticks,
        })
    }

    /// Where a number lies, 0 at the beginning and 1 at the end.
    fn place(&self, value: f64) -> f64 {
        let Range { start, end } = self.range;
        match self.spacing {
            Spacing::Linear => (value - start) / (end - start),
            Spacing::Logarithmic => (value / start).ln() / (end / start).ln(),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (begin, end): (i32, i32)) -> i32 {
        begin + (f64::from(end - begin) * self.place(*value)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

fn extremes(values: &[f64]) -> Option<(f64, f64)> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    Some((
        finite().min_by(f64::total_cmp)?,
        finite().max_by(f64::total_cmp)?,
    ))
}

/// Multiples of one, two or five times a power of ten, at most ten of them.
fn steps(low: f64, high: f64) -> Vec<f64> {
    let width = (high - low).max(f64::MIN_POSITIVE);
    let decade = (width / 10.0).log10().floor() as i32;
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| times_power(step, decade));
    let step = steps.into_iter().find(|step| width / step <= 10.0);
    let step = step.unwrap_or(width);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|at| at as f64 * step).collect()
}

/// Multiples of the powers of ten, fewer the more decades there are, from one below to one above. The ends leave
/// room for a marker.
fn around(low: f64, high: f64) -> (Range<f64>, Vec<f64>) {
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
    (*ends.0.unwrap_or(&low)..*ends.1.unwrap_or(&high), values)
}

/// `step * 10^decade`, divided where the power is below one: the number that a person would type.
fn times_power(step: f64, decade: i32) -> f64 {
    match decade < 0 {
        true => step / 10f64.powi(-decade),
        false => step * 10f64.powi(decade),
    }
}

/// A tick as a person would write it, without what sums of f64 leave behind.
pub(super) fn label(value: &f64) -> String {
    let short = |value: f64| ((value * 1e9).round() / 1e9).to_string();
    match value.abs() {
        small if small > 0.0 && small < 1e-6 => format!("{value:e}"),
        large if large >= 1e9 => format!("{} G", short(value / 1e9)),
        large if large >= 1e6 => format!("{} M", short(value / 1e6)),
        large if large >= 1e4 => format!("{} k", short(value / 1e3)),
        _ => short(*value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_axis_begins_and_ends_at_a_tick() {
        let (range, ticks) = around(0.03, 0.4);
        assert_eq!(ticks, [0.02, 0.05, 0.1, 0.2, 0.5]);
        assert_eq!(range, 0.02..0.5);
        let narrow = around(0.09, 0.13).1;
        assert_eq!(narrow, [0.08, 0.09, 0.1, 0.15]);
        assert_eq!(around(3.0, 3.0).1, [2.0, 3.0, 4.0]);
        let wide = around(0.0002, 300.0).1;
        assert_eq!(wide, [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]);
    }

    #[test]
    fn a_linear_axis_has_round_ticks() {
        assert_eq!(
            steps(0.0, 10.0),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
        );
        assert_eq!(
            steps(3.0, 50.0),
            [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0]
        );
        assert!(Axis::from_zero("x", &[0.0]).is_none() && Axis::linear("x", &[]).is_none());
        assert_eq!(Axis::from_zero("x", &[100.0]).unwrap().range, 0.0..106.0);
    }

    #[test]
    fn an_axis_has_ticks_at_its_values() {
        let dims = Axis::at("dim", &[128.0, 32.0, 384.0, 32.0]).unwrap();
        assert_eq!(dims.ticks, [32.0, 128.0, 384.0]);
        assert_eq!(dims.spacing, Spacing::Logarithmic);
        let zipf = Axis::at("zipf", &[0.0, 1.05, 1.15]).unwrap();
        assert_eq!(zipf.spacing, Spacing::Linear);
        assert!(zipf.range.start < 0.0 && zipf.range.end > 1.15);
        assert_eq!(
            Axis::from_zero("x", &[100.0]).unwrap().map(&53.0, (0, 10)),
            5
        );
        assert_eq!(Axis::logarithmic("x", &[2.0, 4.0]).unwrap().place(1.5), 0.0);
    }

    #[test]
    fn ticks_are_written_short() {
        let label = |value: f64| label(&value);
        assert_eq!(
            [label(0.1 + 0.2), label(40.0), label(0.0)],
            ["0.3", "40", "0"]
        );
        assert_eq!(label(times_power(5.0, -8)), "5e-8");
        assert_eq!(
            [label(2e8), label(50_000.0), label(3e9)],
            ["200 M", "50 k", "3 G"]
        );
        assert_eq!([label(1000.0), label(0.02)], ["1000", "0.02"]);
    }
}
