//! `compose up`
use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::bail;
use clap::{Args, ValueEnum};
use futures::future::{join_all, try_join_all};
use minicloud_compose::{Condition, Mode, Project, Pull, Service, Wanted, start_order};
use minicloud_node::api::types::{Outcome, UpdateService};
use minicloud_node::client::Client;

use super::declare::{self, Made};
use super::files::{self, Names, title};
use super::folders;
use super::image::{self, BuildWhen, Resolved};
use super::labels;
use super::logs::{Follow, Shape};
use super::node::ProjectNode;
use super::project::ProjectArgs;
use super::rest::Rest;
use super::{lifecycle, wait};
use crate::cluster::block_on;
use crate::data_dir::Choice;
use crate::interrupt::interrupted;
use crate::output::warn;
use crate::parse;
use crate::render::milliseconds_now;
use crate::{address, service::progress};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  minicloud compose up
  minicloud compose up -d --build --scale worker=10
  minicloud compose up -f compose.yml -f production.yml -p shop web")]
pub struct Up {
    /// Return when everything runs, and leave it running
    #[arg(short, long)]
    detach: bool,
    /// Build services again though they were built
    #[arg(long, conflicts_with = "no_build")]
    build: bool,
    /// Build nothing, not even what is missing
    #[arg(long)]
    no_build: bool,
    /// When to fetch images, in place of what the file says
    #[arg(long, value_name = "POLICY", value_enum)]
    pull: Option<PullPolicy>,
    /// Number of tasks of a service, in place of that of the file
    #[arg(long, value_name = "SVC=N", value_parser = parse::scale)]
    scale: Vec<(String, u32)>,
    /// Replace every task though nothing changed
    #[arg(long)]
    force_recreate: bool,
    /// Remove services of the project that the file does not have
    #[arg(long)]
    remove_orphans: bool,
    /// Accepted: it is waited in any case
    #[arg(long, hide = true)]
    wait: bool,
    /// Show when each line was written
    #[arg(long)]
    timestamps: bool,
    /// No colours on a terminal
    #[arg(long)]
    no_color: bool,
    /// Show what was written and nothing else
    #[arg(long)]
    no_log_prefix: bool,
    /// Address of the node that is started for the project, and of its published ports [default: 127.0.0.1]
    #[arg(long, value_name = "IP", value_parser = address::local_ip)]
    address: Option<IpAddr>,
    /// Services to start, with those they need [default: all]
    #[arg(value_name = "SVC")]
    services: Vec<String>,
    #[command(flatten)]
    project: ProjectArgs,
}

