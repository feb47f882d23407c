//! The tree of commands, and the way from each to the code that does it.
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::cluster::{self, block_on};
use crate::data_dir::Choice;
use crate::network::Network;
use crate::node::Node;
use crate::proxy::Proxy;
use crate::service::Service;
use crate::volume::Volume;
use crate::{connect, daemon, demo, output};

/// A mini-cloud in one binary: a cluster that runs WebAssembly components as services
#[derive(Parser)]
#[command(
    name = "minicloud",
    version,
    max_term_width = 110,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Folder of the node to talk to, or to create
    #[arg(long, global = true, env = "MINICLOUD_DATA_DIR", hide_env_values = true, value_name = "DIR", help_heading = "Global options")]
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
    /// Print the command that adds a node
    JoinToken(cluster::JoinTokenArgs),
    /// Start a node that was stopped
    Start(cluster::Start),
    /// Stop the node; its tasks move elsewhere until it is started again
    Stop,
    /// Take this node out of the cluster
    Leave(cluster::Leave),
    /// Show how the cluster and this node stand
    Info(cluster::ShowInfo),
    /// The members of the cluster
    #[command(subcommand, arg_required_else_help = true)]
    Node(Node),
    /// What runs, how many times, and how it is reached
    #[command(subcommand, arg_required_else_help = true)]
    Service(Service),
    /// Networks; services see one another where they share one
    #[command(subcommand, arg_required_else_help = true)]
    Network(Network),
    /// Data that outlives tasks
    #[command(subcommand, arg_required_else_help = true)]
    Volume(Volume),
    /// Open a SOCKS5 door from this machine into a network
    Proxy(Proxy),
    /// Run DockerCoins on a cluster of its own on this machine
    Demo(demo::Demo),
    /// Print the script that lets a shell complete commands
    Completion {
        /// Shell, for example: source <(minicloud completion bash)
        shell: Shell,
    },
    /// Show versions
    Version(cluster::ShowVersion),
    #[command(name = daemon::SUBCOMMAND, hide = true)]
    Daemon,
}

impl Cli {
    pub fn run(self) -> anyhow::Result<()> {
        let choice = Choice::new(self.data_dir);
        match self.command {
            Command::Init(init) => init.run(&choice),
            Command::Join(join) => join.run(&choice),
            Command::JoinToken(token) => token.run(&choice),
            Command::Start(start) => start.run(&choice),
            Command::Stop => cluster::stop(&choice),
            Command::Leave(leave) => leave.run(&choice),
            Command::Info(info) => block_on(async { info.run(&connect::client(&choice).await?).await }),
            Command::Node(node) => block_on(async { node.run(&connect::client(&choice).await?).await }),
            Command::Service(service) => block_on(async { service.run(&connect::client(&choice).await?).await }),
            Command::Network(network) => block_on(async { network.run(&connect::client(&choice).await?).await }),
            Command::Volume(volume) => block_on(async { volume.run(&connect::client(&choice).await?).await }),
            Command::Proxy(proxy) => block_on(async { proxy.run(connect::client(&choice).await?).await }),
            Command::Demo(demo) => demo.run(&choice),
            Command::Completion { shell } => completion(shell),
            Command::Version(version) => version.run(&choice),
            Command::Daemon => daemon::background(),
        }
    }
}

fn completion(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "minicloud", &mut script);
    output::raw(&script)
}
