//! `cargo xtask test`: formatting, lints, and every test from unit to browser.
use anyhow::bail;

use crate::{run, setup};

pub fn test(args: &[String]) -> anyhow::Result<()> {
    let full = match args {
        [] => false,
        [only] if only == "--full" => true,
        _ => bail!("usage: cargo xtask test [--full]"),
    };
    setup::guests()?;
    setup::clients()?;
    web()?;
    guests()?;
    host(full)
}

fn web() -> anyhow::Result<()> {
    run::program("web", "npm", &["test"])
}

fn guests() -> anyhow::Result<()> {
    run::program("guests", "cargo", &["fmt", "--all", "--check"])?;
    run::program("guests", "cargo", &["clippy", "--workspace", "--all-targets", "--target-dir", "target", "--", "-D", "warnings"])?;
    run::program("guests", "cargo", &["test", "--workspace", "--target-dir", "target"])
}

fn host(full: bool) -> anyhow::Result<()> {
    run::cargo(&["fmt", "--all", "--check"])?;
    run::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    let mut command = vec!["test", "--workspace"];
    if full {
        command.extend(["--", "--include-ignored"]);
    }
    run::cargo(&command)
}
