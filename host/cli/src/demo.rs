//! `minicloud demo`: DockerCoins on nodes of its own, as real processes on this machine.
//!
//! Owns the folder of the demo and everything in it: what starts here is stopped and removed here.
mod bottleneck;
mod deploy;
mod live;
mod machine;
mod nodes;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use crate::cluster::block_on;
use crate::data_dir::{Choice, program, shell_word};
use nodes::DemoNodes;

/// Ports that DockerCoins publishes: the page, rng and hasher.
const PAGE_PORT: u16 = 8000;
const RNG_PORT: u16 = 8001;
const HASHER_PORT: u16 = 8002;
/// Most nodes of one demo.
const NODES_MAX: u8 = 9;

#[derive(Args)]
pub struct Demo {
    /// How many nodes, all of them managers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=i64::from(NODES_MAX)))]
    nodes: u8,
    /// How many workers mine
    #[arg(long, default_value_t = 1)]
    workers: u32,
    /// Return as soon as everything runs; `minicloud demo --stop` ends it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    detach: bool,
    /// End a demo that runs, and remove it
    #[arg(long, conflicts_with_all = ["nodes", "workers", "detach"])]
    stop: bool,
}

impl Demo {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let folder = choice.given_or(default_folder)?;
        if self.stop {
            return stop(&folder);
        }
        refuse_second(&folder)?;
        let places = machine::places(self.nodes)?;
        machine::check(&places)?;
        let nodes = DemoNodes::start(&folder, &places)?;
        match self.run_on(&nodes) {
            Ok(After::Keep) => nodes.keep(),
            Ok(After::Remove) => {
                nodes.remove();
                println!("The demo is stopped and removed.");
            }
            Err(error) => {
                nodes.remove();
                return Err(error);
            }
        }
        Ok(())
    }

    fn run_on(&self, nodes: &DemoNodes) -> anyhow::Result<After> {
        let interrupted = block_on(async {
            tokio::select! {
                deployed = deploy::dockercoins(nodes, self.workers) => deployed.map(|()| false),
                _ = tokio::signal::ctrl_c() => Ok(true),
            }
        })?;
        if interrupted {
            return Ok(After::Remove);
        }
        println!("\nDockerCoins runs: {}\n", nodes.page());
        print_commands(nodes);
        if self.detach {
            println!("\nEnd it with:\n  {} demo{} --stop", program(), nodes.flag());
            return Ok(After::Keep);
        }
        println!("\nCtrl-C stops and removes everything.\n");
        block_on(live::show(nodes, std::io::stdout().is_terminal()))?;
        Ok(After::Remove)
    }
}

enum After {
    Keep,
    Remove,
}

fn print_commands(nodes: &DemoNodes) {
    println!("Try, in another terminal:");
    for command in commands(nodes) {
        println!("  {command}");
    }
}

/// What to try next, ready to be pasted.
fn commands(nodes: &DemoNodes) -> Vec<String> {
    let minicloud = format!("{} --data-dir {}", program(), shell_word(&nodes.first_folder().display().to_string()));
    vec![
        format!("{minicloud} service ls"),
        format!("{minicloud} service scale worker=10"),
        format!("{minicloud} service logs -f worker"),
        format!("{minicloud} service scale rng=3"),
        format!("{minicloud} top"),
        format!("{minicloud} node ls"),
    ]
}

/// One demo of each user at a time, so that `--stop` needs no name.
fn default_folder() -> anyhow::Result<PathBuf> {
    Ok(std::env::temp_dir().join(format!("minicloud-demo-{}", rustix::process::geteuid().as_raw())))
}

fn refuse_second(folder: &Path) -> anyhow::Result<()> {
    if nodes::any_lives(folder) {
        bail!("a demo runs already in {}; end it with '{} demo --stop'", folder.display(), program());
    }
    if folder.exists() && !nodes::is_demo(folder) && !nodes::is_empty(folder) {
        bail!("{} exists and holds no demo; choose another folder with --data-dir", folder.display());
    }
    Ok(())
}

fn stop(folder: &Path) -> anyhow::Result<()> {
    if !nodes::is_demo(folder) {
        bail!("no demo runs in {}; 'minicloud demo' starts one", folder.display());
    }
    nodes::remove(folder);
    println!("The demo is stopped and removed.");
    Ok(())
}
