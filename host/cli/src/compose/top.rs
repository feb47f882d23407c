//! `compose top`
use clap::Args;
use minicloud_core::task::TaskUsage;

use super::labels;
use super::node::ProjectNode;
use super::project::ProjectArgs;
use crate::cluster::block_on;
use crate::data_dir::Choice;
use crate::output::say;
use crate::render::{bytes, table};

const COLUMNS: &[&str] = &["NAME", "CPU TIME", "MEMORY", "REQUESTS", "QUEUED", "CONNECTIONS", "RECEIVED", "SENT"];

#[derive(Args, Debug)]
pub struct Top {
    /// Services whose tasks are wanted [default: all]
    #[arg(value_name = "SVC")]
    services: Vec<String>,
    #[command(flatten)]
    project: ProjectArgs,
}

impl Top {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let name = self.project.within(outer).name()?;
        let node = ProjectNode::find(choice, &name)?;
        let rows = block_on(async {
            let client = node.client(&name).await?;
            let mut rows = Vec::new();
            for service in labels::chosen(&client, &name, &self.services).await? {
                for task in client.service_usage(&service.name).await?.tasks {
                    rows.extend(task.usage.map(|usage| cells(labels::task_name(&service, &task.name), &usage)));
                }
            }
            Ok::<_, anyhow::Error>(rows)
        })?;
        say!("{}", table(COLUMNS, rows));
        Ok(())
    }
}

fn cells(name: String, usage: &TaskUsage) -> Vec<String> {
    vec![
        name,
        format!("{:.2} s", usage.cpu_us as f64 / 1e6),
        bytes(usage.memory_bytes),
        usage.requests.to_string(),
        usage.queued.to_string(),
        usage.connections.to_string(),
        bytes(usage.received_bytes),
        bytes(usage.sent_bytes),
    ]
}
