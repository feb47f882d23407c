//! One published TCP port: accepts clients and carries each to a task.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use minicloud_net::{Connection, NetError, Switch};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::bind;
use super::plan::{Listen, Target};
use crate::limits::ACCEPT_RETRY_DELAY;
use crate::overlay::pump::pump;
use crate::socket_stream::SocketStream;
use crate::transport::ByteStream;

/// An open port. Dropping it closes the port and leaves the connections.
pub struct TcpPort {
    _accepting: JoinSet<()>,
}

impl TcpPort {
    pub fn open(
        listen: Listen,
        target: watch::Receiver<Target>,
        switch: &Switch,
        connections: &Arc<Semaphore>,
    ) -> io::Result<(TcpPort, Vec<SocketAddr>)> {
        let listeners = bind::tcp(listen.address)?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let door = Door { listener, target: target.clone(), switch: switch.clone(), connections: connections.clone() };
            accepting.spawn(door.accept());
        }
        Ok((TcpPort { _accepting: accepting }, addresses))
    }
}

struct Door {
    listener: TcpListener,
    target: watch::Receiver<Target>,
    switch: Switch,
    connections: Arc<Semaphore>,
}

impl Door {
    async fn accept(self) {
        loop {
            let permit = self.connections.clone().acquire_owned().await.expect("the semaphore is never closed");
            match self.listener.accept().await {
                Ok((stream, client)) => {
                    let (target, switch) = (*self.target.borrow(), self.switch.clone());
                    tokio::spawn(async move {
                        serve(stream, client, target, &switch).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "could not accept a client of a published port");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, client: SocketAddr, target: Target, switch: &Switch) {
    let mut stream = SocketStream::of_client(stream);
    match connect(client, target, switch).await {
        Ok(connection) => pump(Box::new(stream), connection).await,
        Err(error) => {
            debug!(%client, service = %target.service, %error, "no task takes the connection");
            stream.reset();
        }
    }
}

async fn connect(client: SocketAddr, target: Target, switch: &Switch) -> Result<Connection, NetError> {
    match target.task {
        Some(task) => switch.connect_host_port(client, task, target.port).await,
        None => switch.connect_published(client, target.service, target.port).await,
    }
}
