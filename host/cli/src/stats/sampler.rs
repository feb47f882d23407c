//! Asks the cluster once a second, and keeps the answer before for the rates.
use std::time::Duration;

use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::task::TaskUsage;
use minicloud_node::api::types::{Stats, TaskUsageLine};
use minicloud_node::client::{Client, ClientError};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::rates::{Rates, cpu_percent_of_node};

/// Between two answers.
pub const EVERY: Duration = Duration::from_secs(1);

/// Two answers in a row.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub now: Stats,
    /// `None` at first: there is no rate yet.
    pub before: Option<Stats>,
}

impl Sample {
    /// `None` while there is nothing to compare with, or no answer of its node.
    pub fn rates(&self, task: &TaskUsageLine) -> Option<Rates> {
        let before = self.before.as_ref()?;
        Some(Rates::of_task(usage_of(before, task.id), task.usage.as_ref()?))
    }

    pub fn cpu_percent(&self, node: NodeId) -> Option<f64> {
        let usage = |stats: &Stats| stats.nodes.iter().find(|one| one.id == node).and_then(|one| one.usage);
        Some(cpu_percent_of_node(usage(self.before.as_ref()?).as_ref(), &usage(&self.now)?))
    }
}

fn usage_of(stats: &Stats, task: TaskId) -> Option<&TaskUsage> {
    stats.tasks.iter().find(|line| line.id == task)?.usage.as_ref()
}

pub struct Sampler {
    client: Client,
    of: Vec<String>,
    before: Option<Stats>,
    interval: Interval,
}

impl Sampler {
    /// Of everything, when `of` names nothing.
    pub fn new(client: &Client, of: &[String]) -> Sampler {
        let mut interval = interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Sampler { client: client.clone(), of: of.to_vec(), before: None, interval }
    }

    /// The next one, a second after the one before.
    pub async fn next(&mut self) -> Result<Sample, ClientError> {
        self.interval.tick().await;
        let now = self.client.stats(&self.of).await?;
        let before = self.before.replace(now.clone());
        Ok(Sample { now, before })
    }

    /// One with rates.
    pub async fn one(mut self) -> Result<Sample, ClientError> {
        self.next().await?;
        self.next().await
    }
}

/// A node with this use of it, for tests of the tables.
#[cfg(test)]
pub fn node(id: u64, hostname: &str, usage: Option<minicloud_node::api::types::NodeUsage>) -> minicloud_node::api::types::NodeStats {
    minicloud_node::api::types::NodeStats {
        id: NodeId(id),
        hostname: hostname.to_owned(),
        status: minicloud_core::state::NodeStatus::Ready,
        tasks_running: 1,
        memory_total_bytes: 8 << 30,
        cpu_millis: 2_000,
        usage,
    }
}
