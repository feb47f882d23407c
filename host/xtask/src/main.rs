//! README's commands: `cargo xtask demo | test | bench | guests`. Each does all of its own set-up.
//!
//! Nothing of the product is in here, so that this builds in a second on a fresh machine.
mod bench;
mod run;
mod setup;
mod test;

use anyhow::bail;

const HELP: &str = "usage: cargo xtask COMMAND

  demo [ARGS]     build everything (release) and run `minicloud demo ARGS`
  test [--full]   formatting, lints and every test; --full: the rates of DockerCoins too, on an idle machine
  bench [ARGS]    measure what minicloud promises, on the release build
  guests          build the web page and the guest components only";

fn main() {
    if let Err(error) = dispatch() {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn dispatch() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("demo") => demo(rest),
        Some("test") => test::test(rest),
        Some("bench") => bench::bench(rest),
        Some("guests") => setup::guests(),
        Some("help" | "--help" | "-h") | None => {
            eprintln!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("there is no command '{other}'\n{HELP}"),
    }
}

fn demo(args: &[String]) -> anyhow::Result<()> {
    setup::wasm_target()?;
    setup::node_js()?;
    run::cargo(&["build", "--release", "--package", "minicloud"])?;
    run::replace(run::target_dir().join("release/minicloud"), "demo", args)
}
