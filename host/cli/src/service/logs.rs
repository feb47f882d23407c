//! `service logs`
use std::io::IsTerminal;

use clap::Args;
use futures::FutureExt;
use minicloud_node::api::types::{LogLine, LogQuery};
use minicloud_node::client::Client;

use crate::output;
use crate::parse::{self, Since};
use crate::render::{iso_time, milliseconds_now};

/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 64 << 10;
/// Colours of task names on a terminal, as codes of ECMA-48.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  minicloud service logs -f worker
  minicloud service logs --tail 100 --since 10m -t worker
  minicloud service logs --since 2026-01-31T14:00:00Z --raw TASK")]
pub struct Logs {
    /// Go on with what the tasks write from now on
    #[arg(short, long)]
    follow: bool,
    /// Begin with the last N lines of each task; 'all' for every line
    #[arg(short = 'n', long, value_name = "N", value_parser = tail, default_value = "all")]
    tail: Tail,
    /// Begin at a time: 10m ago, or 2026-01-31T14:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse::since)]
    since: Option<Since>,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
    /// Show what was written and nothing else
    #[arg(long)]
    raw: bool,
    /// Name or id of a service, or id of a task
    #[arg(value_name = "SERVICE|TASK")]
    service: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail(Option<u64>);

fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" => Ok(Tail(None)),
        number => number
            .parse()
            .map(|lines| Tail(Some(lines)))
            .map_err(|_| format!("'{text}' is no number of lines; write for example 100, or all")),
    }
}

impl Logs {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let since_ms = self.since.map(|since| since.at_ms(milliseconds_now()));
        let query = LogQuery { follow: self.follow, tail: self.tail.0, since_ms, ..LogQuery::default() };
        let mut lines = client.service_logs(&self.service, &query).await?;
        let mut shape = Shape { raw: self.raw, timestamps: self.timestamps, colours: colours_wanted(), source_width: 0 };
        if !self.raw {
            shape.source_width = self.widest_source(client).await;
        }
        let mut gathered = String::new();
        loop {
            // What is there is written at once; a line that is still to come does not hold it up.
            let early = lines.next().now_or_never();
            if gathered.len() >= WRITE_BYTES || !matches!(early, Some(Some(Ok(_)))) {
                output::raw(std::mem::take(&mut gathered).as_bytes())?;
            }
            let line = match early {
                Some(line) => line,
                None => lines.next().await,
            };
            let Some(line) = line.transpose()? else { return Ok(()) };
            gathered.push_str(&shape.text(&line));
            gathered.push('\n');
        }
    }

    /// So that the lines of all tasks begin in the same column.
    async fn widest_source(&self, client: &Client) -> usize {
        let tasks = client.service_tasks(&self.service).await.unwrap_or_default();
        tasks.iter().map(|task| task.name.len() + 1 + task.node.as_ref().map_or(0, String::len)).max().unwrap_or(0)
    }
}

fn colours_wanted() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How lines look.
struct Shape {
    raw: bool,
    timestamps: bool,
    colours: bool,
    /// Characters of the longest `task@node` so far.
    source_width: usize,
}

impl Shape {
    fn text(&mut self, line: &LogLine) -> String {
        let time = if self.timestamps { format!("{} ", iso_time(line.at_ms)) } else { String::new() };
        if self.raw {
            return format!("{time}{}", line.text);
        }
        let source = format!("{}@{}", line.task, line.node);
        self.source_width = self.source_width.max(source.len());
        let source = format!("{source:width$}", width = self.source_width);
        let source = if self.colours { format!("\x1b[{}m{source}\x1b[0m", colour(&line.task)) } else { source };
        format!("{time}{source}    | {}", line.text)
    }
}

/// The same for all runs in one slot; neighbours differ.
fn colour(task: &str) -> u8 {
    let slot = task.rsplit_once('.').and_then(|(_, slot)| slot.parse::<usize>().ok());
    let number = slot.unwrap_or_else(|| task.bytes().map(usize::from).sum());
    COLOURS[number % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::TaskId;
    use minicloud_core::task::LogStream;

    use super::*;

    fn line(task: &str, text: &str) -> LogLine {
        LogLine {
            task_id: TaskId(1),
            task: task.into(),
            node: "node2".into(),
            at_ms: 86_400_005,
            stream: LogStream::Stdout,
            text: text.into(),
        }
    }

    #[test]
    fn lines_say_which_task_wrote_them() {
        let mut shape = Shape { raw: false, timestamps: false, colours: false, source_width: 15 };
        assert_eq!(shape.text(&line("worker.3", "42 units")), "worker.3@node2     | 42 units");
        assert_eq!(shape.text(&line("worker.1000", "x")), "worker.1000@node2    | x");
        assert_eq!(shape.text(&line("worker.3", "")), "worker.3@node2       | ");
        shape.timestamps = true;
        assert_eq!(shape.text(&line("worker.1000", "x")), "1970-01-02T00:00:00.005Z worker.1000@node2    | x");
        shape.colours = true;
        assert!(shape.text(&line("worker.1000", "x")).contains("\x1b[34mworker.1000@node2\x1b[0m    | x"));
        assert_ne!(colour("worker.1"), colour("worker.2"));
        shape.raw = true;
        shape.timestamps = false;
        assert_eq!(shape.text(&line("worker.3", "as it is")), "as it is");
    }

    #[test]
    fn tail_is_a_number_or_all() {
        assert_eq!(tail("all"), Ok(Tail(None)));
        assert_eq!(tail("100"), Ok(Tail(Some(100))));
        assert!(tail("-1").unwrap_err().contains("for example 100"));
    }
}
