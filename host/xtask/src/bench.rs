//! `cargo xtask bench`: builds what users get, then measures it.
use anyhow::Context;

use crate::{run, setup};

/// `args` go to the harness in `tests/bench`.
pub fn bench(args: &[String]) -> anyhow::Result<()> {
    setup::guests()?;
    setup::peers()?;
    run::cargo(&["build", "--release", "--workspace", "--example", "measure"])?;
    let build = ["bench", "--workspace", "--bench", "figures", "--no-run"];
    run::cargo(&build)?;
    let messages = run::output(&run::cargo_program(), &[&build[..], &["--quiet", "--message-format", "json"]].concat());
    let harness = messages.as_deref().and_then(harness).context("cargo named no program for the benchmark; try 'cargo clean'")?;
    // Last, so that the binary which is measured is the one that users build: what tests depend on changes it.
    run::cargo(&["build", "--release"])?;
    run::program(".", harness, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The program among cargo's messages; packages of others have none.
fn harness(messages: &str) -> Option<&str> {
    let message = messages.lines().find(|line| line.contains("\"kind\":[\"bench\"]") && line.contains("\"executable\":\""))?;
    message.split_once("\"executable\":\"")?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_is_found_among_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bench"],"name":"figures"},"executable":"/target/release/deps/figures-1"}"#;
        assert_eq!(harness(messages), Some("/target/release/deps/figures-1"));
        assert_eq!(harness("{}"), None);
    }
}
