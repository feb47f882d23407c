//! Output of one task on its way to the file: cut into lines, bounded, and counted where it is dropped.
use std::mem;

use minicloud_core::task::LogStream;

use super::LogRecord;
use crate::limits::{LOG_BUFFER_BYTES_MAX, LOG_LINE_BYTES_MAX};

/// What a line costs besides its text, roughly.
const LINE_OVERHEAD_BYTES: usize = 64;

#[derive(Default)]
pub struct Buffer {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    lines: Vec<LogRecord>,
    bytes: usize,
    dropped: u64,
}

impl Buffer {
    /// Takes output. True when there is something to write and there was nothing before.
    pub fn push(&mut self, stream: LogStream, at_ms: u64, mut bytes: &[u8]) -> bool {
        let was_empty = self.is_empty();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(stream, at_ms, &bytes[..end]);
            self.end_line(stream, at_ms);
            bytes = &bytes[end + 1..];
        }
        self.extend(stream, at_ms, bytes);
        was_empty && !self.is_empty()
    }

    /// The task has ended: what stands without a line end becomes a line.
    pub fn end_lines(&mut self, at_ms: u64) -> bool {
        let was_empty = self.is_empty();
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            if !self.partial(stream).is_empty() {
                self.end_line(stream, at_ms);
            }
        }
        was_empty && !self.is_empty()
    }

    /// Takes a line that is none of the task's own.
    pub fn line(&mut self, stream: LogStream, at_ms: u64, text: String) -> bool {
        let was_empty = self.is_empty();
        self.keep(LogRecord { at_ms, stream, text });
        was_empty
    }

    /// Everything to write, and how many lines were dropped after it.
    pub fn drain(&mut self) -> (Vec<LogRecord>, u64) {
        self.bytes = 0;
        (mem::take(&mut self.lines), mem::take(&mut self.dropped))
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }

    fn partial(&mut self, stream: LogStream) -> &mut Vec<u8> {
        match stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        }
    }

    fn extend(&mut self, stream: LogStream, at_ms: u64, mut bytes: &[u8]) {
        loop {
            let room = LOG_LINE_BYTES_MAX - self.partial(stream).len();
            if bytes.len() <= room {
                return self.partial(stream).extend_from_slice(bytes);
            }
            let cut = floor_char(bytes, room);
            self.partial(stream).extend_from_slice(&bytes[..cut]);
            self.end_line(stream, at_ms);
            bytes = &bytes[cut..];
        }
    }

    fn end_line(&mut self, stream: LogStream, at_ms: u64) {
        let mut text = mem::take(self.partial(stream));
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        let text = String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        self.keep(LogRecord { at_ms, stream, text });
    }

    fn keep(&mut self, line: LogRecord) {
        let cost = line.text.len() + LINE_OVERHEAD_BYTES;
        if self.bytes + cost > LOG_BUFFER_BYTES_MAX {
            self.dropped += 1;
        } else {
            self.bytes += cost;
            self.lines.push(line);
        }
    }
}

/// `at`, or a little before it where it would cut a character of UTF-8 in two.
fn floor_char(bytes: &[u8], at: usize) -> usize {
    let is_continuation = |at: usize| bytes[at] & 0b1100_0000 == 0b1000_0000;
    (at.saturating_sub(3)..=at).rev().find(|at| !is_continuation(*at)).filter(|at| *at > 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(buffer: &mut Buffer) -> Vec<String> {
        buffer.drain().0.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn output_is_cut_into_lines_however_it_comes() {
        let mut buffer = Buffer::default();
        assert!(!buffer.push(LogStream::Stdout, 1, b"he"));
        assert!(buffer.push(LogStream::Stdout, 2, b"llo\r\nwor"));
        assert!(!buffer.push(LogStream::Stderr, 3, b"oops\n"), "it is known to have something");
        assert_eq!(texts(&mut buffer), ["hello", "oops"]);
        assert!(buffer.end_lines(4));
        assert_eq!(texts(&mut buffer), ["wor"]);
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        let mut buffer = Buffer::default();
        let long = format!("a{}", "é".repeat(LOG_LINE_BYTES_MAX));
        buffer.push(LogStream::Stdout, 1, long.as_bytes());
        buffer.end_lines(1);
        let lines = texts(&mut buffer);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= LOG_LINE_BYTES_MAX));
        assert_eq!(lines.concat(), long);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut buffer = Buffer::default();
        for _ in 0..LOG_BUFFER_BYTES_MAX / 100 {
            buffer.push(LogStream::Stdout, 1, &[[b'x'; 99].as_slice(), b"\n"].concat());
        }
        let (lines, dropped) = buffer.drain();
        assert!(dropped > 0);
        assert_eq!(lines.len() as u64 + dropped, (LOG_BUFFER_BYTES_MAX / 100) as u64);
        buffer.push(LogStream::Stdout, 1, b"there is room again\n");
        assert_eq!(texts(&mut buffer).len(), 1);
    }
}
