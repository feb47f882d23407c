//! One direction: order, ends, resets, back-pressure, and memory that stays bounded.
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use bytes::Bytes;
use minicloud_net::limits::{COALESCE_BELOW_BYTES, PIPE_BYTES_DEFAULT};
use minicloud_net::{NetError, PipeReader, PipeWriter, pipe};
use proptest::prelude::*;
use tokio::io::{AsyncRead, ReadBuf};

use crate::support::{poll_now, read_all, write_all};

/// Counts how often it was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (wakes.clone(), Waker::from(wakes))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn write_now(writer: &mut PipeWriter, bytes: &[u8]) -> Option<Result<usize, NetError>> {
    poll_now(|cx| writer.poll_write(cx, bytes))
}

fn read_now(reader: &mut PipeReader, max: usize) -> Option<Result<Bytes, NetError>> {
    poll_now(|cx| reader.poll_read_bytes(cx, max))
}

#[test]
fn bytes_written_before_the_end_are_read_before_the_end() {
    for finish in [PipeWriter::close, drop] {
        let (mut writer, mut reader) = pipe(100);
        writer.push(Bytes::from_static(b"last words")).unwrap();
        finish(writer);
        assert_eq!(read_now(&mut reader, 100).unwrap().unwrap(), "last words");
        assert_eq!(read_now(&mut reader, 100), Some(Ok(Bytes::new())));
        assert_eq!(read_now(&mut reader, 100), Some(Ok(Bytes::new())), "the end stays the end");
    }
}

#[test]
fn slices_arrive_as_one_text_in_one_waking() {
    for (sizes, capacity) in [(vec![3, 0, 4], 100), (vec![100, 9_000, 1], 20_000), (vec![10, 50, 10], 32)] {
        let slices: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size]).collect();
        let (mut writer, mut reader) = pipe(capacity);
        let (wakes, waker) = Wakes::new();
        assert!(reader.poll_readable(&mut Context::from_waker(&waker)).is_pending());
        let borrowed: Vec<IoSlice<'_>> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
        let count = poll_now(|cx| writer.poll_write_gathered(cx, &borrowed)).unwrap().unwrap();
        assert_eq!(count, sizes.iter().sum::<usize>().min(capacity));
        assert_eq!(wakes.count(), 1);
        assert_eq!(read_now(&mut reader, capacity).unwrap().unwrap(), slices.concat()[..count]);
    }
}

#[test]
fn asynchronous_reads_fill_the_buffer_from_several_chunks() {
    let (mut writer, mut reader) = pipe(100_000);
    writer.push(vec![1; 5_000].into()).unwrap();
    writer.push(vec![2; 10].into()).unwrap();
    writer.push(vec![3; 5_000].into()).unwrap();
    writer.close();
    let mut space = [0; 6_000];
    let mut read = |length: usize| {
        let mut buffer = ReadBuf::new(&mut space[..length]);
        poll_now(|cx| AsyncRead::poll_read(Pin::new(&mut reader), cx, &mut buffer)).unwrap().unwrap();
        buffer.filled().to_vec()
    };
    assert_eq!(read(5_500), [vec![1; 5_000], vec![2; 10], vec![3; 490]].concat());
    assert!(read(0).is_empty());
    assert_eq!(read(6_000), vec![3; 4_510]);
    assert!(read(10).is_empty(), "the end");
}

#[test]
fn a_reset_overtakes_unread_bytes_and_stays() {
    let (mut writer, mut reader) = pipe(100);
    writer.push(Bytes::from_static(b"never read")).unwrap();
    writer.reset();
    assert_eq!(read_now(&mut reader, 100), Some(Err(NetError::Reset)));
    assert_eq!(poll_now(|cx| reader.poll_read(cx, &mut [0; 4])), Some(Err(NetError::Reset)));
}

#[test]
fn a_finished_stream_cannot_be_reset_any_more() {
    let (mut writer, mut reader) = pipe(100);
    writer.push(Bytes::from_static(b"sent")).unwrap();
    writer.finish();
    assert_eq!(writer.push(Bytes::from_static(b"more")), Err(NetError::Broken));
    writer.reset();
    assert_eq!(read_now(&mut reader, 100).unwrap().unwrap(), "sent");
    assert_eq!(read_now(&mut reader, 100), Some(Ok(Bytes::new())));
}

#[test]
fn writes_to_a_dropped_reader_are_reset() {
    let (mut writer, reader) = pipe(100);
    writer.push(Bytes::from_static(b"unread")).unwrap();
    drop(reader);
    assert_eq!(write_now(&mut writer, b"x"), Some(Err(NetError::Reset)));
    assert_eq!(writer.push(Bytes::from_static(b"x")), Err(NetError::Reset));
    assert_eq!(poll_now(|cx| writer.poll_drained(cx)), Some(()));
    assert_eq!(poll_now(|cx| writer.poll_closed(cx)), Some(()));
}

