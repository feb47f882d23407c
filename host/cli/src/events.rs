//! `minicloud events`
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use minicloud_core::event::{Event, Subject};
use minicloud_core::id::Index;
use minicloud_node::api::types::{ErrorKind, EventLine, EventQuery};
use minicloud_node::client::{Client, ClientError};
use tokio::time::{Instant, sleep};

use crate::output::{say, warn};
use crate::parse::{self, Since};
use crate::render::{Filter, Format, check, filter, iso_time, milliseconds_now, one_line};

const FILTERS: &[&str] = &["type", "event", "service", "node"];
/// How long a node that ended the stream is asked again.
const RECONNECT_MAX: Duration = Duration::from_secs(60);
const RECONNECT_DELAY: Duration = Duration::from_millis(500);
/// Characters of the longest action, so that names begin in the same column.
const ACTION_WIDTH: usize = 18;

#[derive(Args, Debug)]
#[command(after_help = "Types of events: cluster, node, service, task, network, volume, secret, config.
Each manager keeps the last 8192 events since it was started.

Examples:
  minicloud events                           what happens, until Ctrl-C
  minicloud events --since 10m --until 0s    what happened in ten minutes
  minicloud events --filter type=task --filter service=worker
  minicloud events --filter event=failed --filter event=down --format json")]
pub struct Events {
    /// Begin at a time: 10m ago, or 2026-01-31T14:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse::since)]
    since: Option<Since>,
    /// End at a time, as for --since
    #[arg(long, value_name = "TIME", value_parser = parse::since)]
    until: Option<Since>,
    /// Show only what fits: type=, event=, service= or node=; may be given several times
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<Filter>,
    /// How to print; json is one value on each line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Events {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        check(&self.filter, FILTERS)?;
        let mut query = self.query(milliseconds_now());
        let mut told = Told { format: self.format, last: None, answered: false };
        let began_ms = milliseconds_now();
        let mut silent_since: Option<Instant> = None;
        loop {
            match told.follow(client, &query, &mut silent_since).await? {
                End::Over => return Ok(()),
                // A wrong question is answered so at once, and a node that is a worker by now stays one for a while.
                End::Refused(error) => return Err(error.into()),
                End::Broken(error) if !told.answered => return Err(error.into()),
                End::Broken(_) | End::Ended => {}
            }
            let since = *silent_since.get_or_insert_with(|| {
                warn(&["the node has ended the stream; asking again".to_owned()]);
                Instant::now()
            });
            if since.elapsed() > RECONNECT_MAX {
                bail!("the node has not answered for {} s; see 'minicloud info'", RECONNECT_MAX.as_secs());
            }
            // From the last one that was seen, which is told apart by its number.
            query.from_index = told.last.map(|(index, _)| index.0);
            query.since_ms = query.since_ms.or(Some(began_ms));
            sleep(RECONNECT_DELAY).await;
        }
    }

    fn query(&self, now_ms: u64) -> EventQuery {
        let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for filter in &self.filter {
            values.entry(&filter.key).or_default().push(&filter.value);
        }
        let of = |key: &str| values.get(key).map(|values| values.join(",")).unwrap_or_default();
        EventQuery {
            since_ms: self.since.map(|since| since.at_ms(now_ms)),
            until_ms: self.until.map(|until| until.at_ms(now_ms)),
            from_index: None,
            types: of("type"),
            actions: of("event"),
            services: of("service"),
            nodes: of("node"),
        }
    }
}

/// How a stream ended.
enum End {
    /// The time that was asked for is over.
    Over,
    Refused(ClientError),
    Broken(ClientError),
    Ended,
}

/// What was told so far.
struct Told {
    format: Format,
    last: Option<(Index, u32)>,
    /// A node has answered at least once.
    answered: bool,
}

impl Told {
    /// Prints what comes until it comes no more.
    async fn follow(&mut self, client: &Client, query: &EventQuery, silent_since: &mut Option<Instant>) -> anyhow::Result<End> {
        let mut lines = match client.events(query).await {
            Ok(lines) => lines,
            Err(error @ ClientError::Api { kind: ErrorKind::Invalid | ErrorKind::Unavailable, .. }) => return Ok(End::Refused(error)),
            Err(error) => return Ok(End::Broken(error)),
        };
        *silent_since = None;
        self.answered = true;
        while let Some(line) = lines.next().await {
            match line {
                Ok(line) => self.tell(&line)?,
                Err(error) => return Ok(End::Broken(error)),
            }
        }
        Ok(if query.until_ms.is_some_and(|until| until <= milliseconds_now()) { End::Over } else { End::Ended })
    }

    fn tell(&mut self, line: &EventLine) -> anyhow::Result<()> {
        if let EventLine::Event(event) = line {
            let place = (event.index, event.number);
            if self.last.is_some_and(|last| place <= last) {
                return Ok(());
            }
            self.last = Some(place);
        }
        match (self.format, line) {
            (Format::Json, line) => say!("{}", serde_json::to_string(line)?),
            (Format::Table, EventLine::Event(event)) => say!("{}", text(event)),
            (Format::Table, EventLine::Missed { missed }) => say!("{missed} events missed: they came faster than they were read"),
        }
        Ok(())
    }
}

/// `2026-01-31T14:00:00.000Z  task     running            worker.3 on node2`
fn text(event: &Event) -> String {
    let time = iso_time(event.at_ms.0);
    let mut text = format!("{time}  {:8} {:ACTION_WIDTH$} {}", event.subject, event.action, event.name);
    if let Some(node) = event.node.as_ref().filter(|_| !matches!(event.subject, Subject::Node | Subject::Cluster)) {
        text.push_str(&format!(" on {node}"));
    }
    if !event.detail.is_empty() {
        text.push_str(&format!(": {}", event.detail));
    }
    one_line(&text)
}

#[cfg(test)]
mod tests {
    use minicloud_core::time::Timestamp;

    use super::*;

    fn event(index: u64, number: u32) -> Event {
        Event {
            index: Index(index),
            number,
            at_ms: Timestamp(86_400_005),
            subject: Subject::Task,
            action: "failed".into(),
            id: "t".into(),
            name: "worker.3".into(),
            service: Some("worker".into()),
            node: Some("node2".into()),
            detail: "trap: unreachable\n  at 0".into(),
        }
    }

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(text(&event(1, 0)), "1970-01-02T00:00:00.005Z  task     failed             worker.3 on node2: trap: unreachable   at 0");
        let node = Event { subject: Subject::Node, action: "down".into(), name: "node2".into(), detail: String::new(), ..event(1, 0) };
        assert_eq!(text(&node), "1970-01-02T00:00:00.005Z  node     down               node2");
    }

    #[test]
    fn what_was_told_before_a_break_is_not_told_again() {
        let mut told = Told { format: Format::Json, last: Some((Index(5), 1)), answered: true };
        for (index, number, is_new) in [(4, 7, false), (5, 0, false), (5, 1, false), (5, 2, true), (6, 0, true)] {
            let before = told.last;
            told.tell(&EventLine::Event(event(index, number))).unwrap();
            assert_eq!(told.last != before, is_new, "{index} {number}");
        }
    }

    #[test]
    fn values_of_one_filter_are_asked_for_together() {
        let events = Events {
            since: Some(Since::Ago(1_000)),
            until: None,
            filter: ["type=task", "type=node", "service=web"].iter().map(|text| filter(text).unwrap()).collect(),
            format: Format::Table,
        };
        let query = events.query(5_000);
        assert_eq!((query.since_ms, query.types.as_str(), query.services.as_str()), (Some(4_000), "task,node", "web"));
    }
}
