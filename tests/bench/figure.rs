//! One measured figure beside its aim, if it has one.
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
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    #[serde(rename = "1/s")]
    PerSecond,
    /// Of what another program does on the same machine at the same time.
    #[serde(rename = "of theirs")]
    OfTheirs,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sense {
    AtMost,
    AtLeast,
    /// It has no aim, and explains another one.
    Told,
}

/// What was measured, beside its aim.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub figure: &'static str,
    pub sense: Sense,
    /// Absent for one that is only told, as are `ratio` and `pass`.
    pub aim: Option<f64>,
    pub unit: Unit,
    /// The median where there are several samples.
    pub measured: f64,
    pub ratio: Option<f64>,
    pub pass: Option<bool>,
    pub samples: usize,
    pub least: f64,
    pub most: f64,
}

impl Figure {
    /// The median of samples that are in `unit`, which is to be at most `aim`. Panics without samples, as all of these: a
    /// bench that measured nothing is broken.
    pub fn new(name: &'static str, figure: &'static str, aim: f64, unit: Unit, samples: Vec<f64>) -> Figure {
        let told = Figure::told(name, figure, unit, samples);
        let pass = told.measured <= aim;
        Figure { sense: Sense::AtMost, aim: Some(aim), ratio: Some(told.measured / aim), pass: Some(pass), ..told }
    }

    /// As [`Figure::new`], of what is to be at least `aim`.
    pub fn at_least(name: &'static str, figure: &'static str, aim: f64, unit: Unit, samples: Vec<f64>) -> Figure {
        let told = Figure::told(name, figure, unit, samples);
        let pass = told.measured >= aim;
        Figure { sense: Sense::AtLeast, aim: Some(aim), ratio: Some(told.measured / aim), pass: Some(pass), ..told }
    }

    /// The median of samples, without an aim.
    pub fn told(name: &'static str, figure: &'static str, unit: Unit, mut samples: Vec<f64>) -> Figure {
        samples.sort_by(f64::total_cmp);
        let (least, most) = (samples[0], samples[samples.len() - 1]);
        let measured = median(&samples);
        let samples = samples.len();
        Figure { name, figure, sense: Sense::Told, aim: None, unit, measured, ratio: None, pass: None, samples, least, most }
    }

    /// The aim in words; empty where there is none.
    pub fn aim_text(&self) -> String {
        let sign = match self.sense {
            Sense::AtMost => "<=",
            Sense::AtLeast => ">=",
            Sense::Told => "",
        };
        self.aim.map_or_else(String::new, |aim| format!("{sign} {aim} {}", self.unit.text()))
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
        let Figure { name, measured, least, most, samples, unit, .. } = self;
        let unit = unit.text();
        write!(f, "{name}: {measured:.3} {unit} ({least:.3} to {most:.3}, {samples} samples) {}", self.aim_text())
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
            Unit::Mebibytes => "MiB",
            Unit::MegabytesPerSecond => "MB/s",
            Unit::PerSecond => "1/s",
            Unit::OfTheirs => "of theirs",
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
