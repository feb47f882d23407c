//! The `wasi:cli/run` export: arguments, the file, the listener.

use crate::aof_file::AofFile;
use crate::config::Config;
use crate::engine::Engine;
use crate::server::Server;
use crate::{aof_task, client};
use guest_common::{clock, log};
use std::rc::Rc;
use wasip3::cli::environment::get_arguments;
use wasip3::sockets::types::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};
use wasip3::spawn_local;
use wasip3::wit_bindgen::StreamReader;

struct Command;
wasip3::cli::command::export!(Command);

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        serve().await.map_err(|error| log::line(format_args!("fatal: {error}")))
    }
}

async fn serve() -> Result<(), String> {
    let arguments = get_arguments();
    let config = Config::from_arguments(arguments.get(1..).unwrap_or_default())?;
    let port = config.port;
    let mut engine = Engine::new(config, now_ms());
    let file = open_file(&mut engine).await?;
    let server = Rc::new(Server::new(engine));
    if let Some(file) = file {
        aof_task::spawn(&server, file);
    }
    spawn_expiry(&server);
    let (_socket, mut connections) = listen(port).map_err(|code| format!("cannot listen: {code:?}"))?;
    log::line(format_args!("Ready to accept connections tcp on 0.0.0.0:{port}"));
    while let Some(socket) = connections.next().await {
        spawn_local(client::serve(Rc::clone(&server), socket));
    }
    Err("the listener has ended".to_owned())
}

/// Reads the append-only file back, if there is a volume to keep it.
async fn open_file(engine: &mut Engine) -> Result<Option<AofFile>, String> {
    let file = if engine.config.append_only { AofFile::open().await? } else { None };
    engine.config.append_only = file.is_some();
    let Some(mut file) = file else {
        log::line("No append-only file: what is kept here is lost with this task");
        return Ok(None);
    };
    let torn = file.load(engine).await?;
    if torn > 0 {
        log::line(format_args!("Truncated the append-only file by {torn} bytes that a crash had torn"));
    }
    let keys: usize = engine.databases.iter().map(|keys| keys.len()).sum();
    log::line(format_args!("Loaded {keys} keys from an append-only file of {} bytes", file.length()));
    engine.journal.enable();
    Ok(Some(file))
}

fn listen(port: u16) -> Result<(TcpSocket, StreamReader<TcpSocket>), wasip3::sockets::types::ErrorCode> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (0, 0, 0, 0) }))?;
    let connections = socket.listen()?;
    Ok((socket, connections))
}

/// Frees expired keys that nobody asks for; commands see none of them in any case.
fn spawn_expiry(server: &Rc<Server>) {
    const INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
    let server = Rc::clone(server);
    spawn_local(async move {
        loop {
            clock::sleep(INTERVAL).await;
            if server.is_paused() {
                continue;
            }
            server.engine().expire(now_ms());
            server.after_commands();
        }
    });
}

/// Unix milliseconds.
pub fn now_ms() -> u64 {
    u64::try_from(clock::unix().as_millis()).unwrap_or(u64::MAX)
}
