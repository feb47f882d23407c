//! The exit code that tells how a task ended, as Docker's users read it.
use minicloud_core::task::TaskState;
use minicloud_node::api::types::TaskSummary;

use crate::exit::Exit;

/// The task was not run: it was refused, or nobody knows what became of it.
pub const NOT_RUN: u8 = 125;
/// A trap, which is what SIGABRT is to a process.
const TRAPPED: u8 = 134;
/// Stopped from outside, as by SIGTERM.
const STOPPED: u8 = 143;

/// What to end with. `stopped`: the code of the signal by which this program had it stopped.
pub fn of(service: &str, task: Option<&TaskSummary>, stopped: Option<u8>) -> anyhow::Result<()> {
    match exit(service, task, stopped) {
        None => Ok(()),
        Some(exit) => Err(exit.into()),
    }
}

fn exit(service: &str, task: Option<&TaskSummary>, stopped: Option<u8>) -> Option<Exit> {
    let Some(task) = task else {
        let code = stopped.unwrap_or(NOT_RUN);
        return Some(Exit { code, why: Some(format!("service {service} had no task")).filter(|_| stopped.is_none()) });
    };
    match (task.current_state, task.exit_code) {
        (TaskState::Complete, _) => None,
        // A code beyond a byte is still none of success.
        (TaskState::Failed, Some(code)) => Some(Exit { code: u8::try_from(code).unwrap_or(1), why: None }),
        (TaskState::Failed, None) => Some(Exit::new(TRAPPED, said(task, "it failed"))),
        (TaskState::Rejected, _) => Some(Exit::new(NOT_RUN, said(task, "it was refused"))),
        (TaskState::Shutdown, _) | (_, None) if stopped.is_some() => stopped.map(|code| Exit { code, why: None }),
        (TaskState::Shutdown, _) => Some(Exit::new(STOPPED, said(task, "it was stopped"))),
        _ => {
            let node = task.node.as_deref().unwrap_or("its node");
            Some(Exit::new(NOT_RUN, said(task, &format!("{node} was lost while it ran there"))))
        }
    }
}

/// `hello-x7k2p9.1: trap: unreachable`
fn said(task: &TaskSummary, otherwise: &str) -> String {
    let why = if task.error.is_empty() { otherwise } else { &task.error };
    format!("{}: {why}", task.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: TaskState, exit_code: Option<i32>, error: &str) -> TaskSummary {
        serde_json::from_value(serde_json::json!({
            "id": "000000000001", "name": "hello.1", "slot": 1, "image": "hello", "node": "node2", "desired_state": "complete",
            "current_state": state, "error": error, "addresses": [], "service": "hello", "since_ms": 0, "exit_code": exit_code,
        }))
        .unwrap()
    }

    fn ends(task: Option<TaskSummary>, stopped: Option<u8>) -> (u8, String) {
        exit("hello", task.as_ref(), stopped).map_or_else(Default::default, |exit| (exit.code, exit.why.unwrap_or_default()))
    }

    #[test]
    fn each_end_has_its_code() {
        let quiet = |code: u8| (code, String::new());
        assert_eq!(ends(Some(task(TaskState::Complete, Some(0), "")), None), quiet(0));
        assert_eq!(ends(Some(task(TaskState::Failed, Some(3), "exit code 3")), None), quiet(3));
        assert_eq!(ends(Some(task(TaskState::Failed, Some(-1), "exit code -1")), None), quiet(1));
        assert_eq!(ends(Some(task(TaskState::Failed, None, "unreachable")), None), (134, "hello.1: unreachable".into()));
        assert_eq!(ends(Some(task(TaskState::Rejected, None, "no image")), None), (125, "hello.1: no image".into()));
        assert_eq!(ends(Some(task(TaskState::Shutdown, None, "")), Some(130)), quiet(130));
        assert_eq!(ends(Some(task(TaskState::Shutdown, None, "")), None), (143, "hello.1: it was stopped".into()));
        assert_eq!(ends(Some(task(TaskState::Running, None, "")), None), (125, "hello.1: node2 was lost while it ran there".into()));
        assert_eq!(ends(None, None), (125, "service hello had no task".into()));
        assert_eq!(ends(None, Some(130)), quiet(130));
        // What ended by itself before the stop came keeps its own code.
        assert_eq!(ends(Some(task(TaskState::Failed, Some(3), "exit code 3")), Some(130)), quiet(3));
    }
}
