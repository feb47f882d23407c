//! How a file that overrides another is laid over it, and a service over the one that it extends.
//! <https://github.com/compose-spec/compose-spec/blob/main/13-merge.md>, and compose-go's `override` where that is silent.
use crate::place::{Error, Place, Result};
use crate::tree::{Entry, Kind, Map, Mark, Node};

/// How two values at one path become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Mappings are merged, lists appended, the rest replaced.
    Plain,
    /// The later replaces the earlier.
    Replace,
    /// `[A=1]` and `{A: 1}` are the same, merged by key.
    KeyValue,
    /// `[a]` is `{a: null}`.
    Names,
    /// `[a]` is `{a: {condition: service_started}}`.
    Dependencies,
    /// `x` is `{context: x}`.
    Build,
    /// `x` is `[x]`.
    List,
}

/// Paths with a rule of their own; `*` is any key.
const RULES: &[(&[&str], Rule)] = &[
    (&["networks", "*", "labels"], Rule::KeyValue),
    (&["volumes", "*", "labels"], Rule::KeyValue),
    (&["secrets", "*", "labels"], Rule::KeyValue),
    (&["configs", "*", "labels"], Rule::KeyValue),
    (&["services", "*", "annotations"], Rule::KeyValue),
    (&["services", "*", "build"], Rule::Build),
    (&["services", "*", "build", "args"], Rule::KeyValue),
    (&["services", "*", "build", "labels"], Rule::KeyValue),
    (&["services", "*", "build", "additional_contexts"], Rule::KeyValue),
    (&["services", "*", "command"], Rule::Replace),
    (&["services", "*", "depends_on"], Rule::Dependencies),
    (&["services", "*", "deploy", "labels"], Rule::KeyValue),
    (&["services", "*", "dns"], Rule::List),
    (&["services", "*", "dns_opt"], Rule::List),
    (&["services", "*", "dns_search"], Rule::List),
    (&["services", "*", "entrypoint"], Rule::Replace),
    (&["services", "*", "env_file"], Rule::List),
    (&["services", "*", "environment"], Rule::KeyValue),
    (&["services", "*", "healthcheck", "test"], Rule::Replace),
    (&["services", "*", "label_file"], Rule::List),
    (&["services", "*", "labels"], Rule::KeyValue),
    (&["services", "*", "networks"], Rule::Names),
    (&["services", "*", "sysctls"], Rule::KeyValue),
    (&["services", "*", "tmpfs"], Rule::List),
];

/// `over` laid on `base`, both at `path`.
pub fn merge(base: Node, over: Node, path: &mut Vec<String>) -> Result<Node> {
    if over.mark == Mark::Override {
        return Ok(Node { mark: Mark::None, ..over });
    }
    let rule = rule(path);
    let base_is_null = base.is_null();
    if rule == Rule::Replace || (base_is_null && rule == Rule::Plain) {
        return Ok(over);
    }
    // `key:` with nothing behind it says nothing new.
    if over.is_null() && over.mark == Mark::None && !matches!(base.kind, Kind::Scalar(_)) {
        return Ok(base);
    }
    let (base, over) = (formed(base, rule)?, formed(over, rule)?);
    match (base.kind, over.kind) {
        (Kind::Map(base), Kind::Map(other)) => {
            Ok(Node { kind: Kind::Map(maps(base, other, path)?), at: over.at, mark: base_mark(over.mark) })
        }
        (Kind::List(mut list), Kind::List(other)) => {
            list.extend(other);
            Ok(Node { kind: Kind::List(list), at: over.at, mark: Mark::None })
        }
        (Kind::Scalar(_), kind @ Kind::Scalar(_)) => Ok(Node { kind, at: over.at, mark: over.mark }),
        (earlier, later) => {
            let (earlier, later) = (Node::new(earlier, &base.at), Node::new(later, &over.at));
            let message = format!(
                "{} cannot be laid over {} of {}:{}; write it in the same form, or mark it with !override",
                later.describe(),
                earlier.describe(),
                base.at.file,
                base.at.line
            );
            Err(Error::at(&over.at, message))
        }
    }
}

fn base_mark(mark: Mark) -> Mark {
    if mark == Mark::Override { Mark::None } else { mark }
}

fn maps(mut base: Map, over: Map, path: &mut Vec<String>) -> Result<Map> {
    for entry in over.entries {
        if entry.value.mark == Mark::Reset {
            base.remove(&entry.key);
            continue;
        }
        match base.entries.iter().position(|other| other.key == entry.key) {
            None => base.entries.push(Entry { value: unmarked(entry.value), ..entry }),
            Some(at) => {
                let earlier = base.entries[at].value.clone();
                path.push(entry.key.clone());
                let value = merge(earlier, entry.value, path)?;
                path.pop();
                base.entries[at] = Entry { key: entry.key, key_at: entry.key_at, value };
            }
        }
    }
    Ok(base)
}

fn unmarked(node: Node) -> Node {
    Node { mark: base_mark(node.mark), ..node }
}

/// Takes what is marked with `!reset` out of a tree that nothing is laid over any more.
pub fn sweep(node: &mut Node) {
    node.mark = Mark::None;
    match &mut node.kind {
        Kind::Scalar(_) => {}
        Kind::List(list) => {
            list.retain(|node| node.mark != Mark::Reset);
            list.iter_mut().for_each(sweep);
        }
        Kind::Map(map) => {
            map.entries.retain(|entry| entry.value.mark != Mark::Reset);
            map.entries.iter_mut().for_each(|entry| sweep(&mut entry.value));
        }
    }
}

