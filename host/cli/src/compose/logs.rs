//! `compose logs`, and the lines that `up` shows: those of all services, each behind the name of its task.
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::IsTerminal;

use clap::Args;
use futures::StreamExt;
use futures::stream::{SelectAll, select_all};
use minicloud_node::api::types::{LogLine, LogQuery, ServiceSummary};
use minicloud_node::client::{Client, Lines};

use super::labels;
use super::node::ProjectNode;
use super::project::{LongProjectArgs, ProjectArgs};
use crate::cluster::block_on;
use crate::data_dir::Choice;
use crate::interrupt::interrupted;
use crate::output;
use crate::parse::{self, Since};
use crate::render::{iso_time, milliseconds_now};

/// Colours of names on a terminal, as codes of ECMA-48; neighbours differ.
const COLOURS: [u8; 12] = [36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91];

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  minicloud compose logs -f worker
  minicloud compose logs --tail 100 rng hasher")]
pub struct Logs {
    /// Go on with what is written from now on
    #[arg(short = 'f', long)]
    follow: bool,
    /// Begin with the last N lines of each task; 'all' for every line
    #[arg(short = 'n', long, value_name = "N", default_value = "all")]
    tail: String,
    /// Begin at a time: 10m ago, or 2026-01-31T14:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse::since)]
    since: Option<Since>,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
    /// No colours on a terminal
    #[arg(long)]
    no_color: bool,
    /// Show what was written and nothing else
    #[arg(long)]
    no_log_prefix: bool,
    /// Services whose lines are wanted [default: all]
    #[arg(value_name = "SVC")]
    services: Vec<String>,
    #[command(flatten)]
    project: LongProjectArgs,
}

impl Logs {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let project = ProjectArgs::from(self.project.clone()).within(outer);
        let name = project.name()?;
        let tail = match self.tail.as_str() {
            "all" => None,
            text => Some(text.parse().map_err(|_| anyhow::anyhow!("'{text}' is no number of lines; write for example 100, or all"))?),
        };
        let since_ms = self.since.map(|since| since.at_ms(milliseconds_now()));
        let query = LogQuery { follow: self.follow, tail, since_ms, ..LogQuery::default() };
        let shape = Shape { timestamps: self.timestamps, plain: self.no_log_prefix, no_colour: self.no_color };
        let node = ProjectNode::find(choice, &name)?;
        block_on(async {
            let client = node.client(&name).await?;
            let services = labels::chosen(&client, &name, &self.services).await?;
            let mut follow = Follow::query(&client, services, query, shape).await?;
            match self.follow {
                false => follow.sorted().await,
                true => tokio::select! {
                    ended = follow.run() => ended,
                    () = interrupted() => Ok(()),
                },
            }
        })
    }
}

/// How lines look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    pub timestamps: bool,
    pub plain: bool,
    pub no_colour: bool,
}

/// The lines of several services.
pub struct Follow {
    lines: SelectAll<Lines<LogLine>>,
    writer: Writer,
}

struct Writer {
    services: Vec<ServiceSummary>,
    shape: Shape,
    colours: bool,
    /// Characters of the longest name so far.
    width: usize,
    /// Colour of each name, in the order in which they came.
    chosen: BTreeMap<String, u8>,
}

impl Follow {
    /// What is written from `since_ms` on.
    pub async fn open(client: &Client, services: Vec<ServiceSummary>, since_ms: Option<u64>, shape: Shape) -> anyhow::Result<Follow> {
        Follow::query(client, services, LogQuery { follow: true, since_ms, ..LogQuery::default() }, shape).await
    }

