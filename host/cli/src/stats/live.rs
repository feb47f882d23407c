//! A view that is drawn anew with each answer, until `q` or Ctrl-C.
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::bail;
use minicloud_core::state::NodeStatus;
use minicloud_node::client::ClientError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::sampler::{Sample, Sampler};
use crate::output;
use crate::screen::{Screen, keys};

/// Wait after a question that was not answered.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What is drawn of a sample.
pub trait View {
    fn lines(&self, sample: &Sample) -> Vec<String>;
    fn key(&mut self, key: u8);
}

/// Draws `view` until it is ended by the user; what was drawn last stays below the prompt.
pub async fn show(mut sampler: Sampler, mut view: impl View) -> anyhow::Result<()> {
    // A wrong name is an error, not a picture.
    let mut sample = sampler.next().await?;
    let [mut interrupt, mut terminate, mut hang_up, mut resized] =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::window_change()].map(signal);
    let (Ok(interrupt), Ok(terminate), Ok(hang_up), Ok(resized)) = (&mut interrupt, &mut terminate, &mut hang_up, &mut resized) else {
        bail!("this system does not let signals be caught; use --no-stream");
    };
    let (mut keys, mut samples) = (keys(), sample_on(sampler));
    let mut problem = None;
    let screen = Screen::open()?;
    loop {
        screen.draw(&picture(&view, &sample, problem.as_deref()))?;
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => break,
            _ = resized.recv() => {}
            Some(key) = keys.recv() => match key {
                b'q' | b'Q' => break,
                key => view.key(key),
            },
            Some(next) = samples.recv() => match next {
                Ok(next) => (sample, problem) = (next, None),
                Err(error) => problem = Some(error.to_string()),
            },
        }
    }
    drop(screen);
    output::line(format_args!("{}", Screen::fitted(&view.lines(&sample)).join("\n")))
}

/// Samples as they come, also while keys are pressed.
fn sample_on(mut sampler: Sampler) -> mpsc::Receiver<Result<Sample, ClientError>> {
    let (sender, samples) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let sample = sampler.next().await;
            let failed = sample.is_err();
            if sender.send(sample).await.is_err() {
                return;
            }
            if failed {
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    });
    samples
}

fn picture(view: &impl View, sample: &Sample, problem: Option<&str>) -> Vec<String> {
    let lines = view.lines(sample).into_iter();
    let lines = lines.map(|line| if is_heading(&line) && colours_wanted() { format!("\x1b[1m{line}\x1b[0m") } else { line });
    let problem = problem.map(|problem| format!("not answered, trying again: {problem}"));
    problem.into_iter().chain(lines).collect()
}

/// A line of column names.
fn is_heading(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_uppercase()) && !line.contains(|c: char| c.is_ascii_lowercase())
}

fn colours_wanted() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A line for each node that should answer and does not.
pub fn silent(sample: &Sample) -> Vec<String> {
    let nodes = sample.now.nodes.iter().filter(|node| node.usage.is_none());
    let text = |status| match status {
        NodeStatus::Down => "is down",
        NodeStatus::Unknown | NodeStatus::Ready => "does not answer",
    };
    nodes.map(|node| format!("node {} {}", node.hostname, text(node.status))).collect()
}
