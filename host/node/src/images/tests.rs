use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use minicloud_core::state::{ClusterState, Role};
use tokio::io::AsyncWriteExt;

use super::*;
use crate::frame;
use crate::limits::IMAGE_GRACE;
use crate::memory_stream;
use crate::router::StreamService;
use crate::transport::LinkError;

const BUNDLED: &[u8] = b"\0asm\x0d\0\x01\0bundled";

fn component(text: &str) -> Bytes {
    [b"\0asm\x0d\0\x01\0", text.as_bytes()].concat().into()
}

/// What a peer does with a blob stream.
type Behaviour = Arc<dyn Fn(BoxStream) + Send + Sync>;

#[derive(Default)]
struct FakePeers {
    managers: Mutex<BTreeMap<NodeId, Behaviour>>,
    opened: AtomicUsize,
}

#[async_trait]
impl BlobPeers for FakePeers {
    fn managers(&self) -> Vec<NodeId> {
        lock(&self.managers).keys().copied().collect()
    }

    fn others(&self) -> Vec<NodeId> {
        Vec::new()
    }

    async fn open(&self, node: NodeId) -> Result<BoxStream, PeerError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let behaviour = lock(&self.managers).get(&node).cloned().ok_or(PeerError::UnknownNode(node))?;
        let (near, far) = memory_stream::pair();
        behaviour(far);
        Ok(near)
    }
}

struct TestNode {
    images: Images,
    peers: Arc<FakePeers>,
    directory: tempfile::TempDir,
}

impl TestNode {
    fn new() -> TestNode {
        let directory = tempfile::tempdir().unwrap();
        let peers = Arc::new(FakePeers::default());
        let bundled = vec![BundledImage {
            name: "redis",
            defaults: ImageDefaults { concurrency: Some(4), ..Default::default() },
            digest: digest_of(BUNDLED),
            size_bytes: BUNDLED.len() as u64,
            component: Arc::new(|| BUNDLED.to_vec()),
        }];
        TestNode { images: Images::open(directory.path(), bundled, peers.clone()).unwrap(), peers, directory }
    }

    fn knows(&self, node: u64, behaviour: impl Fn(BoxStream) + Send + Sync + 'static) {
        lock(&self.peers.managers).insert(NodeId(node), Arc::new(behaviour));
    }

    fn knows_manager(&self, node: u64, other: &TestNode) {
        let images = other.images.clone();
        self.knows(node, move |stream| {
            let service = BlobService(images.clone());
            tokio::spawn(async move { service.serve(memory_stream::peer(9, Role::Manager), stream).await });
        });
    }