fn rule(path: &[String]) -> Rule {
    let fits = |pattern: &[&str]| pattern.len() == path.len() && pattern.iter().zip(path).all(|(p, key)| *p == "*" || p == key);
    RULES.iter().find(|(pattern, _)| fits(pattern)).map_or(Rule::Plain, |(_, rule)| *rule)
}

/// The value in the one form in which it is merged.
fn formed(node: Node, rule: Rule) -> Result<Node> {
    let Node { kind, at, mark } = node;
    let kind = match (rule, kind) {
        (Rule::KeyValue, Kind::List(list)) => Kind::Map(collect(list, key_value)?),
        (Rule::Names, Kind::List(list)) => Kind::Map(collect(list, |text, at| Ok((text, Node::null(at))))?),
        (Rule::Dependencies, Kind::List(list)) => Kind::Map(collect(list, dependency)?),
        (Rule::Build, kind @ Kind::Scalar(_)) => {
            let entry = Entry { key: "context".to_owned(), key_at: at.clone(), value: Node::new(kind, &at) };
            Kind::Map(Map { entries: vec![entry] })
        }
        (Rule::List, kind @ Kind::Scalar(_)) => Kind::List(vec![Node::new(kind, &at)]),
        (_, kind) => kind,
    };
    Ok(Node { kind, at, mark })
}

fn collect(list: Vec<Node>, read: impl Fn(String, &Place) -> Result<(String, Node)>) -> Result<Map> {
    let mut map = Map::default();
    for node in list {
        let Some(text) = node.as_text() else {
            return Err(Error::at(&node.at, format!("expected text, and this is {}", node.describe())));
        };
        let (key, value) = read(text.to_owned(), &node.at)?;
        map.put(Entry { key, key_at: node.at.clone(), value: Node { mark: node.mark, ..value } });
    }
    Ok(map)
}

fn key_value(text: String, at: &Place) -> Result<(String, Node)> {
    Ok(match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Node::text(value, at)),
        None => (text, Node::null(at)),
    })
}

fn dependency(text: String, at: &Place) -> Result<(String, Node)> {
    let entry = |key: &str, value: &str| Entry { key: key.to_owned(), key_at: at.clone(), value: Node::text(value, at) };
    let map = Map { entries: vec![entry("condition", "service_started"), entry("required", "true")] };
    Ok((text, Node::new(Kind::Map(map), at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::yaml;
    use crate::parse::parse;

    fn merged(base: &str, over: &str) -> Result<String> {
        let mut node = merge(parse("base.yml", base)?, parse("over.yml", over)?, &mut Vec::new())?;
        sweep(&mut node);
        Ok(yaml(&node))
    }

    fn service(base: &str, over: &str) -> String {
        let wrapped = |body: &str| format!("services:\n  foo:\n    {}\n", body.replace('\n', "\n    "));
        merged(&wrapped(base), &wrapped(over)).unwrap().replace("services:\n  foo:\n", "").replace("\n    ", "\n").trim_start().to_owned()
    }

    /// The examples of the specification's chapter on merging.
    #[test]
    fn the_specifications_examples() {
        assert_eq!(service("key1: value1\nkey2: value2", "key2: VALUE\nkey3: value3"), "key1: value1\nkey2: VALUE\nkey3: value3\n");
        assert_eq!(service("DNS:\n  - 1.1.1.1", "DNS:\n  - 8.8.8.8"), "DNS:\n  - 1.1.1.1\n  - 8.8.8.8\n");
        assert_eq!(service("command: [\"echo\", \"foo\"]", "command: [\"echo\", \"bar\"]"), "command:\n  - echo\n  - bar\n");
        let base = "image: myapp\nports:\n  - \"8080:80\"\nenvironment:\n  FOO: BAR";
        assert_eq!(service(base, "image: myapp\nports: !reset []\nenvironment:\n  FOO: !reset null"), "image: myapp\nenvironment: {}\n");
        let replaced = service("image: myapp\nports:\n  - \"8080:80\"", "ports: !override\n  - \"8443:443\"");
        assert_eq!(replaced, "image: myapp\nports:\n  - 8443:443\n");
    }

    #[test]
    fn forms_are_brought_together() {
        let environment = service("environment:\n  A: 1\n  B: 2", "environment:\n  - B=3\n  - C");
        assert_eq!(environment, "environment:\n  A: 1\n  B: \"3\"\n  C: null\n");
        assert_eq!(service("build: .", "build:\n  dockerfile: x"), "build:\n  context: .\n  dockerfile: x\n");
        assert_eq!(service("networks: [a]", "networks:\n  b:\n    aliases: [x]"), "networks:\n  a: null\n  b:\n    aliases:\n      - x\n");
        assert_eq!(service("env_file: a.env", "env_file: [b.env]"), "env_file:\n  - a.env\n  - b.env\n");
        let needs = service("depends_on: [a]", "depends_on:\n  b:\n    condition: service_healthy");
        assert!(needs.contains("a:\n    condition: service_started") && needs.contains("b:\n    condition: service_healthy"), "{needs}");
    }

    #[test]
    fn what_does_not_fit_says_where_both_stand() {
        let error = merged("a:\n  b: 1\n", "a:\n- 1\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "over.yml:2:3: a list cannot be laid over a mapping of base.yml:2; write it in the same form, or mark it with !override"
        );
    }
}
