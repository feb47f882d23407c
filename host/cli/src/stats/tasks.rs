//! The rows of `stats`, as a table and as JSON.
use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::task::TaskUsage;
use serde::Serialize;

use super::rates::Rates;
use super::sampler::Sample;
use crate::render::{self, bytes};

const COLUMNS: &[&str] =
    &["NAME", "NODE", "CPU %", "MEM USAGE / LIMIT", "MEM %", "REQ/S", "REQUESTS", "ACT/QUEUED", "CONNS", "NET IN / OUT"];
/// Columns that go first where the screen is too narrow.
const LEAST: [&str; 8] = ["MEM %", "REQUESTS", "CONNS", "NET IN / OUT", "ACT/QUEUED", "NODE", "REQ/S", "MEM USAGE / LIMIT"];
/// What stands where nothing is known.
pub const UNKNOWN: &str = "--";

/// One task. Keys are stable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub id: TaskId,
    pub name: String,
    pub node: String,
    pub node_id: NodeId,
    pub memory_limit_bytes: u64,
    /// Absent when its node did not answer.
    #[serde(flatten)]
    pub usage: Option<TaskUsage>,
    #[serde(flatten)]
    pub rates: Option<Rates>,
}

impl Row {
    pub fn memory_percent(&self) -> Option<f64> {
        let used = self.usage?.memory_bytes as f64;
        (self.memory_limit_bytes > 0).then(|| used * 100.0 / self.memory_limit_bytes as f64)
    }

    fn cells(&self) -> Vec<String> {
        let usage = |show: fn(&TaskUsage) -> String| self.usage.as_ref().map_or_else(|| UNKNOWN.to_owned(), show);
        let rate = |rate: fn(&Rates) -> String| self.rates.as_ref().map_or_else(|| UNKNOWN.to_owned(), rate);
        vec![
            self.name.clone(),
            self.node.clone(),
            rate(|rates| percent(rates.cpu_percent)),
            format!("{} / {}", usage(|usage| bytes(usage.memory_bytes)), bytes(self.memory_limit_bytes)),
            self.memory_percent().map_or_else(|| UNKNOWN.to_owned(), percent),
            rate(|rates| format!("{:.1}", rates.requests_per_second)),
            usage(|usage| usage.requests.to_string()),
            usage(|usage| format!("{}/{}", usage.active, usage.queued)),
            usage(|usage| usage.connections.to_string()),
            usage(|usage| format!("{} / {}", bytes(usage.received_bytes), bytes(usage.sent_bytes))),
        ]
    }
}

pub fn rows(sample: &Sample) -> Vec<Row> {
    let row = |task: &minicloud_node::api::types::TaskUsageLine| Row {
        id: task.id,
        name: task.name.clone(),
        node: task.node.clone(),
        node_id: task.node_id,
        memory_limit_bytes: task.memory_limit_bytes,
        usage: task.usage,
        rates: sample.rates(task),
    };
    sample.now.tasks.iter().map(row).collect()
}

/// At most `width` characters wide; the column `kept` is the last to go.
pub fn table(rows: &[Row], kept: &str, width: usize) -> String {
    let least = LEAST.into_iter().filter(|name| *name != kept).chain(LEAST.into_iter().filter(|name| *name == kept));
    render::fitted(COLUMNS, rows.iter().map(Row::cells).collect(), least, width)
}

pub fn percent(value: f64) -> String {
    format!("{value:.1}%")
}

#[cfg(test)]
mod tests {
    use minicloud_node::api::types::{Stats, TaskUsageLine};

    use super::*;

    fn line(usage: Option<TaskUsage>) -> TaskUsageLine {
        let (name, node) = ("rng.1".to_owned(), "node1".to_owned());
        TaskUsageLine { id: TaskId(7), name, node, node_id: NodeId(1), memory_limit_bytes: 256 << 20, usage }
    }

    fn stats(usage: Option<TaskUsage>) -> Stats {
        Stats { tasks: vec![line(usage)], ..Stats::default() }
    }

    fn counted(seconds: u64) -> TaskUsage {
        TaskUsage {
            memory_bytes: 64 << 20,
            cpu_us: seconds * 100_000,
            requests: seconds * 30,
            active: 1,
            queued: 7,
            concurrency: 1,
            uptime_us: seconds * 1_000_000,
            connections: 8,
            received_bytes: 1_536,
            sent_bytes: 3 << 20,
            ..TaskUsage::default()
        }
    }

    #[test]
    fn a_task_is_one_row_with_rates_once_there_are_two_answers() {
        let first = Sample { now: stats(Some(counted(1))), before: None };
        let cells = rows(&first)[0].cells();
        assert_eq!(cells, ["rng.1", "node1", "--", "64 MiB / 256 MiB", "25.0%", "--", "30", "1/7", "8", "1.5 KiB / 3 MiB"]);
        let second = Sample { now: stats(Some(counted(2))), before: Some(first.now) };
        let cells = rows(&second)[0].cells();
        assert_eq!((cells[2].as_str(), cells[5].as_str()), ("10.0%", "30.0"));
    }

    #[test]
    fn a_narrow_screen_shows_whole_columns() {
        let sample = Sample { now: stats(Some(counted(2))), before: Some(stats(Some(counted(1)))) };
        for (width, heading) in [
            (200, "NAME    NODE    CPU %   MEM USAGE / LIMIT   MEM %   REQ/S   REQUESTS   ACT/QUEUED   CONNS   NET IN / OUT"),
            (80, "NAME    NODE    CPU %   MEM USAGE / LIMIT   REQ/S   ACT/QUEUED   NET IN / OUT"),
            (60, "NAME    NODE    CPU %   MEM USAGE / LIMIT   REQ/S"),
            (20, "NAME    CPU %"),
        ] {
            let text = table(&rows(&sample), "CPU %", width);
            assert_eq!(text.lines().next(), Some(heading), "{width}");
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
        }
        assert!(table(&rows(&sample), "NET IN / OUT", 60).contains("NET IN / OUT"), "what is sorted by stays");
    }

    #[test]
    fn a_task_of_a_silent_node_stands_there_without_figures() {
        let sample = Sample { now: stats(None), before: Some(stats(None)) };
        let rows = rows(&sample);
        assert_eq!(rows[0].cells(), ["rng.1", "node1", "--", "-- / 256 MiB", "--", "--", "--", "--", "--", "--"]);
        let json = serde_json::to_value(&rows[0]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "id": "000000000007", "name": "rng.1", "node": "node1", "node_id": "n1", "memory_limit_bytes": 256 << 20
            })
        );
    }

    #[test]
    fn json_has_counters_and_rates_side_by_side() {
        let sample = Sample { now: stats(Some(counted(2))), before: Some(stats(Some(counted(1)))) };
        let json = serde_json::to_value(&rows(&sample)[0]).unwrap();
        for (key, value) in [("requests", 60.0), ("requests_per_second", 30.0), ("queued", 7.0), ("cpu_percent", 10.0)] {
            assert_eq!(json[key].as_f64(), Some(value), "{key}");
        }
    }
}
