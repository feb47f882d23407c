//! Short forms become long ones, so that the model has one form of each and `config` prints one.
use crate::paths::is_path;
use crate::place::{Error, Place, Result};
use crate::tree::{Entry, Kind, Map, Node};

/// Ports that one entry may name.
const RANGE_MAX: u16 = 1_024;

/// Brings the merged tree to its long form.
pub fn canonical(root: &mut Node) -> Result<()> {
    let services = root.as_map_mut().and_then(|root| root.get_mut("services"));
    let Some(services) = services.and_then(Node::as_map_mut) else { return Ok(()) };
    for service in &mut services.entries {
        if let Some(map) = service.value.as_map_mut() {
            self::service(map)?;
        }
    }
    Ok(())
}

fn service(map: &mut Map) -> Result<()> {
    if let Some(build) = map.get_mut("build")
        && let Some(context) = build.as_text().map(str::to_owned)
    {
        *build = mapping(&[("context", &context)], &build.at);
    }
    if let Some(networks) = map.get_mut("networks") {
        names_to_map(networks, Node::null)?;
    }
    if let Some(needs) = map.get_mut("depends_on") {
        names_to_map(needs, |at| mapping(&[("condition", "service_started")], at))?;
    }
    if let Some(files) = map.get_mut("env_file") {
        if files.as_text().is_some() || files.as_map().is_some() {
            let at = files.at.clone();
            let only = std::mem::replace(files, Node::null(&at));
            files.kind = Kind::List(vec![only]);
        }
        each(files, |node, text| Ok(vec![mapping(&[("path", text)], &node.at)]))?;
    }
    for (key, read) in
        [("ports", port as fn(&Node, &str) -> Result<Vec<Node>>), ("volumes", volume), ("secrets", source), ("configs", source)]
    {
        if let Some(list) = map.get_mut(key) {
            each(list, read)?;
        }
    }
    Ok(())
}

/// A mapping of texts at one place.
fn mapping(entries: &[(&str, &str)], at: &Place) -> Node {
    let entry = |(key, text): &(&str, &str)| Entry { key: (*key).to_owned(), key_at: at.clone(), value: Node::text(*text, at) };
    Node::new(Kind::Map(Map { entries: entries.iter().map(entry).collect() }), at)
}

fn names_to_map(node: &mut Node, value: impl Fn(&Place) -> Node) -> Result<()> {
    let Kind::List(list) = &node.kind else { return Ok(()) };
    let mut map = Map::default();
    for name in list {
        let Some(text) = name.as_text() else {
            return Err(Error::at(&name.at, format!("expected a name, and this is {}", name.describe())));
        };
        map.put(Entry { key: text.to_owned(), key_at: name.at.clone(), value: value(&name.at) });
    }
    node.kind = Kind::Map(map);
    Ok(())
}

/// Replaces every text of a list.
fn each(node: &mut Node, read: impl Fn(&Node, &str) -> Result<Vec<Node>>) -> Result<()> {
    let Kind::List(list) = &mut node.kind else { return Ok(()) };
    let mut long = Vec::with_capacity(list.len());
    for node in list.drain(..) {
        match node.as_text() {
            Some(text) => long.extend(read(&node, text)?),
            None => long.push(node),
        }
    }
    *list = long;
    Ok(())
}

fn source(node: &Node, text: &str) -> Result<Vec<Node>> {
    Ok(vec![mapping(&[("source", text)], &node.at)])
}

