//! What is wrong is answered with one clear line, whatever comes over the socket.
use minicloud_node::api::types::{CreateNetwork, CreateService, ErrorKind, ScaleServices};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::world::{LIMIT, World, echo, message};

impl World {
    /// Sends bytes as they are and returns everything that comes back.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.directory.path().join("minicloud.sock")).await.unwrap();
        // The node may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("an answer in time");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn post(&self, path: &str, body: &str) -> String {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        self.raw(format!("{head}{body}").as_bytes()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do() {
    let world = World::new().await;
    let client = &world.client;
    world.network("blue", false).await;
    let again = client.create_network(&CreateNetwork { name: "blue".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(again.kind(), Some(ErrorKind::Conflict));
    let missing = message(client.create_service(&echo("web", &["red"])).await);
    assert_eq!(missing, "no network 'red': create it with 'minicloud network create red'");
    let bad_image = message(client.create_service(&CreateService { image: "postgres".into(), ..echo("web", &[]) }).await);
    assert!(bad_image.contains("bundled images (echo)"), "{bad_image}");
    let bad_name = client.create_service(&echo("No_Such_Name", &[])).await.unwrap_err();
    assert_eq!(bad_name.kind(), Some(ErrorKind::Invalid));
    let driver = CreateNetwork { name: "green".into(), driver: Some("bridge".into()), ..Default::default() };
    assert!(message(client.create_network(&driver).await).contains("use overlay"));
    assert!(message(client.scale_services(&ScaleServices::default()).await).contains("worker=10"));
    assert!(message(client.import_image("no component".into()).await).contains("not a WebAssembly component"));
    assert_eq!(client.service("nothing").await.unwrap_err().kind(), Some(ErrorKind::NotFound));
    world.service(echo("web", &["blue"])).await;
    assert!(message(client.remove_network("blue").await).contains("web"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_and_changes_nothing() {
    let world = World::new().await;
    for (answer, expected) in [
        (world.post("/v1/networks", "{").await, "400"),
        (world.post("/v1/networks", r#"{"name": 7}"#).await, "400"),
        (world.post("/v1/services", r#"{"image":"echo","ports":[{"target":99999}]}"#).await, "400"),
        (world.post("/v1/nothing", "").await, "404"),
        (world.post("/v1/info", "").await, "400"),
        (world.post("/v1/join-token/king/rotate", "").await, "400"),
        (world.post("/v1/networks/blue/connect?host=web&port=80", "").await, "400"),
        (world.raw(b"\xff\xfe\0garbage\r\n\r\n").await, "400"),
    ] {
        let status = answer.lines().next().unwrap_or_default();
        assert!(status.contains(expected), "{answer}");
    }
    assert!(world.post("/v1/networks", "{").await.contains(r#""kind":"invalid""#));
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(5 << 20));
    assert!(world.post("/v1/networks", &large).await.contains("400"), "a body beyond the limit");
    let networks: Vec<String> = world.client.networks().await.unwrap().into_iter().map(|network| network.name).collect();
    assert_eq!(networks, ["egress", "ingress"]);
    world.end().await;
}
