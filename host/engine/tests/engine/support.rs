//! One node for tests: an engine, a switch, and the routes that a cluster would have sent.
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use minicloud_core::id::{Index, NetworkId, NodeId, ServiceId, TaskId};
use minicloud_core::spec::{Digest, EndpointMode};
use minicloud_core::state::Slot;
use minicloud_core::task::{Exit, LogStream};
use minicloud_core::view::{Backend, NetworkRoute, Routes, ServiceRoute};
use minicloud_engine::{Component, ComponentSource, Engine, EngineError, EngineOptions, RunSpec, Task};
use minicloud_net::{NoUplink, Switch, TaskNet};
use sha2::Digest as _;

/// The longest any test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const NETWORK: NetworkId = NetworkId(1);
pub const OTHER_NETWORK: NetworkId = NetworkId(2);
const NODE: NodeId = NodeId(1);

/// The test guests: commands and HTTP services on WASI 0.2 and 0.3.
pub const CLI2: &str = "test-cli2";
pub const CLI3: &str = "test_cli3";
pub const LIFECYCLE: &str = "test_lifecycle";
pub const HTTP2: &str = "test_http2";
pub const HTTP3: &str = "test_http3";

/// A node on which services run under their names.
pub struct Node {
    pub engine: Engine,
    pub switch: Switch,
    routes: Mutex<Routes>,
}

/// A task, and what it logged.
pub struct Running {
    pub task: Task,
    pub net: TaskNet,
    pub address: Ipv4Addr,
    pub log: Log,
}

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(LogStream, String)>>>);

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }

    pub fn of(&self, stream: LogStream) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|(of, _)| *of == stream).map(|(_, line)| line.clone()).collect()
    }

    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    fn sink(&self) -> minicloud_engine::LogSink {
        let lines = self.0.clone();
        Arc::new(move |stream, line| lines.lock().unwrap().push((stream, String::from_utf8_lossy(line).into_owned())))
    }
}

pub fn options() -> EngineOptions {
    let folder = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let cache_dir = folder.join("minicloud-engine-cache");
    EngineOptions { cache_dir, memory_bytes: 128 << 20, guest_threads: 2 }
}

/// A component of the guests' workspace.
pub fn guest(name: &str) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../guests/target/wasm32-wasip2/release/{name}.wasm"));
    match std::fs::read(&path) {
        Ok(bytes) => bytes.into(),
        Err(error) => {
            panic!("no component {}: {error}; build it: cd guests && cargo build --release --target wasm32-wasip2", path.display())
        }
    }
}

pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest(sha2::Sha256::digest(bytes).into())
}

pub async fn load(engine: &Engine, bytes: Bytes) -> Result<Component, EngineError> {
    engine.load(digest_of(&bytes), ComponentSource::Bytes(bytes)).await
}

impl Node {
    pub fn new() -> Node {
        Node::with(options())
    }

    pub fn with(options: EngineOptions) -> Node {
        let node = Node {
            engine: Engine::new(options).expect("an engine"),
            switch: Switch::new(NODE, Arc::new(NoUplink)),
            routes: Mutex::default(),
        };
        node.change_routes(|routes| {
            for (id, name, octet) in [(NETWORK, "net", 1), (OTHER_NETWORK, "other", 2)] {
                let subnet = format!("10.{octet}.0.0/16").parse().unwrap();
                let network =
                    NetworkRoute { id, name: name.to_owned(), subnet, internal: false, attachable: true, ingress: false, egress: false };
                routes.networks.insert(id, Arc::new(network));
            }
        });
        node
    }

    fn change_routes(&self, change: impl FnOnce(&mut Routes)) {
        let mut routes = self.routes.lock().unwrap();
        change(&mut routes);
        routes.index = Index(routes.index.0 + 1);
        self.switch.set_routes(routes.clone());
    }

    /// A place on the network without a component: for the test itself.
    pub fn client(&self, network: NetworkId) -> TaskNet {
        self.attach("client", network, 0).1
    }

