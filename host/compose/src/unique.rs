//! Lists in which a later entry takes the place of an earlier one that means the same: ports, volumes, secrets and so on.
use crate::tree::{Kind, Node};

/// What tells the entries of a list apart.
type Key = fn(&Node) -> Option<String>;

const LISTS: &[(&str, Key)] = &[
    ("ports", port),
    ("volumes", mount),
    ("secrets", secret),
    ("configs", config),
    ("env_file", env_file),
    ("profiles", text),
    ("expose", text),
    ("links", text),
    ("cap_add", text),
    ("cap_drop", text),
    ("dns", text),
    ("dns_opt", text),
    ("dns_search", text),
    ("tmpfs", text),
    ("label_file", text),
];

/// Keeps one of each in the lists of every service.
pub fn enforce(root: &mut Node) {
    let services = root.as_map_mut().and_then(|root| root.get_mut("services")).and_then(Node::as_map_mut);
    for service in services.into_iter().flat_map(|services| &mut services.entries) {
        let Some(service) = service.value.as_map_mut() else { continue };
        for (name, key) in LISTS {
            if let Some(Kind::List(list)) = service.get_mut(name).map(|node| &mut node.kind) {
                keep_last(list, *key);
            }
        }
    }
}

fn keep_last(list: &mut Vec<Node>, key: Key) {
    let mut kept: Vec<(Option<String>, Node)> = Vec::with_capacity(list.len());
    for node in list.drain(..) {
        let key = key(&node);
        match kept.iter_mut().find(|(other, _)| key.is_some() && *other == key) {
            Some((_, earlier)) => *earlier = node,
            None => kept.push((key, node)),
        }
    }
    list.extend(kept.into_iter().map(|(_, node)| node));
}

fn text(node: &Node) -> Option<String> {
    node.as_text().map(str::to_owned)
}

fn field(node: &Node, name: &str) -> Option<String> {
    node.get(name).and_then(text)
}

fn port(node: &Node) -> Option<String> {
    if let Some(text) = node.as_text() {
        let (ports, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
        let (rest, target) = ports.rsplit_once(':').unwrap_or(("", ports));
        let (host, published) = rest.rsplit_once(':').unwrap_or(("", rest));
        return Some(port_key(host, published, target, protocol));
    }
    let field = |name| field(node, name).unwrap_or_default();
    let protocol = if field("protocol").is_empty() { "tcp".to_owned() } else { field("protocol") };
    Some(port_key(&field("host_ip"), &field("published"), &field("target"), &protocol))
}

fn port_key(host: &str, published: &str, target: &str, protocol: &str) -> String {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    format!("{host}:{published}:{target}/{protocol}")
}

fn mount(node: &Node) -> Option<String> {
    let Some(text) = node.as_text() else { return field(node, "target") };
    let mut parts = text.split(':');
    let first = parts.next()?;
    Some(parts.next().filter(|target| target.starts_with('/')).unwrap_or(first).to_owned())
}

fn secret(node: &Node) -> Option<String> {
    file(node, "/run/secrets/")
}

fn config(node: &Node) -> Option<String> {
    file(node, "/")
}

fn file(node: &Node, folder: &str) -> Option<String> {
    let name = text(node).or_else(|| field(node, "target")).or_else(|| field(node, "source"))?;
    Some(if name.starts_with('/') { name } else { format!("{folder}{name}") })
}

fn env_file(node: &Node) -> Option<String> {
    text(node).or_else(|| field(node, "path"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::yaml;
    use crate::parse::parse;

    #[test]
    fn the_later_of_two_that_mean_the_same_stays() {
        let text = "services:\n  foo:\n    volumes: [foo:/work, bar:/work, baz:/other]\n    ports: [\"80:80\", \"0.0.0.0:80:80/tcp\", \"80:80/udp\"]\n    secrets: [a, {source: b, target: a}]\n";
        let mut root = parse("f.yml", text).unwrap();
        enforce(&mut root);
        let expected = "services:\n  foo:\n    volumes:\n      - bar:/work\n      - baz:/other\n    ports:\n      - 0.0.0.0:80:80/tcp\n      - 80:80/udp\n    secrets:\n      - source: b\n        target: a\n";
        assert_eq!(yaml(&root), expected);
    }
}
