//! A task's stdout and stderr: cut into whole, bounded lines and handed to the task's log.
//!
//! Each store has its own two buffers, so that lines of instances that run at once do not mix.
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use minicloud_core::task::LogStream;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::limits::LOG_LINE_BYTES_MAX;
use crate::spec::LogSink;

/// Bytes a WASI 0.2 guest may write with one call.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// One stream of one store. Clones write to the same line.
#[derive(Clone)]
pub struct LogWriter {
    line: Arc<Mutex<Line>>,
}

impl LogWriter {
    pub fn new(stream: LogStream, sink: LogSink) -> LogWriter {
        LogWriter { line: Arc::new(Mutex::new(Line { stream, sink, partial: Vec::new() })) }
    }

    fn feed(&self, bytes: &[u8]) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).feed(bytes);
    }
}

/// The line that is being written.
struct Line {
    stream: LogStream,
    sink: LogSink,
    partial: Vec<u8>,
}

impl Line {
    fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.end();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// Append what holds no line end, cutting where a line grows too long.
    fn extend(&mut self, mut bytes: &[u8]) {
        while self.partial.len() + bytes.len() > LOG_LINE_BYTES_MAX {
            let (head, tail) = bytes.split_at(LOG_LINE_BYTES_MAX - self.partial.len());
            self.partial.extend_from_slice(head);
            self.end();
            bytes = tail;
        }
        self.partial.extend_from_slice(bytes);
    }

    /// The line is taken out first, so that a sink that panics does not get it again.
    fn end(&mut self) {
        let mut line = std::mem::take(&mut self.partial);
        (self.sink)(self.stream, line.strip_suffix(b"\r").unwrap_or(&line));
        line.clear();
        self.partial = line;
    }
}

impl Drop for Line {
    /// May run while a panic unwinds, where another one would end the process.
    fn drop(&mut self) {
        if !self.partial.is_empty() && catch_unwind(AssertUnwindSafe(|| self.end())).is_err() {
            tracing::error!("a task's log failed while it took the last line");
        }
    }
}

impl IsTerminal for LogWriter {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogWriter {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LogWriter {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.feed(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogWriter {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for LogWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.feed(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(writes: &[&[u8]]) -> Vec<String> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let writer = LogWriter::new(
            LogStream::Stdout,
            Arc::new(move |_, line| sink.lock().unwrap().push(String::from_utf8_lossy(line).into_owned())),
        );
        writes.iter().for_each(|bytes| writer.feed(bytes));
        drop(writer);
        Arc::into_inner(seen).unwrap().into_inner().unwrap()
    }

    #[test]
    fn lines_are_whole_however_they_were_written() {
        assert_eq!(lines(&[b"one\ntw", b"o\n\nthr", b"ee"]), ["one", "two", "", "three"]);
        assert_eq!(lines(&[b"dos\r\n"]), ["dos"]);
        assert!(lines(&[b""]).is_empty());
    }

    #[test]
    fn a_huge_line_is_cut() {
        let huge = vec![b'x'; 2 * LOG_LINE_BYTES_MAX + 1];
        let lengths: Vec<usize> = lines(&[&huge, b"\nend\n"]).iter().map(String::len).collect();
        assert_eq!(lengths, [LOG_LINE_BYTES_MAX, LOG_LINE_BYTES_MAX, 1, 3]);
    }

    #[test]
    fn a_line_of_exactly_the_bound_is_not_cut() {
        let full = vec![b'x'; LOG_LINE_BYTES_MAX];
        assert_eq!(lines(&[&full, b"\n"]).len(), 1);
    }
}
