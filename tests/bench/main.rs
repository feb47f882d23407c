//! `cargo xtask bench`: the figures that minicloud promises, measured on the real binary as a user would drive it.
//!
//! Each figure is a median with its aim beside it; a missed aim is told, and fails nothing. The table goes to the
//! terminal, the same as JSON to standard output, and a full run is kept in `tests/bench/results/`.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod blob;
mod cluster;
mod coins;
mod compose;
mod distribution;
mod engine;
mod etcd;
mod failover;
mod figure;
mod idle;
mod machine;
mod peer;
mod process;
mod redis;
mod registry;
mod report;
mod scale;
mod size;
mod start;

use anyhow::bail;

use figure::Figure;
use peer::Missing;
use report::Skipped;

/// Measures some figures that share a set-up.
struct Bench {
    /// What `--only` takes.
    name: &'static str,
    run: fn() -> anyhow::Result<Vec<Figure>>,
}

const BENCHES: &[Bench] = &[
    Bench { name: "size", run: size::run },
    Bench { name: "instantiate", run: engine::run },
    Bench { name: "start", run: start::run },
    Bench { name: "scale", run: scale::ten },
    Bench { name: "thousand", run: scale::thousand },
    Bench { name: "cold", run: coins::cold },
    Bench { name: "idle-daemon", run: idle::daemon },
    Bench { name: "idle-task", run: idle::task },
    Bench { name: "failover", run: failover::run },
    Bench { name: "loop", run: coins::loop_time },
    Bench { name: "registry", run: registry::run },
    Bench { name: "compose", run: compose::run },
    Bench { name: "distribution", run: distribution::run },
    Bench { name: "redis", run: redis::run },
    Bench { name: "etcd", run: etcd::run },
];

const HELP: &str = "usage: cargo xtask bench [--only NAME]... [--no-save]

  --only NAME   measure only this: size, instantiate, start, scale, thousand, cold, idle-daemon, idle-task,
                failover, loop, registry, compose, distribution, redis or
                etcd; nothing is kept
  --no-save     do not keep the figures in tests/bench/results";

fn main() {
    if let Err(error) = measure() {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn measure() -> anyhow::Result<()> {
    let Some(options) = Options::parse(std::env::args().skip(1))? else {
        eprintln!("{HELP}");
        return Ok(());
    };
    let (mut figures, mut skipped) = (Vec::new(), Vec::new());
    for bench in BENCHES.iter().filter(|bench| options.runs(bench.name)) {
        eprintln!("measuring: {}", bench.name);
        match (bench.run)() {
            Ok(measured) => {
                measured.iter().for_each(|figure| eprintln!("  {figure}"));
                figures.extend(measured);
            }
            Err(error) if error.is::<Missing>() => {
                eprintln!("  skipped: {error}");
                skipped.push(Skipped { name: bench.name, reason: error.to_string() });
            }
            Err(error) => return Err(error.context(bench.name)),
        }
    }
    let report = report::Report::new(figures, skipped)?;
    eprintln!("\n{}", report.table());
    println!("{}", report.json()?);
    if options.only.is_empty() && options.save {
        eprintln!("kept in {}", report.save()?.display());
    }
    Ok(())
}

struct Options {
    only: Vec<String>,
    save: bool,
}

impl Options {
    /// `None` when help is wanted.
    fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Option<Options>> {
        let mut options = Options { only: Vec::new(), save: true };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Given by cargo.
                "--bench" => {}
                "--no-save" => options.save = false,
                "--only" => match args.next() {
                    Some(name) if BENCHES.iter().any(|bench| bench.name == name) => options.only.push(name),
                    Some(name) => bail!("there is no figure '{name}'\n{HELP}"),
                    None => bail!("--only needs a name\n{HELP}"),
                },
                "--help" | "-h" => return Ok(None),
                other => bail!("unknown argument '{other}'\n{HELP}"),
            }
        }
        Ok(Some(options))
    }

    fn runs(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}
