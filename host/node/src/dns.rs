//! A DNS server on each node that answers the names of the cluster's services to programs of the machine.
//!
//! `<service>.<network>.minicloud` and `tasks.<service>.<network>.minicloud`, from the same table that routes
//! connections, with a time to live of zero. Whatever else is asked is refused: this is nobody's resolver.
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use async_trait::async_trait;
use hickory_proto::op::{Edns, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use minicloud_core::id::NetworkId;
use minicloud_core::names;
use minicloud_net::Switch;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::limits::{DNS_TCP_ANSWERS_MAX, DNS_TCP_TIMEOUT};

/// Bytes of an answer that a client may take over UDP, by our side of EDNS.
const UDP_PAYLOAD_BYTES: u16 = 1_232;

/// A server whose sockets are bound. Consumed by [`Dns::run`].
pub struct Dns {
    server: Server<Names>,
    address: SocketAddr,
}

impl Dns {
    /// Binds UDP and TCP at `address`; port 0 chooses one that is free for both.
    pub async fn bind(address: SocketAddr, switch: Switch) -> io::Result<Dns> {
        let tcp = TcpListener::bind(address).await?;
        let address = tcp.local_addr()?;
        let udp = UdpSocket::bind(address).await?;
        let mut server = Server::new(Names { switch });
        server.register_socket(udp);
        server.register_listener(tcp, DNS_TCP_TIMEOUT, DNS_TCP_ANSWERS_MAX);
        info!(%address, "answering DNS");
        Ok(Dns { server, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn run(mut self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
        if let Err(error) = self.server.shutdown_gracefully().await {
            debug!(%error, "DNS server did not end cleanly");
        }
    }
}

struct Names {
    switch: Switch,
}

#[async_trait]
impl RequestHandler for Names {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut responses: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        metadata.recursion_available = false;
        let (code, records) = self.answer(request);
        metadata.response_code = code;
        metadata.authoritative = code != ResponseCode::Refused;
        let edns = request.edns.as_ref().map(|_| our_edns());
        let mut response = MessageResponseBuilder::new(&request.queries, edns.as_ref());
        if let Some(edns) = &edns {
            response.edns(edns);
        }
        let response = response.build(metadata, records.iter(), [], [], []);
        match responses.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                debug!(%error, client = %request.src(), "DNS answer not sent");
                let mut failed = Metadata::response_from_request(&request.metadata);
                failed.response_code = ResponseCode::ServFail;
                ResponseInfo::from(hickory_proto::op::Header { metadata: failed, counts: Default::default() })
            }
        }
    }
}

impl Names {
    fn answer(&self, request: &Request) -> (ResponseCode, Vec<Record>) {
        let info = match request.request_info() {
            Ok(info) if info.metadata.op_code == OpCode::Query => info,
            Ok(_) => return (ResponseCode::NotImp, Vec::new()),
            Err(_) => return (ResponseCode::FormErr, Vec::new()),
        };
        let name = info.query.original().name();
        if info.query.query_class() != DNSClass::IN {
            return (ResponseCode::Refused, Vec::new());
        }
        match self.addresses(&name.to_ascii()) {
            Answer::NotOurs => (ResponseCode::Refused, Vec::new()),
            Answer::NoSuchName => (ResponseCode::NXDomain, Vec::new()),
            Answer::Addresses(addresses) => match info.query.query_type() {
                RecordType::A | RecordType::ANY => (ResponseCode::NoError, records(name, &addresses)),
                _ => (ResponseCode::NoError, Vec::new()),
            },
        }
    }

    fn addresses(&self, name: &str) -> Answer {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let labels: Vec<&str> = name.split('.').collect();
        let routes = self.switch.routes();
        match labels.as_slice() {
            [.., zone] if *zone != names::ZONE => Answer::NotOurs,
            // The zone and its networks have no addresses, but they are there.
            [_] => Answer::Addresses(Vec::new()),
            [network, _] if routes.networks.values().any(|known| known.name == *network) => Answer::Addresses(Vec::new()),
            _ => {
                let networks: Vec<NetworkId> = routes.networks.keys().copied().collect();
                names::resolve(&routes, &networks, &name).map_or(Answer::NoSuchName, Answer::Addresses)
            }
        }
    }
}

enum Answer {
    NotOurs,
    NoSuchName,
    Addresses(Vec<Ipv4Addr>),
}

fn records(name: &Name, addresses: &[Ipv4Addr]) -> Vec<Record> {
    addresses.iter().map(|address| Record::from_rdata(name.clone(), 0, RData::A(A(*address)))).collect()
}

fn our_edns() -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD_BYTES);
    edns
}

#[cfg(test)]
mod tests;