impl Up {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let scale: BTreeMap<String, u32> = self.scale.iter().cloned().collect();
        if scale.len() < self.scale.len() {
            bail!("--scale names a service twice; give each one number");
        }
        let wanted = Wanted { services: self.services.clone(), scale, ..Wanted::default() };
        let mut project = self.project.within(outer).project(wanted)?;
        if project.services.is_empty() {
            bail!("project {} has no services to start", project.name);
        }
        folders::make(&project)?;
        let existed = ProjectNode::find(choice, &project.name)?.runs();
        let (node, client) = ProjectNode::ensure(choice, &project.name, self.address)?;
        if node.is_own() && !existed {
            eprintln!("A node runs for project {}; 'minicloud compose down' ends it.", project.name);
        }
        block_on(folders::pin(&client, &mut project))?;
        let shape = Shape { timestamps: self.timestamps, plain: self.no_log_prefix, no_colour: self.no_color };
        let outcome = block_on(async {
            let mut follow = Follow::since(milliseconds_now(), shape, width(&project));
            tokio::select! {
                started = self.start(&client, &project, &mut follow) => started?,
                () = interrupted() => return Ok(Started::Interrupted),
            }
            if !self.detaches() {
                self.follow(&client, &project, &mut follow).await?;
            }
            anyhow::Ok(Started::Yes)
        });
        match outcome {
            // A node that was made for a project of which nothing runs is no use to anybody.
            Err(error)
                if node.is_own() && !existed && block_on(labels::services(&client, &project.name)).is_ok_and(|all| all.is_empty()) =>
            {
                node.leave(&block_on(Rest::of(&client, &project.name))?)?;
                Err(error)
            }
            Err(error) => Err(error),
            Ok(Started::Yes) if self.detaches() => Ok(()),
            Ok(Started::Yes) => finish(&node, &client, &project),
            Ok(Started::Interrupted) if self.detaches() => bail!("interrupted; what was started goes on, see 'minicloud compose ps'"),
            Ok(Started::Interrupted) => finish(&node, &client, &project),
        }
    }

    /// As docker has it, who waits for the services does not stay for their lines.
    fn detaches(&self) -> bool {
        self.detach || self.wait
    }

    /// Starts everything. In the foreground `follow` shows the lines of what runs while others are waited for.
    async fn start(&self, client: &Client, project: &Project, follow: &mut Follow) -> anyhow::Result<()> {
        let when = match (self.build, self.no_build) {
            (true, _) => BuildWhen::Always,
            (_, true) => BuildWhen::Never,
            _ => BuildWhen::Missing,
        };
        let images = image::resolve_all(client, project, when, self.pull.map(Pull::from)).await?;
        declare::check(client, project, &images).await?;
        let (made, names) = declare::surroundings(client, project).await?;
        for made in made {
            match made {
                Made::Network(name) => eprintln!("Network {name}  created"),
                Made::Volume(name) => eprintln!("Volume {name}  created"),
                Made::File(file) => eprintln!("{} {}  created", title(file.kind), file.name),
            }
        }
        let needed = conditions(project);
        for wave in start_order(&project.services)? {
            let declared = wave.iter().map(|service| self.declare(client, service, &images[service.key.as_str()], &names));
            try_join_all(declared).await?;
            if !self.detaches() {
                let shown: Vec<String> = wave.iter().filter(|service| service.attach).map(|service| service.key.clone()).collect();
                follow.add(client, &project.name, &shown).await?;
            }
            let waits =
                wave.iter().flat_map(|service| needed.get(service.key.as_str()).into_iter().flatten().map(move |until| (service, until)));
            let waits = waits.map(|(service, until)| wait::dependency(client, service, *until));
            follow.while_waiting(try_join_all(waits)).await??;
        }
        self.orphans(client, project).await?;
        let serving = project.services.iter().map(|service| wait::serving(client, &service.name));
        let outcomes = follow.while_waiting(join_all(serving)).await?;
        if self.services.is_empty() && outcomes.iter().all(Result::is_ok) {
            for file in files::prune(client, |labels| labels::is_of(labels, &project.name), &names).await? {
                eprintln!("{} {}  removed", title(file.kind), file.name);
            }
        }
        let mut failures = outcomes.into_iter().filter_map(Result::err);
        // In the foreground their lines tell more.
        match failures.next() {
            Some(error) if self.detaches() => {
                failures.for_each(|error| eprintln!("error: {error:#}"));
                Err(error)
            }
            Some(error) => {
                std::iter::once(error).chain(failures).for_each(|error| eprintln!("warning: {error:#}"));
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn declare(&self, client: &Client, service: &Service, image: &Resolved, names: &Names) -> anyhow::Result<()> {
        let was_stopped = labels::is_stopped(client, &service.name).await?;
        let declared = declare::service(client, service, image, names).await?;
        warn(&declared.warnings);
        let forced = declared.outcome == Outcome::Unchanged && (self.force_recreate || has_ended(client, &service.name).await?);
        let said = match declared.outcome {
            Outcome::Created => "created",
            Outcome::Updated if was_stopped => "started",
            Outcome::Updated => "changed",
            Outcome::Unchanged if forced => "started again",
            Outcome::Unchanged => "unchanged",
        };
        if forced {
            client.update_service(&service.name, &UpdateService { force: true, ..UpdateService::default() }).await?;
        }
        eprintln!("Service {}  {said}", service.key);
        Ok(())
    }

    async fn orphans(&self, client: &Client, project: &Project) -> anyhow::Result<()> {
        let known =
            |key: &str| project.services.iter().any(|service| service.key == key) || project.disabled.iter().any(|other| other == key);
        let orphans: Vec<_> =
            labels::services(client, &project.name).await?.into_iter().filter(|service| !known(labels::key(service))).collect();
        if !self.remove_orphans {
            let names: Vec<&str> = orphans.iter().map(labels::key).collect();
            if !names.is_empty() {
                eprintln!("warning: the project has services that the file has not: {}; --remove-orphans removes them", names.join(", "));
            }
            return Ok(());
        }
        for service in &orphans {
            client.remove_service(&service.name).await?;
            progress::wait_for_removal(client, &service.name, crate::service::Waiting { detach: false, quiet: true }).await?;
            eprintln!("Service {}  removed", labels::key(service));
        }
        Ok(())
    }

    /// Shows the lines of all services until Ctrl-C, or until all of them are done.
    async fn follow(&self, client: &Client, project: &Project, follow: &mut Follow) -> anyhow::Result<()> {
        tokio::select! {
            ended = follow.run(), if !follow.is_empty() => ended,
            () = interrupted() => Ok(()),
            over = all_over(client, project) => {
                over?;
                follow.drain().await
            }
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PullPolicy {
    /// Each time
    Always,
    /// When this node has no image of the name
    Missing,
    /// Not at all
    Never,
}

impl From<PullPolicy> for Pull {
    fn from(policy: PullPolicy) -> Self {
        match policy {
            PullPolicy::Always => Pull::Always,
            PullPolicy::Missing => Pull::Missing,
            PullPolicy::Never => Pull::Never,
        }
    }
}

enum Started {
    Yes,
    Interrupted,
}

/// The end of an `up` in the foreground: everything stops, and the node too if it was started for a project and has no other.
fn finish(node: &ProjectNode, client: &Client, project: &Project) -> anyhow::Result<()> {
    eprintln!("Stopping project {}", project.name);
    block_on(async {
        tokio::select! {
            stopped = lifecycle::stop(client, &project.name, &[]) => stopped,
            () = interrupted() => bail!("interrupted; the services may still run, see 'minicloud compose ps'"),
        }
    })?;
    match node.is_own() {
        true => node.leave(&block_on(Rest::of(client, &project.name))?),
        false => Ok(()),
    }
}

/// Characters of the longest name of a task whose lines are shown.
fn width(project: &Project) -> usize {
    let widths = project.services.iter().filter(|service| service.attach).map(|service| match service.mode {
        Mode::Replicated { replicas } => format!("{}-{replicas}", service.key).len(),
        Mode::ReplicatedJob { completions } => format!("{}-{completions}", service.key).len(),
        Mode::Global | Mode::GlobalJob => service.key.len(),
    });
    widths.max().unwrap_or_default()
}

/// What others wait for, by the key of the service they wait for.
fn conditions(project: &Project) -> BTreeMap<&str, Vec<Condition>> {
    let mut conditions: BTreeMap<&str, Vec<Condition>> = BTreeMap::new();
    for need in project.services.iter().flat_map(|service| &service.needs) {
        let known = conditions.entry(&need.key).or_default();
        if !known.contains(&need.condition) {
            known.push(need.condition);
        }
    }
    conditions
}

/// Whether tasks of the service ended and nothing follows them.
async fn has_ended(client: &Client, service: &str) -> anyhow::Result<bool> {
    let first = client.watch_service(service).await?.next().await.transpose()?;
    Ok(first.is_some_and(|progress| !progress.given_up.is_empty()))
}

/// Resolves when no task of the project runs or will run.
async fn all_over(client: &Client, project: &Project) -> anyhow::Result<()> {
    const LOOK: std::time::Duration = std::time::Duration::from_millis(500);
    loop {
        tokio::time::sleep(LOOK).await;
        let mut live = false;
        for service in &project.services {
            let progress = client.watch_service(&service.name).await?.next().await.transpose()?;
            live |= progress.is_some_and(|progress| progress.running > 0 || !(progress.is_hopeless() || progress.converged));
        }
        if !live {
            return Ok(());
        }
    }
}
