//! Several logs as one: in order of time as far as they were written already, then as lines come.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use futures::StreamExt;
use futures::stream::SelectAll;
use minicloud_core::id::TaskId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{LogEvent, LogRecord, LogSource};
use crate::limits::LOG_EVENTS_WAITING_MAX;

/// One log made of `sources`. Ends when all of them have ended and no more can come through `more`.
pub fn merge(sources: Vec<LogSource>, more: Option<mpsc::Receiver<LogSource>>) -> LogSource {
    let (events, merged) = mpsc::channel(LOG_EVENTS_WAITING_MAX);
    tokio::spawn(async move {
        tokio::select! {
            _ = run(sources, more, &events) => {}
            () = events.closed() => {}
        }
    });
    merged
}

/// Nobody reads any more.
struct Left;

async fn run(sources: Vec<LogSource>, more: Option<mpsc::Receiver<LogSource>>, events: &mpsc::Sender<LogEvent>) -> Result<(), Left> {
    let live = in_order(sources, events).await?;
    tell(events, LogEvent::CaughtUp).await?;
    as_they_come(live, more, events).await
}

/// A source's next line. Sorts by time, then by source, so that equal times keep their order within one.
struct Head {
    source: usize,
    task: TaskId,
    record: LogRecord,
}

impl Head {
    fn key(&self) -> (u64, usize) {
        (self.record.at_ms, self.source)
    }
}

/// Tells the past of all sources in order of time; returns those that go on.
async fn in_order(mut sources: Vec<LogSource>, events: &mpsc::Sender<LogEvent>) -> Result<Vec<LogSource>, Left> {
    let mut live = vec![false; sources.len()];
    let mut heads: Vec<Option<Head>> = Vec::with_capacity(sources.len());
    for at in 0..sources.len() {
        heads.push(next_head(&mut sources, at, &mut live, events).await?);
    }
    let mut order: BinaryHeap<Reverse<(u64, usize)>> = heads.iter().flatten().map(|head| Reverse(head.key())).collect();
    while let Some(Reverse((_, at))) = order.pop() {
        let next = next_head(&mut sources, at, &mut live, events).await?;
        order.extend(next.as_ref().map(|head| Reverse(head.key())));
        if let Some(head) = std::mem::replace(&mut heads[at], next) {
            tell(events, LogEvent::Line(head.task, head.record)).await?;
        }
    }
    Ok(sources.into_iter().zip(live).filter_map(|(source, live)| live.then_some(source)).collect())
}

/// The next line of the past of source `at`; `None` once there is no more of it.
async fn next_head(sources: &mut [LogSource], at: usize, live: &mut [bool], events: &mpsc::Sender<LogEvent>) -> Result<Option<Head>, Left> {
    loop {
        match sources[at].recv().await {
            Some(LogEvent::Line(task, record)) => return Ok(Some(Head { source: at, task, record })),
            Some(LogEvent::Problem(problem)) => tell(events, LogEvent::Problem(problem)).await?,
            Some(LogEvent::CaughtUp) => {
                live[at] = true;
                return Ok(None);
            }
            None => return Ok(None),
        }
    }
}

async fn as_they_come(live: Vec<LogSource>, more: Option<mpsc::Receiver<LogSource>>, events: &mpsc::Sender<LogEvent>) -> Result<(), Left> {
    let mut live: SelectAll<_> = live.into_iter().map(ReceiverStream::new).collect();
    let mut more = more;
    loop {
        tokio::select! {
            Some(event) = live.next(), if !live.is_empty() => {
                if event != LogEvent::CaughtUp {
                    tell(events, event).await?;
                }
            }
            source = next_source(&mut more), if more.is_some() => match source {
                Some(source) => live.push(ReceiverStream::new(source)),
                None => more = None,
            },
            else => return Ok(()),
        }
    }
}

async fn next_source(more: &mut Option<mpsc::Receiver<LogSource>>) -> Option<LogSource> {
    match more {
        Some(more) => more.recv().await,
        None => std::future::pending().await,
    }
}

async fn tell(events: &mpsc::Sender<LogEvent>, event: LogEvent) -> Result<(), Left> {
    events.send(event).await.map_err(|_| Left)
}
