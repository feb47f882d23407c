//! Reads one task's log on this node: the last lines, lines since a time, and new ones as they are written.
use std::io;
use std::path::Path;
use std::sync::Arc;

use minicloud_core::id::TaskId;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{mpsc, watch};
use tracing::debug;

use super::{LogEvent, LogRecord, LogSource, Logs, TaskLog, file};
use crate::api::types::LogQuery;
use crate::limits::LOG_EVENTS_WAITING_MAX;

/// Bytes read at a time.
const READ_BYTES: usize = 32 << 10;
/// Files of a task: the one that is written, and the one before it.
const FILES_KEPT: u64 = 2;

/// The lines of `task` on this node. Ends after `CaughtUp`, or goes on when the query follows.
pub fn read(logs: &Logs, task: TaskId, query: LogQuery) -> LogSource {
    let (events, source) = mpsc::channel(LOG_EVENTS_WAITING_MAX);
    let reader = Reader { logs: logs.clone(), task, query, events };
    tokio::spawn(async move {
        let events = reader.events.clone();
        tokio::select! {
            ended = reader.run() => {
                if let Err(Stop::Failed(error)) = ended {
                    debug!(%task, %error, "log reading ended");
                    let _ = events.send(LogEvent::Problem(format!("the log of task {task} cannot be read: {error}"))).await;
                }
            }
            () = events.closed() => {}
        }
    });
    source
}

/// Why a reading stops before its end.
enum Stop {
    /// Nobody reads any more.
    Left,
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Failed(error)
    }
}

struct Reader {
    logs: Logs,
    task: TaskId,
    query: LogQuery,
    events: mpsc::Sender<LogEvent>,
}

/// An open log file, read up to some line.
struct Open {
    lines: BufReader<File>,
    inode: u64,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
}

/// The files of a task at one moment. They can be read though they are rotated away later.
struct Files {
    rotated: Option<Open>,
    current: Option<Open>,
    /// How often files were rotated before `current` was begun.
    rotations: u64,
}

impl Reader {
    async fn run(self) -> Result<(), Stop> {
        let log = self.logs.task_log(self.task);
        // A count taken before the files are read: what is written after it is seen at the next look.
        let mut written = log.written.subscribe();
        written.borrow_and_update();
        self.logs.flush().await;
        let mut files = self.files(&log).await?;
        if self.wants_all() && files.rotations >= FILES_KEPT {
            let missing = format!("the first lines of task {} are not kept: it wrote more than its log holds", self.task);
            self.tell(LogEvent::Problem(missing)).await?;
        }
        self.past(&mut files).await?;
        self.tell(LogEvent::CaughtUp).await?;
        match self.query.follow {
            true => self.follow(log, written, &mut files).await,
            false => Ok(()),
        }
    }

    /// Whether whoever asks counts on every line that the task ever wrote.
    fn wants_all(&self) -> bool {
        self.query.until_end && self.query.tail.is_none() && self.query.since_ms.is_none()
    }

    /// Opens both files, as they belong together.
    async fn files(&self, log: &TaskLog) -> io::Result<Files> {
        let directory = &self.logs.shared.directory;
        loop {
            let before = log.rotations.count();
            let rotated = open(&file::rotated(directory, self.task)).await?;
            let current = open(&file::current(directory, self.task)).await?;
            match before.filter(|before| log.rotations.count() == Some(*before)) {
                Some(rotations) => return Ok(Files { rotated, current, rotations }),
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// Tells what is in the files, up to their ends.
    async fn past(&self, files: &mut Files) -> Result<(), Stop> {
        let mut skip = match self.query.tail {
            Some(tail) => count_lines(&self.logs.shared.directory, self.task).await?.saturating_sub(tail),
            None => 0,
        };
        for open in files.rotated.iter_mut().chain(&mut files.current) {
            self.drain(open, &mut skip).await?;
        }
        Ok(())
    }

    async fn follow(&self, log: Arc<TaskLog>, mut written: watch::Receiver<u64>, files: &mut Files) -> Result<(), Stop> {
        let mut ended = log.ended.subscribe();
        loop {
            if self.query.until_end && *ended.borrow_and_update() {
                self.logs.flush().await;
                return self.look(&log, files).await;
            }
            let gone = tokio::select! {
                changed = written.changed() => changed.is_err(),
                changed = ended.changed(), if self.query.until_end => changed.is_err(),
            };
            if gone {
                return Ok(());
            }
            self.look(&log, files).await?;
        }
    }

    /// Tells what was written since: in the file that was open, in the one that was begun and rotated away meanwhile, and
    /// in the latest. Of a task that wrote yet more in that time lines are missing, and that is told too.
    async fn look(&self, log: &TaskLog, files: &mut Files) -> Result<(), Stop> {
        if let Some(current) = &mut files.current {
            self.drain(current, &mut 0).await?;
        }
        let mut latest = self.files(log).await?;
        let Some(begun) = &latest.current else { return Ok(()) };
        // Files are numbered by the rotations before them; this one comes next.
        let next = match &mut files.current {
            Some(old) if old.inode == begun.inode => return Ok(()),
            Some(old) => {
                // Written after the drain above and before the rotation.
                self.drain(old, &mut 0).await?;
                files.rotations + 1
            }
            None => files.rotations,
        };
        if latest.rotations >= next + FILES_KEPT {
            let missing = format!("lines of task {} are missing here: it wrote faster than they were read", self.task);
            self.tell(LogEvent::Problem(missing)).await?;
        }
        let mut rotated = latest.rotated.take().filter(|_| latest.rotations > next);
        for open in rotated.iter_mut().chain(&mut latest.current) {
            self.drain(open, &mut 0).await?;
        }
        *files = latest;
        Ok(())
    }

    async fn drain(&self, open: &mut Open, skip: &mut u64) -> Result<(), Stop> {
        while let Some(line) = open.next_line().await? {
            if *skip > 0 {
                *skip -= 1;
            } else if let Some(record) = file::decode(&line).filter(|record| self.wanted(record)) {
                self.tell(LogEvent::Line(self.task, record)).await?;
            }
        }
        Ok(())
    }

    fn wanted(&self, record: &LogRecord) -> bool {
        self.query.since_ms.is_none_or(|since_ms| record.at_ms >= since_ms)
    }

    async fn tell(&self, event: LogEvent) -> Result<(), Stop> {
        self.events.send(event).await.map_err(|_| Stop::Left)
    }
}

impl Open {
    async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.lines.read_until(b'\n', &mut self.partial).await?;
        if self.partial.last() != Some(&b'\n') {
            return Ok(None);
        }
        Ok(Some(std::mem::take(&mut self.partial)))
    }
}

async fn open(path: &Path) -> io::Result<Option<Open>> {
    use std::os::unix::fs::MetadataExt;
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let inode = file.metadata().await?.ino();
    Ok(Some(Open { lines: BufReader::with_capacity(READ_BYTES, file), inode, partial: Vec::new() }))
}

async fn count_lines(directory: &Path, task: TaskId) -> io::Result<u64> {
    let mut count = 0;
    for path in [file::rotated(directory, task), file::current(directory, task)] {
        match tokio::fs::read(&path).await {
            Ok(bytes) => count += bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
