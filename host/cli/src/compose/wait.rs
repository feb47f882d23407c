//! Waits for services: until they run, answer well, or are done; and says why they do not.
mod failures;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use minicloud_compose::{Condition, Service};
use minicloud_core::task::TaskState;
use minicloud_node::api::types::Progress;
use minicloud_node::client::Client;
use tokio::time::{sleep, timeout};

use crate::render::one_line;
use crate::service::ports;
use failures::Failures;

/// How long a service may stand still before it is given up.
pub const STANDSTILL: Duration = Duration::from_secs(60);
/// How often tasks that have ended are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Waits for a service that others need, as [`service`] does.
pub async fn dependency(client: &Client, service: &Service, until: Condition) -> anyhow::Result<()> {
    let what = match until {
        Condition::Completed => format!("service '{}' did not complete successfully", service.key),
        Condition::Started | Condition::Healthy => format!("dependency failed to start: service '{}'", service.key),
    };
    come(client, &service.name, until).await.context(what)
}

/// Waits until the service has come as far as `until`.
///
/// What is to be done is waited for as long as it runs, and what is to be healthy as long as its health check lets it
/// start. It fails
/// - when a task ended and no other follows it, as its restart policy has it;
/// - when a task was found to be unhealthy, where it is to be healthy;
/// - when tasks that are started again ended so often that the next will too: see [`Failures`];
/// - when nothing changed for [`STANDSTILL`], for example as no node takes the task.
pub async fn service(client: &Client, name: &str, until: Condition) -> anyhow::Result<()> {
    come(client, name, until).await.with_context(|| format!("service {name}"))
}

async fn come(client: &Client, name: &str, until: Condition) -> anyhow::Result<()> {
    let mut failures = Failures::since_now(client, name).await?;
    let mut last = Progress::default();
    let mut changed = Instant::now();
    loop {
        let mut changes = client.watch_service(name).await?;
        loop {
            match timeout(LOOK, changes.next()).await {
                Err(_) if is_patient(&last, until) || changed.elapsed() < STANDSTILL => {}
                Err(_) => bail!("it does not get on: {}", reason(&last)),
                // A watch ends when all runs and is stable; what is to be done goes on.
                Ok(None) if until == Condition::Completed && last.running > 0 => break,
                Ok(None) => bail!(reason(&last)),
                Ok(Some(progress)) => {
                    last = progress?;
                    changed = Instant::now();
                    if is_reached(&last, until)? {
                        return Ok(());
                    }
                }
            }
            if failures.look(client, name, until).await? {
                return Ok(());
            }
        }
        sleep(LOOK).await;
    }
}

/// Whether it has come as far; an error when it never will.
fn is_reached(progress: &Progress, until: Condition) -> anyhow::Result<bool> {
    if progress.removed {
        bail!("it was removed meanwhile");
    }
    if reached(progress, until) {
        return Ok(true);
    }
    match progress.given_up.first() {
        None => Ok(false),
        Some(failed) => {
            let error = if failed.error.is_empty() { failed.state.to_string() } else { one_line(&failed.error) };
            match until {
                Condition::Completed => bail!(error),
                Condition::Started | Condition::Healthy => bail!("{} ended and is not started again: {error}", failed.name),
            }
        }
    }
}

/// It is under way, and its end is decided elsewhere: by the task itself, or by its health check.
fn is_patient(progress: &Progress, until: Condition) -> bool {
    let state = |wanted: TaskState| progress.tasks.iter().any(|task| task.state == wanted);
    state(TaskState::Starting) || (until == Condition::Completed && state(TaskState::Running))
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
        Condition::Started => progress.converged || progress.running.saturating_add(done) >= progress.desired,
        Condition::Healthy => progress.running >= progress.desired || (progress.job.is_some() && progress.converged),
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
