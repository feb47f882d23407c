//! `cargo xtask test`: formatting, lints, and every test from unit to browser.
use anyhow::bail;

use crate::{run, setup};

/// How much is tested.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Ordinary,
    /// With the tests that take minutes and an idle machine.
    Full,
}

pub fn test(args: &[String]) -> anyhow::Result<()> {
    let extent = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Extent::Ordinary,
        ["--full"] => Extent::Full,
        _ => bail!("usage: cargo xtask test [--full]"),
    };
    setup::guests()?;
    setup::clients()?;
    web()?;
    guests()?;
    host()?;
    if extent == Extent::Full { rates() } else { Ok(()) }
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

/// One after the other, as they measure time.
fn rates() -> anyhow::Result<()> {
    run::cargo(&["test", "--workspace", "--test", "e2e", "--", "--ignored", "--nocapture", "--test-threads", "1"])
}
