//! `minicloud top`: what each node uses, and below it the busiest tasks.
use std::cmp::Ordering;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use minicloud_core::id::NodeId;
use minicloud_core::state::NodeStatus;
use minicloud_node::api::types::{NodeStats, Stats};
use minicloud_node::client::Client;
use serde::Serialize;

use super::live::{self, View};
use super::rates::Rates;
use super::sampler::{Sample, Sampler};
use super::tasks::{self, Row, UNKNOWN, percent};
use crate::output::say;
use crate::render::{Format, bytes, fitted, print_json};
use crate::screen::Screen;

const COLUMNS: &[&str] = &["NODE", "STATUS", "CPU %", "MEMORY", "TASKS", "REQ/S", "CONNS", "IN/S", "OUT/S", "FILES", "UP"];
/// Columns that go first where the screen is too narrow.
const LEAST: [&str; 8] = ["FILES", "UP", "CONNS", "OUT/S", "IN/S", "REQ/S", "STATUS", "TASKS"];
/// Tasks below the nodes where there is no screen to be filled.
const TASKS_SHOWN_MAX: usize = 20;
/// Tasks that are shown however low the screen is.
const TASKS_SHOWN_MIN: usize = 3;

#[derive(Args, Debug)]
#[command(after_help = "CPU % is of one core. MEMORY is what the node's process has resident, its tasks included. '*' is the leader.

Keys:
  q              quit
  c m r t n      sort the tasks by CPU, memory, requests, traffic, name
  s              sort by the next of these

Examples:
  minicloud top                          all nodes, until q or Ctrl-C
  minicloud top --sort memory --node node2
  minicloud top --no-stream              once, for scripts and reports")]
pub struct Top {
    /// Show only this node and its tasks; may be given several times
    #[arg(long = "node", value_name = "NODE")]
    nodes: Vec<String>,
    /// What the busiest tasks have most of
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Print once, after a second in which was measured; so it is where the output is no terminal
    #[arg(long)]
    no_stream: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Sort {
    #[default]
    Cpu,
    Memory,
    Requests,
    Traffic,
    Name,
}

impl Sort {
    const ALL: [Sort; 5] = [Sort::Cpu, Sort::Memory, Sort::Requests, Sort::Traffic, Sort::Name];

    fn next(self) -> Sort {
        let at = Sort::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Sort::ALL[(at + 1) % Sort::ALL.len()]
    }

    fn of_key(key: u8) -> Option<Sort> {
        match key {
            b'c' => Some(Sort::Cpu),
            b'm' => Some(Sort::Memory),
            b'r' => Some(Sort::Requests),
            b't' => Some(Sort::Traffic),
            b'n' => Some(Sort::Name),
            _ => None,
        }
    }

    /// The column of the tasks that tells most of it.
    fn column(self) -> &'static str {
        match self {
            Sort::Cpu | Sort::Name => "CPU %",
            Sort::Memory => "MEM USAGE / LIMIT",
            Sort::Requests => "REQ/S",
            Sort::Traffic => "NET IN / OUT",
        }
    }

    /// The busier first; those that are the same by name.
    fn compare(self, a: &Row, b: &Row) -> Ordering {
        let amount = |row: &Row| {
            let (rates, usage) = (row.rates.unwrap_or_default(), row.usage.unwrap_or_default());
            match self {
                Sort::Cpu => rates.cpu_percent,
                Sort::Memory => usage.memory_bytes as f64,
                Sort::Requests => rates.requests_per_second,
                Sort::Traffic => rates.received_bytes_per_second + rates.sent_bytes_per_second,
                Sort::Name => 0.0,
            }
        };
        amount(b).total_cmp(&amount(a)).then_with(|| a.name.cmp(&b.name))
    }
}

