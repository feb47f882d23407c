//! One client: its requests in, its replies out. A client that does not read its replies stops
//! being read, and holds up nobody else.

use crate::engine::Output;
use crate::limits::{CLIENT_LINGER, OUTPUT_BYTES_HIGH, READ_BYTES_MAX, READ_BYTES_MIN, READS_PER_TURN};
use crate::notify::Notify;
use crate::reply::Reply;
use crate::request::Parser;
use crate::run::now_ms;
use crate::server::Server;
use crate::session::{ClientId, End};
use futures::future::{join, select};
use guest_common::clock;
use std::pin::pin;
use std::rc::Rc;
use wasip3::sockets::types::{IpSocketAddress, TcpSocket};
use wasip3::wit_bindgen::rt::async_support::yield_async;
use wasip3::wit_bindgen::{StreamReader, StreamResult, StreamWriter};
use wasip3::wit_stream;

/// Serves a connection until either side ends it.
pub async fn serve(server: Rc<Server>, socket: TcpSocket) {
    let (mut writer, outgoing) = wit_stream::new();
    let sent = socket.send(outgoing);
    let peer = socket.get_remote_address().map_or_else(|_| "?:0".to_owned(), address);
    let local = socket.get_local_address().map_or_else(|_| "?:0".to_owned(), address);
    let admitted = server.engine().connect(peer, local, now_ms());
    let id = match admitted {
        Ok(id) => id,
        Err(error) => {
            let mut bytes = Vec::new();
            Reply::Error(error).encode(&mut bytes, Default::default());
            let _ = clock::timeout(CLIENT_LINGER, writer.write_all(bytes)).await;
            return;
        }
    };
    let (reader, _received) = socket.receive();
    let client = Client { id, notify: server.add_client(id), server };
    let conversation = pin!(join(client.read(reader), client.write(writer)));
    let dropped = pin!(client.notify.until(|| (client.end() == Some(End::Drop)).then_some(())));
    select(conversation, dropped).await;
    client.server.remove_client(id);
    // The last bytes leave with the socket: keep it until they have gone.
    let _ = clock::timeout(CLIENT_LINGER, async { sent.await }).await;
}

struct Client {
    id: ClientId,
    server: Rc<Server>,
    /// The state of this client's session has changed.
    notify: Rc<Notify>,
}

impl Client {
    /// Runs requests until the client sends no more, or has to go.
    async fn read(&self, mut reader: StreamReader<u8>) {
        let mut parser = Parser::default();
        let mut space = READ_BYTES_MIN;
        for turn in 1_u32.. {
            if self.run_requests(&mut parser).await.is_break() {
                return;
            }
            let (result, buffer) = reader.read(parser.take_buffer(space)).await;
            let full = buffer.len() == buffer.capacity();
            space = if full { (space * 2).min(READ_BYTES_MAX) } else { space };
            parser.put_buffer(buffer);
            if result == StreamResult::Dropped {
                self.finish(End::Flush);
                return;
            }
            // Reads that never have to wait must not keep others from theirs.
            if turn.is_multiple_of(READS_PER_TURN) {
                yield_async().await;
            }
        }
    }

    /// Runs every whole request that has arrived, pausing while too many replies wait to be sent.
    async fn run_requests(&self, parser: &mut Parser) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let flow = loop {
            if self.is_stopped() {
                self.server.after_commands();
                self.notify.notify();
                self.notify.until(|| (!self.is_stopped() || self.end().is_some()).then_some(())).await;
                if self.end().is_some() {
                    break Break(());
                }
            }
            let request = parser.next_request();
            let mut engine = self.server.engine();
            match request {
                Ok(Some(request)) => engine.execute(self.id, &request, now_ms()),
                Ok(None) => break Continue(()),
                Err(error) => {
                    engine.refuse(self.id, error);
                    break Break(());
                }
            }
        };
        self.server.after_commands();
        self.notify.notify();
        flow
    }

    /// Whether the next request has to wait, or there must be none.
    fn is_stopped(&self) -> bool {
        let engine = self.server.engine();
        let session = engine.sessions.get(&self.id);
        self.server.is_paused() || session.is_none_or(|session| session.end.is_some() || session.output.len() >= OUTPUT_BYTES_HIGH)
    }

    /// Sends replies and messages until there will be no more.
    async fn write(&self, mut writer: StreamWriter<u8>) {
        while let Some(output) = self.notify.until(|| self.next_output()).await {
            self.server.until_safe(&output).await;
            if !writer.write_all(output.bytes).await.is_empty() {
                self.finish(End::Drop);
                return;
            }
            self.notify.notify();
        }
    }

    /// What to send next; none for ever once the session has ended.
    fn next_output(&self) -> Option<Option<Output>> {
        let mut engine = self.server.engine();
        let Some(session) = engine.sessions.get(&self.id) else { return Some(None) };
        let end = session.end;
        if !session.output.is_empty() {
            return Some(Some(engine.take_output(self.id)));
        }
        end.map(|_| None)
    }

    fn end(&self) -> Option<End> {
        self.server.engine().sessions.get(&self.id).map_or(Some(End::Drop), |session| session.end)
    }

    fn finish(&self, end: End) {
        if let Some(session) = self.server.engine().sessions.get_mut(&self.id) {
            session.end = Some(end);
        }
        self.notify.notify();
    }
}

fn address(address: IpSocketAddress) -> String {
    match address {
        IpSocketAddress::Ipv4(address) => {
            let (a, b, c, d) = address.address;
            format!("{a}.{b}.{c}.{d}:{}", address.port)
        }
        IpSocketAddress::Ipv6(address) => {
            let (a, b, c, d, e, f, g, h) = address.address;
            format!("[{}]:{}", std::net::Ipv6Addr::new(a, b, c, d, e, f, g, h), address.port)
        }
    }
}
