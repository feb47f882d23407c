//! Waits for services: until they run, answer well, or are done; and says why they do not.
use std::time::Duration;

use anyhow::{Context, bail};
use minicloud_compose::Condition;
use minicloud_core::task::TaskState;
use minicloud_node::api::types::Progress;
use minicloud_node::client::Client;
use tokio::time::timeout;

use crate::render::one_line;
use crate::service::ports;

/// How long a service may stand still before it is given up.
pub const STANDSTILL: Duration = Duration::from_secs(60);

/// Waits until the service has come as far as `until`.
pub async fn service(client: &Client, name: &str, until: Condition) -> anyhow::Result<()> {
    let mut changes = client.watch_service(name).await?;
    let mut last = Progress::default();
    loop {
        let progress = match timeout(STANDSTILL, changes.next()).await {
            Err(_) => bail!("service {name} does not get on: {}", reason(&last)),
            Ok(None) if reached(&last, until) => return Ok(()),
            Ok(None) => bail!("service {name}: {}", reason(&last)),
            Ok(Some(progress)) => progress.with_context(|| format!("service {name}"))?,
        };
        if progress.removed {
            bail!("service {name} was removed meanwhile");
        }
        if reached(&progress, until) {
            return Ok(());
        }
        if let Some(failed) = progress.given_up.first() {
            let error = if failed.error.is_empty() { failed.state.to_string() } else { one_line(&failed.error) };
            bail!("{} ended and is not started again: {error}", failed.name);
        }
        last = progress;
    }
}

/// Waits until the service runs and its published ports are open.
pub async fn serving(client: &Client, name: &str) -> anyhow::Result<()> {
    service(client, name, Condition::Started).await?;
    match ports::closed(client, name).await?.into_iter().next() {
        Some(closed) => bail!(closed),
        None => Ok(()),
    }
}

fn reached(progress: &Progress, until: Condition) -> bool {
    let done = progress.tasks.iter().filter(|task| task.state == TaskState::Complete).count();
    let done = u32::try_from(done).unwrap_or(u32::MAX);
    match until {
        Condition::Started | Condition::Healthy => progress.converged || progress.running.saturating_add(done) >= progress.desired,
        Condition::Completed => done >= progress.job.map_or(progress.desired, |job| job.total),
    }
}

/// Why not all of it runs.
pub fn reason(progress: &Progress) -> String {
    let waiting = progress.tasks.iter().filter(|task| task.state != TaskState::Running);
    let troubles: Vec<String> =
        waiting.filter(|task| !task.error.is_empty()).map(|task| format!("{}: {}", task.name, one_line(&task.error))).collect();
    let sum = match progress.job {
        Some(job) => format!("{} of {} tasks have completed", job.completed, job.total),
        None => format!("{} of {} tasks run", progress.running, progress.desired),
    };
    match troubles.first() {
        None => sum,
        Some(first) => format!("{sum}; {first}"),
    }
}
