//! Progress as lines, for files, pipes and logs: each change once, no control codes.
use std::collections::BTreeMap;

use minicloud_core::state::UpdateState;
use minicloud_node::api::types::{Progress, ProgressTask};

use super::TASKS_SHOWN_MAX;
use crate::render::one_line;

#[derive(Default)]
pub struct Lines {
    overall: String,
    /// What was last said of the update, and of the wait for stability.
    update: String,
    /// What was last said of each task, by its name.
    tasks: BTreeMap<String, String>,
}

impl Lines {
    /// The lines that say what is new.
    pub fn changes(&mut self, progress: &Progress) -> Vec<String> {
        let mut lines = Vec::new();
        let overall = overall(progress);
        if overall != self.overall {
            lines.push(overall.clone());
            self.overall = overall;
        }
        let many = progress.tasks.len() > TASKS_SHOWN_MAX;
        for task in &progress.tasks {
            let now = state(task);
            let worth = !many || !task.error.is_empty();
            if worth && self.tasks.get(&task.name) != Some(&now) {
                lines.push(format!("{}: {now}", task.name));
                self.tasks.insert(task.name.clone(), now);
            }
        }
        let update = update(progress);
        if update != self.update {
            lines.extend(Some(update.clone()).filter(|line| !line.is_empty()));
            self.update = update;
        }
        lines
    }
}

/// What there is to say beyond the tasks: why a rollback goes on, and that only stability is waited for.
pub fn update(progress: &Progress) -> String {
    if progress.update_state == Some(UpdateState::RollbackStarted) && !progress.update_message.is_empty() {
        return format!("rollback: {}", one_line(&progress.update_message));
    }
    match progress.verify_ms {
        0 => String::new(),
        _ => "verify: waiting to see that the tasks are stable".to_owned(),
    }
}

pub fn overall(progress: &Progress) -> String {
    match progress.job {
        Some(job) => format!("job progress: {} out of {} complete", job.completed, job.total),
        None => format!("overall progress: {} out of {} tasks", progress.running, progress.desired),
    }
}

/// `running on node2`, `pending: no suitable node`
fn state(task: &ProgressTask) -> String {
    let node = task.node.as_ref().map_or(String::new(), |node| format!(" on {node}"));
    let error = if task.error.is_empty() { String::new() } else { format!(": {}", one_line(&task.error)) };
    format!("{}{node}{error}", task.state)
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::TaskId;
    use minicloud_core::task::TaskState;
    use minicloud_node::api::types::JobCount;

    use super::*;

    fn task(number: u32, state: TaskState, error: &str) -> ProgressTask {
        let node = (state > TaskState::Pending).then(|| "node2".to_owned());
        ProgressTask { id: TaskId(number.into()), slot: Some(number), name: format!("web.{number}"), state, node, error: error.to_owned() }
    }

    fn said(steps: &[Progress]) -> String {
        let mut lines = Lines::default();
        steps.iter().flat_map(|step| lines.changes(step)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_change_is_said_once() {
        let steps = [
            Progress { desired: 2, tasks: vec![task(1, TaskState::Pending, "no suitable node (2 drained)")], ..Default::default() },
            Progress {
                desired: 2,
                tasks: vec![task(1, TaskState::Pending, "no suitable node (2 drained)"), task(2, TaskState::Preparing, "")],
                ..Default::default()
            },
            Progress {
                desired: 2,
                running: 1,
                tasks: vec![task(1, TaskState::Running, ""), task(2, TaskState::Failed, "trap:\nunreachable")],
                ..Default::default()
            },
            Progress {
                desired: 2,
                running: 2,
                tasks: vec![task(1, TaskState::Running, ""), task(2, TaskState::Running, "")],
                ..Default::default()
            },
        ];
        let expected = "\
overall progress: 0 out of 2 tasks
web.1: pending: no suitable node (2 drained)
web.2: preparing on node2
overall progress: 1 out of 2 tasks
web.1: running on node2
web.2: failed on node2: trap: unreachable
overall progress: 2 out of 2 tasks
web.2: running on node2";
        assert_eq!(said(&steps), expected);
    }

    #[test]
    fn a_job_counts_what_has_completed() {
        let job = |completed, tasks| Progress { desired: 1, job: Some(JobCount { completed, total: 2 }), tasks, ..Default::default() };
        let steps = [
            job(0, vec![task(1, TaskState::Running, "")]),
            job(1, vec![task(1, TaskState::Complete, ""), task(2, TaskState::Running, "")]),
            job(2, vec![task(1, TaskState::Complete, ""), task(2, TaskState::Complete, "")]),
        ];
        let expected = "\
job progress: 0 out of 2 complete
web.1: running on node2
job progress: 1 out of 2 complete
web.1: complete on node2
web.2: running on node2
job progress: 2 out of 2 complete
web.2: complete on node2";
        assert_eq!(said(&steps), expected);
    }

    #[test]
    fn of_many_tasks_only_troubles_are_said() {
        let mut tasks: Vec<ProgressTask> = (1..=30).map(|number| task(number, TaskState::Running, "")).collect();
        tasks[6] = task(7, TaskState::Rejected, "image not found");
        let step = Progress { desired: 30, running: 29, tasks, ..Default::default() };
        assert_eq!(said(&[step]), "overall progress: 29 out of 30 tasks\nweb.7: rejected on node2: image not found");
    }
}
