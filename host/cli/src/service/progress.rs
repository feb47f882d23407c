//! Waits until a service is as it was asked for, and shows how it gets there.
mod bars;
mod lines;

use std::io::IsTerminal;

use anyhow::{Context, bail};
use minicloud_core::state::UpdateState;
use minicloud_node::api::types::{ErrorKind, Progress};
use minicloud_node::client::{Client, ClientError};

use super::flags::Waiting;
use super::ports;
use crate::interrupt::{Interrupted, interrupted};
use crate::output::{say, warn};
use bars::Bars;
use lines::Lines;

/// Services with more tasks than this show only the sum.
const TASKS_SHOWN_MAX: usize = 20;

/// Where progress goes.
enum Screen {
    /// A bar for each task.
    Bars(Bars),
    /// A line for each change.
    Lines(Lines),
    Quiet,
}

impl Screen {
    fn new(waiting: Waiting) -> Self {
        if waiting.quiet {
            Screen::Quiet
        } else if std::io::stdout().is_terminal() {
            Screen::Bars(Bars::default())
        } else {
            Screen::Lines(Lines::default())
        }
    }

    fn show(&mut self, progress: &Progress) -> anyhow::Result<()> {
        match self {
            Screen::Bars(bars) => bars.show(progress),
            Screen::Lines(lines) => {
                for line in lines.changes(progress) {
                    say!("{line}");
                }
            }
            Screen::Quiet => {}
        }
        Ok(())
    }

    fn finish(self, last_line: &str) -> anyhow::Result<()> {
        match self {
            Screen::Bars(bars) => bars.finish(),
            Screen::Lines(_) => {}
            Screen::Quiet => return Ok(()),
        }
        say!("{last_line}");
        Ok(())
    }
}

/// What a command wanted of the service: it decides whether a rollback is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A new version, or a new service.
    Version,
    /// The previous version.
    Rollback,
    /// Another number of tasks, of whatever version.
    Number,
}

/// Waits until the service has converged on the version that it was just given, unless the user does not want to.
pub async fn wait(client: &Client, service: &str, waiting: Waiting) -> anyhow::Result<()> {
    wait_for(client, service, waiting, Goal::Version).await?;
    if !waiting.detach {
        warn(&ports::closed(client, service).await?);
    }
    Ok(())
}

/// Waits until the service has converged, unless the user does not want to.
pub async fn wait_for(client: &Client, service: &str, waiting: Waiting, goal: Goal) -> anyhow::Result<()> {
    if waiting.detach {
        return Ok(());
    }
    let mut screen = Screen::new(waiting);
    let watched = tokio::select! {
        watched = watch(client, service, goal, &mut screen) => watched,
        () = interrupted() => Err(Interrupted::service(service).into()),
    };
    if watched.is_err()
        && let Screen::Bars(bars) = screen
    {
        bars.finish();
        return watched.map(drop);
    }
    screen.finish(&watched?)
}

/// The last line to say.
async fn watch(client: &Client, service: &str, goal: Goal, screen: &mut Screen) -> anyhow::Result<String> {
    let mut changes = client.watch_service(service).await?;
    while let Some(progress) = changes.next().await {
        let progress = progress?;
        screen.show(&progress)?;
        if let Some(end) = end(service, goal, &progress) {
            let last_line = if progress.job.is_some() { "job complete".to_owned() } else { format!("verify: Service {service} converged") };
            return end.map(|()| last_line);
        }
    }
    bail!("the node stopped telling how service {service} gets on; see 'minicloud service ps {service}'")
}

/// Whether there is nothing more to wait for.
pub fn end(service: &str, goal: Goal, progress: &Progress) -> Option<anyhow::Result<()>> {
    if progress.removed {
        return Some(Err(anyhow::anyhow!("service {service} was removed meanwhile")));
    }
    if progress.update_state.is_some_and(UpdateState::is_paused) {
        return Some(Err(stopped(service, progress)));
    }
    match progress.given_up.as_slice() {
        [first, ..] if progress.is_hopeless() => {
            let why = if first.error.is_empty() { first.state.to_string() } else { first.error.clone() };
            let name = &first.name;
            Some(Err(anyhow::anyhow!("{name} ended and is not restarted: {why}; see 'minicloud service ps --no-trunc {service}'")))
        }
        _ if !progress.converged => None,
        _ if goal == Goal::Version && progress.update_state == Some(UpdateState::RollbackCompleted) => {
            Some(Err(stopped(service, progress)))
        }
        _ => Some(Ok(())),
    }
}

