//! `cargo xtask test`: formatting, lints, and every test from unit to browser.
use anyhow::ensure;

use crate::{run, setup};

pub fn test(args: &[String]) -> anyhow::Result<()> {
    ensure!(args.is_empty(), "usage: cargo xtask test");
    setup::guests()?;
    setup::clients()?;
    web()?;
    guests()?;
    host()
}

fn web() -> anyhow::Result<()> {
    run::program("web", "npm", &["test"])
}

fn guests() -> anyhow::Result<()> {
    run::program("guests", "cargo", &["fmt", "--all", "--check"])?;
    run::program("guests", "cargo", &["clippy", "--workspace", "--all-targets", "--target-dir", "target", "--", "-D", "warnings"])?;
    run::program("guests", "cargo", &["test", "--workspace", "--target-dir", "target"])
}

fn host() -> anyhow::Result<()> {
    run::cargo(&["fmt", "--all", "--check"])?;
    run::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    run::cargo(&["test", "--workspace"])
}