#[test]
fn a_full_pipe_takes_nothing_until_it_is_read() {
    let (mut writer, mut reader) = pipe(10);
    assert_eq!(write_now(&mut writer, b"0123456789abc"), Some(Ok(10)));
    assert_eq!(write_now(&mut writer, b"abc"), None);
    assert_eq!(writer.push(Bytes::from_static(b"a")), Err(NetError::WouldBlock));
    assert_eq!(read_now(&mut reader, 4).unwrap().unwrap(), "0123");
    assert_eq!(write_now(&mut writer, b"abcdefgh"), Some(Ok(4)));
    assert_eq!(writer.room(), Ok(0));
}

#[test]
fn a_waiting_writer_is_woken_once_a_quarter_is_free() {
    let (mut writer, mut reader) = pipe(100);
    write_now(&mut writer, &[7; 100]).unwrap().unwrap();
    let (wakes, waker) = Wakes::new();
    assert!(writer.poll_writable(&mut Context::from_waker(&waker)).is_pending());
    read_now(&mut reader, 24).unwrap().unwrap();
    assert_eq!(wakes.count(), 0);
    read_now(&mut reader, 1).unwrap().unwrap();
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll_now(|cx| writer.poll_writable(cx)), Some(Ok(25)));
}

#[test]
fn everything_that_ends_a_wait_wakes() {
    type Act = fn(PipeWriter) -> Option<PipeWriter>;
    let acts: [Act; 5] = [
        |mut writer| {
            writer.push(Bytes::from_static(b"x")).unwrap();
            Some(writer)
        },
        |mut writer| {
            write_now(&mut writer, b"x").unwrap().unwrap();
            Some(writer)
        },
        |mut writer| {
            writer.finish();
            Some(writer)
        },
        |writer| {
            writer.reset();
            None
        },
        |writer| {
            drop(writer);
            None
        },
    ];
    for (nth, act) in acts.into_iter().enumerate() {
        let (writer, mut reader) = pipe(100);
        let (wakes, waker) = Wakes::new();
        assert!(reader.poll_read_bytes(&mut Context::from_waker(&waker), 10).is_pending());
        let writer = act(writer);
        assert_eq!(wakes.count(), 1, "act {nth}");
        assert!(read_now(&mut reader, 10).is_some(), "act {nth}");
        drop(writer);
    }
}

#[test]
fn a_writer_that_waits_learns_that_its_reader_is_gone() {
    let (mut writer, reader) = pipe(4);
    write_now(&mut writer, b"full").unwrap().unwrap();
    let (wakes, waker) = Wakes::new();
    assert!(writer.poll_writable(&mut Context::from_waker(&waker)).is_pending());
    drop(reader);
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll_now(|cx| writer.poll_writable(cx)), Some(Err(NetError::Reset)));
}

#[test]
fn the_newest_waker_of_the_one_reader_is_called() {
    let (mut writer, mut reader) = pipe(100);
    let ((old, old_waker), (new, new_waker)) = (Wakes::new(), Wakes::new());
    assert!(reader.poll_readable(&mut Context::from_waker(&old_waker)).is_pending());
    assert!(reader.poll_readable(&mut Context::from_waker(&new_waker)).is_pending());
    // Looking without waiting forgets nobody.
    assert_eq!(reader.try_read_bytes(10), Ok(None));
    writer.push(Bytes::from_static(b"x")).unwrap();
    assert_eq!((old.count(), new.count()), (0, 1));
}

#[test]
fn drained_means_read_by_the_other_end() {
    let (mut writer, mut reader) = pipe(100);
    write_now(&mut writer, b"abc").unwrap().unwrap();
    writer.finish();
    let (wakes, waker) = Wakes::new();
    assert!(writer.poll_drained(&mut Context::from_waker(&waker)).is_pending());
    read_now(&mut reader, 100).unwrap().unwrap();
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll_now(|cx| writer.poll_drained(cx)), Some(()));
}

#[test]
fn single_bytes_are_read_back_in_large_chunks() {
    let (mut writer, mut reader) = pipe(PIPE_BYTES_DEFAULT);
    for at in 0..PIPE_BYTES_DEFAULT {
        match at % 2 {
            0 => assert_eq!(write_now(&mut writer, &[at as u8]), Some(Ok(1))),
            _ => writer.push(Bytes::copy_from_slice(&[at as u8])).unwrap(),
        }
    }
    assert_eq!(writer.room(), Ok(0));
    let (mut chunks, mut bytes) = (0, 0);
    while let Some(Ok(chunk)) = read_now(&mut reader, usize::MAX) {
        assert!(chunk.iter().enumerate().all(|(at, byte)| *byte == (bytes + at) as u8));
        chunks += 1;
        bytes += chunk.len();
    }
    assert_eq!(bytes, PIPE_BYTES_DEFAULT);
    assert!(chunks <= 2 * PIPE_BYTES_DEFAULT / COALESCE_BELOW_BYTES, "{chunks} chunks");
}

