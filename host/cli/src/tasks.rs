//! Lists of tasks, for `service ps` and `node ps`: newest first in each slot, older ones indented below it.
use std::cmp::Reverse;

use clap::Args;
use minicloud_core::task::{Health, TaskState};
use minicloud_node::api::types::TaskSummary;

use crate::output::say;
use crate::render::{Filter, Format, ago, capitalised, check, filter, milliseconds_now, passes, ports, print_json, shortened, table};

/// Characters of an error in the table without `--no-trunc`.
const ERROR_CHARS_MAX: usize = 100;
const COLUMNS: &[&str] = &["ID", "NAME", "IMAGE", "NODE", "DESIRED STATE", "CURRENT STATE", "ERROR", "PORTS"];
const FILTERS: &[&str] = &["id", "name", "node", "desired-state"];

#[derive(Args, Debug)]
pub struct TaskListing {
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
    /// Show only what fits, for example desired-state=running, node=node2
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<Filter>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show errors in full length, and where a component trapped
    #[arg(long)]
    no_trunc: bool,
}

impl TaskListing {
    /// Checks what needs no answer of the node.
    pub fn check(&self) -> anyhow::Result<()> {
        check(&self.filter, FILTERS)
    }

    pub fn print(&self, mut tasks: Vec<TaskSummary>) -> anyhow::Result<()> {
        tasks.retain(|task| passes(&self.filter, |key, value| fits(task, key, value)));
        sort(&mut tasks);
        match self.format {
            _ if self.quiet => {
                for task in &tasks {
                    say!("{}", task.id);
                }
            }
            Format::Json => print_json(&tasks)?,
            Format::Table => say!("{}", self.text(&tasks, milliseconds_now())),
        }
        Ok(())
    }

    fn text(&self, tasks: &[TaskSummary], now_ms: u64) -> String {
        let mut rows = Vec::with_capacity(tasks.len());
        for (at, task) in tasks.iter().enumerate() {
            let older = at > 0 && same_slot(&tasks[at - 1], task);
            rows.push(self.cells(task, older, now_ms));
        }
        let mut text = table(COLUMNS, rows);
        if self.no_trunc {
            for task in tasks.iter().filter(|task| !task.backtrace.is_empty()) {
                text.push_str(&format!("\n\n{} ({}): {}\n{}", task.name, task.id, task.error, task.backtrace.trim_end()));
            }
        }
        text
    }

    fn cells(&self, task: &TaskSummary, older: bool, now_ms: u64) -> Vec<String> {
        let name = if older { format!(" \\_ {}", task.name) } else { task.name.clone() };
        let error = if self.no_trunc { task.error.clone() } else { shortened(&task.error, ERROR_CHARS_MAX) };
        vec![
            task.id.to_string(),
            name,
            task.image.clone(),
            task.node.clone().unwrap_or_default(),
            capitalised(&task.desired_state.to_string()),
            current(task, now_ms),
            error,
            ports(&task.ports),
        ]
    }
}

/// `Running 3 seconds ago (healthy)`
pub fn current(task: &TaskSummary, now_ms: u64) -> String {
    let health = match task.health {
        None => String::new(),
        Some(Health::Starting) => " (health: starting)".to_owned(),
        Some(health) => format!(" ({health})"),
    };
    format!("{} {}{health}", capitalised(&task.current_state.to_string()), ago(task.since_ms, now_ms))
}

/// By service and slot; in a slot what shall run comes first, then the newest.
fn sort(tasks: &mut [TaskSummary]) {
    tasks.sort_by(|a, b| {
        let place = |task: &TaskSummary| (task.desired_state >= TaskState::Shutdown, Reverse(task.since_ms));
        (&a.service, a.slot, &a.name).cmp(&(&b.service, b.slot, &b.name)).then_with(|| place(a).cmp(&place(b)))
    });
}

fn same_slot(a: &TaskSummary, b: &TaskSummary) -> bool {
    (&a.service, a.slot, &a.name) == (&b.service, b.slot, &b.name)
}

