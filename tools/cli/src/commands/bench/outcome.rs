//! What was measured.

use super::machine::Machine;
use super::point::Point;
use super::scale::Pace;
use super::subject::Subject;
use super::traffic::Traffic;
use crate::measure::{Clock, Timing};

/// A whole run.
pub struct Record {
    /// Where.
    pub machine: Machine,
    /// Threads of the CPU's engine.
    pub threads: Option<usize>,
    /// How the time was taken.
    pub clock: Clock,
    /// Bytes per second, read and written, of a copy on this device in this run.
    pub copy_rate: f64,
    /// When it ended, in UTC.
    pub date: String,
    /// How much time there was.
    pub pace: Pace,
    /// What was measured, in order.
    pub rows: Vec<Row>,
    /// What could not be.
    pub skipped: Vec<Skipped>,
}

/// One subject at one point.
pub struct Row {
    /// What.
    pub subject: Subject,
    /// Where on the axes.
    pub point: Point,
    /// Seconds of one repetition.
    pub timing: Timing,
    /// Bytes of one repetition.
    pub traffic: Traffic,
    /// What is counted, of one repetition.
    pub items: u64,
}

/// One subject at one point that could not be measured.
pub struct Skipped {
    /// What.
    pub subject: Subject,
    /// Where on the axes.
    pub point: Point,
    /// Why not.
    pub reason: String,
}

/// How many times as fast a lookup is as a baseline.
pub struct Ratio<'a> {
    /// The lookup.
    pub rival: &'a Row,
    /// The baseline.
    pub baseline: &'a Row,
    /// The median of the one divided by that of the other; they took turns.
    pub times: f64,
}

impl Row {
    /// What is counted, a second.
    pub fn items_per_second(&self) -> f64 {
        self.items as f64 / self.timing.median()
    }

    /// Lookups a second, of what makes any.
    pub fn lookups_per_second(&self) -> Option<f64> {
        let lookups = self.subject.item() == "lookups";
        lookups.then(|| self.items_per_second())
    }

    /// Bytes a second as a part of a copy's.
    pub fn fraction_of_copy(&self, copy_rate: f64) -> f64 {
        self.traffic.bytes as f64 / self.timing.median() / copy_rate
    }

    /// The same of the bytes of all sectors.
    pub fn sector_fraction_of_copy(&self, copy_rate: f64) -> f64 {
        self.traffic.sector_bytes as f64 / self.timing.median() / copy_rate
    }
}

impl Record {
    /// Every baseline beside its lookup.
    pub fn ratios(&self) -> Vec<Ratio<'_>> {
        let rival = |baseline: &Row| {
            let subject = baseline.subject.rival()?;
            let same = |row: &&Row| row.subject == subject && row.point == baseline.point;
            self.rows.iter().find(same)
        };
        let ratio = |baseline| {
            let rival = rival(baseline)?;
            Some(Ratio {
                rival,
                baseline,
                times: baseline.timing.median() / rival.timing.median(),
            })
        };
        self.rows.iter().filter_map(ratio).collect()
    }
}
