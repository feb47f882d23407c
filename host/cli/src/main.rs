//! The minicloud command line: parse, call the node's API, render. The hidden `daemon` is the node itself.
mod address;
mod bundled;
mod cluster;
mod daemon;
mod data_dir;
mod executor;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A mini-cloud in one binary: a cluster that runs WebAssembly components as services.
#[derive(Parser)]
#[command(name = "minicloud", version, disable_help_subcommand = false, max_term_width = 110)]
struct Cli {
    /// Folder of the node to talk to, or to create
    #[arg(long, global = true, env = "MINICLOUD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Found a cluster with this machine as its first manager
    Init(cluster::Init),
    /// Add this machine to a cluster
    Join(cluster::Join),
    /// Start a node that was stopped
    Start(cluster::Start),
    /// Stop the node; its tasks move elsewhere until it is started again
    Stop,
    #[command(name = daemon::SUBCOMMAND, hide = true)]
    Daemon,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let chosen = data_dir::Choice::new(cli.data_dir);
    match cli.command {
        Command::Init(init) => init.run(&chosen)?,
        Command::Join(join) => join.run(&chosen)?,
        Command::Start(start) => start.run(&chosen)?,
        Command::Stop => cluster::stop(&chosen)?,
        Command::Daemon => daemon::background()?,
    }
    Ok(ExitCode::SUCCESS)
}
