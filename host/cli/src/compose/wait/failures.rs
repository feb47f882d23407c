//! Tasks of a service that ended while somebody waits for it, and how many are enough.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::bail;
use minicloud_compose::Condition;
use minicloud_core::id::TaskId;
use minicloud_core::task::{Health, TaskState};
use minicloud_node::api::types::TaskSummary;
use minicloud_node::client::Client;

use super::LOOK;
use crate::render::one_line;

/// Tasks of one slot that may fail one after the other before a service counts as one that does not start.
const CRASHES_MAX: usize = 3;
/// The same for what is to be done: it may fail until what it works on is ready.
const TRIES_MAX: usize = 10;

/// The tasks that ended since the wait began, by the name of their slot.
///
/// With a restart policy a service may recover by itself, so one failure is none: a slot has to fail [`CRASHES_MAX`] times
/// without having come as far as it is waited for, and [`TRIES_MAX`] times where it is to be done.
pub struct Failures {
    earlier: BTreeSet<TaskId>,
    failed: BTreeMap<String, BTreeSet<TaskId>>,
    done: BTreeSet<String>,
    looked: Instant,
}

impl Failures {
    pub async fn since_now(client: &Client, service: &str) -> anyhow::Result<Failures> {
        let tasks = client.service_tasks(service).await?;
        // Those of an earlier version are on their way out, however they are.
        let is_earlier = |task: &&TaskSummary| {
            task.current_state.is_final() || task.desired_state >= TaskState::Shutdown || task.health == Some(Health::Unhealthy)
        };
        let earlier = tasks.iter().filter(is_earlier).map(|task| task.id).collect();
        Ok(Failures { earlier, failed: BTreeMap::new(), done: BTreeSet::new(), looked: Instant::now() })
    }

    /// Whether what is to be done was done though it is started again; an error when it failed too often.
    pub async fn look(&mut self, client: &Client, service: &str, until: Condition) -> anyhow::Result<bool> {
        if self.looked.elapsed() < LOOK {
            return Ok(false);
        }
        self.looked = Instant::now();
        let tasks = client.service_tasks(service).await?;
        self.add(&tasks, until)?;
        let slots: BTreeSet<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        Ok(until == Condition::Completed && !slots.is_empty() && slots.iter().all(|slot| self.done.contains(*slot)))
    }

    fn add(&mut self, tasks: &[TaskSummary], until: Condition) -> anyhow::Result<()> {
        for task in tasks.iter().filter(|task| !self.earlier.contains(&task.id)) {
            if until == Condition::Healthy && task.health == Some(Health::Unhealthy) {
                bail!("{} is unhealthy: {}", task.name, error(task));
            }
            match task.current_state {
                TaskState::Complete => {
                    self.done.insert(task.name.clone());
                }
                TaskState::Failed | TaskState::Rejected => {
                    let failed = self.failed.entry(task.name.clone()).or_default();
                    failed.insert(task.id);
                    let max = if until == Condition::Completed { TRIES_MAX } else { CRASHES_MAX };
                    if failed.len() >= max {
                        bail!("{} ended {max} times: {}", task.name, error(task));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn error(task: &TaskSummary) -> String {
    if task.error.is_empty() { task.current_state.to_string() } else { one_line(&task.error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: u64, state: TaskState, error: &str) -> TaskSummary {
        TaskSummary {
            id: TaskId(id),
            name: "shop_db.1".into(),
            slot: Some(1),
            image: "db".into(),
            node: None,
            desired_state: TaskState::Running,
            current_state: state,
            error: error.into(),
            addresses: Vec::new(),
            networks: BTreeMap::new(),
            node_id: None,
            ports: Vec::new(),
            service: "shop_db".into(),
            since_ms: Default::default(),
            exit_code: None,
            health: None,
            backtrace: String::new(),
        }
    }

    fn failures() -> Failures {
        Failures { earlier: BTreeSet::from([TaskId(7)]), failed: BTreeMap::new(), done: BTreeSet::new(), looked: Instant::now() }
    }

    #[test]
    fn one_slot_fails_three_times_and_earlier_failures_do_not_count() {
        let mut failures = failures();
        let failed = |id| task(id, TaskState::Failed, "exit code 1");
        failures.add(&[failed(7), failed(8)], Condition::Started).unwrap();
        failures.add(&[failed(7), failed(8), failed(9)], Condition::Started).unwrap();
        let error = failures.add(&[failed(9), failed(10)], Condition::Started).unwrap_err().to_string();
        assert_eq!(error, "shop_db.1 ended 3 times: exit code 1");
    }

    #[test]
    fn what_is_to_be_done_may_fail_until_it_succeeds() {
        let mut failures = failures();
        for id in 10..15 {
            failures.add(&[task(id, TaskState::Failed, "exit code 1")], Condition::Completed).unwrap();
        }
        assert!(failures.done.is_empty());
        failures.add(&[task(15, TaskState::Complete, "")], Condition::Completed).unwrap();
        assert!(failures.done.contains("shop_db.1"));
    }

    #[test]
    fn unhealthy_counts_at_once_where_it_is_to_be_healthy() {
        let unhealthy = TaskSummary { health: Some(Health::Unhealthy), ..task(8, TaskState::Failed, "status 500") };
        failures().add(std::slice::from_ref(&unhealthy), Condition::Started).unwrap();
        let error = failures().add(&[unhealthy], Condition::Healthy).unwrap_err().to_string();
        assert_eq!(error, "shop_db.1 is unhealthy: status 500");
    }
}