    async fn query(client: &Client, services: Vec<ServiceSummary>, query: LogQuery, shape: Shape) -> anyhow::Result<Follow> {
        let mut lines = Vec::new();
        let mut width = 0;
        for service in &services {
            lines.push(client.service_logs(&service.name, &query).await?);
            let tasks = client.service_tasks(&service.name).await.unwrap_or_default();
            width = tasks.iter().map(|task| labels::task_name(service, &task.name).len()).fold(width, usize::max);
        }
        let colours =
            std::io::stdout().is_terminal() && !shape.no_colour && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Follow { lines: select_all(lines), writer: Writer { services, shape, colours, width, chosen: BTreeMap::new() } })
    }

    /// Writes lines as they come, until there are no more.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        while let Some(line) = self.lines.next().await {
            let text = self.writer.text(&line?);
            output::raw(text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes what comes at once; for services that write no more.
    pub async fn drain(&mut self) -> anyhow::Result<()> {
        const QUIET: std::time::Duration = std::time::Duration::from_millis(200);
        while let Ok(Some(line)) = tokio::time::timeout(QUIET, self.lines.next()).await {
            let text = self.writer.text(&line?);
            output::raw(text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes what there is in the order of time.
    async fn sorted(self) -> anyhow::Result<()> {
        let Follow { lines, mut writer } = self;
        let mut lines: Vec<Lines<LogLine>> = lines.into_iter().collect();
        let mut heads = std::collections::BinaryHeap::new();
        let mut waiting: Vec<Option<LogLine>> = Vec::new();
        for (at, lines) in lines.iter_mut().enumerate() {
            let first = lines.next().await.transpose()?;
            heads.extend(first.as_ref().map(|line| Reverse((line.at_ms, at))));
            waiting.push(first);
        }
        while let Some(Reverse((_, at))) = heads.pop() {
            if let Some(line) = waiting[at].take() {
                output::raw(writer.text(&line).as_bytes())?;
            }
            waiting[at] = lines[at].next().await.transpose()?;
            heads.extend(waiting[at].as_ref().map(|line| Reverse((line.at_ms, at))));
        }
        Ok(())
    }
}

impl Writer {
    /// `worker-3  | 4 units of work done`
    fn text(&mut self, line: &LogLine) -> String {
        let time = if self.shape.timestamps { format!("{} ", iso_time(line.at_ms)) } else { String::new() };
        if self.shape.plain {
            return format!("{time}{}\n", line.text);
        }
        let of = |service: &&ServiceSummary| line.task.strip_prefix(service.name.as_str()).is_some_and(|rest| rest.starts_with('.'));
        let name = self.services.iter().find(of).map_or_else(|| line.task.clone(), |service| labels::task_name(service, &line.task));
        self.width = self.width.max(name.len());
        let shown = format!("{name:width$}  |", width = self.width);
        if !self.colours {
            return format!("{shown} {time}{}\n", line.text);
        }
        let next = COLOURS[self.chosen.len() % COLOURS.len()];
        let colour = *self.chosen.entry(name).or_insert(next);
        format!("\x1b[{colour}m{shown}\x1b[0m {time}{}\n", line.text)
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::TaskId;
    use minicloud_core::task::LogStream;

    use super::*;

    fn line(task: &str, text: &str) -> LogLine {
        LogLine { task_id: TaskId(1), task: task.into(), node: "n1".into(), at_ms: 0, stream: LogStream::Stdout, text: text.into() }
    }

    fn writer(colours: bool, shape: Shape) -> Writer {
        Writer { services: Vec::new(), shape, colours, width: 0, chosen: BTreeMap::new() }
    }

    #[test]
    fn names_stand_under_each_other_and_each_keeps_its_colour() {
        let mut writer = writer(true, Shape::default());
        assert_eq!(writer.text(&line("worker-3", "done")), "\x1b[36mworker-3  |\x1b[0m done\n");
        assert_eq!(writer.text(&line("rng-1", "GET /")), "\x1b[33mrng-1     |\x1b[0m GET /\n");
        assert_eq!(writer.text(&line("worker-3", "again")), "\x1b[36mworker-3  |\x1b[0m again\n");
    }

    #[test]
    fn lines_can_be_plain_and_have_their_time() {
        assert_eq!(writer(false, Shape::default()).text(&line("rng-1", "x")), "rng-1  | x\n");
        let shape = Shape { timestamps: true, plain: true, no_colour: false };
        assert_eq!(writer(false, shape).text(&line("rng-1", "x")), "1970-01-01T00:00:00.000Z x\n");
    }
}