/// `service web: update rolled back: task web.1 failed: exit code 3`
fn stopped(service: &str, progress: &Progress) -> anyhow::Error {
    anyhow::anyhow!("service {service}: {}; see 'minicloud service ps --no-trunc {service}'", progress.update_message)
}

/// Waits until the tasks of a service that is being removed have stopped.
pub async fn wait_for_removal(client: &Client, service: &str, waiting: Waiting) -> anyhow::Result<()> {
    if waiting.detach {
        return Ok(());
    }
    tokio::select! {
        watched = watch_removal(client, service, waiting) => watched,
        () = interrupted() => Err(Interrupted::service(service).into()),
    }
}

async fn watch_removal(client: &Client, service: &str, waiting: Waiting) -> anyhow::Result<()> {
    let mut changes = match client.watch_service(service).await {
        Err(ClientError::Api { kind: ErrorKind::NotFound, .. }) => return Ok(()),
        other => other.with_context(|| format!("service {service} is being removed, but cannot be watched"))?,
    };
    let mut shown = None;
    while let Some(progress) = changes.next().await {
        let progress = progress?;
        if progress.removed {
            return Ok(());
        }
        let stopping = progress.stopping;
        if stopping > 0 && stopping == progress.unreachable {
            eprintln!("{}", left_behind(service, stopping));
            return Ok(());
        }
        if !waiting.quiet && stopping > 0 && shown != Some(stopping) {
            eprintln!("{service}: {stopping} {} to stop", if stopping == 1 { "task" } else { "tasks" });
            shown = Some(stopping);
        }
    }
    Ok(())
}

/// Nothing is to be waited for: what is left ends when its node is back, or is forgotten with it.
fn left_behind(service: &str, tasks: u32) -> String {
    let (tasks, end) = if tasks == 1 { ("1 task".to_owned(), "ends") } else { (format!("{tasks} tasks"), "end") };
    format!("{service}: {tasks} on a node that is down {end} when it is back, or when 'minicloud node rm' removes it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_it_must() {
        let progress = Progress { desired: 2, running: 1, update_state: Some(UpdateState::Updating), ..Default::default() };
        let end = |progress: &Progress| super::end("web", Goal::Version, progress);
        assert!(end(&progress).is_none());
        assert!(end(&Progress { converged: true, ..progress.clone() }).unwrap().is_ok());
        let state = |state, message: &str| Progress { update_state: Some(state), update_message: message.into(), ..progress.clone() };
        let error = end(&state(UpdateState::Paused, "update paused: task web.1 failed: boom")).unwrap().unwrap_err().to_string();
        assert_eq!(error, "service web: update paused: task web.1 failed: boom; see 'minicloud service ps --no-trunc web'");
        let back = state(UpdateState::RollbackCompleted, "update rolled back: task web.1 failed: boom");
        assert!(end(&back).is_none(), "it is not back yet");
        let back = Progress { converged: true, ..back };
        let error = end(&back).unwrap().unwrap_err().to_string();
        assert_eq!(error, "service web: update rolled back: task web.1 failed: boom; see 'minicloud service ps --no-trunc web'");
        for goal in [Goal::Rollback, Goal::Number] {
            assert!(super::end("web", goal, &back).unwrap().is_ok(), "{goal:?} wanted no other version");
        }
        let task = minicloud_node::api::types::ProgressTask {
            id: minicloud_core::id::TaskId(1),
            slot: Some(1),
            name: "web.1".into(),
            state: minicloud_core::task::TaskState::Failed,
            node: None,
            error: "exit code 7".into(),
        };
        let partly = Progress { given_up: vec![task.clone()], desired: 3, ..progress.clone() };
        assert!(end(&partly).is_none(), "another task is still on its way");
        let hopeless = Progress { given_up: vec![task], ..progress.clone() };
        let error = end(&hopeless).unwrap().unwrap_err().to_string();
        assert_eq!(error, "web.1 ended and is not restarted: exit code 7; see 'minicloud service ps --no-trunc web'");
        let removed = Progress { removed: true, converged: true, ..progress };
        assert!(end(&removed).unwrap().unwrap_err().to_string().contains("removed meanwhile"));
    }
}
