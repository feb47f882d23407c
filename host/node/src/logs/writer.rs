//! The thread that writes all tasks' lines to their files.
//!
//! A task with something to write stands in the queue once, so the queue is as long as there are tasks at most.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use minicloud_core::task::LogStream;
use tokio::sync::oneshot;
use tracing::warn;

use super::{LogRecord, TaskLog, file, lock};
use crate::limits::{LOG_FILE_BYTES_MAX, LOG_FILES_MAX, LOG_TOTAL_BYTES_MAX};

/// Bytes written between two looks at how much there is in all.
const SWEEP_AFTER_BYTES: u64 = LOG_TOTAL_BYTES_MAX / 16;
/// Of the thread, beside those that guests and requests wait for.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;
/// New files between two looks at how much there is in all.
const SWEEP_AFTER_FILES: usize = 1_000;

pub struct Writer {
    queue: Sender<Work>,
}

enum Work {
    Write(Arc<TaskLog>),
    Flushed(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the thread; it ends when the writer is dropped, after it has written what it was given.
    pub fn start(directory: PathBuf) -> io::Result<Writer> {
        let (queue, work) = channel();
        std::thread::Builder::new().name("logs".into()).spawn(move || {
            // A guest that writes a line goes on before the line is on disk. Refused, they take turns.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::setpriority_process(None, NICENESS);
            Thread::new(directory).run(&work);
        })?;
        Ok(Writer { queue })
    }

    pub fn wake(&self, log: &Arc<TaskLog>) {
        let _ = self.queue.send(Work::Write(log.clone()));
    }

    pub async fn flush(&self) {
        let (flushed, done) = oneshot::channel();
        let _ = self.queue.send(Work::Flushed(flushed));
        let _ = done.await;
    }
}

struct Thread {
    directory: PathBuf,
    unswept_bytes: u64,
    unswept_files: usize,
    /// The disk refuses; said once, until it takes lines again.
    failing: bool,
}

impl Thread {
    fn new(directory: PathBuf) -> Thread {
        Thread { directory, unswept_bytes: SWEEP_AFTER_BYTES, unswept_files: 0, failing: false }
    }

    fn run(mut self, work: &Receiver<Work>) {
        while let Ok(work) = work.recv() {
            match work {
                Work::Write(log) => self.write(&log),
                Work::Flushed(done) => drop(done.send(())),
            }
            if self.unswept_bytes >= SWEEP_AFTER_BYTES || self.unswept_files >= SWEEP_AFTER_FILES {
                (self.unswept_bytes, self.unswept_files) = (0, 0);
                if let Err(error) = sweep(&self.directory) {
                    warn!(%error, "could not look through the task logs");
                }
            }
        }
    }

    fn write(&mut self, log: &TaskLog) {
        let (mut lines, dropped) = lock(&log.buffer).drain();
        if dropped > 0 {
            lines.push(notice(&lines, dropped));
        }
        match self.append(log, &file::encode(&lines)) {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                warn!(task = %log.task, %error, "task output is lost: its log cannot be written");
            }
            Err(_) => {}
        }
        log.written.send_modify(|count| *count += 1);
    }

    fn append(&mut self, log: &TaskLog, bytes: &[u8]) -> io::Result<()> {
        let path = file::current(&self.directory, log.task);
        let mut file = open(&path)?;
        let length = file.metadata()?.len();
        self.unswept_bytes += bytes.len() as u64;
        self.unswept_files += usize::from(length == 0);
        if length > 0 && !ends_a_line(&file, length)? {
            // A crash or a full disk cut the last line: what follows is not to be lost with it.
            file.write_all(b"\n")?;
        }
        if length > 0 && length + bytes.len() as u64 > LOG_FILE_BYTES_MAX {
            file = log.rotations.rotate(|| {
                fs::rename(&path, file::rotated(&self.directory, log.task))?;
                open(&path)
            })?;
        }
        file.write_all(bytes)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

fn ends_a_line(file: &File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(last == *b"\n")
}

fn notice(lines: &[LogRecord], dropped: u64) -> LogRecord {
    let text = format!("[minicloud] {dropped} lines were dropped: the task wrote faster than its log");
    LogRecord { at_ms: lines.last().map_or(0, |line| line.at_ms), stream: LogStream::Stderr, text }
}

/// Removes the oldest files while there are too many or they are too large together.
fn sweep(directory: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // A file may be rotated away under us; the next sweep sees it.
        if let Ok(metadata) = entry.metadata() {
            files.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), entry.path()));
        }
    }
    files.sort();
    let (mut count, mut bytes) = (files.len(), files.iter().map(|(_, length, _)| length).sum::<u64>());
    for (_, length, path) in files {
        if count <= LOG_FILES_MAX && bytes <= LOG_TOTAL_BYTES_MAX {
            break;
        }
        fs::remove_file(path)?;
        count -= 1;
        bytes -= length;
    }
    Ok(())
}
