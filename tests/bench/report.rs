//! All figures of one run with the machine they were measured on, as a table, as JSON, and as a file.
use std::path::{Path, PathBuf};
use std::process::Command;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::figure::Figure;
use crate::machine::Machine;

#[derive(Serialize)]
pub struct Report {
    date: String,
    commit: String,
    /// The tree had changes beyond the commit.
    changed: bool,
    machine: Machine,
    figures: Vec<Figure>,
    /// What was not measured.
    skipped: Vec<Skipped>,
}

/// Figures that lack a program to compare with.
#[derive(Serialize)]
pub struct Skipped {
    pub name: &'static str,
    pub reason: String,
}

impl Report {
    pub fn new(figures: Vec<Figure>, skipped: Vec<Skipped>) -> anyhow::Result<Report> {
        Ok(Report {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            commit: git(&["rev-parse", "--short=9", "HEAD"]).unwrap_or_else(|| "unknown".to_owned()),
            changed: git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty()),
            machine: Machine::look()?,
            figures,
            skipped,
        })
    }

    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["FIGURE", "AIM", "MEASURED", "RATIO", ""]);
        for figure in &self.figures {
            let unit = figure.unit.text();
            table.add_row([
                figure.figure.to_owned(),
                figure.aim_text(),
                format!("{} {unit}", rounded(figure.measured)),
                figure.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                figure.pass.map_or("", |pass| if pass { "pass" } else { "MISSED" }).to_owned(),
            ]);
        }
        for Skipped { name, reason } in &self.skipped {
            table.add_row([name, "", reason, "", "SKIPPED"]);
        }
        let Machine { cores, memory_mib, fdatasync_ms, load, .. } = &self.machine;
        format!("{table}\n\n{cores} cores, {memory_mib} MiB, fdatasync p50 {fdatasync_ms:.2} ms, load average {load:.1}")
    }

    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Keeps it under the day and the commit; a later run of the same takes its place.
    pub fn save(&self) -> anyhow::Result<PathBuf> {
        let folder = root().join("tests/bench/results");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{}-{}.json", self.date, self.commit));
        std::fs::write(&file, self.json()? + "\n")?;
        Ok(file)
    }
}

/// Three digits that mean something.
fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the package stands two folders below the root")
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
