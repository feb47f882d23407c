//! What the engine alone takes to instantiate, as its example `measure` tells it.
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cluster::BINARY;
use crate::figure::{Figure, Unit};

/// The component of the figure: a WASI 0.3 command; most components of minicloud are of that version.
const COMPONENT: &str = "test_cli3";

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let measure = Path::new(BINARY).with_file_name("examples").join("measure");
    let output = Command::new(&measure).args(["--json", "start"]).output();
    let output = output.with_context(|| format!("{} could not be started; run this with 'cargo xtask bench'", measure.display()))?;
    if !output.status.success() {
        bail!("{} failed: {}", measure.display(), String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.into_iter().find(|line| line["component"] == COMPONENT).context("the example told nothing of the component")?;
    let samples = line["instantiate_us"].as_array().context("the example told no times")?.iter().filter_map(Value::as_f64).collect();
    Ok(vec![Figure::new("instantiate", "instantiation p50", 50.0, Unit::Micros, samples)])
}
