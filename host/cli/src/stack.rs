//! `stack`: services of a compose file on the cluster, deployed and changed together. The parts are those of `compose`.
mod deploy;
mod ls;
mod rm;

use clap::{Args, Subcommand};
use minicloud_compose::{Flavour, yaml};
use minicloud_core::spec::Labels;
use minicloud_node::api::types::ServiceSummary;
use minicloud_node::client::Client;

use crate::cluster::block_on;
use crate::compose::project::{FurtherArgs, ProjectArgs};
use crate::connect;
use crate::data_dir::Choice;
use crate::output;
use crate::render::Listing;
use crate::tasks::TaskListing;

/// Says which stack something belongs to.
pub const NAMESPACE: &str = "com.docker.stack.namespace";

#[derive(Subcommand)]
pub enum Stack {
    /// Show the files as they are understood: merged, with their variables
    Config(Config),
    /// Make the cluster as the files describe; what is as described already is left alone
    #[command(alias = "up")]
    Deploy(deploy::Deploy),
    /// List the stacks
    #[command(alias = "list")]
    Ls(ls::Ls),
    /// List the tasks of a stack, and why one does not run
    Ps(Ps),
    /// Remove stacks: their services, and the networks, secrets and configs made for them
    #[command(aliases = ["remove", "down"])]
    Rm(rm::Rm),
    /// List the services of a stack
    Services(Services),
}

#[derive(Args, Debug)]
pub struct Config {
    /// Compose file; a later one is laid over the earlier, '-' is standard input
    #[arg(short, long, value_name = "FILE", required = true)]
    compose_file: Vec<std::path::PathBuf>,
}

#[derive(Args, Debug)]
pub struct Ps {
    #[command(flatten)]
    listing: TaskListing,
    /// Name of the stack
    #[arg(value_name = "STACK")]
    stack: String,
}

#[derive(Args, Debug)]
pub struct Services {
    #[command(flatten)]
    listing: Listing,
    /// Name of the stack
    #[arg(value_name = "STACK")]
    stack: String,
}

impl Stack {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        match self {
            Stack::Config(config) => config.run(),
            Stack::Deploy(deploy) => deploy.run(choice),
            Stack::Ls(ls) => block_on(async { ls.run(&connect::client(choice).await?).await }),
            Stack::Ps(ps) => block_on(async { ps.run(&connect::client(choice).await?).await }),
            Stack::Rm(rm) => block_on(async { rm.run(&connect::client(choice).await?).await }),
            Stack::Services(list) => block_on(async {
                let client = connect::client(choice).await?;
                list.listing.print(existing(&client, &list.stack).await?)
            }),
        }
    }
}

impl Config {
    fn run(self) -> anyhow::Result<()> {
        let args = ProjectArgs { file: self.compose_file, further: FurtherArgs::default() };
        let loaded = args.load()?;
        let project = args.translated(&loaded, Flavour::Stack, Default::default())?;
        output::warn(&project.warnings.iter().map(ToString::to_string).collect::<Vec<_>>());
        output::raw(yaml(&loaded.tree).as_bytes())
    }
}

impl Ps {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        self.listing.check()?;
        let mut tasks = Vec::new();
        for service in existing(client, &self.stack).await? {
            tasks.extend(client.service_tasks(&service.name).await?);
        }
        self.listing.print(tasks)
    }
}

/// Whether something belongs to the stack.
fn is_of(labels: &Labels, stack: &str) -> bool {
    labels.get(NAMESPACE).is_some_and(|name| name == stack)
}

async fn services(client: &Client, stack: &str) -> anyhow::Result<Vec<ServiceSummary>> {
    let mut services = client.services().await?;
    services.retain(|service| is_of(&service.labels, stack));
    Ok(services)
}

/// The services of a stack that is there.
async fn existing(client: &Client, stack: &str) -> anyhow::Result<Vec<ServiceSummary>> {
    let services = services(client, stack).await?;
    if services.is_empty() {
        anyhow::bail!("there is no stack '{stack}'; see 'minicloud stack ls'");
    }
    Ok(services)
}
