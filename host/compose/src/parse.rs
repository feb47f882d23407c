//! From text to a tree: the events of the YAML parser, with anchors, aliases and `<<` merges resolved.
//!
//! Aliases are copied, so a file could grow without end: the values of a file are counted.
use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use crate::place::{Error, Place, Result};
use crate::tree::{Entry, Kind, Map, Mark, Node, Scalar};

/// Values in one file, those behind aliases counted each time.
const NODES_MAX: usize = 200_000;
/// Values within values.
const DEPTH_MAX: usize = 64;
/// Bytes of one file.
const FILE_BYTES_MAX: usize = 8 << 20;

/// The only document of a file; an empty file is nothing.
pub fn parse(file: &str, text: &str) -> Result<Node> {
    let file: Arc<str> = file.into();
    let start = Place { file: Arc::clone(&file), line: 1, column: 1 };
    if text.len() > FILE_BYTES_MAX {
        return Err(Error::at(&start, format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    let mut reader = Reader { file, open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Error::at(&reader.place(*error.marker()), error.info()))?;
        reader.take(event, span)?;
    }
    Ok(reader.root.unwrap_or_else(|| Node::null(&start)))
}

struct Reader {
    file: Arc<str>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

/// A list or mapping whose end has not come.
struct Open {
    anchor: usize,
    node: Node,
    /// Key whose value comes next.
    key: Option<(String, Place)>,
    /// Mappings that `<<` names, to fill in what is not said here.
    merged: Vec<Node>,
    nodes_before: usize,
}

impl Reader {
    fn place(&self, marker: Marker) -> Place {
        Place { file: Arc::clone(&self.file), line: marker.line().max(1), column: marker.col() + 1 }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<()> {
        let at = self.place(span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Error::at(&at, "a compose file is one document; remove what follows '---'"))
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(id) => {
                let (node, nodes) = self.anchors.get(&id).cloned().ok_or_else(|| Error::at(&at, "the anchor is not complete here"))?;
                self.count(nodes, &at)?;
                self.put(node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, &at)?;
                let (mark, is_text) = mark(tag.as_deref(), &at)?;
                let plain = style == ScalarStyle::Plain && !is_text;
                let node = Node { kind: Kind::Scalar(Scalar { text: text.into_owned(), plain }), at, mark };
                self.keep_anchor(anchor, &node, 1);
                self.put(node)
            }
            Event::SequenceStart(anchor, tag) => self.open(Kind::List(Vec::new()), anchor, tag.as_deref(), at),
            Event::MappingStart(anchor, tag) => self.open(Kind::Map(Map::default()), anchor, tag.as_deref(), at),
            Event::SequenceEnd | Event::MappingEnd => self.close(&at),
        }
    }

    fn count(&mut self, nodes: usize, at: &Place) -> Result<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            return Err(Error::at(at, format!("the file has more than {NODES_MAX} values; aliases count each time")));
        }
        Ok(())
    }

    fn keep_anchor(&mut self, anchor: usize, node: &Node, nodes: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
    }

    fn open(&mut self, kind: Kind, anchor: usize, tag: Option<&Tag>, at: Place) -> Result<()> {
        self.count(1, &at)?;
        if self.open.len() >= DEPTH_MAX {
            return Err(Error::at(&at, format!("values lie deeper than {DEPTH_MAX} within others")));
        }
        let (mark, _) = mark(tag, &at)?;
        let node = Node { kind, at, mark };
        self.open.push(Open { anchor, node, key: None, merged: Vec::new(), nodes_before: self.nodes });
        Ok(())
    }

    fn close(&mut self, at: &Place) -> Result<()> {
        let Some(mut open) = self.open.pop() else { return Err(Error::at(at, "an end without a beginning")) };
        if let Kind::Map(map) = &mut open.node.kind {
            for merged in open.merged {
                fill_in(map, merged);
            }
        }
        self.keep_anchor(open.anchor, &open.node, self.nodes - open.nodes_before + 1);
        self.put(open.node)
    }

    fn put(&mut self, node: Node) -> Result<()> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.kind, open.key.take()) {
            (Kind::List(list), _) => list.push(node),
            (Kind::Map(_), None) => open.key = Some(key(&node)?),
            (Kind::Map(_), Some((key, _))) if key == "<<" => open.merged.extend(mergeable(node)?),
            (Kind::Map(map), Some((key, key_at))) => {
                if let Some(earlier) = map.entries.iter().find(|entry| entry.key == key) {
                    return Err(Error::at(&key_at, format!("'{key}' is given twice; it stands in line {} already", earlier.key_at.line)));
                }
                map.entries.push(Entry { key, key_at, value: node });
            }
            (Kind::Scalar(_), _) => return Err(Error::at(&node.at, "a value within a value")),
        }
        Ok(())
    }
}

