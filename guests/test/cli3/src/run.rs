//! The `wasi:cli/run` export.

use crate::{files, tcp, udp};
use guest_common::{clock, log};
use std::error::Error;
use std::time::Duration;
use wasip3::cli::environment::{get_arguments, get_environment};
use wasip3::cli::exit::exit_with_code;
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::IpAddress;

pub type Outcome = Result<(), Box<dyn Error>>;

struct Command;
wasip3::cli::command::export!(Command);

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        let words = get_arguments();
        let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        perform(&words).await.map_err(|error| log::line(format_args!("error: {error}")))
    }
}

async fn perform(words: &[&str]) -> Outcome {
    match words {
        [] | ["hello"] => log::line("hello"),
        ["exit", code] => exit_with_code(code.parse()?),
        ["fail"] => return Err("as asked".into()),
        ["trap"] => std::process::abort(),
        ["spin"] => spin(),
        ["env"] => env(),
        ["cat", path] => files::cat(path).await?,
        ["size", path] => files::size(path).await?,
        ["write", path, text] => files::write(path, text).await?,
        ["ls", path] => files::list(path).await?,
        ["sleep", ms] => clock::sleep(Duration::from_millis(ms.parse()?)).await,
        ["sleeps", count, ms] => sleeps(count.parse()?, ms.parse()?).await,
        ["resolve", name] => resolve(name).await?,
        ["echo-server", port] => tcp::echo_server(port.parse()?).await?,
        ["echo-client", host, port, bytes] => {
            tcp::echo_clients(host, port.parse()?, bytes.parse()?, 1).await?;
        }
        ["echo-clients", host, port, bytes, count] => {
            tcp::echo_clients(host, port.parse()?, bytes.parse()?, count.parse()?).await?;
        }
        ["connect", host, port] => tcp::try_connect(host, port.parse()?).await?,
        ["copy", from, to] => files::copy(from, to).await?,
        ["append", from, to] => files::append(from, to).await?,
        ["udp-server", port] => udp::server(port.parse()?).await?,
        ["udp-who", port] => udp::who(port.parse()?).await?,
        ["udp-client", host, port] => udp::client(host, port.parse()?).await?,
        words => return Err(format!("unknown arguments {words:?}").into()),
    }
    Ok(())
}

fn spin() {
    log::line("spinning");
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn env() {
    let mut variables = get_environment();
    variables.sort();
    for (name, value) in variables {
        log::line(format_args!("{name}={value}"));
    }
}

/// Waits that overlap: all together they take as long as one.
async fn sleeps(count: usize, ms: u64) {
    let start = clock::monotonic();
    let sleep = |_| clock::sleep(Duration::from_millis(ms));
    futures::future::join_all((0..count).map(sleep)).await;
    log::line(format_args!("slept {count} times in {} ms", (clock::monotonic() - start).as_millis()));
}

async fn resolve(name: &str) -> Outcome {
    for address in lookup(name).await? {
        log::line(show(address));
    }
    Ok(())
}

pub async fn lookup(name: &str) -> Result<Vec<IpAddress>, Box<dyn Error>> {
    let addresses = resolve_addresses(name.to_owned()).await;
    addresses.map_err(|code| format!("cannot resolve {name}: {code:?}").into())
}

pub fn show(address: IpAddress) -> String {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => format!("{a}.{b}.{c}.{d}"),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => std::net::Ipv6Addr::new(a, b, c, d, e, f, g, h).to_string(),
    }
}
