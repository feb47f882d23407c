//! `cargo xtask bench`: builds what users get, then measures it.
use crate::{run, setup};

/// `args` go to the harness in `tests/bench`.
pub fn bench(args: &[String]) -> anyhow::Result<()> {
    setup::guests()?;
    run::cargo(&["build", "--release", "--workspace", "--example", "measure"])?;
    let mut bench = vec!["bench", "--workspace", "--bench", "figures", "--"];
    bench.extend(args.iter().map(String::as_str));
    run::cargo(&bench)
}
