//! Attends a task that runs in the foreground: hands on what it writes, says why it waits, and stops it on a signal.
use std::io::{self, Write};

use anyhow::{Context, bail};
use futures::FutureExt;
use minicloud_core::task::{LogStream, TaskState};
use minicloud_node::api::types::{ErrorKind, LogLine, LogQuery, Progress, ScaleServices, TaskSummary};
use minicloud_node::client::{Client, ClientError, Lines};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::outcome;
use crate::exit::Exit;
use crate::output;
use crate::render::one_line;

/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 64 << 10;

/// Ctrl-C, and what `kill` sends.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The exit code that stands for the next signal, as shells count them.
    pub async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}

/// Returns when the task of the service has ended and all of its output is written. The error is its exit code.
pub async fn attend(client: &Client, service: &str, signals: &mut Signals) -> anyhow::Result<()> {
    let query = LogQuery { follow: true, until_end: true, ..LogQuery::default() };
    let mut lines = client.service_logs(service, &query).await?;
    let mut waiting = Waiting { changes: Some(client.watch_service(service).await?), said: String::new() };
    let mut written = Written::default();
    let mut stopped = None;
    loop {
        // What is there is written at once; a line that is still to come does not hold it up.
        let early = lines.next().now_or_never();
        if !matches!(early, Some(Some(Ok(_)))) {
            written.flush()?;
        }
        let line = match early {
            Some(line) => line,
            None => tokio::select! {
                line = lines.next() => line,
                () = waiting.next() => continue,
                code = signals.next() => {
                    if let Some(code) = stopped.replace(code) {
                        return Err(Exit { code, why: None }.into());
                    }
                    stop(client, service).await?;
                    continue;
                }
            },
        };
        match line.transpose().with_context(|| format!("the output of service {service} broke off"))? {
            Some(line) => written.take(&line)?,
            None => break,
        }
    }
    outcome::of(service, last_task(client, service).await?.as_ref(), stopped)
}

async fn last_task(client: &Client, service: &str) -> anyhow::Result<Option<TaskSummary>> {
    match client.service_tasks(service).await {
        Ok(tasks) => Ok(tasks.into_iter().next()),
        Err(ClientError::Api { kind: ErrorKind::NotFound, .. }) => bail!("service {service} was removed meanwhile"),
        Err(error) => Err(error.into()),
    }
}

async fn stop(client: &Client, service: &str) -> anyhow::Result<()> {
    let services = [(service.to_owned(), 0)].into();
    client.scale_services(&ScaleServices { services }).await.map(drop).with_context(|| format!("service {service} could not be stopped"))
}

/// Why the task does not run yet.
struct Waiting {
    changes: Option<Lines<Progress>>,
    said: String,
}

impl Waiting {
    /// Says each reason once.
    async fn next(&mut self) {
        let Some(changes) = &mut self.changes else { return std::future::pending().await };
        let Some(Ok(progress)) = changes.next().await else {
            self.changes = None;
            return;
        };
        let waits = progress.tasks.iter().find(|task| task.state < TaskState::Starting && !task.error.is_empty());
        if let Some(task) = waits.filter(|task| task.error != self.said) {
            eprintln!("waiting: {}", one_line(&task.error));
            self.said.clone_from(&task.error);
        }
    }
}

/// Lines on their way to the two streams, in the order in which they came.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    to_stderr: bool,
}

impl Written {
    fn take(&mut self, line: &LogLine) -> anyhow::Result<()> {
        let to_stderr = line.stream == LogStream::Stderr;
        if to_stderr != self.to_stderr || self.bytes.len() >= WRITE_BYTES {
            self.flush()?;
        }
        self.to_stderr = to_stderr;
        self.bytes.extend_from_slice(line.text.as_bytes());
        self.bytes.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        match self.to_stderr {
            // Nobody can be told that standard error is closed.
            true => drop(io::stderr().lock().write_all(&bytes)),
            false => output::raw(&bytes)?,
        }
        Ok(())
    }
}
