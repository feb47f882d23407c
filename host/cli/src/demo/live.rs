//! The live view of the demo on the terminal: speed, coins, workers, leader, bottleneck.
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use minicloud_node::api::types::{Info, ServiceUsage};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::PAGE_PORT;
use super::bottleneck::{self, Earlier};
use super::nodes::DemoNodes;
use crate::screen::Screen;

const REFRESH: Duration = Duration::from_secs(1);
/// Bound on asking the page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// Seconds over which the speed is averaged: workers report about once a second.
const SPEED_WINDOW: usize = 10;
/// Columns of the small graph.
const GRAPH_COLUMNS: usize = 60;
/// Services whose admission is looked at.
const SERVED: [&str; 3] = ["rng", "hasher", "webui"];

/// What webui answers on `/json`.
#[derive(Clone, Debug, Deserialize)]
struct Count {
    coins: u64,
    hashes: Option<String>,
    now: f64,
}

/// What is known at one moment; `None`: nobody answered.
struct Moment {
    count: Option<Count>,
    info: Option<Info>,
    workers: Option<(u32, u32)>,
    usage: Vec<ServiceUsage>,
}

/// Shows the demo until Ctrl-C.
pub async fn show(nodes: &DemoNodes, terminal: bool) -> anyhow::Result<()> {
    let mut page = Redrawn { terminal, lines: 0 };
    let mut view = View { samples: VecDeque::new(), speeds: VecDeque::new(), earlier: Earlier::new(), bottleneck: String::new() };
    let mut tick = tokio::time::interval(REFRESH);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = tick.tick() => {}
        }
        let moment = tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            moment = look(nodes) => moment,
        };
        view.add(&moment);
        page.draw(&view.render(nodes, &moment, terminal));
    }
}

async fn look(nodes: &DemoNodes) -> Moment {
    let mut moment = Moment { count: count(&nodes.published(PAGE_PORT)).await, info: None, workers: None, usage: Vec::new() };
    let Ok(client) = nodes.client().await else { return moment };
    moment.info = client.info().await.ok();
    let workers = client.service("worker").await.ok();
    moment.workers = workers.map(|worker| (worker.summary.replicas_running, worker.summary.replicas_desired));
    for service in SERVED {
        moment.usage.extend(client.service_usage(service).await.ok());
    }
    moment
}

/// Asks the page on the first node that answers.
async fn count(addresses: &[SocketAddr]) -> Option<Count> {
    for address in addresses {
        if let Ok(Some(count)) = tokio::time::timeout(PAGE_TIMEOUT, count_at(*address)).await {
            return Some(count);
        }
    }
    None
}

async fn count_at(address: SocketAddr) -> Option<Count> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET /json HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body.trim()).ok()
}

/// What the view remembers from one look to the next.
struct View {
    samples: VecDeque<(f64, u64)>,
    speeds: VecDeque<f64>,
    earlier: Earlier,
    bottleneck: String,
}

impl View {
    fn add(&mut self, moment: &Moment) {
        if let Some(count) = &moment.count {
            let hashes = count.hashes.as_deref().and_then(|hashes| hashes.parse().ok()).unwrap_or(0);
            // A count that fell was started anew: redis keeps it in memory here.
            if self.samples.back().is_some_and(|(_, last)| *last > hashes) {
                self.samples.clear();
            }
            self.samples.push_back((count.now, hashes));
            while self.samples.len() > SPEED_WINDOW + 1 {
                self.samples.pop_front();
            }
        }
        self.speeds.push_back(self.speed().unwrap_or(0.0));
        while self.speeds.len() > GRAPH_COLUMNS {
            self.speeds.pop_front();
        }
        if !moment.usage.is_empty() {
            self.bottleneck = match bottleneck::find(&self.earlier, &moment.usage) {
                Some(found) => found.sentence(),
                None => "none: every service answers at once; add workers".to_owned(),
            };
            self.earlier = bottleneck::remember(&moment.usage);
        }
    }

    /// Hashes per second over the window.
    fn speed(&self) -> Option<f64> {
        let ((from, low), (to, high)) = (self.samples.front()?, self.samples.back()?);
        (to > from).then(|| (high - low) as f64 / (to - from))
    }

    fn render(&self, nodes: &DemoNodes, moment: &Moment, terminal: bool) -> Vec<String> {
        let speed = self.speed().map_or("counting ...".to_owned(), |speed| format!("{speed:.1} hashes/second"));
        let coins = moment.count.as_ref().map_or("the page does not answer".to_owned(), |count| count.coins.to_string());
        let workers = moment.workers.map_or("unknown".to_owned(), |(running, desired)| format!("{running} of {desired} running"));
        let leader = match moment.info.as_ref() {
            Some(info) => {
                let name = info.leader.as_ref().map_or("being elected", |leader| leader.hostname.as_str());
                format!("{name}; {} of {} nodes ready", info.nodes_ready, nodes.count())
            }
            None => "unknown; no node answers".to_owned(),
        };
        if !terminal {
            return vec![format!("speed {speed}; coins {coins}; workers {workers}; leader {leader}; bottleneck {}", self.bottleneck)];
        }
        let mut lines = vec![
            format!("\x1b[1mDockerCoins on {} nodes\x1b[0m   {}", nodes.count(), nodes.page()),
            String::new(),
            format!("  {}", graph(&self.speeds)),
            format!("  speed       \x1b[1m{speed}\x1b[0m"),
            format!("  coins       {coins}"),
            format!("  workers     {workers}"),
            format!("  leader      {leader}"),
            format!("  bottleneck  \x1b[33m{}\x1b[0m", self.bottleneck),
            String::new(),
        ];
        lines.push("  Ctrl-C stops and removes everything.".to_owned());
        Screen::fitted(&lines)
    }
}

/// One bar per look, as high as the speed was.
fn graph(speeds: &VecDeque<f64>) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = speeds.iter().copied().fold(1.0, f64::max);
    speeds.iter().map(|speed| BARS[((speed / top) * 8.0).round().clamp(0.0, 8.0) as usize]).collect()
}

/// Draws over what it drew before.
struct Redrawn {
    terminal: bool,
    lines: usize,
}

impl Redrawn {
    fn draw(&mut self, lines: &[String]) {
        if self.terminal && self.lines > 0 {
            print!("\x1b[{}A", self.lines);
        }
        for line in lines {
            let clear = if self.terminal { "\x1b[2K" } else { "" };
            println!("{clear}{line}");
        }
        self.lines = lines.len();
    }
}
