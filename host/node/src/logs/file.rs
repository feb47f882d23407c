//! Where a task's lines are, and how one is written down: a JSON object per line.
use std::path::{Path, PathBuf};

use minicloud_core::id::TaskId;

use super::LogRecord;

pub fn current(directory: &Path, task: TaskId) -> PathBuf {
    directory.join(format!("{task}.log"))
}

pub fn rotated(directory: &Path, task: TaskId) -> PathBuf {
    directory.join(format!("{task}.log.1"))
}

pub fn encode(lines: &[LogRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line).expect("a record is plain data");
        bytes.push(b'\n');
    }
    bytes
}

/// A damaged line is no line; a crash may have cut the last one.
pub fn decode(line: &[u8]) -> Option<LogRecord> {
    serde_json::from_slice(line).ok()
}
