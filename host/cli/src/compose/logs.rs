//! `compose logs`, and the lines that `up` shows: those of all services, each behind the name of its task.
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::IsTerminal;

use clap::Args;
use futures::StreamExt;
use futures::stream::SelectAll;
use minicloud_core::id::TaskId;
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

/// How far the clocks of two nodes may be apart without a line of one being missed after those of the other.
const CLOCKS_DIFFER_MS: u64 = 5000;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  minicloud compose logs -f worker
  minicloud compose logs --tail 100 rng hasher")]
pub struct Logs {
    /// Go on with what is written from now on
    #[arg(short = 'f', long)]
    follow: bool,
    /// Begin with the last N lines of each replica; 'all' for every line
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
            let mut follow = Follow::new(query, shape);
            if let Some(tail) = tail.filter(|tail| *tail > 0) {
                let mut past = Follow::new(LogQuery { follow: false, ..query }, shape);
                past.add_services(&client, services.clone()).await?;
                let lines = past.collected().await?;
                past.write_newest(&lines, tail)?;
                follow.go_on_after(past.writer, &lines);
            }
            if !self.follow {
                return match tail {
                    Some(_) => Ok(()),
                    None => {
                        follow.add_services(&client, services).await?;
                        follow.sorted().await
                    }
                };
            }
            follow.add_services(&client, services).await?;
            tokio::select! {
                ended = follow.run() => ended,
                () = interrupted() => Ok(()),
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
    query: LogQuery,
    /// Lines that were told before it began.
    told: BTreeMap<TaskId, Told>,
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
    /// What services that are still to be added write from `since_ms` on. `width`: characters of their longest name.
    pub fn since(since_ms: u64, shape: Shape, width: usize) -> Follow {
        let mut follow = Follow::new(LogQuery { follow: true, since_ms: Some(since_ms), ..LogQuery::default() }, shape);
        follow.writer.width = width;
        follow
    }

    fn new(query: LogQuery, shape: Shape) -> Follow {
        let colours =
            std::io::stdout().is_terminal() && !shape.no_colour && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let writer = Writer { services: Vec::new(), shape, colours, width: 0, chosen: BTreeMap::new() };
        Follow { lines: SelectAll::new(), query, told: BTreeMap::new(), writer }
    }

    /// Follows those services of the project too.
    pub async fn add(&mut self, client: &Client, project: &str, keys: &[String]) -> anyhow::Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        self.add_services(client, labels::chosen(client, project, keys).await?).await
    }

    async fn add_services(&mut self, client: &Client, services: Vec<ServiceSummary>) -> anyhow::Result<()> {
        for service in services {
            self.lines.push(client.service_logs(&service.name, &self.query).await?);
            let tasks = client.service_tasks(&service.name).await.unwrap_or_default();
            let widths = tasks.iter().map(|task| labels::task_name(&service, &task.name).len());
            self.writer.width = widths.fold(self.writer.width, usize::max);
            self.writer.services.push(service);
        }
        Ok(())
    }

    /// No service was added.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Writes lines as they come until `work` is done.
    pub async fn while_waiting<T>(&mut self, work: impl Future<Output = T>) -> anyhow::Result<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return Ok(done),
            shown = self.run() => shown?,
        }
        Ok(work.await)
    }

    /// Writes lines as they come, until there are no more.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        while let Some(line) = self.lines.next().await {
            self.write(&line?)?;
        }
        Ok(())
    }

    fn write(&mut self, line: &LogLine) -> anyhow::Result<()> {
        if self.told.get_mut(&line.task_id).is_some_and(|told| told.has(line.at_ms)) {
            return Ok(());
        }
        output::raw(self.writer.text(line).as_bytes())
    }

    /// Writes what comes at once; for services that write no more.
    pub async fn drain(&mut self) -> anyhow::Result<()> {
        const QUIET: std::time::Duration = std::time::Duration::from_millis(200);
        while let Ok(Some(line)) = tokio::time::timeout(QUIET, self.lines.next()).await {
            self.write(&line?)?;
        }
        Ok(())
    }

    /// Writes what there is in the order of time.
    async fn sorted(self) -> anyhow::Result<()> {
        let Follow { lines, mut writer, .. } = self;
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

    /// What there is, in the order of time; for queries of some lines.
    async fn collected(&mut self) -> anyhow::Result<Vec<LogLine>> {
        let mut lines: Vec<LogLine> = Vec::new();
        while let Some(line) = self.lines.next().await {
            lines.push(line?);
        }
        lines.sort_by_key(|line| line.at_ms);
        Ok(lines)
    }

    /// Follows what comes after `lines`, which `writer` wrote.
    fn go_on_after(&mut self, writer: Writer, lines: &[LogLine]) {
        self.writer = Writer { services: Vec::new(), ..writer };
        let newest = lines.iter().map(|line| line.at_ms).max();
        let from = newest.map(|newest| newest.saturating_sub(CLOCKS_DIFFER_MS));
        self.query = LogQuery { tail: None, since_ms: from.max(self.query.since_ms), ..self.query };
        for line in lines {
            self.told.entry(line.task_id).or_default().count(line.at_ms);
        }
    }

    /// Writes the newest lines of each replica, however many tasks it has had.
    fn write_newest(&mut self, lines: &[LogLine], tail: u64) -> anyhow::Result<()> {
        for line in newest_of_each(lines, tail) {
            let text = self.writer.text(line);
            output::raw(text.as_bytes())?;
        }
        Ok(())
    }
}

/// The newest lines of each replica: a task keeps the name of its slot when it is started again.
fn newest_of_each(lines: &[LogLine], tail: u64) -> Vec<&LogLine> {
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    let mut chosen = Vec::new();
    for line in lines.iter().rev() {
        let left = left.entry(&line.task).or_insert(tail);
        if *left > 0 {
            *left -= 1;
            chosen.push(line);
        }
    }
    chosen.reverse();
    chosen
}

/// How far one task's lines were told; they are in the order of time.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    last_ms: u64,
    /// Lines of that last millisecond.
    at_last_ms: u64,
}

impl Told {
    fn count(&mut self, at_ms: u64) {
        let same = self.last_ms == at_ms;
        *self = Told { last_ms: at_ms, at_last_ms: if same { self.at_last_ms + 1 } else { 1 } };
    }

    /// Whether a line that is read again was told.
    fn has(&mut self, at_ms: u64) -> bool {
        if at_ms == self.last_ms && self.at_last_ms > 0 {
            self.at_last_ms -= 1;
            return true;
        }
        at_ms < self.last_ms
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

    #[test]
    fn the_newest_lines_are_those_of_a_replica_and_not_of_each_of_its_tasks() {
        let at = |task: &str, id: u64, at_ms| LogLine { task_id: TaskId(id), at_ms, ..line(task, "x") };
        let lines = [at("web.1", 1, 10), at("web.1", 2, 20), at("web.2", 3, 25), at("web.1", 4, 30), at("web.1", 4, 40)];
        let times = |tail| newest_of_each(&lines, tail).iter().map(|line| line.at_ms).collect::<Vec<_>>();
        assert_eq!(times(2), [25, 30, 40]);
        assert_eq!(times(3), [20, 25, 30, 40]);
        assert_eq!(times(9).len(), 5);
        assert!(times(0).is_empty());
    }

    #[test]
    fn a_line_that_is_read_again_is_told_once() {
        let mut told = Told::default();
        [5, 7, 7].into_iter().for_each(|at_ms| told.count(at_ms));
        assert_eq!([5, 7, 7, 7, 8].map(|at_ms| told.has(at_ms)), [true, true, true, false, false]);
    }
}
