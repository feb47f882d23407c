//! Progress on a terminal: the sum, and below it a bar for each task.
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use minicloud_core::task::TaskState;
use minicloud_node::api::types::{Progress, ProgressTask};

use super::TASKS_SHOWN_MAX;
use super::lines::{overall, update};
use crate::render::one_line;

/// Steps of a task from `new` to `running`.
const STEPS: u64 = TaskState::Running as u64;

pub struct Bars {
    screen: MultiProgress,
    overall: ProgressBar,
    tasks: Vec<ProgressBar>,
}

impl Default for Bars {
    fn default() -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let overall = screen.add(ProgressBar::new(1).with_style(style("{msg}")));
        Bars { screen, overall, tasks: Vec::new() }
    }
}

impl Bars {
    pub fn show(&mut self, progress: &Progress) {
        let many = progress.tasks.len() > TASKS_SHOWN_MAX;
        let shown: &[ProgressTask] = if many { &[] } else { &progress.tasks };
        self.overall.set_style(if many { style("{msg} [{bar:50}]").progress_chars("=> ") } else { style("{msg}") });
        let (now, all) = progress.job.map_or((progress.running, progress.desired), |job| (job.completed, job.total));
        self.overall.set_length(all.into());
        self.overall.set_position(now.into());
        let said = [overall(progress), update(progress)];
        self.overall.set_message(said.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("; "));
        while self.tasks.len() > shown.len() {
            if let Some(bar) = self.tasks.pop() {
                self.screen.remove(&bar);
            }
        }
        while self.tasks.len() < shown.len() {
            self.tasks.push(self.screen.add(ProgressBar::new(STEPS)));
        }
        for (bar, task) in self.tasks.iter().zip(shown) {
            draw(bar, task);
        }
    }

    /// Leaves what is drawn on the screen.
    pub fn finish(self) {
        for bar in &self.tasks {
            bar.abandon();
        }
        self.overall.abandon();
    }
}

fn draw(bar: &ProgressBar, task: &ProgressTask) {
    bar.set_prefix(format!("{}: {:<9}", task.name, task.state));
    if task.error.is_empty() {
        bar.set_style(style("{prefix} [{bar:50}]").progress_chars("=> "));
        bar.set_position((task.state as u64).min(STEPS));
    } else {
        bar.set_style(style("{prefix} {msg}"));
        bar.set_message(one_line(&task.error));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants")
}
