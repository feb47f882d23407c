//! The redis guest as a program's client library sees it: both protocols, pipelines, transactions, subscriptions.
use std::collections::HashMap;

use redis::{Commands, ErrorKind, RedisResult, ServerErrorKind};

use crate::support::{Cluster, Node, wait_for};

#[test]
fn a_client_library_works_against_a_published_redis() {
    let cluster = Cluster::with_workers(1);
    cluster.nodes[0].ok(&["service", "create", "--name", "redis", "-p", "6379:6379", "redis"]);
    for (node, protocol) in [(&cluster.nodes[0], "resp2"), (&cluster.nodes[1], "resp3")] {
        let mut connection = wait_for("redis answers", || connect(node, protocol).ok());
        values(&mut connection).unwrap();
        transaction(&mut connection).unwrap();
        mistakes(&mut connection);
        subscription(node, protocol, &mut connection).unwrap();
        redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    }
}

fn client(node: &Node, protocol: &str) -> RedisResult<redis::Client> {
    redis::Client::open(format!("redis://{}:6379/?protocol={protocol}", node.ip))
}

fn connect(node: &Node, protocol: &str) -> RedisResult<redis::Connection> {
    client(node, protocol)?.get_connection()
}

fn values(connection: &mut redis::Connection) -> RedisResult<()> {
    let _: () = connection.set_ex("coin", b"\x00\r\n\xff", 100)?;
    assert_eq!(connection.get::<_, Vec<u8>>("coin")?, b"\x00\r\n\xff");
    assert!((99..=100).contains(&connection.ttl::<_, i64>("coin")?));
    assert_eq!(connection.get::<_, Option<String>>("absent")?, None);
    assert_eq!(connection.incr::<_, _, i64>("hashes", 5)?, 5);
    let _: () = connection.hset_multiple("wallet", &[("a", 1), ("b", 2)])?;
    assert_eq!(connection.hgetall::<_, HashMap<String, i64>>("wallet")?, HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
    assert_eq!(connection.lpush::<_, _, i64>("queue", &[1, 2, 3])?, 3);
    assert_eq!(connection.lrange::<_, Vec<i64>>("queue", 0, -1)?, [3, 2, 1]);
    assert_eq!(connection.zadd::<_, _, _, i64>("speed", "rng", 1.5)?, 1);
    assert_eq!(connection.zrange_withscores::<_, Vec<(String, f64)>>("speed", 0, -1)?, [("rng".to_owned(), 1.5)]);
    Ok(())
}

fn transaction(connection: &mut redis::Connection) -> RedisResult<()> {
    let (first, second): (i64, i64) = redis::pipe().atomic().incr("ticks", 1).incr("ticks", 1).query(connection)?;
    assert_eq!((first, second), (1, 2));
    let answers: Vec<i64> = (0..1_000).fold(redis::pipe(), |mut pipe, _| pipe.incr("many", 1).clone()).query(connection)?;
    assert_eq!(answers.last(), Some(&1_000));
    Ok(())
}

fn mistakes(connection: &mut redis::Connection) {
    let wrong = connection.lpush::<_, _, i64>("hashes", 1).unwrap_err();
    assert_eq!(wrong.code(), Some("WRONGTYPE"), "{wrong}");
    let unknown = redis::cmd("NOSUCH").arg("x").exec(connection).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Server(ServerErrorKind::ResponseError), "{unknown}");
    assert!(unknown.to_string().contains("unknown command"), "{unknown}");
}

fn subscription(node: &Node, protocol: &str, publisher: &mut redis::Connection) -> RedisResult<()> {
    let mut subscriber = connect(node, protocol)?;
    let mut subscriber = subscriber.as_pubsub();
    subscriber.subscribe("news")?;
    assert_eq!(publisher.publish::<_, _, i64>("news", "found a coin")?, 1);
    assert_eq!(subscriber.get_message()?.get_payload::<String>()?, "found a coin");
    Ok(())
}