    fn files(&self) -> Vec<String> {
        let names = |folder: &str| std::fs::read_dir(self.directory.path().join(folder)).unwrap();
        ["sha256", "unfinished"]
            .iter()
            .flat_map(|folder| names(folder))
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

#[tokio::test]
async fn a_bundled_image_is_found_by_name_and_becomes_a_file() {
    let node = TestNode::new();
    let (image, defaults) = node.images.resolve("redis", None).await.unwrap();
    assert_eq!((image.name.as_str(), image.digest, defaults.concurrency), ("redis", digest_of(BUNDLED), Some(4)));
    let path = node.images.ensure(image.digest).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), BUNDLED);
    let refused = node.images.resolve("postgres", None).await.unwrap_err();
    assert!(matches!(&refused, Rejection::NotFound(text) if text.contains("redis") && text.contains("path of a component")), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_named_component_stays_until_its_name_goes() {
    let node = TestNode::new();
    let digest = import(&node, component("mine"), 1).await.unwrap().digest;
    let (name, alias) = ("app:v1".parse().unwrap(), "redis".parse().unwrap());
    let named = Named { digest, named_at_ms: 5, defaults: ImageDefaults { http_port: Some(81), ..Default::default() }, manifest: None };
    node.images.name(&name, named.clone()).unwrap();
    node.images.name(&alias, named).unwrap();

    let (image, defaults) = node.images.resolve("app:v1", None).await.unwrap();
    assert_eq!((image.name.as_str(), image.digest, defaults.http_port), ("app:v1", digest, Some(81)));
    assert_eq!(node.images.resolve("redis", None).await.unwrap().0.digest, digest, "a name of the user's own hides a bundled one");
    let by_digest = node.images.resolve(&digest.to_string(), Some("app:v1")).await.unwrap();
    assert_eq!((by_digest.0.name.as_str(), by_digest.1.http_port), ("app:v1", Some(81)));
    let listed: Vec<_> = node.images.list().await.unwrap().into_iter().filter_map(|image| image.name).collect();
    assert_eq!(listed, ["redis", "app:v1", "redis:latest"]);

    assert_eq!(node.images.prune(&Default::default(), BTreeSet::new()).await.unwrap(), []);
    node.images.unname(&alias).unwrap().unwrap();
    node.images.unname(&name).unwrap().unwrap();
    assert_eq!(node.images.resolve("redis", None).await.unwrap().0.digest, digest_of(BUNDLED));
    assert_eq!(node.images.prune(&Default::default(), BTreeSet::from([digest])).await.unwrap(), []);
    assert_eq!(node.images.prune(&Default::default(), BTreeSet::new()).await.unwrap().len(), 1);
    assert_eq!(node.files(), Vec::<String>::new());
}

#[tokio::test]
async fn an_import_reaches_enough_managers_and_is_fetched_from_there() {
    let (importer, second, worker) = (TestNode::new(), TestNode::new(), TestNode::new());
    importer.knows_manager(2, &second);
    importer.knows(3, drop);
    let imported = import(&importer, component("mine"), 3).await.unwrap();
    assert_eq!(imported.name, None);

    worker.knows(1, drop);
    worker.knows_manager(2, &second);
    let path = worker.images.ensure(imported.digest).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), component("mine"));
    assert_eq!(worker.images.resolve(&imported.digest.to_string(), Some("./mine.wasm")).await.unwrap().0.name, "./mine.wasm");
}

