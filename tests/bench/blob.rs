//! A plain client of registries: one blob in, as `docker push` sends it, and out again.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

const REPOSITORY: &str = "bench/blob";
/// A registry that says nothing for this long is broken.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Content and its digest.
pub struct Blob {
    pub content: Vec<u8>,
    pub digest: String,
}

struct Answer {
    location: Option<String>,
    stream: BufReader<TcpStream>,
    length: usize,
}

impl Blob {
    /// Random bytes: nothing on the way makes them smaller.
    pub fn random(bytes: usize) -> anyhow::Result<Blob> {
        let mut content = vec![0; bytes];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut content)?;
        Ok(Blob { digest: digest(&content), content })
    }

    /// Another content of the same size, which no registry has.
    pub fn renew(&mut self) -> anyhow::Result<()> {
        const CHANGED_BYTES: usize = 16;
        std::fs::File::open("/dev/urandom")?.read_exact(&mut self.content[..CHANGED_BYTES])?;
        self.digest = digest(&self.content);
        Ok(())
    }

    /// How long a push takes, until the registry has it under its digest.
    pub fn push(&self, registry: SocketAddr) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let begun = exchange(registry, "POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), &[], 202)?;
        let sent = exchange(registry, "PATCH", &begun.location()?, &self.content, 202)?;
        let location = sent.location()?;
        let sign = if location.contains('?') { '&' } else { '?' };
        exchange(registry, "PUT", &format!("{location}{sign}digest={}", self.digest), &[], 201)?;
        Ok(began.elapsed())
    }

    /// How long a pull into `buffer` takes; checked afterwards.
    pub fn pull(&self, registry: SocketAddr, buffer: &mut [u8]) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut answer = exchange(registry, "GET", &format!("/v2/{REPOSITORY}/blobs/{}", self.digest), &[], 200)?;
        ensure!(answer.length == buffer.len(), "a blob of {} bytes instead of {}", answer.length, buffer.len());
        answer.stream.read_exact(buffer)?;
        let took = began.elapsed();
        ensure!(digest(buffer) == self.digest, "the registry gave something else back");
        Ok(took)
    }
}

impl Answer {
    /// Path of the upload that the answer names.
    fn location(&self) -> anyhow::Result<String> {
        let location = self.location.as_deref().context("the registry named no upload")?;
        let path = match location.split_once("://") {
            Some((_, rest)) => rest.find('/').map(|slash| &rest[slash..]),
            None => Some(location),
        };
        Ok(path.context("the registry named no path")?.to_owned())
    }
}

/// A request on a connection of its own; the body of the answer is still to be read.
fn exchange(registry: SocketAddr, method: &str, path: &str, body: &[u8], expected: u16) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(registry)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {registry}\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut stream = BufReader::with_capacity(256 << 10, stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status: u16 = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("that is no answer of HTTP")?;
    let mut answer = Answer { location: None, stream, length: 0 };
    loop {
        line.clear();
        ensure!(answer.stream.read_line(&mut line)? > 0, "the answer broke off");
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "location" => answer.location = Some(value.trim().to_owned()),
            "content-length" => answer.length = value.trim().parse()?,
            _ => {}
        }
    }
    if status != expected {
        let mut text = String::new();
        answer.stream.read_to_string(&mut text)?;
        bail!("{method} {path}: {status} instead of {expected}: {text}");
    }
    Ok(answer)
}

fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