/// `[IP:][PUBLISHED:]TARGET[/PROTOCOL]`, where ports may be ranges.
fn port(node: &Node, text: &str) -> Result<Vec<Node>> {
    let fail =
        || Error::at(&node.at, format!("'{text}' is no port; write for example \"8000:80\", \"127.0.0.1:8000:80\" or \"53:53/udp\""));
    let (ports, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if protocol != "tcp" && protocol != "udp" {
        return Err(Error::at(&node.at, format!("'{protocol}' is no protocol of a port; there are tcp and udp")));
    }
    let (rest, target) = ports.rsplit_once(':').map_or((None, ports), |(rest, target)| (Some(rest), target));
    let (host, published) = match rest {
        None => (None, None),
        Some(rest) => match rest.rsplit_once(':') {
            Some((host, published)) => (Some(host.trim_start_matches('[').trim_end_matches(']')), Some(published)),
            None => (None, Some(rest)),
        },
    };
    let published = published.filter(|published| !published.is_empty());
    let targets = range(target).ok_or_else(fail)?;
    let sources = published.map(|text| range(text).ok_or_else(fail)).transpose()?;
    let mut nodes = Vec::new();
    for (at, target) in (targets.0..=targets.1).enumerate() {
        let published = match sources {
            None => None,
            Some((from, to)) if to - from == targets.1 - targets.0 => Some((usize::from(from) + at).to_string()),
            // Several for one: whichever is free.
            Some((from, to)) if targets.0 == targets.1 => Some(format!("{from}-{to}")),
            Some(_) => return Err(Error::at(&node.at, format!("the ranges of '{text}' are not of one length"))),
        };
        let target = target.to_string();
        let mut entries = vec![("target", target.as_str()), ("protocol", protocol.as_str())];
        entries.extend(published.as_deref().map(|published| ("published", published)));
        entries.extend(host.filter(|host| !host.is_empty()).map(|host| ("host_ip", host)));
        nodes.push(mapping(&entries, &node.at));
    }
    Ok(nodes)
}

/// `80`, or `80-90`.
pub fn range(text: &str) -> Option<(u16, u16)> {
    let number =
        |text: &str| if text.bytes().all(|c| c.is_ascii_digit()) { text.parse::<u16>().ok().filter(|port| *port > 0) } else { None };
    let (from, to) = match text.split_once('-') {
        Some((from, to)) => (number(from)?, number(to)?),
        None => (number(text)?, number(text)?),
    };
    (from <= to && to - from < RANGE_MAX).then_some((from, to))
}

/// `[SOURCE:]TARGET[:ro]`
fn volume(node: &Node, text: &str) -> Result<Vec<Node>> {
    let parts: Vec<&str> = text.split(':').collect();
    let fail = || Error::at(&node.at, format!("'{text}' is no volume; write for example data:/data or ./files:/files:ro"));
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] if target.starts_with('/') => (Some(*source), *target, ""),
        [target, options] if target.starts_with('/') => (None, *target, *options),
        [source, target, options] => (Some(*source), *target, *options),
        _ => return Err(fail()),
    };
    if !target.starts_with('/') || source.is_some_and(str::is_empty) {
        return Err(fail());
    }
    let mut entries = vec![("type", if source.is_some_and(is_path) { "bind" } else { "volume" }), ("target", target)];
    entries.extend(source.map(|source| ("source", source)));
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => entries.push(("read_only", "true")),
            // Of SELinux, of macOS, or the default.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" | "nocopy" | "rprivate" | "private" | "rshared" | "shared"
            | "rslave" | "slave" => {}
            _ => return Err(Error::at(&node.at, format!("'{option}' is no option of a volume; there are ro and rw"))),
        }
    }
    Ok(vec![mapping(&entries, &node.at)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::yaml;

    fn place() -> Place {
        Place { file: "f.yml".into(), line: 4, column: 9 }
    }

    fn ports(text: &str) -> Result<Vec<String>> {
        let node = Node::text(text, &place());
        Ok(port(&node, text)?.iter().map(|node| yaml(node).trim().replace('\n', " ").replace('"', "")).collect())
    }

    #[test]
    fn every_form_of_a_port() {
        assert_eq!(ports("3000").unwrap(), ["target: 3000 protocol: tcp"]);
        assert_eq!(ports("8000:80").unwrap(), ["target: 80 protocol: tcp published: 8000"]);
        assert_eq!(ports("127.0.0.1:8001:8001").unwrap(), ["target: 8001 protocol: tcp published: 8001 host_ip: 127.0.0.1"]);
        assert_eq!(ports("127.0.0.1::5000").unwrap(), ["target: 5000 protocol: tcp host_ip: 127.0.0.1"]);
        assert_eq!(ports("6060:6060/udp").unwrap(), ["target: 6060 protocol: udp published: 6060"]);
        assert!(ports("[::1]:80:81").unwrap()[0].contains("::1"));
        assert_eq!(ports("9090-9091:8080-8081").unwrap().len(), 2);
        assert_eq!(ports("3000-3005").unwrap().len(), 6);
        assert_eq!(ports("8000-8010:80").unwrap(), ["target: 80 protocol: tcp published: 8000-8010"]);
        for wrong in ["", "80x", "0", "70000", "80:", "1-3:5-6", "9-1", "80/sctp", "+80", "1-60000"] {
            assert!(ports(wrong).unwrap_err().to_string().starts_with("f.yml:4:9: "), "{wrong}");
        }
    }

    #[test]
    fn every_form_of_a_volume() {
        let read = |text: &str| volume(&Node::text(text, &place()), text).map(|nodes| yaml(&nodes[0]).trim().replace('\n', " "));
        assert_eq!(read("/data").unwrap(), "type: volume target: /data");
        assert_eq!(read("data:/data").unwrap(), "type: volume target: /data source: data");
        assert_eq!(read("/host:/data:ro,z").unwrap(), "type: bind target: /data source: /host read_only: \"true\"");
        assert_eq!(read("/data:ro").unwrap(), "type: volume target: /data read_only: \"true\"");
        for wrong in ["data", "", "a:b", "a:b:c:d", ":/data", "a:/b:exec"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
