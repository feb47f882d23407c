//! Writes that three nodes acknowledge, beside those of three nodes of etcd. There is no aim: the two keep different
//! things, but both bring each write to the disks of a majority before they answer.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use minicloud_node::api::types::CreateVolume;
use minicloud_node::client::Client;

use crate::cluster::{Cluster, wait_for};
use crate::figure::{Figure, Unit};
use crate::peer::{Peer, free_address, program};

const NODES: usize = 3;
/// Writes one after the other, for the time that one takes.
const SINGLE_WRITES: usize = 300;
/// Writers at once, for how many there are in a second.
const WRITERS: usize = 16;
const WRITES_PER_WRITER: usize = 60;
const RUNS: usize = 3;

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let program = program("etcd", "etcd-server")?;
    let urls = (0..NODES).map(|_| Ok(format!("http://{}", free_address()?))).collect::<anyhow::Result<Vec<_>>>()?;
    let initial: Vec<String> = urls.iter().enumerate().map(|(node, url)| format!("e{node}={url}")).collect();
    let theirs = urls.iter().enumerate().map(|(node, url)| {
        Peer::start(&program, |folder, address| {
            let client = format!("http://{address}");
            let data = folder.join("data").display().to_string();
            let words =
                ["--name", &format!("e{node}"), "--data-dir", &data, "--listen-peer-urls", url, "--initial-advertise-peer-urls", url];
            let words = words.into_iter().chain(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            Ok(words.chain(["--initial-cluster", &initial.join(",")]).map(str::to_owned).collect())
        })
    });
    let theirs = theirs.collect::<anyhow::Result<Vec<_>>>()?;
    let etcd = theirs[0].address;
    wait_for("etcd takes a write", || Etcd::open(etcd).and_then(|mut etcd| etcd.put("first")).ok())?;
    let cluster = Cluster::of(NODES)?;
    let node = cluster.nodes[0].data_dir.clone();

    let mut figures = Figures::default();
    for run in 0..RUNS {
        let (mut ours, mut theirs) = (Minicloud::open(&node)?, Etcd::open(etcd)?);
        figures.ours_ms.extend(times_ms(|name| ours.put(name), run)?);
        figures.theirs_ms.extend(times_ms(|name| theirs.put(name), run)?);
        figures.ours.push(rate(run, || Minicloud::open(&node), Minicloud::put)?);
        figures.theirs.push(rate(run, || Etcd::open(etcd), Etcd::put)?);
    }
    Ok(vec![
        Figure::told("writes", "a write that three nodes acknowledge, p50", Unit::Millis, figures.ours_ms),
        Figure::told("etcd-writes", "etcd: the same", Unit::Millis, figures.theirs_ms),
        Figure::told("writes-rate", "such writes by 16 writers", Unit::PerSecond, figures.ours),
        Figure::told("etcd-writes-rate", "etcd: the same", Unit::PerSecond, figures.theirs),
    ])
}

#[derive(Default)]
struct Figures {
    ours_ms: Vec<f64>,
    theirs_ms: Vec<f64>,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

fn times_ms(mut put: impl FnMut(&str) -> anyhow::Result<()>, run: usize) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(SINGLE_WRITES);
    for number in 0..SINGLE_WRITES {
        let began = Instant::now();
        put(&format!("single-{run}-{number}"))?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// Writes per second of several writers, each with a client of its own.
fn rate<C>(
    run: usize,
    open: impl Fn() -> anyhow::Result<C> + Sync,
    put: impl Fn(&mut C, &str) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<f64> {
    let began = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (open, put) = (&open, &put);
                scope.spawn(move || {
                    let mut client = open()?;
                    (0..WRITES_PER_WRITER).try_for_each(|number| put(&mut client, &format!("many-{run}-{writer}-{number}")))
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().ok().context("a writer panicked")?)
    })?;
    Ok((WRITERS * WRITES_PER_WRITER) as f64 / began.elapsed().as_secs_f64())
}

/// A client of the API of one node, in which a write makes a volume.
struct Minicloud {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Minicloud {
    fn open(data_dir: &std::path::Path) -> anyhow::Result<Minicloud> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(Client::connect_data_dir(data_dir))?;
        Ok(Minicloud { runtime, client })
    }

    fn put(&mut self, name: &str) -> anyhow::Result<()> {
        let volume = CreateVolume { name: name.to_owned(), driver: None, labels: [].into() };
        self.runtime.block_on(self.client.create_volume(&volume))?;
        Ok(())
    }
}

/// A connection to the JSON door of etcd.
struct Etcd(BufReader<TcpStream>);

impl Etcd {
    fn open(address: SocketAddr) -> anyhow::Result<Etcd> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Etcd(BufReader::new(stream)))
    }

    fn put(&mut self, key: &str) -> anyhow::Result<()> {
        // Base64, as the door wants it, without a byte of it escaped.
        let key: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        let padded = format!("{key}{}", "A".repeat((4 - key.len() % 4) % 4));
        let body = format!(r#"{{"key":"{padded}","value":"{padded}"}}"#);
        let head =
            format!("POST /v3/kv/put HTTP/1.1\r\nhost: etcd\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        self.0.get_mut().write_all((head + &body).as_bytes())?;
        let (mut line, mut length) = (String::new(), 0);
        self.0.read_line(&mut line)?;
        ensure!(line.contains(" 200 "), "etcd: {line}");
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        Ok(())
    }
}
