//! `compose stop`, `start` and `restart`: tasks go and come, services stay.
use anyhow::bail;
use clap::Args;
use futures::future::try_join_all;
use minicloud_compose::Condition;
use minicloud_node::api::types::{Mode, ServiceSummary, UpdateService};
use minicloud_node::client::Client;

use super::labels::{self, STOPPED};
use super::node::ProjectNode;
use super::project::ProjectArgs;
use super::wait;
use crate::cluster::block_on;
use crate::data_dir::Choice;

/// Said of a global service that was stopped, and of a global job.
const GLOBAL: &str = "global";
const GLOBAL_JOB: &str = "global-job";

#[derive(Args, Debug)]
pub struct Stop {
    /// Services to stop [default: all]
    #[arg(value_name = "SVC")]
    services: Vec<String>,
    #[command(flatten)]
    project: ProjectArgs,
}

#[derive(Args, Debug)]
pub struct Start {
    /// Services to start [default: all]
    #[arg(value_name = "SVC")]
    services: Vec<String>,
    #[command(flatten)]
    project: ProjectArgs,
}

#[derive(Args, Debug)]
pub struct Restart {
    /// Services to restart [default: all]
    #[arg(value_name = "SVC")]
    services: Vec<String>,
    #[command(flatten)]
    project: ProjectArgs,
}

impl Stop {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let name = self.project.within(outer).name()?;
        let node = ProjectNode::find(choice, &name)?;
        block_on(async { stop(&node.client(&name).await?, &name, &self.services).await })
    }
}

impl Start {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let name = self.project.within(outer).name()?;
        let node = ProjectNode::find(choice, &name)?;
        // A node of the project's own may have been ended with it.
        let client = match node.is_own() && node.is_made() && !node.runs() {
            true => ProjectNode::ensure(choice, &name, None)?.1,
            false => block_on(node.client(&name))?,
        };
        block_on(start(&client, &name, &self.services))
    }
}

impl Restart {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let name = self.project.within(outer).name()?;
        let node = ProjectNode::find(choice, &name)?;
        block_on(async { restart(&node.client(&name).await?, &name, &self.services).await })
    }
}

/// Stops services and waits until their tasks are gone; how many there were is kept in a label.
pub async fn stop(client: &Client, project: &str, keys: &[String]) -> anyhow::Result<()> {
    let services = present(client, project, keys).await?;
    let running: Vec<&ServiceSummary> = services.iter().filter(|service| !service.labels.contains_key(STOPPED)).collect();
    try_join_all(running.iter().map(|service| stop_one(client, service))).await?;
    Ok(())
}

async fn stop_one(client: &Client, service: &ServiceSummary) -> anyhow::Result<()> {
    let count = match (service.mode, service.job) {
        (Mode::Global, _) => GLOBAL.to_owned(),
        (Mode::GlobalJob, _) => GLOBAL_JOB.to_owned(),
        (_, Some(job)) => job.total.to_string(),
        (_, None) => service.replicas_desired.to_string(),
    };
    let update = UpdateService {
        mode: Some(if service.mode.is_job() { Mode::ReplicatedJob } else { Mode::Replicated }),
        replicas: Some(0),
        labels_add: [(STOPPED.to_owned(), count)].into(),
        ..UpdateService::default()
    };
    client.update_service(&service.name, &update).await?;
    stopped(client, &service.name).await?;
    eprintln!("Service {}  stopped", labels::key(service));
    Ok(())
}

/// Waits until no task of the service is left.
async fn stopped(client: &Client, name: &str) -> anyhow::Result<()> {
    /// A watch ends when nothing is to be started any more; what still drains is looked at again.
    const LOOK: std::time::Duration = std::time::Duration::from_millis(20);
    loop {
        let mut changes = client.watch_service(name).await?;
        while let Some(progress) = changes.next().await {
            let progress = progress?;
            if progress.removed || (progress.stopping == 0 && progress.running == 0) {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn start(client: &Client, project: &str, keys: &[String]) -> anyhow::Result<()> {
    let services = present(client, project, keys).await?;
    try_join_all(services.iter().map(|service| start_one(client, service))).await?;
    Ok(())
}

async fn start_one(client: &Client, service: &ServiceSummary) -> anyhow::Result<()> {
    // What was done once is done again, as a container that has exited is started again.
    let force = service.mode.is_job() && service.replicas_running == 0;
    let again = UpdateService { labels_rm: vec![STOPPED.to_owned()], force, ..UpdateService::default() };
    let update = match service.labels.get(STOPPED).map(String::as_str) {
        None => UpdateService { force: service.replicas_running < service.replicas_desired, ..UpdateService::default() },
        Some(GLOBAL) => UpdateService { mode: Some(Mode::Global), ..again },
        Some(GLOBAL_JOB) => UpdateService { mode: Some(Mode::GlobalJob), ..again },
        Some(count) => UpdateService { replicas: Some(count.parse().unwrap_or(1)), ..again },
    };
    client.update_service(&service.name, &update).await?;
    wait::service(client, &service.name, Condition::Started).await?;
    eprintln!("Service {}  started", labels::key(service));
    Ok(())
}

async fn restart(client: &Client, project: &str, keys: &[String]) -> anyhow::Result<()> {
    let services = present(client, project, keys).await?;
    let (stopped, running): (Vec<_>, Vec<_>) = services.iter().partition(|service| service.labels.contains_key(STOPPED));
    let again = async |service: &ServiceSummary| {
        client.update_service(&service.name, &UpdateService { force: true, ..UpdateService::default() }).await?;
        wait::service(client, &service.name, Condition::Started).await?;
        eprintln!("Service {}  restarted", labels::key(service));
        anyhow::Ok(())
    };
    try_join_all(running.into_iter().map(again)).await?;
    try_join_all(stopped.into_iter().map(|service| start_one(client, service))).await?;
    Ok(())
}

async fn present(client: &Client, project: &str, keys: &[String]) -> anyhow::Result<Vec<ServiceSummary>> {
    let services = labels::chosen(client, project, keys).await?;
    if services.is_empty() {
        bail!("project {project} has no services here; start it with 'minicloud compose up -d'");
    }
    Ok(services)
}
