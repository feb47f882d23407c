//! `compose`: the services of a compose file on one node, which is started for them where none runs.
//!
//! What a file means is said by `minicloud-compose`; here it is created, watched and taken away again. `stack` uses
//! the same parts.
pub mod declare;
pub mod disk;
pub mod files;
pub mod image;
pub mod project;
pub mod wait;

mod build;
mod config;
mod down;
mod folders;
mod labels;
mod lifecycle;
mod logs;
mod node;
mod ps;
mod rest;
mod top;
mod up;

use clap::{Args, Subcommand};

use crate::data_dir::Choice;
use project::ProjectArgs;

const EXAMPLES: &str = "\
Examples:
  minicloud compose up           where a compose.yml is; Ctrl-C stops it
  minicloud compose up -d --scale worker=10
  minicloud compose logs -f worker
  minicloud compose down -v

Where no node runs, one is started for the project alone, and 'down' ends it.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Compose {
    #[command(flatten)]
    project: ProjectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build the services that have a build
    Build(build::Build),
    /// Show the file as it is understood: merged, with its variables
    Config(config::Config),
    /// Stop the services and remove them, their networks, and the node that was started for them
    Down(down::Down),
    /// Show what the services wrote
    Logs(logs::Logs),
    /// List the tasks of the project
    Ps(ps::Ps),
    /// Fetch the images of the services
    Pull(build::Pull),
    /// Replace the tasks of services
    Restart(lifecycle::Restart),
    /// Start services that were stopped
    Start(lifecycle::Start),
    /// Stop services and keep them
    Stop(lifecycle::Stop),
    /// Show what the tasks use
    Top(top::Top),
    /// Create and start the services
    Up(Box<up::Up>),
}

impl Compose {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let outer = self.project;
        match self.verb {
            Verb::Build(build) => build.run(choice, &outer),
            Verb::Config(config) => config.run(&outer),
            Verb::Down(down) => down.run(choice, &outer),
            Verb::Logs(logs) => logs.run(choice, &outer),
            Verb::Ps(ps) => ps.run(choice, &outer),
            Verb::Pull(pull) => pull.run(choice, &outer),
            Verb::Restart(restart) => restart.run(choice, &outer),
            Verb::Start(start) => start.run(choice, &outer),
            Verb::Stop(stop) => stop.run(choice, &outer),
            Verb::Top(top) => top.run(choice, &outer),
            Verb::Up(up) => up.run(choice, &outer),
        }
    }
}
