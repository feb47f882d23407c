//! Logs of tasks of other nodes, over streams of kind `Logs`: one request, then events.
//!
//! A reading that follows is taken up again when it breaks off, from the last line on.
use std::collections::BTreeMap;
use std::io;

use async_trait::async_trait;
use minicloud_core::id::{NodeId, TaskId};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::{LogEvent, LogSource, Logs, Told, merge, read};
use crate::api::types::LogQuery;
use crate::frame;
use crate::limits::{LOG_EVENTS_WAITING_MAX, LOG_RETRY_DELAY, QUERY_TASKS_MAX, QUERY_TIMEOUT};
use crate::peers::Peers;
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer, StreamKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct LogRequest {
    tasks: Vec<TaskId>,
    query: LogQuery,
}

/// The lines of tasks on another node.
pub fn read_remote(peers: &Peers, node: NodeId, hostname: String, tasks: Vec<TaskId>, query: LogQuery) -> LogSource {
    let (events, source) = mpsc::channel(LOG_EVENTS_WAITING_MAX);
    let reading = Reading {
        peers: peers.clone(),
        node,
        hostname,
        request: LogRequest { tasks, query },
        events,
        told: BTreeMap::new(),
        caught_up: false,
    };
    tokio::spawn(async move {
        let events = reading.events.clone();
        tokio::select! {
            _ = reading.run() => {}
            () = events.closed() => {}
        }
    });
    source
}

struct Reading {
    peers: Peers,
    node: NodeId,
    hostname: String,
    request: LogRequest,
    events: mpsc::Sender<LogEvent>,
    told: BTreeMap<TaskId, Told>,
    /// What was there at the beginning has been told, or given up.
    caught_up: bool,
}

/// Nobody reads any more.
struct Left;

impl Reading {
    async fn run(mut self) -> Result<(), Left> {
        let mut told = false;
        loop {
            match self.attempt().await? {
                Ok(()) => return Ok(()),
                Err(error) if !self.request.query.follow || !told => {
                    told = true;
                    self.tell(LogEvent::Problem(format!("logs of node {} ({}) are not complete: {error}", self.hostname, self.node)))
                        .await?;
                }
                Err(error) => debug!(node = %self.node, %error, "logs broke off"),
            }
            self.catch_up().await?;
            if !self.request.query.follow {
                return Ok(());
            }
            sleep(LOG_RETRY_DELAY).await;
        }
    }

    /// Reads until the other end is done (`Ok(Ok)`) or breaks off (`Ok(Err)`).
    async fn attempt(&mut self) -> Result<io::Result<()>, Left> {
        let mut stream = match self.ask().await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(error)),
        };
        // A later attempt tells some lines again.
        let mut had = self.told.clone();
        loop {
            match frame::read(&mut stream).await {
                Ok(Some(LogEvent::CaughtUp)) => self.catch_up().await?,
                Ok(Some(event)) => {
                    if let LogEvent::Line(task, record) = &event {
                        if had.get_mut(task).is_some_and(|had| had.had(record)) {
                            continue;
                        }
                        self.told.entry(*task).or_default().count(record);
                    }
                    self.tell(event).await?;
                }
                Ok(None) if self.request.query.follow && !self.request.query.until_end => {
                    return Ok(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    async fn ask(&self) -> io::Result<BoxStream> {
        let mut stream = self.peers.open(self.node, StreamKind::Logs).await.map_err(io::Error::other)?;
        ask(&mut stream, self.request.tasks.clone(), self.query()).await?;
        Ok(stream)
    }

    /// What a later attempt asks for: nothing before what was told of every task.
    fn query(&self) -> LogQuery {
        let query = self.request.query;
        let all_told = self.request.tasks.iter().all(|task| self.told.contains_key(task));
        let since_ms = self.told.values().filter_map(|told| told.last_ms).min().filter(|_| all_told);
        // The last lines were told once; from there on all are wanted.
        let tail = query.tail.filter(|_| since_ms.is_none());
        LogQuery { tail, since_ms: query.since_ms.max(since_ms), ..query }
    }

    async fn catch_up(&mut self) -> Result<(), Left> {
        if std::mem::replace(&mut self.caught_up, true) {
            return Ok(());
        }
        self.tell(LogEvent::CaughtUp).await
    }

    async fn tell(&self, event: LogEvent) -> Result<(), Left> {
        self.events.send(event).await.map_err(|_| Left)
    }
}

pub(super) async fn ask(stream: &mut BoxStream, tasks: Vec<TaskId>, query: LogQuery) -> io::Result<()> {
    frame::write(stream, &LogRequest { tasks, query }).await
}

/// Serves streams of kind `Logs`.
pub struct LogsService(pub Logs);

#[async_trait]
impl StreamService for LogsService {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        if let Err(error) = self.answer(&mut stream).await {
            debug!(node = %peer.node, %error, "log stream ended");
            stream.reset();
        }
    }
}

impl LogsService {
    async fn answer(&self, stream: &mut BoxStream) -> io::Result<()> {
        let request: LogRequest = timeout(QUERY_TIMEOUT, frame::expect(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if request.tasks.len() > QUERY_TASKS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many tasks in one request"));
        }
        let sources = request.tasks.iter().map(|task| read(&self.0, *task, request.query)).collect();
        let mut events = merge(sources, None);
        let mut unexpected = [0];
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => frame::write(stream, &event).await?,
                    None => return stream.shutdown().await,
                },
                // The reader sends nothing more: its end or reset means that it has left.
                _ = stream.read(&mut unexpected) => return Ok(()),
            }
        }
    }
}
