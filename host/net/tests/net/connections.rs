//! Streams between two tasks of one node: half-close, reset, drop, back-pressure, and what is counted.
use minicloud_core::id::TaskId;
use minicloud_net::limits::PIPE_BYTES_DEFAULT;
use minicloud_net::{Connection, NetError, PipeReader, PipeWriter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{BLUE, any, at, connected, ip, poll_now, read_all, two_tasks, write_all};

/// What one end does to its connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    HalfClose,
    DropReader,
    Reset,
    Drop,
}

const ACTS: [Act; 4] = [Act::HalfClose, Act::DropReader, Act::Reset, Act::Drop];

fn act(connection: Connection, act: Act) -> Kept {
    match act {
        Act::Reset => {
            connection.reset();
            (None, None)
        }
        Act::Drop => (None, None),
        Act::HalfClose => {
            let (reader, writer) = connection.into_split();
            writer.close();
            (Some(reader), None)
        }
        Act::DropReader => {
            let (reader, writer) = connection.into_split();
            drop(reader);
            (None, Some(writer))
        }
    }
}

/// Every pair of acts, one per end: what each end still reads and whether it can still write.
#[tokio::test]
async fn each_end_sees_what_the_other_did_whatever_it_did_itself() {
    let (_switch, client, server) = two_tasks();
    for first in ACTS {
        for second in ACTS {
            let (mut near, mut far) = connected(&client, &server).await;
            near.writer.push("from near".into()).unwrap();
            far.writer.push("from far".into()).unwrap();
            let mut near = act(near, first);
            let mut far = act(far, second);
            check_end(&mut near, first, second, "from far").await;
            check_end(&mut far, second, first, "from near").await;
        }
    }
}

/// The halves that an end kept.
type Kept = (Option<PipeReader>, Option<PipeWriter>);

async fn check_end((reader, writer): &mut Kept, own: Act, other: Act, sent: &str) {
    let case = format!("{own:?} against {other:?}");
    if let Some(reader) = reader {
        match other {
            Act::Reset => assert_eq!(read_all(reader).await, Err(NetError::Reset), "{case}"),
            Act::HalfClose | Act::Drop => assert_eq!(read_all(reader).await.unwrap(), sent.as_bytes(), "{case}"),
            Act::DropReader => {
                let first = poll_now(|cx| reader.poll_read_bytes(cx, 100)).expect("data before the end");
                assert_eq!(first.unwrap(), sent, "{case}");
                assert_eq!(poll_now(|cx| reader.poll_readable(cx)), None, "{case}: the other end still writes");
            }
        }
    }
    if let Some(writer) = writer {
        let expected = if other == Act::HalfClose { None } else { Some(NetError::Reset) };
        assert_eq!(writer.room().err(), expected, "{case}");
    }
}

#[tokio::test]
async fn a_request_ends_by_half_close_and_its_answer_still_comes() {
    let (_switch, client, server) = two_tasks();
    let (mut near, mut far) = connected(&client, &server).await;
    near.write_all(b"request").await.unwrap();
    near.shutdown().await.unwrap();
    assert!(near.write_all(b"x").await.is_err(), "closed for writing");
    let mut request = String::new();
    far.read_to_string(&mut request).await.unwrap();
    assert_eq!(request, "request");
    far.write_all(b"answer").await.unwrap();
    drop(far);
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn a_reader_that_stops_holds_the_writer_up() {
    let (_switch, client, server) = two_tasks();
    let (mut near, mut far) = connected(&client, &server).await;
    write_all(&mut near.writer, &[1; PIPE_BYTES_DEFAULT]).await.unwrap();
    assert_eq!(poll_now(|cx| near.writer.poll_writable(cx)), None);
    let more = tokio::spawn(async move {
        write_all(&mut near.writer, &[2; PIPE_BYTES_DEFAULT]).await.unwrap();
        near
    });
    let mut all = vec![0; 2 * PIPE_BYTES_DEFAULT];
    far.read_exact(&mut all).await.unwrap();
    assert!(all[..PIPE_BYTES_DEFAULT].iter().all(|byte| *byte == 1) && all[PIPE_BYTES_DEFAULT..].iter().all(|byte| *byte == 2));
    more.await.unwrap();
}

#[tokio::test]
async fn both_ends_know_each_other() {
    let (_switch, client, server) = two_tasks();
    let listener = server.listen(any(80), 8).unwrap();
    let near = client.connect(None, at(BLUE, 2, 80)).await.unwrap();
    let far = listener.accept().await.unwrap();
    assert_eq!(near.remote, at(BLUE, 2, 80));
    assert_eq!(near.local.ip(), ip(BLUE, 1));
    assert!(near.local.port() >= 49_152);
    assert_eq!((far.local, far.remote), (near.remote, near.local));
    let bound = client.connect(Some(any(1234)), at(BLUE, 2, 80)).await.unwrap();
    assert_eq!(bound.local, at(BLUE, 1, 1234));
}

#[tokio::test]
async fn a_task_connects_to_its_own_address() {
    let (_switch, client, _server) = two_tasks();
    let (mut near, mut far) = connected(&client, &client).await;
    near.write_all(b"me").await.unwrap();
    assert_eq!(far.read_u16().await.unwrap(), u16::from_be_bytes(*b"me"));
}

#[tokio::test]
async fn usage_counts_bytes_both_ways_and_open_connections() {
    let (switch, client, server) = two_tasks();
    let (mut near, mut far) = connected(&client, &server).await;
    near.write_all(&[0; 10_000]).await.unwrap();
    far.read_exact(&mut [0; 10_000]).await.unwrap();
    far.write_all(b"abc").await.unwrap();
    near.read_exact(&mut [0; 3]).await.unwrap();
    let (of_client, of_server) = (switch.usage(TaskId(1)), switch.usage(TaskId(2)));
    assert_eq!((of_client.sent_bytes, of_client.received_bytes, of_client.connections), (10_000, 3, 1));
    assert_eq!((of_server.sent_bytes, of_server.received_bytes, of_server.connections), (3, 10_000, 1));
    let (reader, writer) = near.into_split();
    drop(reader);
    assert_eq!(client.usage().connections, 1, "half of it is left");
    drop(writer);
    assert_eq!(client.usage().connections, 0);
    assert_eq!(server.usage().connections, 1, "the server still holds its end");
    drop(far);
    assert_eq!(server.usage().connections, 0);
}

#[tokio::test]
async fn many_connections_share_a_tasks_buffers() {
    let (_switch, client, server) = two_tasks();
    let listener = server.listen(any(80), 4096).unwrap();
    let mut all = Vec::new();
    for _ in 0..1024 {
        let near = client.connect(None, at(BLUE, 2, 80)).await.unwrap();
        all.push((near, listener.accept().await.unwrap()));
    }
    assert_eq!(all[0].0.writer.room(), Ok(PIPE_BYTES_DEFAULT));
    assert_eq!(all[1023].0.writer.room(), Ok((64 << 20) / 1024));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_for_days() {
    let (_switch, client, server) = two_tasks();
    let (mut near, mut far) = connected(&client, &server).await;
    tokio::time::sleep(std::time::Duration::from_secs(7 * 24 * 3600)).await;
    near.write_all(b"!").await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), b'!');
}
