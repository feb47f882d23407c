//! One published UDP port: the socket in front of a [`UdpDoor`] of the virtual network.
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use minicloud_net::{Switch, UdpDoor, UdpTarget};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::bind;
use super::client_socket::ClientSocket;
use super::plan::{Listen, Target};
use crate::limits::{ACCEPT_RETRY_DELAY, INGRESS_UDP_READ_BYTES};

/// An open port. Dropping it closes the port, and nobody hears late answers.
pub struct UdpPort {
    _serving: JoinSet<()>,
}

impl UdpPort {
    pub fn open(listen: Listen, target: watch::Receiver<Target>, switch: &Switch) -> io::Result<(UdpPort, Vec<SocketAddr>)> {
        let sockets = bind::udp(listen.address)?;
        let addresses = sockets.iter().map(ClientSocket::local_address).collect::<io::Result<_>>()?;
        let mut serving = JoinSet::new();
        for socket in sockets {
            let mailroom = Mailroom { socket, target: target.clone(), door: switch.open_door() };
            serving.spawn(mailroom.serve());
        }
        Ok((UdpPort { _serving: serving }, addresses))
    }
}

struct Mailroom {
    socket: ClientSocket,
    target: watch::Receiver<Target>,
    door: UdpDoor,
}

impl Mailroom {
    async fn serve(self) {
        let mut buffer = vec![0; INGRESS_UDP_READ_BYTES];
        loop {
            tokio::select! {
                received = self.socket.receive(&mut buffer) => match received {
                    Ok((client, received)) => {
                        let target = target(*self.target.borrow());
                        received.datagrams(&buffer).for_each(|payload| self.door.send(client, target, Bytes::copy_from_slice(payload)));
                    }
                    Err(error) => {
                        warn!(%error, "could not receive at a published port");
                        sleep(ACCEPT_RETRY_DELAY).await;
                    }
                },
                answer = poll_fn(|cx| self.door.poll_answer(cx)) => {
                    let Ok((client, payload)) = answer else { return };
                    if let Err(error) = self.socket.send(client, &payload).await {
                        debug!(client = %client.address, %error, "an answer could not leave by a published port");
                    }
                }
            }
        }
    }
}

fn target(target: Target) -> UdpTarget {
    match target.task {
        Some(task) => UdpTarget::Task { task, port: target.port },
        None => UdpTarget::Service { service: target.service, port: target.port },
    }
}
