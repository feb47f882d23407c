//! Waits until a service is as it was asked for, and shows how it gets there.
mod bars;
mod lines;

use std::io::IsTerminal;

use anyhow::{Context, bail};
use minicloud_core::state::UpdateState;
use minicloud_node::api::types::{ErrorKind, Progress};
use minicloud_node::client::{Client, ClientError};

use super::flags::Waiting;
use crate::interrupt::{Interrupted, interrupted};
use crate::output::say;
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

/// Waits until the service has converged, unless the user does not want to.
pub async fn wait(client: &Client, service: &str, waiting: Waiting) -> anyhow::Result<()> {
    if waiting.detach {
        return Ok(());
    }
    let mut screen = Screen::new(waiting);
    let watched = tokio::select! {
        watched = watch(client, service, &mut screen) => watched,
        () = interrupted() => Err(Interrupted::service(service).into()),
    };
    if watched.is_err()
        && let Screen::Bars(bars) = screen
    {
        bars.finish();
        return watched;
    }
    watched?;
    screen.finish(&format!("verify: Service {service} converged"))
}

async fn watch(client: &Client, service: &str, screen: &mut Screen) -> anyhow::Result<()> {
    let mut changes = client.watch_service(service).await?;
    while let Some(progress) = changes.next().await {
        let progress = progress?;
        screen.show(&progress)?;
        if let Some(end) = end(service, &progress) {
            return end;
        }
    }
    bail!("the node stopped telling how service {service} gets on; see 'minicloud service ps {service}'")
}

/// Whether there is nothing more to wait for.
fn end(service: &str, progress: &Progress) -> Option<anyhow::Result<()>> {
    if progress.removed {
        return Some(Err(anyhow::anyhow!("service {service} was removed meanwhile")));
    }
    if progress.update_state == Some(UpdateState::Paused) {
        let why = if progress.update_message.is_empty() { String::new() } else { format!(": {}", progress.update_message) };
        return Some(Err(anyhow::anyhow!("the update of service {service} is paused{why}; see 'minicloud service ps {service}'")));
    }
    match progress.given_up.as_slice() {
        [first, ..] if progress.is_hopeless() => {
            let why = if first.error.is_empty() { first.state.to_string() } else { first.error.clone() };
            let name = &first.name;
            Some(Err(anyhow::anyhow!("{name} ended and is not restarted: {why}; see 'minicloud service ps --no-trunc {service}'")))
        }
        _ => progress.converged.then_some(Ok(())),
    }
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
        if !waiting.quiet && stopping > 0 && shown != Some(stopping) {
            eprintln!("{service}: {stopping} {} to stop", if stopping == 1 { "task" } else { "tasks" });
            shown = Some(stopping);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_it_must() {
        let progress = Progress { desired: 2, running: 1, update_state: Some(UpdateState::Updating), ..Default::default() };
        assert!(end("web", &progress).is_none());
        assert!(end("web", &Progress { converged: true, ..progress.clone() }).unwrap().is_ok());
        let paused = Progress { update_state: Some(UpdateState::Paused), update_message: "web.1 failed: boom".into(), ..progress.clone() };
        let error = end("web", &paused).unwrap().unwrap_err().to_string();
        assert_eq!(error, "the update of service web is paused: web.1 failed: boom; see 'minicloud service ps web'");
        let task = minicloud_node::api::types::ProgressTask {
            id: minicloud_core::id::TaskId(1),
            slot: Some(1),
            name: "web.1".into(),
            state: minicloud_core::task::TaskState::Failed,
            node: None,
            error: "exit code 7".into(),
        };
        let partly = Progress { given_up: vec![task.clone()], desired: 3, ..progress.clone() };
        assert!(end("web", &partly).is_none(), "another task is still on its way");
        let hopeless = Progress { given_up: vec![task], ..progress.clone() };
        let error = end("web", &hopeless).unwrap().unwrap_err().to_string();
        assert_eq!(error, "web.1 ended and is not restarted: exit code 7; see 'minicloud service ps --no-trunc web'");
        let removed = Progress { removed: true, converged: true, ..progress };
        assert!(end("web", &removed).unwrap().unwrap_err().to_string().contains("removed meanwhile"));
    }
}
