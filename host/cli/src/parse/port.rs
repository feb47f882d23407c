//! Published ports: `[IP:]PUBLISHED:TARGET[/udp]`, ranges of them, and `published=8000,target=80,protocol=tcp,mode=ingress`.
use std::net::IpAddr;
use std::ops::RangeInclusive;

use minicloud_core::spec::{Protocol, PublishMode, PublishedPort};

const EXAMPLE: &str = "8000:80, 127.0.0.1:8000:80, 53:53/udp or published=8000,target=80,mode=host";

/// What one `--publish` asks for: several where it names a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(pub Vec<PublishedPort>);

/// Either form of `--publish`.
pub fn publish(text: &str) -> Result<Ports, String> {
    if text.contains('=') { long(text) } else { short(text) }
}

/// What `--publish-rm` names: a target port, alone or as it was published.
pub fn target_port(text: &str) -> Result<u16, String> {
    let fail = || format!("'{text}' is no target port; write for example 80");
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    read_protocol(protocol).ok_or_else(fail)?;
    let port = port.rsplit_once(':').map_or(port, |(_, target)| target);
    port.parse().ok().filter(|port| *port > 0).ok_or_else(fail)
}

fn short(text: &str) -> Result<Ports, String> {
    let fail = || format!("'{text}' is no published port; write for example {EXAMPLE}");
    let (ports, protocol) = match text.rsplit_once('/') {
        Some((ports, protocol)) => (ports, read_protocol(protocol).ok_or_else(fail)?),
        None => (text, Protocol::Tcp),
    };
    let (address, ports) = split_address(ports).ok_or_else(fail)?;
    let (published, target) = match ports.split_once(':') {
        Some(("", target)) => (0..=0, range(target).ok_or_else(fail)?),
        Some((published, target)) => (range(published).ok_or_else(fail)?, range(target).ok_or_else(fail)?),
        None if address.is_none() => (0..=0, range(ports).ok_or_else(fail)?),
        None => return Err(fail()),
    };
    let template = PublishedPort { published: 0, target: 0, protocol, mode: PublishMode::Ingress, address };
    pair(text, published, target, template)
}

/// The address before the ports, if there is one; IPv6 stands in brackets.
fn split_address(text: &str) -> Option<(Option<IpAddr>, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, ports) = rest.split_once("]:")?;
        return Some((Some(IpAddr::V6(address.parse().ok()?)), ports));
    }
    match text.split_once(':') {
        Some((address, ports)) if ports.contains(':') => Some((Some(IpAddr::V4(address.parse().ok()?)), ports)),
        _ => Some((None, text)),
    }
}

fn long(text: &str) -> Result<Ports, String> {
    let fail =
        |field: &str| format!("'{field}' in '{text}' is not understood; write for example published=8000,target=80,protocol=tcp,mode=host");
    let mut template = PublishedPort { published: 0, target: 0, protocol: Protocol::Tcp, mode: PublishMode::Ingress, address: None };
    let (mut published, mut target) = (0..=0, None);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(|| fail(field))?;
        match key.trim() {
            "published" => published = range(value).ok_or_else(|| fail(field))?,
            "target" => target = Some(range(value).ok_or_else(|| fail(field))?),
            "protocol" => template.protocol = read_protocol(value).ok_or_else(|| fail(field))?,
            "mode" if value == "ingress" => template.mode = PublishMode::Ingress,
            "mode" if value == "host" => template.mode = PublishMode::Host,
            "address" | "host_ip" => template.address = Some(value.parse().map_err(|_| fail(field))?),
            _ => return Err(fail(field)),
        }
    }
    let target = target.ok_or_else(|| format!("'{text}' names no target port; write for example published=8000,target=80"))?;
    pair(text, published, target, template)
}

fn pair(text: &str, published: RangeInclusive<u16>, target: RangeInclusive<u16>, template: PublishedPort) -> Result<Ports, String> {
    if *target.start() == 0 {
        return Err(format!("'{text}' names target port 0; write for example {EXAMPLE}"));
    }
    if published == (0..=0) {
        return Ok(Ports(target.map(|target| PublishedPort { target, ..template }).collect()));
    }
    if *published.start() == 0 || published.len() != target.len() {
        return Err(format!("'{text}' pairs ranges of different lengths; write for example 8000-8002:80-82"));
    }
    Ok(Ports(published.zip(target).map(|(published, target)| PublishedPort { published, target, ..template }).collect()))
}

/// A port, or `FIRST-LAST`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let digits = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|c| c.is_ascii_digit()));
    match text.split_once('-') {
        Some((first, last)) => Some(digits(first)?..=digits(last)?).filter(|range| !range.is_empty()),
        None => digits(text).map(|port| port..=port),
    }
}

fn read_protocol(text: &str) -> Option<Protocol> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let show = |port: &PublishedPort| {
            let address = port.address.map_or(String::new(), |address| format!("{address} "));
            format!("{address}{}->{} {:?} {:?}", port.published, port.target, port.protocol, port.mode)
        };
        publish(text).unwrap().0.iter().map(show).collect()
    }

    #[test]
    fn short_forms() {
        assert_eq!(read("80"), ["0->80 Tcp Ingress"]);
        assert_eq!(read("8000:80"), ["8000->80 Tcp Ingress"]);
        assert_eq!(read("53:53/udp"), ["53->53 Udp Ingress"]);
        assert_eq!(read("127.0.0.1:8000:80"), ["127.0.0.1 8000->80 Tcp Ingress"]);
        assert_eq!(read("127.0.0.1::80"), ["127.0.0.1 0->80 Tcp Ingress"]);
        assert_eq!(read("[::1]:8000:80/tcp"), ["::1 8000->80 Tcp Ingress"]);
        assert_eq!(read("8000-8001:80-81"), ["8000->80 Tcp Ingress", "8001->81 Tcp Ingress"]);
    }

    #[test]
    fn long_forms() {
        assert_eq!(read("target=80"), ["0->80 Tcp Ingress"]);
        assert_eq!(read("published=53,target=5353,protocol=udp,mode=host"), ["53->5353 Udp Host"]);
        assert_eq!(read("mode=ingress,target=80,published=8000,host_ip=127.0.0.1"), ["127.0.0.1 8000->80 Tcp Ingress"]);
    }

    #[test]
    fn wrong_ones_show_right_ones() {
        for text in [
            "",
            "http",
            "8000:",
            "8000:80/sctp",
            "70000:80",
            "::1:8000:80",
            "localhost:8000:80",
            "8000:80:90:100",
            "[::1]",
            "8001-8000:80",
            "+80",
            "-80",
        ] {
            assert!(publish(text).unwrap_err().contains("write for example 8000:80"), "{text}");
        }
        for text in ["published=8000", "target=80,mode=both", "target=80,colour=red", "target=http", "target=80,published"] {
            assert!(publish(text).unwrap_err().contains("published=8000,target=80"), "{text}");
        }
        assert!(publish("8000-8002:80").unwrap_err().contains("8000-8002:80-82"));
        assert!(publish("0:0").unwrap_err().contains("target port 0"));
    }

    #[test]
    fn a_published_port_is_removed_by_its_target() {
        assert_eq!(target_port("80"), Ok(80));
        assert_eq!(target_port("80/udp"), Ok(80));
        assert_eq!(target_port("8000:80/tcp"), Ok(80));
        for text in ["", "0", "http", "80/sctp", "8000:"] {
            assert!(target_port(text).unwrap_err().contains("for example 80"), "{text}");
        }
    }
}
