//! What a pipe holds: the unread bytes as chunks, and how far each side is. Pure; locking and waking are outside.
use std::collections::VecDeque;
use std::task::Waker;

use bytes::{Buf, Bytes, BytesMut};

use crate::error::NetError;
use crate::limits;

#[derive(Debug)]
pub(super) struct State {
    queue: VecDeque<Bytes>,
    /// Small writes, after everything in `queue`.
    tail: BytesMut,
    /// Unread bytes in `queue` and `tail`.
    pub(super) len: usize,
    capacity: usize,
    pub(super) writing: Writing,
    pub(super) reader_gone: bool,
    pub(super) read_waker: Option<Waker>,
    pub(super) write_waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    Open,
    Finished,
    Reset,
}

impl State {
    pub(super) fn new(capacity: usize) -> Self {
        State {
            queue: VecDeque::new(),
            tail: BytesMut::new(),
            len: 0,
            capacity,
            writing: Writing::Open,
            reader_gone: false,
            read_waker: None,
            write_waker: None,
        }
    }

    /// Free bytes; an error once nothing written would arrive.
    pub(super) fn room(&self) -> Result<usize, NetError> {
        match self.writing {
            Writing::Finished => Err(NetError::Broken),
            Writing::Reset => Err(NetError::Reset),
            Writing::Open if self.reader_gone => Err(NetError::Reset),
            Writing::Open => Ok(self.capacity - self.len),
        }
    }

    /// Whether a read returns at once, and with what when there is no data.
    pub(super) fn ended(&self) -> Option<Result<(), NetError>> {
        match self.writing {
            Writing::Open => None,
            Writing::Finished => Some(Ok(())),
            Writing::Reset => Some(Err(NetError::Reset)),
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        if self.tail.len() + bytes.len() > limits::COALESCED_CHUNK_BYTES_MAX {
            self.seal();
        }
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn enqueue(&mut self, bytes: Bytes) {
        self.seal();
        self.len += bytes.len();
        self.queue.push_back(bytes);
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.queue.push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    /// The next unread bytes, at most `max` and at most one chunk; empty when there are none.
    pub(super) fn take(&mut self, max: usize) -> Bytes {
        let taken = match self.queue.front_mut() {
            Some(chunk) if chunk.len() > max => chunk.split_to(max),
            Some(_) => self.queue.pop_front().unwrap_or_default(),
            None if self.tail.len() > max => self.tail.split_to(max).freeze(),
            None => std::mem::take(&mut self.tail).freeze(),
        };
        self.len -= taken.len();
        self.give_back_queue();
        taken
    }

    /// Copies from the small writes, when nothing is queued before them.
    pub(super) fn copy_from_tail(&mut self, buffer: &mut [u8]) -> usize {
        if !self.queue.is_empty() {
            return 0;
        }
        let count = self.tail.len().min(buffer.len());
        self.tail.copy_to_slice(&mut buffer[..count]);
        if self.tail.is_empty() {
            self.tail = BytesMut::new();
        }
        self.len -= count;
        count
    }

    fn give_back_queue(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > limits::IDLE_QUEUE_CHUNKS_MAX {
            self.queue = VecDeque::new();
        }
    }

    /// The writer to wake after a read: not for every byte, but once a quarter is free.
    pub(super) fn writer_to_wake(&mut self) -> Option<Waker> {
        if self.len <= self.capacity - self.capacity.div_ceil(4) { self.write_waker.take() } else { None }
    }

    pub(super) fn discard(&mut self) -> (VecDeque<Bytes>, BytesMut) {
        self.len = 0;
        (std::mem::take(&mut self.queue), std::mem::take(&mut self.tail))
    }
}
