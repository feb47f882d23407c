//! `compose ps`
use clap::Args;
use minicloud_core::task::TaskState;
use minicloud_node::api::types::{ServiceSummary, TaskSummary};

use super::labels;
use super::node::ProjectNode;
use super::project::ProjectArgs;
use crate::cluster::block_on;
use crate::data_dir::Choice;
use crate::output::say;
use crate::render::{Format, milliseconds_now, ports, print_json, shortened, table};
use crate::tasks::current;

/// Characters of an error.
const ERROR_CHARS_MAX: usize = 60;
const COLUMNS: &[&str] = &["NAME", "IMAGE", "SERVICE", "STATUS", "ERROR", "PORTS"];

#[derive(Args, Debug)]
pub struct Ps {
    /// Show tasks that ended too
    #[arg(short, long)]
    all: bool,
    /// Print only the ids of tasks
    #[arg(short, long)]
    quiet: bool,
    /// Print only the names of services
    #[arg(long)]
    services: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Services whose tasks are wanted [default: all]
    #[arg(value_name = "SVC")]
    of: Vec<String>,
    #[command(flatten)]
    project: ProjectArgs,
}

impl Ps {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let name = self.project.within(outer).name()?;
        let node = ProjectNode::find(choice, &name)?;
        let found = if node.runs() { block_on(self.find(&node, &name))? } else { Vec::new() };
        if self.services {
            return found.iter().try_for_each(|(service, _)| {
                say!("{}", labels::key(service));
                Ok(())
            });
        }
        let tasks = || found.iter().flat_map(|(service, tasks)| tasks.iter().map(move |task| (service, task)));
        if self.quiet {
            return tasks().try_for_each(|(_, task)| {
                say!("{}", task.id);
                Ok(())
            });
        }
        match self.format {
            Format::Json => print_json(&tasks().map(|(_, task)| task).collect::<Vec<_>>())?,
            Format::Table => {
                let stopped = found.iter().filter(|(_, tasks)| self.all && tasks.is_empty()).flat_map(|(service, _)| stopped(service));
                say!("{}", table(COLUMNS, tasks().map(|(service, task)| cells(service, task)).chain(stopped).collect()));
            }
        }
        Ok(())
    }

    async fn find(&self, node: &ProjectNode, name: &str) -> anyhow::Result<Vec<(ServiceSummary, Vec<TaskSummary>)>> {
        let client = node.client(name).await?;
        let mut found = Vec::new();
        for service in labels::chosen(&client, name, &self.of).await? {
            let mut tasks = client.service_tasks(&service.name).await?;
            tasks.retain(|task| self.all || (task.desired_state < TaskState::Shutdown && !task.current_state.is_final()));
            tasks.sort_by_key(|task| (task.slot, task.since_ms));
            found.push((service, tasks));
        }
        Ok(found)
    }
}

fn cells(service: &ServiceSummary, task: &TaskSummary) -> Vec<String> {
    let status = current(task, milliseconds_now());
    vec![
        labels::task_name(service, &task.name),
        task.image.clone(),
        labels::key(service).to_owned(),
        status,
        shortened(&task.error, ERROR_CHARS_MAX),
        ports(&service.ports),
    ]
}

/// Rows for the tasks of a service that `stop` took away: the cluster keeps none of a slot that is wanted no more.
fn stopped(service: &ServiceSummary) -> Vec<Vec<String>> {
    let Some(was) = service.labels.get(labels::STOPPED) else { return Vec::new() };
    let names: Vec<String> = match was.parse::<u32>() {
        Ok(count) => (1..=count).map(|slot| format!("{}-{slot}", labels::key(service))).collect(),
        Err(_) => vec![labels::key(service).to_owned()],
    };
    let row = |name| vec![name, service.image.clone(), labels::key(service).to_owned(), "Stopped".to_owned(), String::new(), String::new()];
    names.into_iter().map(row).collect()
}
