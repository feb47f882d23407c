//! One measured figure beside its aim.
use std::fmt;
use std::time::Duration;

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    #[serde(rename = "us")]
    Micros,
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "KiB")]
    Kibibytes,
    #[serde(rename = "MB")]
    Megabytes,
    #[serde(rename = "% of a core")]
    PercentOfCore,
}

/// A figure that is at most its aim is met.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub figure: &'static str,
    pub aim: f64,
    pub unit: Unit,
    /// The median where there are several samples.
    pub measured: f64,
    pub ratio: f64,
    pub pass: bool,
    pub samples: usize,
    pub least: f64,
    pub most: f64,
}

impl Figure {
    /// The median of samples that are in `unit`. Panics without samples: a bench that measured nothing is broken.
    pub fn new(name: &'static str, figure: &'static str, aim: f64, unit: Unit, mut samples: Vec<f64>) -> Figure {
        samples.sort_by(f64::total_cmp);
        let (least, most) = (samples[0], samples[samples.len() - 1]);
        let measured = median(&samples);
        Figure { name, figure, aim, unit, measured, ratio: measured / aim, pass: measured <= aim, samples: samples.len(), least, most }
    }

    /// The median of durations, told in `unit`.
    pub fn of_durations(name: &'static str, figure: &'static str, aim: f64, unit: Unit, durations: Vec<Duration>) -> Figure {
        let per_second = match unit {
            Unit::Micros => 1e6,
            Unit::Millis => 1e3,
            _ => 1.0,
        };
        let samples = durations.iter().map(|duration| duration.as_secs_f64() * per_second).collect();
        Figure::new(name, figure, aim, unit, samples)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { name, measured, least, most, samples, unit, aim, .. } = self;
        let unit = unit.text();
        write!(f, "{name}: {measured:.3} {unit} ({least:.3} to {most:.3}, {samples} samples), at most {aim} {unit}")
    }
}

impl Unit {
    pub fn text(self) -> &'static str {
        match self {
            Unit::Micros => "us",
            Unit::Millis => "ms",
            Unit::Seconds => "s",
            Unit::Kibibytes => "KiB",
            Unit::Megabytes => "MB",
            Unit::PercentOfCore => "% of a core",
        }
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