impl Top {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let sampler = Sampler::new(client, &[]);
        let view = Nodes { only: self.chosen(client).await?, sort: self.sort };
        if self.format == Format::Table && !self.no_stream && std::io::stdout().is_terminal() {
            return live::show(sampler, view).await;
        }
        let sample = view.only(&sampler.one().await?);
        match self.format {
            Format::Json => print_json(&view.json(&sample))?,
            Format::Table => say!("{}", view.text(&sample, TASKS_SHOWN_MAX, Screen::width()).join("\n")),
        }
        Ok(())
    }

    /// The ids of the nodes that were named.
    async fn chosen(&self, client: &Client) -> anyhow::Result<Vec<NodeId>> {
        if self.nodes.iter().any(String::is_empty) {
            bail!("--node: name a node; see 'minicloud node ls'");
        }
        let mut ids = Vec::new();
        for name in &self.nodes {
            ids.push(client.node(name).await?.summary.id);
        }
        Ok(ids)
    }
}

/// The view, and what it shows of a sample.
struct Nodes {
    /// Empty: all.
    only: Vec<NodeId>,
    sort: Sort,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Shown {
    nodes: Vec<NodeRow>,
    tasks: Vec<Row>,
}

/// One node. Keys are stable.
#[derive(Serialize)]
struct NodeRow {
    #[serde(flatten)]
    node: NodeStats,
    leader: bool,
    /// Of its process.
    cpu_percent: Option<f64>,
    connections: u64,
    /// Sums over its tasks.
    tasks_rates: Rates,
}

impl Nodes {
    /// The part of a sample that is wanted.
    fn only(&self, sample: &Sample) -> Sample {
        let wanted = |id: &NodeId| self.only.is_empty() || self.only.contains(id);
        let part = |stats: &Stats| Stats {
            nodes: stats.nodes.iter().filter(|node| wanted(&node.id)).cloned().collect(),
            tasks: stats.tasks.iter().filter(|task| wanted(&task.node_id)).cloned().collect(),
            leader: stats.leader,
        };
        Sample { now: part(&sample.now), before: sample.before.as_ref().map(part) }
    }

    fn json(&self, sample: &Sample) -> Shown {
        let tasks = self.sorted(sample);
        Shown { nodes: sample.now.nodes.iter().map(|node| node_row(sample, node, &tasks)).collect(), tasks }
    }

    fn sorted(&self, sample: &Sample) -> Vec<Row> {
        let mut rows = tasks::rows(sample);
        rows.sort_by(|a, b| self.sort.compare(a, b));
        rows
    }

    /// The nodes, and below them as many tasks; tables that fit the width.
    fn text(&self, sample: &Sample, tasks_max: usize, width: usize) -> Vec<String> {
        let tasks = self.sorted(sample);
        let nodes = sample.now.nodes.iter().map(|node| cells(&node_row(sample, node, &tasks))).collect();
        let mut lines: Vec<String> = fitted(COLUMNS, nodes, LEAST, width).lines().map(str::to_owned).collect();
        if !tasks.is_empty() {
            lines.push(String::new());
            lines.extend(tasks::table(&tasks[..tasks.len().min(tasks_max)], self.sort.column(), width).lines().map(str::to_owned));
        }
        if tasks.len() > tasks_max {
            lines.push(format!("… and {} tasks more; see 'minicloud stats'", tasks.len() - tasks_max));
        }
        lines
    }
}

impl View for Nodes {
    fn lines(&self, sample: &Sample) -> Vec<String> {
        let sample = self.only(sample);
        // Two lines at the top, the headings of the tasks with an empty line above, and the line that says what is left out.
        let (width, height) = Screen::size();
        let rest = height.saturating_sub(2 + 1 + sample.now.nodes.len() + 2 + 1);
        let mut lines = vec![summary(&sample, self.sort, width), String::new()];
        lines.extend(self.text(&sample, rest.max(TASKS_SHOWN_MIN), width));
        lines
    }