#[tokio::test]
async fn an_import_that_a_lost_node_could_lose_is_refused() {
    let importer = TestNode::new();
    importer.knows(2, drop);
    importer.knows(3, drop);
    let error = import(&importer, component("mine"), 3).await.unwrap_err();
    assert!(matches!(error, ImageError::TooFewCopies { stored: 1, wanted: 2, .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_component_is_told_apart() {
    let node = TestNode::new();
    let module = import(&node, Bytes::from_static(b"\0asm\x01\0\0\0"), 1).await.unwrap_err().to_string();
    assert!(module.contains("core WebAssembly module"), "{module}");
    let text = import(&node, Bytes::from_static(b"#!/bin/sh"), 1).await.unwrap_err().to_string();
    assert!(text.contains("not a WebAssembly component"), "{text}");
    assert_eq!(node.files(), Vec::<String>::new());
}

/// As the API does, for a component that can run.
async fn import(node: &TestNode, component: Bytes, managers: usize) -> Result<StoredImage, ImageError> {
    let taken = node.images.take(&component).await?;
    node.images.spread(taken.image.digest, component, managers).await?;
    Ok(taken.image)
}

#[tokio::test(start_paused = true)]
async fn what_nobody_refers_to_goes_after_a_while() {
    let node = TestNode::new();
    let wanted = import(&node, component("wanted"), 1).await.unwrap().digest;
    let forgotten = import(&node, component("forgotten"), 1).await.unwrap().digest;
    let referred = BTreeSet::from([wanted]);
    tokio::time::advance(IMAGE_GRACE / 2).await;
    node.images.collect(&referred).await.unwrap();
    // Asked for again: its time begins anew.
    node.images.ensure(forgotten).await.unwrap();
    tokio::time::advance(IMAGE_GRACE * 2 / 3).await;
    node.images.collect(&referred).await.unwrap();
    assert_eq!(node.files().len(), 2);
    tokio::time::advance(IMAGE_GRACE).await;
    node.images.collect(&referred).await.unwrap();
    assert!(node.images.ensure(forgotten).await.is_err());
    assert!(node.images.ensure(wanted).await.is_ok());
}

#[tokio::test]
async fn pruning_takes_what_has_no_name_and_leaves_bundled_images() {
    let node = TestNode::new();
    let nameless = import(&node, component("nameless"), 1).await.unwrap().digest;
    let bundled = node.images.resolve("redis", None).await.unwrap().0.digest;
    node.images.ensure(bundled).await.unwrap();
    let pruned = node.images.prune(&ClusterState::default(), BTreeSet::new()).await.unwrap();
    assert_eq!(pruned.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), [nameless]);
    assert_eq!(node.files().len(), 1);
}

/// Answers every request with these bytes under a header that promises `promised_bytes`.
fn answers(bytes: &'static [u8], promised_bytes: u64) -> impl Fn(BoxStream) + Send + Sync {
    move |mut stream| {
        tokio::spawn(async move {
            let header = BTreeMap::from([("Sending", BTreeMap::from([("size_bytes", promised_bytes)]))]);
            frame::write(&mut stream, &header).await.unwrap();
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
        });
    }
}

#[tokio::test]
async fn wrong_bytes_and_a_cut_stream_leave_nothing_and_the_next_peer_is_asked() {
    let (node, good) = (TestNode::new(), TestNode::new());
    let wanted = import(&good, component("wanted"), 1).await.unwrap().digest;
    node.knows(1, answers(b"something else", 14));
    node.knows(2, answers(b"cut", 1_000));
    node.knows(3, answers(b"", u64::MAX));
    let error = node.images.ensure(wanted).await.unwrap_err();
    assert!(error.to_string().starts_with("image not found"), "{error}");
    assert_eq!(node.files(), Vec::<String>::new());

    node.knows_manager(4, &good);
    node.images.ensure(wanted).await.unwrap();
    assert_eq!(node.files().len(), 1);
}

#[tokio::test]
async fn a_damaged_file_is_fetched_again() {
    let (node, good) = (TestNode::new(), TestNode::new());
    let wanted = import(&good, component("wanted"), 1).await.unwrap().digest;
    let hex = wanted.to_string()["sha256:".len()..].to_owned();
    std::fs::write(node.directory.path().join("sha256").join(hex), b"damaged").unwrap();
    node.knows_manager(1, &good);
    let path = node.images.ensure(wanted).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), component("wanted"));
}

#[tokio::test]
async fn concurrent_callers_share_one_fetch() {
    let (node, good) = (TestNode::new(), TestNode::new());
    let wanted = import(&good, component("wanted"), 1).await.unwrap().digest;
    node.knows_manager(1, &good);
    let results = futures::future::join_all((0..20).map(|_| node.images.ensure(wanted))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(node.peers.opened.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_worker_hands_out_nothing() {
    let node = TestNode::new();
    let (mut near, far) = memory_stream::pair();
    let service = BlobService(node.images.clone());
    let serving = tokio::spawn(async move { service.serve(memory_stream::peer(5, Role::Worker), far).await });
    let bytes = component("mine");
    let error = blob::put(&mut near, digest_of(&bytes), &bytes).await.unwrap_err();
    assert!(error.to_string().contains("only managers"), "{error}");
    serving.await.unwrap();
    assert_eq!(node.files(), Vec::<String>::new());
}

#[tokio::test]
async fn an_unreachable_peer_is_named() {
    struct Nobody;
    #[async_trait]
    impl BlobPeers for Nobody {
        fn managers(&self) -> Vec<NodeId> {
            vec![NodeId(7)]
        }
        fn others(&self) -> Vec<NodeId> {
            Vec::new()
        }
        async fn open(&self, _: NodeId) -> Result<BoxStream, PeerError> {
            Err(PeerError::Link(LinkError::Lost("it is away".into())))
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let images = Images::open(directory.path(), Vec::new(), Arc::new(Nobody)).unwrap();
    let error = images.ensure(Digest([1; 32])).await.unwrap_err().to_string();
    assert!(error.contains("n7: connection lost: it is away"), "{error}");
}