    /// Give a task of `service` its address and its routes; every service is one number in the subnet.
    fn attach(&self, service: &str, network: NetworkId, slot: u8) -> (Ipv4Addr, TaskNet) {
        let mut number = 0;
        let mut task = TaskId(0);
        let mut address = Ipv4Addr::UNSPECIFIED;
        self.change_routes(|routes| {
            let known = routes.services.values().find(|route| route.name == service).map(|route| route.id);
            number = known.map_or(routes.services.len() as u64 + 1, |id| id.0);
            task = TaskId(number * 1000 + u64::from(slot));
            let octet = network.0 as u8;
            address = Ipv4Addr::new(10, octet, number as u8, slot + 2);
            let vip = Ipv4Addr::new(10, octet, number as u8, 1);
            let backend = Backend { task, slot: Slot::Replica(1), node: NODE, addresses: BTreeMap::from([(network, address)]) };
            let mut route = match routes.services.get(&ServiceId(number)) {
                Some(route) => ServiceRoute::clone(route),
                None => ServiceRoute {
                    id: ServiceId(number),
                    name: service.to_owned(),
                    endpoint_mode: EndpointMode::Vip,
                    vips: BTreeMap::from([(network, vip)]),
                    aliases: BTreeMap::from([(network, Vec::new())]),
                    ports: Vec::new(),
                    backends: Vec::new(),
                    expects_tasks: true,
                },
            };
            route.backends.retain(|known| known.task != task);
            route.backends.push(backend);
            routes.services.insert(route.id, Arc::new(route));
        });
        (address, self.switch.attach(task, Some(ServiceId(number)), BTreeMap::from([(network, address)])))
    }

    /// Run a guest of the guests' workspace as a task of `service`.
    pub async fn run(&self, service: &str, guest_name: &str, args: &[&str]) -> Running {
        self.run_with(service, guest_name, args, |_| {}).await
    }

    pub async fn run_with(&self, service: &str, guest_name: &str, args: &[&str], change: impl FnOnce(&mut RunSpec)) -> Running {
        let component = load(&self.engine, guest(guest_name)).await.expect(guest_name);
        self.start(service, &component, NETWORK, args, change).await.expect(service)
    }

    pub async fn start(
        &self,
        service: &str,
        component: &Component,
        network: NetworkId,
        args: &[&str],
        change: impl FnOnce(&mut RunSpec),
    ) -> Result<Running, EngineError> {
        self.start_slot(service, 1, component, network, args, change).await
    }

    pub async fn start_slot(
        &self,
        service: &str,
        slot: u8,
        component: &Component,
        network: NetworkId,
        args: &[&str],
        change: impl FnOnce(&mut RunSpec),
    ) -> Result<Running, EngineError> {
        let (address, net) = self.attach(service, network, slot);
        let log = Log::default();
        let mut spec = RunSpec::new(net.task(), service);
        spec.log = log.sink();
        spec.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        change(&mut spec);
        let task = self.engine.start(spec, component, net.clone()).await?;
        Ok(Running { task, net, address, log })
    }
}

impl Running {
    pub async fn wait(&self) -> Exit {
        patiently("the task to end", self.task.wait()).await
    }
}

/// One request on a connection of its own.
pub async fn get(net: &TaskNet, host: &str, path: &str) -> (u16, Bytes) {
    let mut client = HttpClient::connect(net, host).await;
    client.get(path).await
}

/// One keep-alive connection.
pub struct HttpClient {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl HttpClient {
    pub async fn connect(net: &TaskNet, host: &str) -> HttpClient {
        let (name, port) = host.split_once(':').unwrap_or((host, "80"));
        let ip = net.resolve(name).expect(name)[0];
        let connection = net.connect(None, SocketAddr::new(ip, port.parse().unwrap())).await.expect(host);
        let (sender, driver) = handshake(TokioIo::new(connection)).await.unwrap();
        tokio::spawn(driver);
        HttpClient { sender, host: host.to_owned() }
    }

    pub async fn send(&mut self, method: &str, path: &str, body: impl Into<Bytes>) -> http::Response<hyper::body::Incoming> {
        let request = http::Request::builder().method(method).uri(path).header("host", &self.host);
        let request = request.body(Full::new(body.into())).unwrap();
        patiently("the connection to be ready", self.sender.ready()).await.expect("an open connection");
        patiently("an answer", self.sender.send_request(request)).await.expect("an answer")
    }

    pub async fn get(&mut self, path: &str) -> (u16, Bytes) {
        let response = self.send("GET", path, Bytes::new()).await;
        (response.status().as_u16(), patiently("a body", response.into_body().collect()).await.expect("a body").to_bytes())
    }
}

pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// Wait for a condition that nothing announces.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
