//! The tree of commands, and the way from each to the code that does it.
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::build::Build;
use crate::cluster::{self, block_on};
use crate::compose::Compose;
use crate::data_dir::Choice;
use crate::events::Events;
use crate::file::{Config, Secret};
use crate::images::{self, Image};
use crate::network::Network;
use crate::node::Node;
use crate::proxy::Proxy;
use crate::run::Run;
use crate::service::Service;
use crate::stack::Stack;
use crate::stats;
use crate::volume::Volume;
use crate::{connect, demo, output, transfer};

const FIRST_STEPS: &str = "\
First steps:
  minicloud demo                   see DockerCoins on three nodes, live
  minicloud init                   found a cluster
  minicloud run --rm ./hello.wasm  run a component to its end
  minicloud service create --name web -p 8000:80 ./web.wasm
                                   keep one running, at http://127.0.0.1:8000/
  minicloud service ps web         see where it runs, or why it does not
  minicloud service scale web=5    run it five times
  minicloud join-token worker      get the command that adds a machine
  minicloud compose up             run a compose.yml; it needs no init

'minicloud help COMMAND' tells more: 'minicloud help service create'.";

/// Commands in the order in which `minicloud help` shows them.
const GROUPS: &[(&str, &[&str])] = &[
    ("Cluster", &["init", "join", "join-token", "start", "stop", "leave", "info", "node", "top"]),
    ("Images", &["build", "tag", "push", "pull", "images", "image"]),
    ("What runs on it", &["run", "service", "network", "volume", "secret", "config", "stack", "stats", "events"]),
    ("From a compose file, on this machine", &["compose"]),
    ("Further", &["proxy", "demo", "completion", "version", "help"]),
];

/// Width of the names in the list of commands.
const NAME_WIDTH: usize = 12;

/// The tree of commands, with its top level grouped.
pub fn tree() -> clap::Command {
    let command = Cli::command();
    let mut template = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (group, names) in GROUPS {
        template.push_str(&format!("\n{group}:\n"));
        for name in *names {
            template.push_str(&listed(command.find_subcommand(name), name));
        }
    }
    template.push_str("\nOptions:\n{options}{after-help}\n");
    command.help_template(template)
}

/// A command in the list: what it does, and below it the verbs of a noun.
fn listed(command: Option<&clap::Command>, name: &str) -> String {
    let about = command.and_then(clap::Command::get_about).map_or_else(|| "Show more about a command".to_owned(), ToString::to_string);
    let mut text = format!("  {name:NAME_WIDTH$}{about}\n");
    let verbs: Vec<&str> = command.into_iter().flat_map(clap::Command::get_subcommands).map(clap::Command::get_name).collect();
    if !verbs.is_empty() {
        text.push_str(&format!("  {:NAME_WIDTH$}{}\n", "", verbs.join(", ")));
    }
    text
}

/// A mini-cloud in one binary: clusters that run WebAssembly components
#[derive(Parser)]
#[command(
    name = "minicloud",
    version,
    max_term_width = 110,
    args_override_self = true,
    after_help = FIRST_STEPS
)]
pub struct Cli {
    /// Folder of the node to talk to, or to create [env: MINICLOUD_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR", display_order = 900)]
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
    #[command(subcommand)]
    Node(Node),
    /// Run one task in the foreground, with its output and its exit code
    Run(Box<Run>),
    /// What runs, how many times, and how it is reached
    #[command(subcommand)]
    Service(Service),
    /// Networks; services see one another where they share one
    #[command(subcommand)]
    Network(Network),
    /// Data that outlives tasks
    #[command(subcommand)]
    Volume(Volume),
    /// Passwords and keys for tasks, sealed in the cluster
    #[command(subcommand)]
    Secret(Secret),
    /// Settings for tasks, as files
    #[command(subcommand)]
    Config(Config),
    /// Build a component and give it a name
    Build(Build),
    /// List images of this node
    Images(images::Ls),
    /// Images of this node: components and their names
    #[command(subcommand)]
    Image(Image),
    /// Give an image a further name
    Tag(images::Tag),
    /// Hand an image to the registry in its name
    Push(transfer::Push),
    /// Fetch an image from a registry
    Pull(transfer::Pull),
    /// Services described in one file, deployed and changed together
    #[command(subcommand)]
    Stack(Stack),
    /// Run the services of a compose file on this machine
    Compose(Box<Compose>),
    /// Show live what each node uses, and its busiest tasks
    Top(stats::top::Top),
    /// Show live what each task uses: CPU, memory, requests, bytes
    Stats(stats::Show),
    /// Show what happens in the cluster, as it happens
    Events(Events),
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
}

impl Cli {
    pub fn run(self) -> anyhow::Result<()> {
        let choice = Choice::new(self.data_dir.or_else(own_data_dir));
        match self.command {
            Command::Init(init) => init.run(&choice),
            Command::Join(join) => join.run(&choice),
            Command::JoinToken(token) => token.run(&choice),
            Command::Start(start) => start.run(&choice),
            Command::Stop => cluster::stop(&choice),
            Command::Leave(leave) => leave.run(&choice),
            Command::Info(info) => block_on(async { info.run(&connect::client(&choice).await?).await }),
            Command::Node(node) => block_on(async { node.run(&connect::client(&choice).await?).await }),
            Command::Run(run) => run.run(&choice),
            Command::Service(service) => block_on(async { service.run(&connect::client(&choice).await?).await }),
            Command::Network(network) => block_on(async { network.run(&connect::client(&choice).await?).await }),
            Command::Volume(volume) => block_on(async { volume.run(&connect::client(&choice).await?).await }),
            Command::Secret(secret) => block_on(async { secret.run(&connect::client(&choice).await?).await }),
            Command::Config(config) => block_on(async { config.run(&connect::client(&choice).await?).await }),
            Command::Build(build) => block_on(async { build.run(&connect::client(&choice).await?).await }),
            Command::Images(ls) => block_on(async { ls.run(&connect::client(&choice).await?).await }),
            Command::Image(image) => block_on(async { image.run(&connect::client(&choice).await?).await }),
            Command::Tag(tag) => block_on(async { tag.run(&connect::client(&choice).await?).await }),
            Command::Push(push) => block_on(async { push.run(&connect::client(&choice).await?).await }),
            Command::Pull(pull) => block_on(async { pull.run(&connect::client(&choice).await?).await }),
            Command::Stack(stack) => stack.run(&choice),
            Command::Compose(compose) => compose.run(&choice),
            Command::Top(top) => block_on(async { top.run(&connect::client(&choice).await?).await }),
            Command::Stats(stats) => block_on(async { stats.run(&connect::client(&choice).await?).await }),
            Command::Events(events) => block_on(async { events.run(&connect::client(&choice).await?).await }),
            Command::Proxy(proxy) => block_on(async { proxy.run(connect::client(&choice).await?).await }),
            Command::Demo(demo) => demo.run(&choice),
            Command::Completion { shell } => completion(shell),
            Command::Version(version) => version.run(&choice),
        }
    }
}

/// What the environment says.
fn own_data_dir() -> Option<PathBuf> {
    std::env::var_os("MINICLOUD_DATA_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

fn completion(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree(), "minicloud", &mut script);
    output::raw(&script)
}