fn fits(task: &TaskSummary, key: &str, value: &str) -> bool {
    match key {
        "id" => task.id.to_string().starts_with(value),
        "name" => task.name.contains(value),
        "node" => task.node.as_deref() == Some(value) || task.node_id.is_some_and(|id| id.to_string() == value),
        _ => task.desired_state.to_string() == value,
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::TaskId;
    use minicloud_core::time::Timestamp;

    use super::*;

    const NOW_MS: u64 = 100_000;

    fn task(id: u64, slot: u32, state: TaskState, seconds_ago: u64) -> TaskSummary {
        TaskSummary {
            id: TaskId(id),
            name: format!("worker.{slot}"),
            slot: Some(slot),
            image: "worker".into(),
            node: (state > TaskState::Pending).then(|| "node2".to_owned()),
            desired_state: if state > TaskState::Running { TaskState::Shutdown } else { TaskState::Running },
            current_state: state,
            error: String::new(),
            addresses: Vec::new(),
            networks: Default::default(),
            node_id: None,
            ports: Vec::new(),
            service: "worker".into(),
            since_ms: Timestamp(NOW_MS - seconds_ago * 1_000),
            exit_code: None,
            health: None,
            backtrace: String::new(),
        }
    }

    fn listing(no_trunc: bool) -> TaskListing {
        TaskListing { quiet: false, filter: Vec::new(), format: Format::Table, no_trunc }
    }

    #[test]
    fn the_table_is_docker_s_with_history_below_each_slot() {
        let failed = TaskSummary {
            error: "wasm trap: unreachable".into(),
            backtrace: "0: worker!main\n1: worker!start\n".into(),
            ..task(1, 1, TaskState::Failed, 30)
        };
        let waiting =
            TaskSummary { error: "no suitable node (2 drained, 1 short of memory)".into(), ..task(3, 10, TaskState::Pending, 90) };
        let mut tasks = vec![waiting, failed, task(4, 2, TaskState::Running, 0), task(2, 1, TaskState::Running, 3)];
        sort(&mut tasks);
        let expected = r"ID             NAME           IMAGE    NODE    DESIRED STATE   CURRENT STATE                    ERROR                                             PORTS
000000000002   worker.1       worker   node2   Running         Running 3 seconds ago
000000000001    \_ worker.1   worker   node2   Shutdown        Failed 30 seconds ago            wasm trap: unreachable
000000000004   worker.2       worker   node2   Running         Running less than a second ago
000000000003   worker.10      worker           Running         Pending about a minute ago       no suitable node (2 drained, 1 short of memory)";
        let shown = listing(false).text(&tasks, NOW_MS);
        assert_eq!(shown, expected);
        let full = listing(true).text(&tasks, NOW_MS);
        assert!(full.ends_with("\n\nworker.1 (000000000001): wasm trap: unreachable\n0: worker!main\n1: worker!start"), "{full}");
    }

    #[test]
    fn health_stands_with_the_state() {
        let with = |state, health| current(&TaskSummary { health, ..task(1, 1, state, 3) }, NOW_MS);
        assert_eq!(with(TaskState::Running, Some(Health::Healthy)), "Running 3 seconds ago (healthy)");
        assert_eq!(with(TaskState::Starting, Some(Health::Starting)), "Starting 3 seconds ago (health: starting)");
    }

    #[test]
    fn errors_are_cut_unless_wanted_in_full() {
        let long = TaskSummary { error: "x".repeat(ERROR_CHARS_MAX + 1), ..task(1, 1, TaskState::Failed, 1) };
        assert!(listing(false).text(std::slice::from_ref(&long), NOW_MS).contains("x…"));
        assert!(listing(true).text(std::slice::from_ref(&long), NOW_MS).contains(&long.error));
    }

    #[test]
    fn filters() {
        let running = task(36, 1, TaskState::Running, 1);
        for (key, value, expected) in [
            ("desired-state", "running", true),
            ("desired-state", "shutdown", false),
            ("name", "worker", true),
            ("node", "node2", true),
            ("node", "node", false),
            ("id", "00000000001", true),
        ] {
            assert_eq!(fits(&running, key, value), expected, "{key}={value}");
        }
    }
}