#[test]
fn small_and_large_writes_mixed_stay_few_chunks() {
    let (mut writer, mut reader) = pipe(PIPE_BYTES_DEFAULT);
    while writer.room().unwrap() > COALESCE_BELOW_BYTES {
        writer.push(Bytes::from_static(b"x")).unwrap();
        writer.push(Bytes::from(vec![0; COALESCE_BELOW_BYTES])).unwrap();
    }
    let chunks = std::iter::from_fn(|| read_now(&mut reader, usize::MAX)).count();
    assert!(chunks <= 2 * PIPE_BYTES_DEFAULT / COALESCE_BELOW_BYTES, "{chunks} chunks");
}

#[test]
fn reading_nothing_is_told_apart_from_the_end() {
    let (_writer, mut reader) = pipe(10);
    assert_eq!(read_now(&mut reader, 0), Some(Err(NetError::InvalidArgument)));
    assert_eq!(poll_now(|cx| reader.poll_read(cx, &mut [])), Some(Ok(0)));
}

/// One step of either side.
#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Push(usize),
    Read(usize),
    ReadInto(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![1usize..20, 1000usize..10_000, Just(COALESCE_BELOW_BYTES), 60_000usize..80_000];
    prop_oneof![
        size.clone().prop_map(Step::Write),
        size.clone().prop_map(Step::Push),
        size.clone().prop_map(Step::Read),
        size.prop_map(Step::ReadInto),
    ]
}

/// What was written and read so far: the bytes count up, so that order and loss show.
struct Tally {
    capacity: usize,
    written: usize,
    read: usize,
}

impl Tally {
    fn next(&self, count: usize) -> Vec<u8> {
        (self.written..self.written + count).map(|at| (at % 251) as u8).collect()
    }

    fn check(&mut self, bytes: &[u8]) {
        for byte in bytes {
            assert_eq!(*byte, (self.read % 251) as u8, "byte {}", self.read);
            self.read += 1;
        }
    }

    fn apply(&mut self, step: &Step, writer: &mut PipeWriter, reader: &mut PipeReader) {
        match *step {
            Step::Write(count) => match write_now(writer, &self.next(count)) {
                Some(taken) => self.written += taken.unwrap(),
                None => assert_eq!(self.written - self.read, self.capacity, "only a full pipe waits"),
            },
            Step::Push(count) => match writer.push(self.next(count).into()) {
                Ok(()) => self.written += count,
                Err(error) => {
                    assert_eq!(error, NetError::WouldBlock);
                    assert!(self.written - self.read + count > self.capacity);
                }
            },
            Step::Read(max) => match read_now(reader, max) {
                Some(bytes) => self.check(&bytes.unwrap()),
                None => assert_eq!(self.written, self.read, "only an empty pipe waits"),
            },
            Step::ReadInto(max) => {
                let mut buffer = vec![0; max];
                let wanted = max.min(self.written - self.read);
                match poll_now(|cx| reader.poll_read(cx, &mut buffer)) {
                    Some(count) => {
                        assert_eq!(count, Ok(wanted), "a copy takes all there is");
                        self.check(&buffer[..wanted]);
                    }
                    None => assert_eq!(wanted, 0),
                }
            }
        }
        assert_eq!(writer.room(), Ok(self.capacity - (self.written - self.read)));
    }
}

proptest! {
    #[test]
    fn any_interleaving_keeps_every_byte_in_order(
        capacity in prop_oneof![1usize..64, 1000usize..300_000],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (mut writer, mut reader) = pipe(capacity);
        let mut tally = Tally { capacity, written: 0, read: 0 };
        for step in &steps {
            tally.apply(step, &mut writer, &mut reader);
        }
        drop(writer);
        loop {
            let bytes = read_now(&mut reader, usize::MAX).unwrap().unwrap();
            if bytes.is_empty() {
                break;
            }
            tally.check(&bytes);
        }
        prop_assert_eq!(tally.written, tally.read);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_threads_lose_neither_bytes_nor_wake_ups() {
    const BYTES: usize = 4 << 20;
    for (capacity, piece) in [(1, 1), (100, 7), (64 << 10, 5000), (256 << 10, 200_000)] {
        let total = if capacity == 1 { 20_000 } else { BYTES };
        let (mut writer, mut reader) = pipe(capacity);
        let data: Vec<u8> = (0..total).map(|at| (at % 251) as u8).collect();
        let expected = data.clone();
        let writing = tokio::spawn(async move {
            for part in data.chunks(piece) {
                write_all(&mut writer, part).await.unwrap();
            }
        });
        let reading = tokio::spawn(async move { read_all(&mut reader).await.unwrap() });
        let read = tokio::time::timeout(std::time::Duration::from_secs(30), reading).await.expect("no wake-up is lost");
        assert!(read.unwrap() == expected, "capacity {capacity}, pieces of {piece}");
        writing.await.unwrap();
    }
}
