//! `stack deploy`
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures::future::{join_all, try_join_all};
use minicloud_compose::{Flavour, Project, Wanted, start_order};
use minicloud_node::api::types::{Outcome, Progress};
use minicloud_node::client::Client;
use tokio::time::timeout;

use super::{is_of, services};
use crate::cluster::block_on;
use crate::compose::declare::{self, Made};
use crate::compose::files;
use crate::compose::image::{self, BuildWhen};
use crate::compose::project::{FurtherArgs, ProjectArgs};
use crate::compose::wait;
use crate::connect;
use crate::data_dir::Choice;
use crate::interrupt::{Interrupted, interrupted};
use crate::output::{say, warn};
use crate::parse;
use crate::service::{Waiting, ports, progress};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  minicloud stack deploy -c compose.yml shop
  minicloud stack deploy -c compose.yml -c production.yml --prune shop")]
pub struct Deploy {
    /// Compose file; a later one is laid over the earlier, '-' is standard input
    #[arg(short, long, value_name = "FILE", required = true)]
    compose_file: Vec<PathBuf>,
    /// Remove services of the stack that the files do not have
    #[arg(long)]
    prune: bool,
    /// Return at once instead of waiting until the services have converged
    #[arg(short, long)]
    detach: bool,
    /// Show nothing but what failed
    #[arg(short, long)]
    quiet: bool,
    /// Give a service up when nothing has changed for so long
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms, default_value = "1m")]
    timeout: u64,
    /// Accepted as docker has it; an image is always resolved to its digest
    #[arg(long, hide = true)]
    resolve_image: Option<String>,
    /// Accepted as docker has it
    #[arg(long, hide = true)]
    with_registry_auth: bool,
    /// Name of the stack
    #[arg(value_name = "STACK")]
    stack: String,
}

impl Deploy {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let further = FurtherArgs { project_name: Some(self.stack.clone()), ..FurtherArgs::default() };
        let args = ProjectArgs { file: self.compose_file.clone(), further };
        let project = args.translated(&args.load()?, Flavour::Stack, Wanted::default())?;
        warn(&project.warnings.iter().map(ToString::to_string).collect::<Vec<_>>());
        block_on(async {
            let client = connect::client(choice).await?;
            tokio::select! {
                deployed = self.deploy(&client, &project) => deployed,
                () = interrupted() => Err(Interrupted::stack(&self.stack).into()),
            }
        })
    }

    async fn deploy(&self, client: &Client, project: &Project) -> anyhow::Result<()> {
        let images = image::resolve_all(client, project, BuildWhen::Never, None).await?;
        declare::check(client, project, &images).await?;
        let (made, names) = declare::surroundings(client, project).await?;
        for made in made {
            match made {
                Made::Network(name) => self.tell(format!("Creating network {name}"))?,
                Made::Volume(name) => self.tell(format!("Creating volume {name}"))?,
                Made::File(file) => self.tell(format!("Creating {} {}", file.kind, file.name))?,
            }
        }
        if self.prune {
            self.remove_others(client, project).await?;
        }
        let mut failures = Vec::new();
        for wave in start_order(&project.services)? {
            let declared = wave.iter().map(async |service| {
                let declared = declare::service(client, service, &images[service.key.as_str()], &names).await?;
                warn(&declared.warnings);
                let doing = match declared.outcome {
                    Outcome::Created => "Creating",
                    Outcome::Updated => "Updating",
                    Outcome::Unchanged => "Unchanged:",
                };
                self.tell(format!("{doing} service {} (id: {})", service.name, declared.id))
            });
            try_join_all(declared).await?;
            if !self.detach {
                let converged = wave.iter().map(|service| converged(client, &service.name, Duration::from_millis(self.timeout)));
                failures.extend(join_all(converged).await.into_iter().filter_map(Result::err));
            }
            if !failures.is_empty() {
                break;
            }
        }
        if !self.detach {
            for service in project.services.iter().filter(|service| !service.ports.is_empty()) {
                warn(&ports::closed(client, &service.name).await.unwrap_or_default());
            }
        }
        if failures.is_empty() {
            for file in files::prune(client, |labels| is_of(labels, &self.stack), &names).await? {
                self.tell(format!("Removing {} {}", file.kind, file.name))?;
            }
            return if self.detach { Ok(()) } else { self.tell(format!("verify: Stack {} converged", self.stack)) };
        }
        let count = failures.len();
        failures.iter().for_each(|error| eprintln!("error: {error:#}"));
        bail!("stack {} has not converged: {count} of its services failed; see 'minicloud stack ps {0}'", self.stack)
    }

    fn tell(&self, line: String) -> anyhow::Result<()> {
        if !self.quiet {
            say!("{line}");
        }
        Ok(())
    }

    async fn remove_others(&self, client: &Client, project: &Project) -> anyhow::Result<()> {
        let known = |name: &str| project.services.iter().any(|service| service.name == name);
        for service in services(client, &self.stack).await?.into_iter().filter(|service| !known(&service.name)) {
            client.remove_service(&service.name).await?;
            progress::wait_for_removal(client, &service.name, Waiting { detach: false, quiet: true }).await?;
            self.tell(format!("Removing service {}", service.name))?;
        }
        Ok(())
    }
}

/// Waits until the service is as described; the error says why it is not, or that it stands still.
async fn converged(client: &Client, name: &str, standstill: Duration) -> anyhow::Result<()> {
    let mut changes = client.watch_service(name).await?;
    let mut last = Progress::default();
    loop {
        let progress = match timeout(standstill, changes.next()).await {
            Err(_) => bail!("service {name} does not get on: {}", wait::reason(&last)),
            Ok(None) => bail!("service {name}: {}", wait::reason(&last)),
            Ok(Some(progress)) => progress.with_context(|| format!("service {name}"))?,
        };
        if let Some(end) = progress::end(name, progress::Goal::Version, &progress) {
            return end;
        }
        last = progress;
    }
}