fn key(node: &Node) -> Result<(String, Place)> {
    match &node.kind {
        Kind::Scalar(scalar) => Ok((scalar.text.clone(), node.at.clone())),
        _ => Err(Error::at(&node.at, format!("a key must be text, and this is {}", node.describe()))),
    }
}

/// The mappings that `<<` names.
fn mergeable(node: Node) -> Result<Vec<Node>> {
    match node.kind {
        Kind::Map(_) => Ok(vec![node]),
        Kind::List(list) => match list.iter().find(|node| node.as_map().is_none()) {
            Some(wrong) => Err(Error::at(&wrong.at, format!("'<<' takes mappings, and this is {}", wrong.describe()))),
            None => Ok(list),
        },
        Kind::Scalar(_) if node.is_null() => Ok(Vec::new()),
        Kind::Scalar(_) => Err(Error::at(&node.at, format!("'<<' takes a mapping, and this is {}", node.describe()))),
    }
}

/// What the mapping says itself comes first, then the earlier of several.
fn fill_in(map: &mut Map, from: Node) {
    let Kind::Map(from) = from.kind else { return };
    for entry in from.entries {
        if map.get(&entry.key).is_none() {
            map.entries.push(entry);
        }
    }
}

/// What a tag means, and whether it makes a text of everything.
fn mark(tag: Option<&Tag>, at: &Place) -> Result<(Mark, bool)> {
    let Some(tag) = tag else { return Ok((Mark::None, false)) };
    match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") => Ok((Mark::None, true)),
        (true, _) => Ok((Mark::None, false)),
        (false, "reset") => Ok((Mark::Reset, false)),
        (false, "override") => Ok((Mark::Override, false)),
        (false, "") => Ok((Mark::None, true)),
        (false, _) => Err(Error::at(at, format!("the tag {tag} is not known; there are !reset and !override"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::yaml;

    fn read(text: &str) -> String {
        yaml(&parse("f.yml", text).unwrap())
    }

    fn refused(text: &str) -> String {
        parse("f.yml", text).unwrap_err().to_string()
    }

    #[test]
    fn anchors_aliases_and_merges() {
        let text = "a: &a {p: 1, q: 2}\nb: &b\n  q: 3\n  r: 4\nc:\n  <<: [*a, *b]\n  p: 9\nd: *a\n";
        let expected = "a:\n  p: 1\n  q: 2\nb:\n  q: 3\n  r: 4\nc:\n  p: 9\n  q: 2\n  r: 4\nd:\n  p: 1\n  q: 2\n";
        assert_eq!(read(text), expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(refused("a: 1\nb: 2\na: 3\n"), "f.yml:3:1: 'a' is given twice; it stands in line 1 already");
        assert!(refused("a: [1, 2\nb: 3\n").starts_with("f.yml:"), "{}", refused("a: [1, 2\nb: 3\n"));
        assert!(refused("a: *nowhere\n").starts_with("f.yml:1:"));
        assert_eq!(refused("a: !other x\n"), "f.yml:1:4: the tag !other is not known; there are !reset and !override");
        assert_eq!(refused("a: 1\n---\nb: 2\n"), "f.yml:2:1: a compose file is one document; remove what follows '---'");
        assert_eq!(refused("a:\n  <<: 3\n"), "f.yml:2:7: '<<' takes a mapping, and this is '3'");
    }

    #[test]
    fn a_file_cannot_grow_without_end() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..8 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(refused(&text).contains("more than 200000 values"));
        assert!(refused(&"- ".repeat(70)).contains("deeper"));
        assert!(parse("f.yml", &"[".repeat(5_000)).is_err());
    }
}