    fn key(&mut self, key: u8) {
        let sort = if key == b's' { Some(self.sort.next()) } else { Sort::of_key(key) };
        self.sort = sort.unwrap_or(self.sort);
    }
}

/// What there is, and as many hints as fit.
fn summary(sample: &Sample, sort: Sort, width: usize) -> String {
    let nodes = &sample.now.nodes;
    let answer = nodes.iter().filter(|node| node.usage.is_some()).count();
    let leader = nodes.iter().find(|node| Some(node.id) == sample.now.leader).map_or("", |node| &node.hostname);
    let leader = if leader.is_empty() { String::new() } else { format!(", leader {leader}") };
    let tasks = sample.now.tasks.len();
    let name = sort.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let what = format!("{answer} of {} nodes answer{leader}; {tasks} tasks run, by {name}", nodes.len());
    let hints = [" (c m r t n, s: next; q quits)", " (q quits)", ""];
    let fits = |hint: &&&str| what.chars().count() + hint.len() <= width;
    format!("{what}{}", hints.iter().find(fits).unwrap_or(&""))
}

fn node_row(sample: &Sample, node: &NodeStats, tasks: &[Row]) -> NodeRow {
    let own = || tasks.iter().filter(|task| task.node_id == node.id);
    NodeRow {
        node: node.clone(),
        leader: sample.now.leader == Some(node.id),
        cpu_percent: sample.cpu_percent(node.id),
        connections: own().filter_map(|task| task.usage).map(|usage| u64::from(usage.connections)).sum(),
        tasks_rates: own().filter_map(|task| task.rates).sum(),
    }
}

fn cells(row: &NodeRow) -> Vec<String> {
    let node = &row.node;
    let name = if row.leader { format!("{} *", node.hostname) } else { node.hostname.clone() };
    let status = match (node.status, node.usage) {
        (NodeStatus::Ready, None) => "no answer".to_owned(),
        (status, _) => status.to_string(),
    };
    let Some(usage) = node.usage else {
        let unknown = std::iter::repeat_n(UNKNOWN.to_owned(), COLUMNS.len() - 2);
        return [name, status].into_iter().chain(unknown).collect();
    };
    let rate = |text: String| if row.cpu_percent.is_some() { text } else { UNKNOWN.to_owned() };
    vec![
        name,
        status,
        row.cpu_percent.map_or_else(|| UNKNOWN.to_owned(), percent),
        format!("{} / {}", usage.memory_bytes.map_or_else(|| UNKNOWN.to_owned(), bytes), bytes(node.memory_total_bytes)),
        node.tasks_running.to_string(),
        rate(format!("{:.1}", row.tasks_rates.requests_per_second)),
        row.connections.to_string(),
        rate(bytes(row.tasks_rates.received_bytes_per_second as u64)),
        rate(bytes(row.tasks_rates.sent_bytes_per_second as u64)),
        usage.open_files.map_or_else(|| UNKNOWN.to_owned(), |files| files.to_string()),
        up(Duration::from_micros(usage.uptime_us)),
    ]
}

/// `3d 4h`, `5h 7m`, `12m 3s`, `9s`
fn up(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::TaskId;
    use minicloud_core::task::TaskUsage;
    use minicloud_node::api::types::{NodeUsage, TaskUsageLine};

    use super::*;
    use crate::stats::sampler::node;

    fn used(seconds: u64) -> Option<NodeUsage> {
        let micros = seconds * 1_000_000;
        Some(NodeUsage { cpu_us: micros / 4, uptime_us: micros, memory_bytes: Some(64 << 20), open_files: Some(40) })
    }

    fn task(name: &str, on: u64, seconds: u64, cpu_us: u64, requests: u64) -> TaskUsageLine {
        let usage = TaskUsage {
            cpu_us: cpu_us * seconds,
            requests: requests * seconds,
            uptime_us: seconds * 1_000_000,
            connections: 2,
            ..TaskUsage::default()
        };
        TaskUsageLine {
            id: TaskId(name.len() as u64),
            name: name.to_owned(),
            node: format!("node{on}"),
            node_id: NodeId(on),
            memory_limit_bytes: 256 << 20,
            usage: Some(usage),
        }
    }

    fn stats(seconds: u64) -> Stats {
        Stats {
            nodes: vec![node(1, "node1", used(seconds)), node(2, "node2", None)],
            tasks: vec![
                task("rng.1", 1, seconds, 500_000, 30),
                task("worker.1", 1, seconds, 700_000, 0),
                task("web.10", 2, seconds, 0, 90),
            ],
            leader: Some(NodeId(1)),
        }
    }

    fn sample() -> Sample {
        Sample { now: stats(3), before: Some(stats(2)) }
    }

    fn view(sort: Sort, only: &[u64]) -> Nodes {
        Nodes { only: only.iter().map(|id| NodeId(*id)).collect(), sort }
    }

    #[test]
    fn nodes_stand_above_their_busiest_tasks() {
        let lines = view(Sort::Cpu, &[]).text(&sample(), 2, usize::MAX);
        assert!(lines[1].starts_with("node1 *   ready"), "{lines:#?}");
        for figure in ["25.0%", "64 MiB / 8 GiB", "30.0", "40", "3s"] {
            assert!(lines[1].contains(figure), "{figure}: {lines:#?}");
        }
        assert!(lines[2].starts_with("node2     no answer   --"), "{lines:#?}");
        assert!(lines[5].starts_with("worker.1") && lines[6].starts_with("rng.1"), "{lines:#?}");
        assert_eq!(lines[7], "… and 1 tasks more; see 'minicloud stats'");
    }

    #[test]
    fn a_narrow_screen_shows_whole_columns() {
        for (width, heading) in [
            (80, "NODE      STATUS      CPU %   MEMORY           TASKS   REQ/S   IN/S   OUT/S"),
            (60, "NODE      STATUS      CPU %   MEMORY           TASKS   REQ/S"),
            (45, "NODE      CPU %   MEMORY           TASKS"),
        ] {
            let lines = view(Sort::Cpu, &[]).text(&sample(), 2, width);
            assert_eq!(lines[0], heading, "{width}");
            assert!(lines[1].contains("64 MiB / 8 GiB") && lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
        }
        let summary = |width| summary(&sample(), Sort::Cpu, width);
        assert_eq!(summary(90), "1 of 2 nodes answer, leader node1; 3 tasks run, by cpu (c m r t n, s: next; q quits)");
        assert_eq!(summary(70), "1 of 2 nodes answer, leader node1; 3 tasks run, by cpu (q quits)");
        assert_eq!(summary(55), "1 of 2 nodes answer, leader node1; 3 tasks run, by cpu");
    }

    #[test]
    fn keys_sort_by_what_they_stand_for() {
        let mut view = view(Sort::Cpu, &[]);
        let first = |view: &Nodes| view.sorted(&sample())[0].name.clone();
        for (key, expected) in [(b'r', "web.10"), (b'n', "rng.1"), (b's', "worker.1"), (b'x', "worker.1")] {
            view.key(key);
            assert_eq!(first(&view), expected, "{}", char::from(key));
        }
    }

    #[test]
    fn one_node_may_be_looked_at_alone() {
        let view = view(Sort::Name, &[2]);
        let part = view.only(&sample());
        assert_eq!((part.now.nodes.len(), part.now.tasks.len()), (1, 1));
        let json = serde_json::to_value(view.json(&part)).unwrap();
        assert_eq!((json["nodes"][0]["hostname"].as_str(), json["tasks"][0]["name"].as_str()), (Some("node2"), Some("web.10")));
        assert!(json["nodes"][0]["usage"].is_null());
    }

    #[test]
    fn uptime_has_two_units() {
        for (seconds, text) in [(9, "9s"), (723, "12m 3s"), (18_420, "5h 7m"), (273_600, "3d 4h")] {
            assert_eq!(up(Duration::from_secs(seconds)), text);
        }
    }
}
