use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};
use minicloud_core::id::NodeId;
use minicloud_net::NoUplink;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::test_routes::{VIP, address, routes};

const LIMIT: Duration = Duration::from_secs(10);

struct World {
    address: SocketAddr,
    shutdown: CancellationToken,
}

impl World {
    async fn new(tasks: &[(u64, u64)]) -> World {
        let switch = Switch::new(NodeId(1), Arc::new(NoUplink));
        switch.set_routes(routes(tasks, Vec::new()));
        let dns = Dns::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), switch).await.unwrap();
        let (address, shutdown) = (dns.address(), CancellationToken::new());
        tokio::spawn(dns.run(shutdown.clone()));
        World { address, shutdown }
    }

    async fn ask(&self, name: &str, record: RecordType) -> Message {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.send_to(&question(name, record), self.address).await.unwrap();
        let mut buffer = [0; 4_096];
        let (count, _) = timeout(LIMIT, socket.recv_from(&mut buffer)).await.expect("an answer").unwrap();
        Message::from_bytes(&buffer[..count]).unwrap()
    }

    /// Response code and addresses, which all have a time to live of zero.
    async fn addresses(&self, name: &str) -> (ResponseCode, Vec<Ipv4Addr>) {
        let answer = self.ask(name, RecordType::A).await;
        assert!(answer.answers.iter().all(|record| record.ttl == 0));
        let addresses = answer.answers.iter().filter_map(|record| match &record.data {
            RData::A(A(address)) => Some(*address),
            _ => None,
        });
        (answer.metadata.response_code, addresses.collect())
    }
}

fn question(name: &str, record: RecordType) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), record));
    message.to_bytes().unwrap()
}

#[tokio::test]
async fn services_and_their_tasks_have_addresses() {
    let world = World::new(&[(1, 1), (2, 2)]).await;
    assert_eq!(world.addresses("web.blue.minicloud.").await, (ResponseCode::NoError, vec![VIP]));
    assert_eq!(world.addresses("WWW.Blue.MiniCloud.").await, (ResponseCode::NoError, vec![VIP]));
    assert_eq!(world.addresses("tasks.web.blue.minicloud.").await, (ResponseCode::NoError, vec![address(1), address(2)]));
    let v6 = world.ask("web.blue.minicloud.", RecordType::AAAA).await;
    assert_eq!((v6.metadata.response_code, v6.answers.len()), (ResponseCode::NoError, 0));
    assert!(v6.metadata.authoritative && v6.metadata.id == 7);
    world.shutdown.cancel();
}

#[tokio::test]
async fn other_names_are_unknown_or_none_of_our_business() {
    let world = World::new(&[]).await;
    assert_eq!(world.addresses("tasks.web.blue.minicloud.").await, (ResponseCode::NoError, vec![]));
    assert_eq!(world.addresses("blue.minicloud.").await, (ResponseCode::NoError, vec![]));
    assert_eq!(world.addresses("minicloud.").await, (ResponseCode::NoError, vec![]));
    for unknown in ["redis.blue.minicloud.", "web.red.minicloud.", "a.b.web.blue.minicloud.", "red.minicloud.", "web.ingress.minicloud."] {
        assert_eq!(world.addresses(unknown).await, (ResponseCode::NXDomain, vec![]), "{unknown}");
    }
    for foreign in ["example.com.", "minicloud.example.", "."] {
        assert_eq!(world.addresses(foreign).await, (ResponseCode::Refused, vec![]), "{foreign}");
    }
}

#[tokio::test]
async fn it_answers_over_tcp_and_survives_garbage() {
    let world = World::new(&[(1, 1)]).await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for garbage in [&[][..], &[0xff; 3], &[0xff; 600]] {
        socket.send_to(garbage, world.address).await.unwrap();
    }
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let question = question("web.blue.minicloud.", RecordType::A);
    stream.write_u16(question.len() as u16).await.unwrap();
    stream.write_all(&question).await.unwrap();
    let length = timeout(LIMIT, stream.read_u16()).await.unwrap().unwrap();
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(Message::from_bytes(&answer).unwrap().answers.len(), 1);
    assert_eq!(world.addresses("web.blue.minicloud.").await.1, [VIP]);
}
